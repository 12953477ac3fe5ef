"""`Links.Publish`: values come, and are acked in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from linkd.errors import Error
from linkd.faces.call import Call, Context, OwnContext, call_of
from linkd.faces.due_line import DueLine, end_by_drain
from linkd.faces.laying import Laying
from linkd.faces.streams import Gatherer, Received
from linkd.home.home import Home
from linkd.home.published import DueAck, PublishAck
from linkd.home.publishing import PublishSession
from linkd.home.staging import StagedValues
from linkd.limits import PUBLISH_WINDOW_VALUES
from linkd.model.terms import NEVER_S, Handover
from linkd.wire.messages import durability_number, position_message
from linkd.wire.v1 import links_pb2 as pb

PLACE = "home"


async def serve_publishing(home: Home, staged: StagedValues, requests: AsyncIterator[pb.PublishRequest], context: Context) -> None:
    """The whole call."""
    call = call_of(home, context)
    session = PublishSession(home, staged, call.who, call.traceparent)
    stream = _Stream(home, call, context, session, Laying(home, session))
    answers = _Answers(context if isinstance(context, OwnContext) else None)
    acks = DueLine(answers.at_once, PUBLISH_WINDOW_VALUES)
    try:
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(stream.take(requests, acks), name="linkd publish: take")
            draining = group.create_task(end_by_drain(home, taking, acks), name="linkd publish: drain")
            async for ack in acks:
                await context.write(answers.response(ack))
            draining.cancel()
    finally:
        stream.close()


@dataclass(slots=True)
class _Stream:
    """What comes."""

    home: Home
    call: Call
    context: Context
    session: PublishSession
    laying: Laying
    gatherer: Gatherer = field(init=False)

    def __post_init__(self) -> None:
        self.gatherer = Gatherer(self.home, self.call.session, self._reserve)

    async def take(self, requests: AsyncIterator[pb.PublishRequest], acks: DueLine[PublishAck]) -> None:
        """Takes values until the client has no more, or one is refused: the refusal comes behind the acks of those before it."""
        end: Error | None = None
        try:
            async for request in requests:
                ack = self._at_once(request)
                if ack is None and (received := await self.gatherer.received(request, requests)) is not None:
                    ack = await self._add(received)
                if ack is not None:
                    await acks.put(ack)
        except Error as error:
            end = error
        acks.end(end)

    def _at_once(self, request: pb.PublishRequest) -> DueAck | None:
        """Publishes a value that may take the shortest way; None, and nothing is done, for anything else."""
        small = self.gatherer.small(request)
        if small is not None:
            return self.session.add_at_once(small)
        placed = self.gatherer.placed(request)
        return self.session.add_at_once(*placed) if placed is not None else None

    async def _add(self, received: Received) -> DueAck | None:
        session, incoming, source = self.session, received.incoming, received.source
        session.taken = received.memory
        try:
            if received.is_position and source is not None:
                return await session.stand(incoming, source)
            snapshot = (session.who.task, *received.snapshot) if received.snapshot is not None else None
            if snapshot is None and source is None:
                incoming = await self.laying.laid(incoming)
            if incoming.placed is not None:
                received.memory.give()  # it lies in a file now
            return await session.add(incoming, more=received.more, snapshot=snapshot, source=source)
        finally:
            received.memory.give()

    async def _reserve(self, asked: pb.Reserve) -> None:
        await self.context.write(pb.PublishResponse(granted=await self._granted(asked)))

    async def _granted(self, asked: pb.Reserve) -> pb.Granted:
        """Room for a publisher that places its values itself; none for one that has no session, and of a link whose publishers are not trusted."""
        lane = self.call.session()
        if lane is None or self.home.terms(asked.link).handover is Handover.COPY:
            return pb.Granted()
        snapshot = (self.call.who.task, asked.stage.snapshot_id, asked.stage.token) if asked.HasField("stage") else None
        target, generation = await self.session.room_for(asked.link, snapshot)
        volatile = self.home.terms(asked.link).sync_within_s >= NEVER_S
        return await lane.grant(
            self.context,
            asked.link,
            target,
            generation,
            volatile=volatile,
            schema=asked.schema,
            size_bytes=asked.size_bytes,
            file_bytes=self.home.disk.shared_file_bytes(),
        )

    def close(self) -> None:
        """The stream is gone."""
        self.session.close()
        self.laying.close()
        lane = self.call.session()
        if lane is not None:
            lane.ended(self.context)


@dataclass(slots=True)
class _Answers:
    """The responses of one publish stream, each of which counts the values that are acked with it."""

    road: OwnContext | None
    acked: int = 0

    def at_once(self, due: DueAck) -> bool:
        """Writes the response, if the road takes it without waiting."""
        road = self.road
        if road is None or not road.can_write:
            return False
        road.write_now(self.response(due.take()))
        return True

    def response(self, ack: PublishAck) -> pb.PublishResponse:
        self.acked += ack.values
        return pb.PublishResponse(
            acked=self.acked,
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
