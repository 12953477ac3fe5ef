"""Drives one run: plan, home, adapter worker, programs; until every link is sealed and every sink has committed, or something fails.

The order at the start: the run's lock, what an earlier supervisor left, the home's lock, the plan (and perhaps: nothing to do), the home, the
beginning of the run in the journal, the worker and the programs. At the end the same backwards. A failed task lets the others finish what
they hold; a home or worker that dies ends the run with exit code 5.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkd import errors
from linkd.app.layout import declared_schemas
from linkd.app.pipeline_file import find_pipeline, load_pipeline
from linkd.app.run.home_process import HomeProcess
from linkd.app.run.plan import Plan, has_adapters, make_plan, programs
from linkd.app.run.processes import Processes, ending, process_age_s
from linkd.app.run.programs import Programs, Stopped
from linkd.app.run.screen import Screen
from linkd.app.run.summary import print_failure, print_summary
from linkd.app.state import Lock, make_state_directory, state_directory
from linkd.app.take_over import take_lock
from linkd.core.layout import Layout, layout
from linkd.core.pipeline import Pipeline
from linkd.limits import TASK_TERM_GRACE_S
from linkd.telemetry.trace_context import SpanContext, TraceIds, format_traceparent, parse_traceparent
from linkd.wire import methods
from linkd.wire.v1 import links_pb2, runs_pb2


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `linkd run` was asked. `pipeline` is a file, or a directory in or above which there is one."""

    pipeline: Path
    reset: bool = False
    quiet: bool = False
    verbose: bool = False
    json: bool = False
    http_port: int | None = None


def run(options: RunOptions) -> int:
    """Runs the pipeline to its end; returns the exit code. Raises errors of the tree for what keeps it from starting."""
    return asyncio.run(_run(options))


async def _run(options: RunOptions) -> int:
    began_s = time.monotonic() - process_age_s()
    pipeline = load_pipeline(find_pipeline(options.pipeline))
    directory = state_directory(Path(pipeline.directory), pipeline.name)
    make_state_directory(directory)
    run_lock = _take_run_lock(directory)
    try:
        return await _Run(options, pipeline, layout(pipeline, declared_schemas(pipeline)), directory, began_s).drive()
    finally:
        run_lock.release()


def _take_run_lock(directory: Path) -> Lock:
    try:
        return Lock.take(directory / "run.lock", "linkd run")
    except errors.StateLocked as error:
        who = str(error).rpartition(" by ")[2]
        raise errors.StateLocked(f"this pipeline is being run already, by {who}: wait for it, or end it") from None


