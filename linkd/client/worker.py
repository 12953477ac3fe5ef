"""What linkd's own processes (the adapter worker, the SQL children) need of a home beyond what programs do.

A source's position goes out with its values; a `whole` snapshot is taken value by value as it becomes durable, and a link is read the same
way, so that none of them is ever held in memory. These processes end when their home goes away, and the next run goes on where they stopped;
so nothing here connects again, except to ask for the answer of a commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import field
from typing import Any, Never, Protocol

from linkd.client.calls import Connection, Dial, Endpoint, Patience, Stream
from linkd.client.description import Description, describe
from linkd.client.payloads import Arrived, Assembler, Payload, Publish, publish_messages
from linkd.client.snapshot_feed import TaskContext
from linkd.core.pipeline import REJECTS_SUFFIX
from linkd.errors import ConnectionFailed, Draining, Error, InternalFault, LeaseLost, OutcomeUnknown
from linkd.limits import CONNECT_TIMEOUT_S, CREDIT_BYTES, LEASE_RENEWED_EVERY, LEASE_S, PUBLISH_WINDOW_BYTES
from linkd.model.frozen import frozen
from linkd.wire.messages import ARROW
from linkd.wire.methods import ATTEND, COMMIT, DESCRIBE, PUBLISH, READ, SNAPSHOTS
from linkd.wire.v1 import links_pb2 as pb

_CUT_OFF = "linkd ended the stream of snapshots without saying that it was the end"
_COMMIT_TRIES = 3
"""A commit without an answer is asked again after this part of the time-out: the answer, not the commit, is what gets lost."""


def dial_to(endpoint: Endpoint) -> Dial:
    """The way to a home whose place is known."""

    async def dial() -> Endpoint:
        return endpoint

    return dial


@asynccontextmanager
async def connected(dial: Dial, timeout_s: float = CONNECT_TIMEOUT_S) -> AsyncIterator[Connection]:
    """A connection for the length of the block. Raises ConnectionFailed if no home answers within `timeout_s`."""
    connection = Connection(dial, timeout_s)
    await connection.open()
    try:
        yield connection
    finally:
        await connection.close()


async def described(connection: Connection, link: str = "") -> Description:
    """The pipeline, or what concerns one link, as its home sees it now."""
    return describe(await connection.call(DESCRIBE, pb.DescribeRequest(link=link)))


async def attend(connection: Connection) -> Never:
    """Notices when the home goes away while nothing is asked of it, and waits for it to come back, for the connection's time-out.

    Raises ConnectionFailed where it stays away, SessionFenced where a newer run has begun.
    """
    patience = Patience(connection.timeout_s)
    while True:
        seen = connection.epoch
        failure: Error = ConnectionFailed("linkd ended the connection")
        try:
            async with connection.receive(ATTEND, pb.AttendRequest()) as stream:
                while await stream.read() is not None:
                    patience = Patience(connection.timeout_s)
        except (ConnectionFailed, Draining) as error:
            failure = error
        await connection.recover(patience, seen, failure)


# -- publishing ---------------------------------------------------------------------------------------------------------------------------
@frozen()
class SourceStep:
    """The next values of a source, those of `link` and of its rejects, and where it stands behind them: durable together or not at all.

    `attributes` are those of every value, `state` is kept with the position and given back with it by describe.
    """

    link: str
    payloads: tuple[Payload, ...]
    rejects: tuple[Payload, ...]
    position: bytes
    digest: str
    rows_read: int
    rows_rejected: int
    final: bool
    attributes: Mapping[str, str] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """What the step counts for in the acks of its stream: without values of the link, its position goes alone and is one."""
        return max(1, len(self.payloads)) + len(self.rejects)

    @property
    def size_bytes(self) -> int:
        return sum(payload.size_bytes for payload in (*self.payloads, *self.rejects))


def source_messages(step: SourceStep, schemas_sent: dict[str, bytes]) -> Iterator[Any]:
    """The messages of one step: the rejects lead, and the position goes with the last value, or alone."""
    position = pb.SourcePosition(
        position=step.position,
        digest=step.digest,
        rows_read=step.rows_read,
        rows_rejected=step.rows_rejected,
        final=step.final,
    )
    for message in publish_messages(Publish(step.link + REJECTS_SUFFIX, step.rejects, step.attributes), schemas_sent):
        if message.WhichOneof("message") == "value":
            message.value.more = True
        yield message
    for message in publish_messages(Publish(step.link, step.payloads, step.attributes), schemas_sent):
        if message.WhichOneof("message") == "value" and not message.value.more:
            message.value.source.CopyFrom(position)
            message.value.attributes.update(step.state)
        yield message
    if not step.payloads:
        yield pb.PublishRequest(value=pb.PublishValue(link=step.link, source=position, attributes={**step.attributes, **step.state}))


class ValueStream:
    """One Publish stream, written and read by one task. Cancelling a call in its middle ends the stream.

    Up to `max_publishes` publishes and `PUBLISH_WINDOW_BYTES` are unacknowledged at a time; one always goes, however large.
    """

    def __init__(self, stream: Stream, max_publishes: int) -> None:
        self._stream = stream
        self._max_publishes = max_publishes
        self._unacked: deque[tuple[int, int]] = deque()  # values sent until and with this publish, and its bytes
        self._unacked_bytes = 0
        self._values = 0
        self._schemas_sent: dict[str, bytes] = {}
        self.staged: list[Any] = []
        """What was staged and acked so far, in order, to be named in the commit."""

    async def send_step(self, step: SourceStep) -> None:
        """Publishes a source's step. Raises what the home refused it or an earlier one with; a step without an ack may have happened."""
        await self._send(source_messages(step, self._schemas_sent), step.values, step.size_bytes)

    async def stage(self, publish: Publish) -> None:
        """Stages values for a commit. Raises what the home refused them or earlier ones with."""
        await self._send(publish_messages(publish, self._schemas_sent), len(publish.payloads), publish.size_bytes)

    async def flush(self) -> None:
        """Returns when everything sent is acked."""
        while self._unacked:
            await self._take_ack()

    async def _send(self, messages: Iterable[Any], values: int, size_bytes: int) -> None:
        while self._unacked and (len(self._unacked) >= self._max_publishes or self._unacked_bytes + size_bytes > PUBLISH_WINDOW_BYTES):
            await self._take_ack()
        for message in messages:
            await self._stream.write(message)
        self._values += values
        self._unacked.append((self._values, size_bytes))
        self._unacked_bytes += size_bytes

    async def _take_ack(self) -> None:
        response = await self._stream.read()
        if response is None:
            raise ConnectionFailed("linkd ended the stream before it had acked everything")
        self.staged.extend(response.staged)
        while self._unacked and self._unacked[0][0] <= response.acked:
            self._unacked_bytes -= self._unacked.popleft()[1]


