"""The service `linkd.v1.Links`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field

from linkd.core.publishing import seal as seal_records
from linkd.errors import InvalidArgument
from linkd.faces.call import Call, Context, call_of, translated
from linkd.faces.describe import description, source_info
from linkd.faces.streams import Gatherer, form_of, send_value
from linkd.home import lineage, reading, snapshots, subscriptions
from linkd.home.commits import CommitCall, commit
from linkd.home.home import Home
from linkd.home.outgoing import Out
from linkd.home.publishing import PublishAck, PublishSession
from linkd.home.staging import StagedRef, StagedValues
from linkd.limits import PREFETCH_SNAPSHOTS, PUBLISH_WINDOW_VALUES
from linkd.model.values import Durability
from linkd.query.children import QueryChildren
from linkd.wire.messages import durability_number, envelope_message, output_message, portion_message, position_message, position_of
from linkd.wire.v1 import links_pb2 as pb

PLACE = "home"


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
            acks: asyncio.Queue[Awaitable[PublishAck] | None] = asyncio.Queue(PUBLISH_WINDOW_VALUES)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._take(requests, session, acks), name="linkd publish: take")
                    await self._answer(acks, context)
            finally:
                session.close()
                _forget(acks)

    async def _take(
        self, requests: AsyncIterator[pb.PublishRequest], session: PublishSession, acks: asyncio.Queue[Awaitable[PublishAck] | None]
    ) -> None:
        async for received in Gatherer(self.home).values(requests):
            try:
                snapshot = (session.who.task, *received.snapshot) if received.snapshot is not None else None
                ack = await session.add(received.incoming, more=received.more, snapshot=snapshot, source=received.source)
            finally:
                self.home.memory.give(received.size_bytes)
            if ack is not None:
                await acks.put(ack)
        await acks.put(None)

    async def _answer(self, acks: asyncio.Queue[Awaitable[PublishAck] | None], context: Context) -> None:
        acked = 0
        while (pending := await acks.get()) is not None:
            ack = await pending
            acked += ack.values
            await context.write(_publish_response(ack, acked))

    # -- delivery -------------------------------------------------------------------------------------------------------------------------

    async def subscribe(self, requests: AsyncIterator[pb.SubscribeRequest], context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            first = await anext(requests, None)
            if first is None or first.WhichOneof("message") != "open":
                raise InvalidArgument("a subscription begins with `open`")
            asked = first.open
            session = subscriptions.Subscription(
                self.home, call.who, asked.link, asked.group, asked.follow, asked.credit_bytes, form_of(asked.format)
            )
            writing = asyncio.Lock()  # gRPC takes one write at a time, and nothing comes between a value and its chunks
            async with asyncio.TaskGroup() as group:
                taking = group.create_task(self._subscriber_says(requests, session, context, writing), name="linkd subscribe: take")
                async for part in session.parts():
                    async with writing:
                        await _send_subscribed(part, context)
                taking.cancel()

    async def _subscriber_says(
        self,
        requests: AsyncIterator[pb.SubscribeRequest],
        session: subscriptions.Subscription,
        context: Context,
        writing: asyncio.Lock,
    ) -> None:
        async for request in requests:
            kind = request.WhichOneof("message")
            if kind == "credit_bytes":
                session.give_credit(request.credit_bytes)
                continue
            if kind == "ack":
                position = request.ack.position
                await session.ack(position_of(position), request.ack.token)
            elif kind == "nack":
                position = request.nack.position
                session.nack(position_of(position), request.nack.token, request.nack.delay_ms)
            else:
                raise InvalidArgument("a subscription is opened once")
            async with writing:
                await context.write(pb.SubscribeResponse(ack_done=pb.AckDone(position=position)))

    async def snapshots(self, requests: AsyncIterator[pb.SnapshotsRequest], context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            first = await anext(requests, None)
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
            async with asyncio.TaskGroup() as group:
                taking = group.create_task(_snapshots_said(requests, session), name="linkd snapshots: take")
                async for part in session.parts():
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
            )
            async for part in reading.read(self.home, call.who, asked):
                if isinstance(part, Out):
                    await send_value(part, context.write, pb.ReadResponse)
                else:
                    await context.write(pb.ReadResponse(opened=_read_opened(part)))

    async def query(self, request: pb.QueryRequest, context: Context) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            async for piece in self.queries.run(call.who, request.sql, request.timeout_ms / 1000, call.traceparent):
                await context.write(pb.QueryResponse(data=piece))

    async def describe(self, request: pb.DescribeRequest, context: Context) -> pb.DescribeResponse:
        async with translated(context):
            call = call_of(self.home, context)
            return description(self.home, call.who, request.link)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def attend(self, request: pb.AttendRequest, context: Context) -> None:
        async with translated(context):
            call_of(self.home, context)
            with self.home.changes.watch("drain") as watch:
                await context.write(pb.AttendResponse(state=pb.SERVING))
                await watch.wait()
                await context.write(pb.AttendResponse(state=pb.DRAINING))

    async def seal(self, request: pb.SealRequest, context: Context) -> pb.SealResponse:
        async with translated(context):
            call: Call = call_of(self.home, context)
            self.home.rights.seal(call.who, request.link)
            records = seal_records(self.home.ledger, request.link, "a client sealed it", self.home.clock.now_ns())
            if records:
                await self.home.written(self.home.admit(records))
            current = self.home.ledger.link(request.link).current
            if current is None:
                raise InvalidArgument(f"{request.link} has nothing to seal")
            return pb.SealResponse(generation=current.number, last_sequence=current.last_sequence)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def trace(self, request: pb.TraceRequest, context: Context) -> pb.TraceResponse:
        async with translated(context):
            call = call_of(self.home, context)
            found, cut = lineage.trace(self.home, call.who, request.value, request.limit)
            ancestors = [
                pb.Ancestor(
                    envelope=envelope_message(ancestor.envelope),
                    depth=ancestor.depth,
                    source=source_info(ancestor.source) if ancestor.source is not None else None,
                )
                for ancestor in found
            ]
            return pb.TraceResponse(ancestors=ancestors, cut=cut)
        raise AssertionError("unreachable: `translated` aborts the call")


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


def _forget(acks: asyncio.Queue[Awaitable[PublishAck] | None]) -> None:
    """The stream is gone: acks that nobody waits for any more are closed, so that they do not warn."""
    while not acks.empty():
        pending = acks.get_nowait()
        close = getattr(pending, "close", None)
        if close is not None:
            close()


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
