"""The service `linkd.v1.Links`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field

from linkd.core.names import COMMITS_LINK
from linkd.core.publishing import seal as seal_records
from linkd.errors import Draining, Error, InvalidArgument
from linkd.faces.call import Call, Context, call_of, translated
from linkd.faces.describe import description
from linkd.faces.laying import Laying
from linkd.faces.snapshots import serve_snapshots
from linkd.faces.streams import Gatherer, form_of, send_value
from linkd.faces.subscriptions import serve_subscription
from linkd.faces.trace import family
from linkd.home import groups, reading
from linkd.home.changes import ANY
from linkd.home.commits import CommitCall, commit
from linkd.home.committed import read_commits
from linkd.home.home import Home
from linkd.home.numbering import open_producer
from linkd.home.outgoing import Out
from linkd.home.publishing import PublishAck, PublishSession
from linkd.home.staging import STAGED_ID_BYTES, StagedRef, StagedValues
from linkd.limits import PUBLISH_WINDOW_VALUES, RATES_TOLD_INTERVAL_S, WATCH_INTERVAL_S
from linkd.model.terms import NEVER_S
from linkd.query.children import QueryChildren
from linkd.wire.messages import durability_number, output_message, position_message
from linkd.wire.v1 import links_pb2 as pb

PLACE = "home"
Acks = asyncio.Queue[Awaitable[PublishAck] | Error | None]
"""Acks in the order of their values; at the end None, or what the stream ends with."""


@dataclass(slots=True)
class LinksService:
    """The operations on links, for one home."""

    home: Home
    queries: QueryChildren
    staged: StagedValues = field(init=False)

    def __post_init__(self) -> None:
        self.staged = StagedValues(int.from_bytes(self.home.clock.entropy(STAGED_ID_BYTES), "big"))

    # -- publish --------------------------------------------------------------------------------------------------------------------------

    async def publish(self, requests: AsyncIterator[pb.PublishRequest], context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            session = PublishSession(self.home, self.staged, call.who, call.traceparent)
            laying = Laying(self.home, session)
            acks: Acks = asyncio.Queue(PUBLISH_WINDOW_VALUES)
            try:
                async with asyncio.TaskGroup() as group:
                    taking = group.create_task(self._take(requests, session, laying, acks, call, context), name="linkd publish: take")
                    draining = group.create_task(self._end_by_drain(taking, acks), name="linkd publish: drain")
                    await _answer(acks, context)
                    draining.cancel()
            finally:
                session.close()
                laying.close()
                lane = call.session()
                if lane is not None:
                    lane.ended(context)
                _forget(acks)

    async def _take(
        self,
        requests: AsyncIterator[pb.PublishRequest],
        session: PublishSession,
        laying: Laying,
        acks: Acks,
        call: Call,
        context: Context,
    ) -> None:
        """Takes values until the client has no more, or one is refused: the refusal comes behind the acks of those before it."""

        async def reserve(asked: pb.Reserve) -> None:
            await context.write(pb.PublishResponse(granted=await self._granted(asked, session, call, context)))

        end: Error | None = None
        try:
            async with aclosing(Gatherer(self.home, call.session, reserve).values(requests)) as values:
                async for received in values:
                    session.taken = received.memory
                    try:
                        snapshot = (session.who.task, *received.snapshot) if received.snapshot is not None else None
                        ack: Awaitable[PublishAck] | None
                        if received.is_position and received.source is not None:
                            ack = await session.stand(received.incoming, received.source)
                        else:
                            incoming = received.incoming
                            if snapshot is None and received.source is None:
                                incoming = await laying.laid(incoming)
                            if incoming.placed is not None:
                                received.memory.give()  # it lies in a file now
                            ack = await session.add(incoming, more=received.more, snapshot=snapshot, source=received.source)
                    finally:
                        received.memory.give()
                    if ack is not None:
                        await _put(acks, ack)
        except Error as error:
            end = error
        await acks.put(end)

    async def _granted(self, asked: pb.Reserve, session: PublishSession, call: Call, stream: object) -> pb.Granted:
        """Room for a publisher that places its values itself; none for one that has no session."""
        lane = call.session()
        if lane is None:
            return pb.Granted()
        snapshot = (call.who.task, asked.stage.snapshot_id, asked.stage.token) if asked.HasField("stage") else None
        target, generation = await session.room_for(asked.link, snapshot)
        volatile = self.home.terms(asked.link).sync_within_s >= NEVER_S
        return await lane.grant(
            stream,
            asked.link,
            target,
            generation,
            volatile=volatile,
            schema=asked.schema,
            size_bytes=asked.size_bytes,
            file_bytes=self.home.disk.shared_file_bytes(),
        )

    async def _end_by_drain(self, taking: asyncio.Task[None], acks: Acks) -> None:
        """A stream on which nothing comes must not hold up the home: when it drains, what was taken is acked and the stream ends."""
        with self.home.changes.watch("drain") as watch:
            if not self.home.draining:
                await watch.wait()
        if taking.cancel():
            await acks.put(Draining("linkd is shutting down; connect again"))

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
            async with aclosing(self.queries.run(call.who, request.sql, request.timeout_ms / 1000, call.traceparent)) as pieces:
                async for piece in pieces:
                    await context.write(pb.QueryResponse(data=piece))

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
            with self.home.audited(call.who, "seal", request.link):
                self.home.rights.seal(call.who, request.link)
            await self.home.room()
            records = seal_records(self.home.ledger, request.link, "a client sealed it", self.home.clock.now_ns())
            if records:
                await self.home.written(self.home.admit(records))
            await self.home.barrier()
            current = self.home.ledger.link(request.link).current
            if current is None:
                raise InvalidArgument(f"{request.link} has nothing to seal")
            return pb.SealResponse(generation=current.number, last_sequence=current.last_sequence)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def trace(self, request: pb.TraceRequest, context: Context) -> pb.TraceResponse:
        async with translated(context):
            call = call_of(self.home, context)
            return await family(self.home, call.who, request)
        raise AssertionError("unreachable: `translated` aborts the call")


async def _put(acks: Acks, ack: Awaitable[PublishAck]) -> None:
    """Puts an ack in line. When the wait for room is cancelled, nobody will await the ack any more."""
    try:
        await acks.put(ack)
    except asyncio.CancelledError:
        _close(ack)
        raise


async def _answer(acks: Acks, context: Context) -> None:
    """Writes each ack when it is due. Raises what ended the stream."""
    acked = 0
    while (pending := await acks.get()) is not None:
        if isinstance(pending, Error):
            raise pending
        ack = await pending
        acked += ack.values
        await context.write(_publish_response(ack, acked))


def _publish_response(ack: PublishAck, acked: int) -> pb.PublishResponse:
    return pb.PublishResponse(
        acked=acked,
        link=ack.link,
        first=position_message(ack.first) if ack.first is not None else None,
        last=position_message(ack.last) if ack.last is not None else None,
        durability=durability_number(ack.durability),
        place=PLACE,
        rows=ack.rows,
        generation=ack.generation,
        id=ack.value_id,
        repeated=ack.repeated,
        dropped=ack.dropped,
        staged=[pb.Staged(staged_id=ref.staged_id, payload_xxh3=ref.payload_xxh3) for ref in ack.staged],
    )


def _forget(acks: Acks) -> None:
    """The stream is gone: nobody waits for these acks any more."""
    while not acks.empty():
        _close(acks.get_nowait())


def _close(pending: object) -> None:
    """An ack that is never awaited is closed, or Python warns of it."""
    if isinstance(pending, Coroutine):
        pending.close()


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
