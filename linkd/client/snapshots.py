"""A task's snapshots: each is worked on inside its block, and is one atomic commit at the end of it.

Outputs are staged over a Publish stream while the program works; the Commit that names them is a unary call whose repeat is harmless, so a
lost answer is asked for again over a new connection (DESIGN.md section 3, promise 2). What a restarted home has lost of the staged outputs is
staged again (`staging`), so that the program need not do its work twice.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.encoding import encode
from linkd.client.feeds import Flow
from linkd.client.large_values import encoded
from linkd.client.payloads import Payload, Publish
from linkd.client.publish_stream import PublishStream
from linkd.client.publishing import KnownSchema
from linkd.client.snapshot_feed import ArrivedSnapshot, SnapshotFeed
from linkd.client.staging import StagedOutputs
from linkd.client.values import Input, Value
from linkd.client.warm_up import warm_up
from linkd.core.diagnostics import with_suggestion
from linkd.errors import (
    ConnectionFailed,
    ConnectionFault,
    DeliveryFault,
    Draining,
    InvalidArgument,
    NotAllowed,
    OutcomeUnknown,
    SnapshotNotSettled,
    StagedLost,
)
from linkd.limits import NACK_DELAY_MAX_S
from linkd.model.values import Parent
from linkd.wire.messages import portions_of
from linkd.wire.methods import COMMIT
from linkd.wire.v1 import links_pb2 as pb

_TRIES_PER_TIMEOUT = 3
"""A Commit without an answer is asked again after this part of `timeout_s`: the answer, not the commit, is what gets lost."""

_INTERRUPTIONS = (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
"""What ends the work on a snapshot without being a failure at it."""


class _State(enum.Enum):
    HANDED = enum.auto()
    OPEN = enum.auto()
    SETTLED = enum.auto()


class Snapshot:
    """The values that one execution of a task sees. `async with snap:` commits at the end, or takes nothing on an exception."""

    def __init__(self, arrived: ArrivedSnapshot, feed: SnapshotFeed, stage: PublishStream, connection: Connection) -> None:
        self._arrived = arrived
        self._feed = feed
        self._connection = connection
        self._outputs = StagedOutputs(stage, connection, f"snapshot {arrived.snapshot_id.hex()} of {arrived.context.task}")
        self._context = arrived.context
        self._state = _State.HANDED
        self._schemas: dict[str, KnownSchema] = {}
        self._inputs = {
            link: Input(link, [Value.of(value, connection.road) for value in arrived.values.get(link, ())], arrived.schemas.get(link, b""))
            for link in arrived.context.inputs
        }

    @property
    def id(self) -> str:
        """Of this snapshot, in hexadecimal: the same for every attempt."""
        return self._arrived.snapshot_id.hex()

    @property
    def attempt(self) -> int:
        """From 1: how often this snapshot was handed out and begun."""
        return self._arrived.attempt

    @property
    def partial(self) -> bool:
        """A window in it was cut short by the end of its input: it holds less than the wiring asks for."""
        return self._arrived.partial

    @property
    def portions(self) -> tuple[Parent, ...]:
        """What it holds of each input, as ranges of values: the lineage of all that is published in it."""
        return portions_of(self._arrived.portions)

    @property
    def task(self) -> str:
        return self._context.task

    @property
    def traceparent(self) -> str:
        """W3C Trace Context of the work on this snapshot, for spans of the program's own; empty without tracing."""
        return self._arrived.traceparent

    @property
    def inputs(self) -> Mapping[str, Input]:
        """All inputs by the name of their link."""
        return MappingProxyType(self._inputs)

    @property
    def settled(self) -> bool:
        return self._state is _State.SETTLED

    def __getitem__(self, link: str) -> Input:
        """The input `link`, whatever the number of its values. Raises NotAllowed for one that the wiring does not name."""
        found = self._inputs.get(link)
        if found is None:
            raise _unknown("input", link, self.task, self._inputs)
        return found

    async def publish(self, output: str, data: object, *, attributes: Mapping[str, str] | None = None) -> None:
        """Stages `data` for `output`: it exists with the commit at the end of the block, or not at all.

        `data` is what `Client.publish` takes, and is brought to the output's schema; it is not to be changed in place before the end of the
        block, for it is staged again if linkd is restarted. Waits while too much is on its way, or linkd away. Raises NotAllowed for an output
        that the wiring does not name, SchemaMismatch, LeaseLost; SnapshotNotSettled outside the block.
        """
        known = known_schema(self, output)
        if self._connection.road is not None:
            data, attributes = await self._connection.road.brought(data, attributes)
        inputs = [item.schema_message() for item in self._inputs.values()]

        async def encode_rows(rows: object) -> tuple[Payload, ...]:
            return encode(output, rows, schema=known.schema, declared=known.declared, inputs=inputs)

        payloads, attributes = await encoded(self._connection, data, attributes, encode_rows)
        await stage(self, output, payloads, attributes)

    async def nack(self, delay_s: float = 0.0, reason: str = "") -> None:
        """Gives the snapshot back: nothing of it is taken, and it goes out again after `delay_s` seconds at the earliest.

        That is a failed attempt, for this `reason`: with `max_attempts` in the pipeline file the snapshot goes to the dead-letter link after so
        many of them. Inside the block or before it; what was published is dropped, and the end of the block does nothing. With `order: link`
        what comes next is this snapshot again, before anything newer. Raises SnapshotNotSettled if it is settled already.
        """
        if not 0 <= delay_s <= NACK_DELAY_MAX_S:
            raise InvalidArgument(f"delay_s is {delay_s:g}: give a number of seconds from 0 to {NACK_DELAY_MAX_S:,.0f}")
        if self._state is _State.SETTLED:
            raise SnapshotNotSettled(f"snapshot {self.id} of {self.task} is settled: it cannot be given back any more")
        self._state = _State.SETTLED
        self._outputs.clear()
        taken = self._feed.release(self._arrived, reason, delay_s=delay_s)
        if taken is not None:
            await taken

    async def __aenter__(self) -> Self:
        if self._state is not _State.HANDED:
            raise InvalidArgument(f"snapshot {self.id} of {self.task}: its block was entered before; take the next one")
        self._state = _State.OPEN
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            await self._ended_by(kind)
        if self._state is _State.SETTLED:
            return
        try:
            await self._commit()
        except (DeliveryFault, ConnectionFault):
            raise  # the lease is not ours any more, or nobody knows
        except BaseException as failure:
            await self._ended_by(type(failure))
            raise
        finally:
            self._state = _State.SETTLED
            self._outputs.clear()
            self._feed.settled(self._arrived)

    async def _ended_by(self, kind: type[BaseException]) -> None:
        """Gives the snapshot back for an exception. A failure is known to linkd behind this, and counts however soon the program ends."""
        interrupted = issubclass(kind, _INTERRUPTIONS)
        taken = self.release(kind.__name__, untried=interrupted)
        if taken is not None and not interrupted:
            await taken

    def release(self, reason: str, *, untried: bool = False) -> asyncio.Future[None] | None:
        """Takes nothing, and gives the snapshot back to be handed out again; `untried` says that it is not to blame. Nothing if it is settled.

        The future, if there is one, is done when linkd has it.
        """
        if self._state is _State.SETTLED:
            return None
        self._state = _State.SETTLED
        self._outputs.clear()
        return self._feed.release(self._arrived, reason, untried=untried)

    async def _commit(self) -> None:
        while True:
            staged = await self._outputs.named()
            request = pb.CommitRequest(snapshot_id=self._arrived.snapshot_id, token=self._arrived.token, staged=staged, task=self.task)
            try:
                await self._ask(request)
            except StagedLost:  # linkd was restarted: so it did not happen, and the token is still the newest
                await self._outputs.lost()
            else:
                self._context.outputs.update(self._schemas)
                return

    async def _ask(self, request: pb.CommitRequest) -> None:
        """Calls Commit until there is an answer."""
        call_timeout_s = self._connection.timeout_s / _TRIES_PER_TIMEOUT
        try:
            await self._connection.retry(
                lambda: self._connection.call(COMMIT, request, timeout_s=call_timeout_s, traceparent=self.traceparent)
            )
        except (ConnectionFailed, Draining) as error:
            raise OutcomeUnknown(
                f"snapshot {self.id} of {self.task} was to be committed, and linkd gave no answer for {self._connection.timeout_s:g} s: "
                "it is done or it will be handed out again; a restarted task goes on with whichever it is"
            ) from error

    def _outside(self, output: str) -> str:
        if self._state is _State.HANDED:
            return f"use `with snap:` around the work: publishing to {output} is part of the commit at its end"
        return f"snapshot {self.id} of {self.task} is settled: publish to {output} inside its `with snap:` block"

    def __repr__(self) -> str:
        inputs = ", ".join(f"{item.link} {len(item):,} rows" for item in self._inputs.values())
        partial = ", partial" if self.partial else ""
        return f"<Snapshot {self.id[:8]} of {self.task}, attempt {self.attempt}{partial}: {inputs or 'no inputs'}>"


