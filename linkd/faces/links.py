"""The service `linkd.v1.Links`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

from linkd.core.names import COMMITS_LINK
from linkd.faces.call import Context, call_of, translated
from linkd.faces.describe import description
from linkd.faces.publishing import PLACE, serve_publishing
from linkd.faces.snapshots import serve_snapshots
from linkd.faces.streams import form_of, send_value
from linkd.faces.subscriptions import serve_subscription
from linkd.faces.trace import family
from linkd.home import groups, reading
from linkd.home.changes import ANY
from linkd.home.commits import CommitCall, commit
from linkd.home.committed import read_commits
from linkd.home.home import Home
from linkd.home.numbering import open_producer
from linkd.home.outgoing import Out
from linkd.home.sealing import seal
from linkd.home.staging import STAGED_ID_BYTES, StagedRef, StagedValues
from linkd.limits import RATES_TOLD_INTERVAL_S, STREAM_FRAME_MAX_BYTES, WATCH_INTERVAL_S
from linkd.query.children import QueryChildren
from linkd.wire.arrow_ipc import EOS
from linkd.wire.messages import durability_number, output_message
from linkd.wire.v1 import links_pb2 as pb


@dataclass(slots=True)
class LinksService:
    """The operations on links, for one home."""

    home: Home
    queries: QueryChildren
    staged: StagedValues = field(init=False)

    def __post_init__(self) -> None:
        self.staged = StagedValues(int.from_bytes(self.home.clock.entropy(STAGED_ID_BYTES), "big"))
        self.home.artifacts.store.uses.staged = self.staged.artifacts

    # -- publish --------------------------------------------------------------------------------------------------------------------------

    async def publish(self, requests: AsyncIterator[pb.PublishRequest], context: Context) -> None:
        async with translated(context):
            await serve_publishing(self.home, self.staged, requests, context)

    async def open_producer(self, request: pb.OpenProducerRequest, context: Context) -> pb.OpenProducerResponse:
        async with translated(context):
            call = call_of(self.home, context)
            epoch, sequence = await open_producer(self.home, call.who, request.id)
            return pb.OpenProducerResponse(epoch=epoch, next_sequence=sequence)
        raise AssertionError("unreachable: `translated` aborts the call")

    # -- delivery -------------------------------------------------------------------------------------------------------------------------

    async def subscribe(self, requests: AsyncIterator[pb.SubscribeRequest], context: Context) -> None:
        async with translated(context):
            await serve_subscription(self.home, requests, context)

    async def seek(self, request: pb.SeekRequest, context: Context) -> pb.SeekResponse:
        async with translated(context):
            call = call_of(self.home, context)
            sought = await groups.seek(self.home, call.who, request.group, request.link, request.to)
            return pb.SeekResponse(generation=sought.generation, next_sequence=sought.next_sequence, run_generation=sought.run_generation)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def snapshots(self, requests: AsyncIterator[pb.SnapshotsRequest], context: Context) -> None:
        async with translated(context):
            await serve_snapshots(self.home, self.staged, requests, context)

    async def commit(self, request: pb.CommitRequest, context: Context) -> pb.CommitResponse:
        async with translated(context):
            call = call_of(self.home, context)
            refs = [StagedRef(staged.staged_id, staged.payload_xxh3) for staged in request.staged]
            asked = CommitCall(
                request.snapshot_id, request.token, refs, request.task, request.final, dict(request.attributes), call.traceparent
            )
            answer = await commit(self.home, self.staged, call.who, asked)
            return pb.CommitResponse(
                outputs=[output_message(output) for output in answer.outputs],
                durability=durability_number(answer.durability),
                place=PLACE,
                repeated=answer.repeated,
            )
        raise AssertionError("unreachable: `translated` aborts the call")

    # -- reading --------------------------------------------------------------------------------------------------------------------------

    async def read(self, request: pb.ReadRequest, context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            asked = reading.ReadCall(
                request.link,
                request.generation,
                request.first_sequence,
                request.last_sequence,
                request.last_values,
                form_of(request.format),
                request.envelopes_only,
                request.follow,
                request.incarnation,
            )
            read = read_commits if asked.link == COMMITS_LINK else reading.read
            async with aclosing(read(self.home, call.who, asked)) as parts:
                async for part in parts:
                    if isinstance(part, Out):
                        await send_value(part, context.write, pb.ReadResponse, call.session())
                    else:
                        await context.write(pb.ReadResponse(opened=_read_opened(part)))

    async def query(self, request: pb.QueryRequest, context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            timeout_s = request.timeout_ms / 1000
            if request.insert:
                rows = await self.queries.insert(call.who, request.sql, timeout_s, call.traceparent)
                await context.write(pb.QueryResponse(inserted=rows))
                return
            async with aclosing(self.queries.run(call.who, request.sql, timeout_s, call.traceparent)) as messages:
                async for message in messages:
                    for start in range(0, len(message), STREAM_FRAME_MAX_BYTES):
                        await context.write(pb.QueryResponse(data=message[start : start + STREAM_FRAME_MAX_BYTES]))
            await context.write(pb.QueryResponse(data=EOS))

    async def describe(self, request: pb.DescribeRequest, context: Context) -> pb.DescribeResponse:
        async with translated(context):
            call = call_of(self.home, context)
            return description(self.home, call.who, request.link, transport=call.transport)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def observe(self, request: pb.DescribeRequest, context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            with self.home.changes.watch(ANY) as watch:
                while True:
                    await context.write(description(self.home, call.who, request.link, transport=call.transport))
                    await watch.wait(RATES_TOLD_INTERVAL_S if self.home.rates.moving else None)
                    self.home.check_open()
                    # Changes come in bursts; what happened meanwhile is in the next description.
                    await asyncio.sleep(WATCH_INTERVAL_S)

    async def attend(self, request: pb.AttendRequest, context: Context) -> None:
        async with translated(context):
            call_of(self.home, context)
            with self.home.changes.watch("drain") as watch:
                await context.write(pb.AttendResponse(state=pb.SERVING))
                if not self.home.draining:
                    await watch.wait()
                await context.write(pb.AttendResponse(state=pb.DRAINING))

    async def seal(self, request: pb.SealRequest, context: Context) -> pb.SealResponse:
        async with translated(context):
            call = call_of(self.home, context)
            generation, last = await seal(self.home, call.who, request.link)
            return pb.SealResponse(generation=generation, last_sequence=last)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def trace(self, request: pb.TraceRequest, context: Context) -> pb.TraceResponse:
        async with translated(context):
            call = call_of(self.home, context)
            return await family(self.home, call.who, request)
        raise AssertionError("unreachable: `translated` aborts the call")


def _read_opened(part: reading.ReadOpened) -> pb.ReadOpened:
    return pb.ReadOpened(
        link=part.link,
        generation=part.generation,
        sealed=part.sealed,
        schema=part.schema,
        first_sequence=part.first_sequence,
        last_sequence=part.last_sequence,
        lost=part.lost,
    )