@asynccontextmanager
async def publishing(connection: Connection, max_publishes: int) -> AsyncIterator[ValueStream]:
    """A Publish stream for the length of the block; what is not flushed by its end may or may not happen."""
    stream = connection.stream(PUBLISH)
    try:
        yield ValueStream(stream, max_publishes)
    finally:
        stream.cancel()


# -- taking -------------------------------------------------------------------------------------------------------------------------------
class Taker(Protocol):
    """Who takes the values of a snapshot as they come, before it is known that it will be complete."""

    async def start_over(self) -> None:
        """What was taken so far is void."""
        ...

    async def take(self, value: Arrived) -> None:
        """One value, in the order of its link."""
        ...


@frozen()
class Complete:
    """The snapshot may be committed. `schemas` has the schema messages of inputs that hold no value."""

    snapshot_id: bytes
    token: int
    attempt: int
    traceparent: str
    schemas: Mapping[str, bytes]


class WholeSnapshot:
    """The snapshot of a task whose inputs are all `whole`, and in a run that follows those of its next executions.

    They are ours as long as the block of `whole_snapshot` lasts; of a stream that `says_started`, while they are `held`.
    """

    def __init__(self, stream: Stream, context: TaskContext, lease_s: float) -> None:
        self._stream = stream
        self._lease_s = lease_s or LEASE_S
        self._assembler = Assembler()
        self._coming: asyncio.Task[Any] | None = None
        self.context = context

    async def receive(self, taker: Taker) -> Complete | None:
        """Gives `taker` every value as it becomes durable, and returns when there are no more; None if the task is complete already.

        Called again behind the commit it waits for the next execution.
        """
        while (message := await self._next()) is not None:
            kind = message.WhichOneof("message")
            if kind in ("value", "chunk"):
                arrived = self._assembler.take(message)
                if arrived is not None:
                    await taker.take(arrived)
                    await self._stream.write(pb.SnapshotsRequest(credit_bytes=arrived.size_bytes))
            elif kind in ("begin", "void"):
                await taker.start_over()
            elif kind == "ready":
                ready = message.ready
                schemas = {item.link: item.schema for item in ready.inputs}
                return Complete(ready.snapshot_id, ready.token, ready.attempt, ready.traceparent, schemas)
            elif kind == "end":
                return None
        raise ConnectionFailed(_CUT_OFF)

    @asynccontextmanager
    async def held(self, complete: Complete) -> AsyncIterator[None]:
        """Keeps the lease of a snapshot while a program works on it in the block.

        Raises LeaseLost, and ends the block, when the snapshot is not ours any more; ConnectionFailed, SessionFenced as the stream does.
        """
        over = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hold(complete, over), name="linkd whole snapshot lease")
                try:
                    yield
                finally:
                    over.set()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None  # the block's own, or why it had to end

    async def give_back(self, complete: Complete, reason: str) -> None:
        """Takes nothing of a snapshot: an attempt at it failed, for this reason. Returns when linkd has it."""
        release = pb.SnapshotRelease(snapshot_id=complete.snapshot_id, token=complete.token, reason=reason)
        await self._stream.write(pb.SnapshotsRequest(release=release))
        while (message := await self._next()) is not None:
            if message.WhichOneof("message") == "released" and message.released.token == complete.token:
                return
        raise ConnectionFailed(_CUT_OFF)

    async def _hold(self, complete: Complete, over: asyncio.Event) -> None:
        token = pb.SnapshotToken(snapshot_id=complete.snapshot_id, token=complete.token)
        await self._stream.write(pb.SnapshotsRequest(started=token))
        renewed_every_s, started_s = self._lease_s * LEASE_RENEWED_EVERY, asyncio.get_running_loop().time()
        ending = asyncio.create_task(over.wait(), name="linkd whole snapshot done")
        try:
            while not over.is_set():
                coming = self._reading()
                await asyncio.wait((coming, ending), timeout=renewed_every_s, return_when=asyncio.FIRST_COMPLETED)
                if coming.done() and not over.is_set():
                    message = await self._next()
                    if message is None:
                        raise ConnectionFailed(_CUT_OFF)
                    if message.WhichOneof("message") in ("begin", "void"):
                        raise LeaseLost(f"{self.context.task}: its snapshot is void; nothing was taken, and it begins again")
                    is_ours = message.WhichOneof("message") == "recall" and message.recall.token == complete.token
                    if is_ours and asyncio.get_running_loop().time() - started_s >= renewed_every_s:
                        raise LeaseLost(
                            f"{self.context.task}: its lease is over: it worked for longer than its `timeout:`, or linkd heard nothing of it and "
                            "handed its work out again; nothing was taken"
                        )
                elif not over.is_set():
                    await self._stream.write(pb.SnapshotsRequest(renew=token))
        finally:
            ending.cancel()

    def _reading(self) -> asyncio.Task[Any]:
        """The next message, which may come while the program works; a read that was begun is not cancelled, which would end the stream."""
        if self._coming is None:
            self._coming = asyncio.create_task(self._stream.read(), name="linkd whole snapshot reader")
        return self._coming

    async def _next(self) -> Any | None:
        if self._coming is None:
            return await self._stream.read()
        message = await self._coming
        self._coming = None
        return message

    def close(self) -> None:
        """The stream is over."""
        if self._coming is not None:
            self._coming.cancel()