@dataclass(slots=True)
class _Run:
    options: RunOptions
    pipeline: Pipeline
    layout: Layout
    directory: Path
    began_s: float
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    latest: Any = None
    stopped: Stopped | None = None

    async def drive(self) -> int:
        """The whole run; the exit code."""
        screen = Screen(self.options.quiet, self.options.json, sys.stdout)
        processes = Processes(self.directory)
        processes.end_leftovers()
        lock = await take_lock(self.directory)
        try:
            plan = await make_plan(self.pipeline, self.layout, self.directory)
            if not plan.pending:
                screen.say(f"Nothing to do ({time.monotonic() - self.began_s:.1f} s)", nothing_to_do=True)
                return errors.EXIT_DONE
            screen.say(f"{self.pipeline.name}: {plan.reason}", reason=plan.reason, fresh=plan.fresh)
            logs = self.directory / "logs"
            logs.mkdir(exist_ok=True)
            home = await HomeProcess.start(
                processes, lock, self.directory, Path(self.pipeline.path), logs / "home.log", self.options.http_port
            )
        finally:
            lock.release()  # the home has it, by the descriptor it was passed
        return await self._with_home(home, processes, plan, screen)

    async def _with_home(self, home: HomeProcess, processes: Processes, plan: Plan, screen: Screen) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.interrupted.set)
        begun = await self._begin(home, plan)
        started = Programs(self.pipeline, self.directory, processes, screen, home.endpoint, begun)
        outcome = "failed"
        try:
            with screen.live(self.layout, plan):
                self.stopped = await self._until_over(home, started, plan, screen)
            outcome = {"done": "done", "interrupted": "interrupted"}.get(self.stopped.kind, "failed")
        finally:
            await started.end()
            await self._conclude(home, outcome)
            processes.forget()
        if self.stopped.kind == "done":
            print_summary(screen, self.pipeline, self.latest, started, time.monotonic() - self.began_s)
        else:
            print_failure(screen, self.pipeline, self.stopped)
        return self.stopped.exit_code

    async def _begin(self, home: HomeProcess, plan: Plan) -> Any:
        request = runs_pb2.BeginRequest(
            run_id=secrets.token_hex(8),
            fresh=plan.fresh,
            reason=plan.reason,
            fingerprint=dict(plan.fingerprint),
            task_versions=dict(plan.versions),
            traceparent=_root_traceparent(),
            again=plan.again,
        )
        response = await home.connection.call(methods.RUN_BEGIN, request)
        return {"tokens": dict(response.tokens), "epoch": response.epoch, "traceparent": request.traceparent}

    async def _until_over(self, home: HomeProcess, started: Programs, plan: Plan, screen: Screen) -> Stopped:
        """Everything at once: the programs, the home's description, the home itself, and the person. Returns why it is over."""
        over: asyncio.Future[Stopped] = asyncio.get_running_loop().create_future()

        def stop(why: Stopped) -> None:
            if not over.done():
                over.set_result(why)

        async with asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(self._watch(home, stop, screen), name="linkd run: watch"),
                group.create_task(_home_gone(home, stop), name="linkd run: home"),
                group.create_task(self._person(stop), name="linkd run: person"),
            ]
            if has_adapters(self.layout, plan):
                watchers.append(group.create_task(started.adapters(stop), name="linkd run: adapters"))
            watchers += [
                group.create_task(started.task(name, home.connection, stop), name=f"linkd run: {name}")
                for name in programs(self.layout, plan)
            ]
            why = await over
            if why.kind == "failed":
                await self._let_others_finish(home)
            for watcher in watchers:
                watcher.cancel()
        return why

    async def _watch(self, home: HomeProcess, stop: Any, screen: Screen) -> None:
        """Follows the home's descriptions; the run is done when every task has ended."""
        try:
            async with home.connection.receive(methods.RUN_WATCH, runs_pb2.WatchRequest()) as stream:
                while (description := await stream.read()) is not None:
                    self.latest = description
                    screen.show(description)
                    if description.run.complete:
                        stop(Stopped("done", "", errors.EXIT_DONE))
                        return
        except errors.ConnectionFault:
            return  # the home is gone, and `_home_gone` says so

    async def _person(self, stop: Any) -> None:
        await self.interrupted.wait()
        stop(Stopped("interrupted", "interrupted: run again to go on where it stopped", errors.EXIT_INTERRUPTED))

    async def _let_others_finish(self, home: HomeProcess) -> None:
        """No further snapshots are handed out; waits until none is on lease, for as long as a task is given to end."""
        with contextlib.suppress(TimeoutError, errors.ConnectionFault):
            async with asyncio.timeout(TASK_TERM_GRACE_S):
                await home.connection.call(methods.RUN_PAUSE, runs_pb2.PauseRequest())
                async with home.connection.receive(methods.RUN_WATCH, runs_pb2.WatchRequest()) as stream:
                    while (description := await stream.read()) is not None:
                        if not any(task.leased and task.connections for task in description.tasks):
                            return

    async def _conclude(self, home: HomeProcess, outcome: str) -> None:
        if home.child.running:
            with contextlib.suppress(errors.Error):
                await home.connection.call(methods.RUN_END, runs_pb2.EndRequest(outcome=outcome), timeout_s=5.0)
                if self.stopped is not None and self.stopped.kind == "done":
                    self.latest = await home.connection.call(methods.DESCRIBE, links_pb2.DescribeRequest())
        await home.stop()


async def _home_gone(home: HomeProcess, stop: Any) -> None:
    code = await home.child.process.wait()
    stop(Stopped("home", f"linkd's home {ending(code)}: run again to go on where it stopped", errors.EXIT_INTERNAL))


def _root_traceparent() -> str:
    """The root of the run's trace: a new one, or below the caller's own (TRACEPARENT in the environment)."""
    ids = TraceIds(os.urandom)
    outer = parse_traceparent(os.environ.get("TRACEPARENT", ""))
    trace_id = outer.trace_id if outer is not None else ids.new_trace_id()
    return format_traceparent(SpanContext(trace_id, ids.new_span_id()))
