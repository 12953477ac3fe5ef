"""The service `linkd.v1.Runs`: what the supervisor of a run says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from linkd.core.runs import is_complete
from linkd.faces.call import Context, call_of, translated
from linkd.faces.describe import description
from linkd.home import runs
from linkd.home.changes import ANY, Watch
from linkd.home.home import Home
from linkd.limits import WATCH_INTERVAL_S
from linkd.wire.v1 import runs_pb2 as pb


@dataclass(slots=True)
class RunsService:
    home: Home

    async def begin(self, request: pb.BeginRequest, context: Context) -> pb.BeginResponse:
        async with translated(context):
            call = call_of(self.home, context)
            asked = runs.RunCall(
                request.run_id,
                request.fresh,
                request.reason,
                dict(request.fingerprint),
                dict(request.task_versions),
                request.traceparent,
                frozenset(request.again),
                frozenset(request.resumed),
                frozenset(request.tasks),
                frozenset(request.open_places),
                request.follow,
                {name: every / 1000 for name, every in request.every_ms.items()},
                dict(request.memo),
                request.checks_memo,
            )
            tokens = await runs.begin(self.home, call.who, asked)
            return pb.BeginResponse(epoch=self.home.ledger.epoch, tokens=tokens)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def task_exited(self, request: pb.TaskExitedRequest, context: Context) -> pb.TaskExitedResponse:
        async with translated(context):
            call = call_of(self.home, context)
            return pb.TaskExitedResponse(unread=await runs.task_exited(self.home, call.who, request.task, request.exit_code))
        raise AssertionError("unreachable: `translated` aborts the call")

    async def pause(self, request: pb.PauseRequest, context: Context) -> pb.PauseResponse:
        async with translated(context):
            runs.pause(self.home, call_of(self.home, context).who)
            return pb.PauseResponse()
        raise AssertionError("unreachable: `translated` aborts the call")

    async def end(self, request: pb.EndRequest, context: Context) -> pb.EndResponse:
        async with translated(context):
            call = call_of(self.home, context)
            await runs.end(self.home, call.who, request.outcome)
            return pb.EndResponse()
        raise AssertionError("unreachable: `translated` aborts the call")

    async def watch(self, request: pb.WatchRequest, context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            runs.allow(self.home, call.who, "runs.watch")
            with self.home.changes.watch(ANY) as watch:
                while True:
                    told = description(self.home, call.who)
                    await context.write(told)
                    await watch.wait()
                    self.home.check_open()
                    await self._pause(watch, complete=told.run.complete)

    async def _pause(self, watch: Watch, *, complete: bool) -> None:
        """Changes come in bursts; what happens meanwhile is in the next description. That the run is complete is told at once."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + WATCH_INTERVAL_S
        while (complete or not is_complete(self.home.ledger)) and (left_s := until_s - loop.time()) > 0:
            await watch.wait(left_s)