@asynccontextmanager
async def whole_snapshot(connection: Connection, task: str = "", *, says_started: bool = False) -> AsyncIterator[WholeSnapshot]:
    """The coming snapshot of `task` (empty: that of the token), offered to others behind the block if it was not committed.

    With `says_started` it is on lease from the moment it is `held`; without, as long as this process lives.
    """
    stream = connection.stream(SNAPSHOTS)
    whole: WholeSnapshot | None = None
    try:
        opening = pb.SnapshotsOpen(credit_bytes=CREDIT_BYTES, format=ARROW, task=task, says_started=says_started)
        await stream.write(pb.SnapshotsRequest(open=opening))
        first = await stream.read()
        if first is None or first.WhichOneof("message") != "opened":
            raise InternalFault("linkd sent a snapshot before it had said whose")
        whole = WholeSnapshot(stream, TaskContext.of(first.opened), first.opened.lease_ms / 1000)
        yield whole
    finally:
        if whole is not None:
            whole.close()
        stream.cancel()


async def commit(connection: Connection, request: pb.CommitRequest, traceparent: str = "") -> None:
    """Settles a snapshot. A lost answer is asked for again, over a new connection if need be, for the connection's time-out.

    Raises LeaseLost, Conflict, GenerationAbandoned, SessionFenced; OutcomeUnknown if no answer came.
    """
    timeout_s = connection.timeout_s / _COMMIT_TRIES
    try:
        await connection.retry(lambda: connection.call(COMMIT, request, timeout_s=timeout_s, traceparent=traceparent))
    except (ConnectionFailed, Draining) as error:
        raise OutcomeUnknown(
            f"{request.task}: its work was to be committed, and linkd gave no answer for {connection.timeout_s:g} s: "
            "it is done or it will be done again; the next run goes on with whichever it is"
        ) from error


async def read_link(connection: Connection, link: str, take: Callable[[Arrived], Awaitable[None]]) -> bytes:
    """Gives `take` the values of the link's readable generation that are durable now, in order.

    Returns the schema message of the link, empty if nothing is known of its columns. Raises LinkNotFound, NotAllowed, StateDamaged.
    """
    schema = b""
    assembler = Assembler()
    request = pb.ReadRequest(link=link, format=ARROW)
    async with connection.receive(READ, request) as stream:
        while (message := await stream.read()) is not None:
            kind = message.WhichOneof("message")
            if kind == "opened":
                schema = bytes(message.opened.schema)
                continue
            arrived = assembler.take(message)
            if arrived is not None:
                await take(arrived)
    return schema