class Snapshots:
    """The snapshots of the client's task, one after the other, until no further one can come.

    When the home goes away between two snapshots, the iterator connects again and goes on, for up to `timeout_s`. Leaving the loop early
    keeps the leases until `close`, the next call of `snapshots`, or the client's end.
    """

    def __init__(
        self, connection: Connection, background: Background, stage: PublishStream, *, credit_bytes: int, task: str, prefetch: int = 0
    ) -> None:
        """`prefetch` bounds how many snapshots are ours at a time, where that is not the default."""
        self._connection = connection
        self._stage = stage
        self._task = task
        self._flow = Flow(connection, lambda: SnapshotFeed(connection, background, credit_bytes=credit_bytes, task=task, prefetch=prefetch))
        background.spawn("linkd warm-up", warm_up())
        self._current: Snapshot | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Snapshot:
        """The next snapshot. Raises SnapshotNotSettled if the one before was not worked on in its block; it is given back."""
        if self._current is not None and not self._current.settled:
            self._current.release("not settled")
            raise SnapshotNotSettled(
                f"use `with snap:` around the work on each snapshot: {self._current!r} was neither committed nor given back; it will come again"
            )
        self._current = None
        feed = await self._flow.ready()
        if feed is None:
            raise StopAsyncIteration
        self._current = Snapshot(feed.take(), feed, self._stage, self._connection)
        return self._current

    async def ahead(self) -> Snapshot | None:
        """The next snapshot, while others may be in hand; None behind the last. Whoever calls it settles each of them, in whatever order."""
        feed = await self._flow.ready()
        return None if feed is None else Snapshot(feed.take(), feed, self._stage, self._connection)

    def at_hand(self) -> Snapshot | None:
        """As `ahead`, of one that is here already; None where it is to be waited for."""
        feed = self._flow.feed
        return Snapshot(feed.take(), feed, self._stage, self._connection) if feed is not None and feed.inbox.is_ready else None

    def close(self) -> None:
        """Ends the iteration; what is on lease is offered to others."""
        self._flow.close()

    async def aclose(self) -> None:
        """`close`, for `contextlib.aclosing`."""
        self.close()

    def __repr__(self) -> str:
        return f"<Snapshots{' of ' + self._task if self._task else ''}>"


