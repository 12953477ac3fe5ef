"""The service `linkd.v1.Links`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field

from linkd.core.publishing import seal as seal_records
from linkd.errors import Draining, Error, InvalidArgument
from linkd.faces.call import Context, call_of, translated
from linkd.faces.describe import description
from linkd.faces.streams import Gatherer, form_of, send_value
from linkd.faces.trace import family
from linkd.home import reading, snapshots, subscriptions
from linkd.home.changes import ANY
from linkd.home.commits import CommitCall, commit
from linkd.home.home import Home
from linkd.home.outgoing import Out
from linkd.home.publishing import PublishAck, PublishSession
from linkd.home.staging import StagedRef, StagedValues
from linkd.limits import PREFETCH_SNAPSHOTS, PUBLISH_WINDOW_VALUES, RATES_TOLD_INTERVAL_S, WATCH_INTERVAL_S
from linkd.model.values import Durability
from linkd.query.children import QueryChildren
from linkd.wire.messages import durability_number, output_message, portion_message, position_message, position_of
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2

PLACE = "home"
Settling = asyncio.Queue[tuple[value_pb2.Position, Awaitable[None] | None]]
"""What a consumer settled, in order, each with what is awaited before it is confirmed."""
Acks = asyncio.Queue[Awaitable[PublishAck] | Error | None]
"""Acks in the order of their values; at the end None, or what the stream ends with."""


@dataclass(slots=True)
class LinksService:
    """The operations on links, for one home."""

    home: Home
    queries: QueryChildren
    staged: StagedValues = field(default_factory=StagedValues)

    # -- publish --------------------------------------------------------------------------------------------------------------------------

    async def publish(self, requests: AsyncIterator[pb.PublishRequest], context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            session = PublishSession(self.home, self.staged, call.who, call.traceparent)
            acks: Acks = asyncio.Queue(PUBLISH_WINDOW_VALUES)
            try:
                async with asyncio.TaskGroup() as group:
                    taking = group.create_task(self._take(requests, session, acks), name="linkd publish: take")
                    draining = group.create_task(self._end_by_drain(taking, acks), name="linkd publish: drain")
                    await _answer(acks, context)
                    draining.cancel()
            finally:
                session.close()
                _forget(acks)

    async def _take(self, requests: AsyncIterator[pb.PublishRequest], session: PublishSession, acks: Acks) -> None:
        """Takes values until the client has no more, or one is refused: the refusal comes behind the acks of those before it."""
        end: Error | None = None
        try:
            async with aclosing(Gatherer(self.home).values(requests)) as values:
                async for received in values:
                    try:
                        snapshot = (session.who.task, *received.snapshot) if received.snapshot is not None else None
                        ack: Awaitable[PublishAck] | None
                        if received.is_position and received.source is not None:
                            ack = await session.stand(received.incoming, received.source)
                        else:
                            ack = await session.add(received.incoming, more=received.more, snapshot=snapshot, source=received.source)
                    finally:
                        self.home.memory.give(received.size_bytes)
                    if ack is not None:
                        await _put(acks, ack)
        except Error as error:
            end = error
        await acks.put(end)

    async def _end_by_drain(self, taking: asyncio.Task[None], acks: Acks) -> None:
        """A stream on which nothing comes must not hold up the home: when it drains, what was taken is acked and the stream ends."""
        with self.home.changes.watch("drain") as watch:
            if not self.home.draining:
                await watch.wait()
        if taking.cancel():
            await acks.put(Draining("linkd is shutting down; connect again"))

    # -- delivery -------------------------------------------------------------------------------------------------------------------------

    async def subscribe(self, requests: AsyncIterator[pb.SubscribeRequest], context: Context) -> None:
        async with translated(context):
            # A refusal that overtakes the client's first write is lost in its gRPC library, which then tells of the write: read that first.
            first = await anext(requests, None)
            call = call_of(self.home, context)
            if first is None or first.WhichOneof("message") != "open":
                raise InvalidArgument("a subscription begins with `open`")
            asked = first.open
            session = subscriptions.Subscription(
                self.home, call.who, asked.link, asked.group, asked.follow, asked.credit_bytes, form_of(asked.format)
            )
            writing = asyncio.Lock()  # gRPC takes one write at a time, and nothing comes between a value and its chunks
            settling: Settling = asyncio.Queue()  # bounded by what is on lease
            try:
                async with asyncio.TaskGroup() as group, aclosing(session.parts()) as parts:
                    taking = group.create_task(_subscriber_says(requests, session, settling), name="linkd subscribe: take")
                    settled = group.create_task(_confirm(settling, context, writing), name="linkd subscribe: settle")
                    async for part in parts:
                        if isinstance(part, subscriptions.EndOfLink):
                            await settling.join()  # nothing follows the end, so every ack is confirmed before it
                        async with writing:
                            await _send_subscribed(part, context)
                    taking.cancel()
                    settled.cancel()
            finally:
                while not settling.empty():
                    _close(settling.get_nowait()[1])

    async def snapshots(self, requests: AsyncIterator[pb.SnapshotsRequest], context: Context) -> None:
        async with translated(context):
            # A refusal that overtakes the client's first write is lost in its gRPC library, which then tells of the write: read that first.
            first = await anext(requests, None)
            call = call_of(self.home, context)
            if first is None or first.WhichOneof("message") != "open":
                raise InvalidArgument("a stream of snapshots begins with `open`")
            asked = first.open
            session = snapshots.SnapshotSession(
                self.home,
                self.staged,
                call.who,
                asked.task,
                asked.credit_bytes,
                asked.prefetch or PREFETCH_SNAPSHOTS,
                form_of(asked.format),
            )
            async with asyncio.TaskGroup() as group, aclosing(session.parts()) as parts:
                taking = group.create_task(_snapshots_said(requests, session), name="linkd snapshots: take")
                async for part in parts:
                    await _send_snapshot(part, context)
                taking.cancel()

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
                durability=durability_number(Durability.FSYNC),
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
            )
            async with aclosing(reading.read(self.home, call.who, asked)) as parts:
                async for part in parts:
                    if isinstance(part, Out):
                        await send_value(part, context.write, pb.ReadResponse)
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
            return description(self.home, call.who, request.link)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def observe(self, request: pb.DescribeRequest, context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            with self.home.changes.watch(ANY) as watch:
                while True:
                    await context.write(description(self.home, call.who, request.link))
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


async def _subscriber_says(requests: AsyncIterator[pb.SubscribeRequest], session: subscriptions.Subscription, settling: Settling) -> None:
    async for request in requests:
        kind = request.WhichOneof("message")
        if kind == "credit_bytes":
            session.give_credit(request.credit_bytes)
        elif kind == "ack":
            position = request.ack.position
            settling.put_nowait((position, await session.ack(position_of(position), request.ack.token)))
        elif kind == "nack":
            position = request.nack.position
            session.nack(position_of(position), request.nack.token, request.nack.delay_ms)
            settling.put_nowait((position, None))
        else:
            raise InvalidArgument("a subscription is opened once")


async def _confirm(settling: Settling, context: Context, writing: asyncio.Lock) -> None:
    """Tells the consumer of each value it settled, in order, when that is durable."""
    while True:
        position, durable = await settling.get()
        if durable is not None:
            await durable
        async with writing:
            await context.write(pb.SubscribeResponse(ack_done=pb.AckDone(position=position)))
        settling.task_done()


async def _send_subscribed(part: subscriptions.Part, context: Context) -> None:
    if isinstance(part, Out):
        await send_value(part, context.write, pb.SubscribeResponse)
    elif isinstance(part, subscriptions.Opened):
        await context.write(pb.SubscribeResponse(opened=pb.SubscribeOpened(generation=part.generation, schema=part.schema)))
    else:
        await context.write(pb.SubscribeResponse(end=pb.EndOfLink(generation=part.generation)))


async def _snapshots_said(requests: AsyncIterator[pb.SnapshotsRequest], session: snapshots.SnapshotSession) -> None:
    async for request in requests:
        kind = request.WhichOneof("message")
        if kind == "credit_bytes":
            session.give_credit(request.credit_bytes)
        elif kind == "release":
            session.give_back(request.release.snapshot_id, request.release.token)
        else:
            raise InvalidArgument("a stream of snapshots is opened once")


async def _send_snapshot(part: snapshots.Part, context: Context) -> None:
    if isinstance(part, Out):
        await send_value(part, context.write, pb.SnapshotsResponse)
        return
    if isinstance(part, snapshots.Opened):
        inputs = [pb.TaskInput(link=link, policy=policy, generation=number) for link, policy, number in part.inputs]
        message = pb.SnapshotsResponse(opened=pb.SnapshotsOpened(task=part.task, inputs=inputs, outputs=_schemas(part.outputs)))
    elif isinstance(part, snapshots.Begin):
        begin = pb.SnapshotBegin(snapshot_id=part.snapshot_id, token=part.token, attempt=part.attempt, traceparent=part.traceparent)
        message = pb.SnapshotsResponse(begin=begin)
    elif isinstance(part, snapshots.Ready):
        ready = pb.SnapshotReady(
            snapshot_id=part.snapshot_id,
            token=part.token,
            attempt=part.attempt,
            portions=[portion_message(portion) for portion in part.portions],
            traceparent=part.traceparent,
            inputs=_schemas(part.empty),
            partial=part.partial,
        )
        message = pb.SnapshotsResponse(ready=ready)
    else:
        message = pb.SnapshotsResponse(end=pb.SnapshotsEnd(reason=part.reason))
    await context.write(message)


def _schemas(outputs: tuple[snapshots.OutputSchema, ...]) -> list[pb.LinkSchema]:
    return [pb.LinkSchema(link=output.link, schema=output.schema, declared=output.declared) for output in outputs]


def _read_opened(part: reading.ReadOpened) -> pb.ReadOpened:
    return pb.ReadOpened(
        link=part.link,
        generation=part.generation,
        sealed=part.sealed,
        schema=part.schema,
        first_sequence=part.first_sequence,
        last_sequence=part.last_sequence,
    )