def known_schema(snapshot: Snapshot, output: str) -> KnownSchema:
    """What is known of the schema of an output; what was staged in this snapshot counts already. Raises as `Snapshot.publish` does."""
    if snapshot._state is not _State.OPEN:
        raise SnapshotNotSettled(snapshot._outside(output))
    if output not in snapshot._context.outputs:
        raise _unknown("output", output, snapshot.task, snapshot._context.outputs)
    return snapshot._schemas.get(output) or snapshot._context.outputs[output]


def lease_lost(snapshot: Snapshot) -> asyncio.Event:
    """Set when the lease is over for good: the task's timeout has passed, or the snapshot was handed out again. What is done then is in vain."""
    return snapshot._arrived.lost


async def stage(snapshot: Snapshot, output: str, payloads: tuple[Payload, ...], attributes: Mapping[str, str] | None = None) -> None:
    """As `Snapshot.publish`, of what is encoded already for `known_schema`."""
    known = known_schema(snapshot, output)
    if payloads[-1].schema:
        snapshot._schemas[output] = KnownSchema(payloads[-1].schema, known.declared)
    publish = Publish(output, payloads, dict(attributes or {}), snapshot._arrived.snapshot_id, snapshot._arrived.token)
    await snapshot._outputs.add(publish)


def _unknown(what: str, name: str, task: str, known: Mapping[str, object]) -> NotAllowed:
    listed = ", ".join(known) or "it has none"
    return NotAllowed(with_suggestion(f"no {what} `{name}` in task {task} ({what}s: {listed})", name, list(known)))
