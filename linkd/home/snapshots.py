"""Handing a task its snapshots, over one connection.

What goes out is a sequence of parts: `Begin`, the values, `Ready`; then the next one. Of `whole` inputs the values go out as they become
durable, before it is known that the snapshot will fire; `Ready` says that it has. Up to `prefetch` snapshots are handed out ahead, within
the credit in bytes; one value always fits.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field

from linkd.core import commits
from linkd.core.rights import Identity
from linkd.core.tasks import End, Offer, Task, Wait
from linkd.errors import Draining, LinkNotFound, SessionFenced, StorageFailed
from linkd.home.changes import Watch, link_topic, task_topic
from linkd.home.home import Begun, Home
from linkd.home.outgoing import Out, Outgoing
from linkd.home.staging import StagedValues
from linkd.limits import CREDIT_BYTES, CREDIT_MAX_BYTES, PREFETCH_SNAPSHOTS, PREFETCH_SNAPSHOTS_MAX
from linkd.model.values import Envelope, Parent, Place
from linkd.telemetry.events import ValueDelivered
from linkd.telemetry.trace_context import format_traceparent, parse_traceparent


@dataclass(frozen=True, slots=True)
class OutputSchema:
    link: str
    schema: bytes
    declared: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """First on the stream: who one is, what goes in (link, policy, generation), what may come out."""

    task: str
    inputs: tuple[tuple[str, str, int], ...]
    outputs: tuple[OutputSchema, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    snapshot_id: bytes
    token: int
    attempt: int
    traceparent: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The snapshot may be worked on. `empty` has the schemas of inputs that hold no value."""

    snapshot_id: bytes
    token: int
    attempt: int
    portions: tuple[Parent, ...]
    traceparent: str
    empty: tuple[OutputSchema, ...]


@dataclass(frozen=True, slots=True)
class Over:
    """No further snapshot can come."""

    reason: str


Part = Opened | Begin | Out | Ready | Over


@dataclass(slots=True)
class SnapshotSession:
    """One connection of one task. Iterate over `parts`; call `close` when the connection is gone."""

    home: Home
    staged: StagedValues
    who: Identity
    task_name: str
    credit_bytes: int = CREDIT_BYTES
    prefetch: int = PREFETCH_SNAPSHOTS
    form: str = "arrow"
    session: int = 0
    _watch: Watch | None = None
    _outgoing: Outgoing | None = None
    _streamed: dict[str, int] = field(default_factory=dict)
    _delivered: list[Envelope] = field(default_factory=list)

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Everything that goes out. Raises NotAllowed, SessionFenced when a newer run begins, Draining, StorageFailed."""
        task = self._task()
        self.session = self.home.new_session()
        self.credit_bytes = min(self.credit_bytes or CREDIT_BYTES, CREDIT_MAX_BYTES)
        self.prefetch = min(self.prefetch or PREFETCH_SNAPSHOTS, PREFETCH_SNAPSHOTS_MAX)
        self._outgoing = Outgoing(self.home, self.form)
        self.home.connections[task.name] = self.home.connections.get(task.name, 0) + 1
        topics = [task_topic(task.name), "run", "drain", "storage", *(link_topic(name) for name, _ in task.shape.inputs)]
        with ExitStack() as stack:
            stack.callback(self._left)
            self._watch = stack.enter_context(self.home.changes.watch(*topics))
            self.home.changes.announce([task_topic(task.name)])
            yield self._opened(task)
            of_task = self._whole(task) if task.shape.is_whole and task.shape.inputs else self._each(task)
            async with aclosing(of_task) as parts:
                async for part in parts:
                    yield part

    def give_credit(self, size_bytes: int) -> None:
        """The consumer has room for so many bytes more."""
        self.credit_bytes = min(self.credit_bytes + size_bytes, CREDIT_MAX_BYTES)
        if self._watch is not None:
            self._watch.poke()

    def give_back(self, snapshot_id: bytes, token: int) -> None:
        """The program takes nothing of this snapshot: it waits to be handed out again."""
        lease = self._task().leases.get(snapshot_id)
        if lease is not None and lease.token == token:
            lease.session = None
            self.home.changes.announce([task_topic(self.task_name)])

    # -- inside ---------------------------------------------------------------------------------------------------------------------------

    def _task(self) -> Task:
        with self.home.audited(self.who, "snapshots"):
            shape = self.home.rights.act_for(self.who, self.task_name or self.who.task)
        self.task_name = shape.name
        task = self.home.ledger.tasks.get(shape.name)
        if task is None:
            raise LinkNotFound(f"{shape.name} has not begun yet: start the pipeline with `linkd run`")
        if {name for name, _ in shape.inputs} != task.inputs.keys() or set(shape.outputs) != task.outputs.keys():
            raise LinkNotFound(f"{shape.name} has other links now than when it began: start the pipeline with `linkd run`")
        return task

    def _left(self) -> None:
        self.home.connections[self.task_name] -= 1
        task = self.home.ledger.tasks[self.task_name]
        task.release(self.session)
        self.home.changes.announce([task_topic(self.task_name)])

    def _opened(self, task: Task) -> Opened:
        links = self.home.ledger.links
        inputs = tuple((name, policy, task.inputs.get(name, 0)) for name, policy in task.shape.inputs)
        outputs = []
        for name in task.shape.outputs:
            generation = links[name].generations[task.outputs[name]]
            outputs.append(OutputSchema(name, generation.schema, generation.declared))
        return Opened(task.name, inputs, tuple(outputs))

    async def _pause(self) -> None:
        """Waits for a change, and ends the session when there is nothing more to wait for."""
        assert self._watch is not None
        self._check_alive()
        await self._watch.wait()
        self._check_alive()

    def _check_alive(self) -> None:
        if self.home.draining:
            raise Draining("linkd is shutting down; connect again")
        if self.home.failure:
            raise StorageFailed(self.home.failure)
        if self.who.epoch and self.who.epoch != self.home.ledger.epoch:
            raise SessionFenced(f"a newer run has begun ({self.home.ledger.epoch}): end this program")

    async def _each(self, task: Task) -> AsyncGenerator[Part, None]:
        while True:
            await self.home.room()
            decision = task.next_snapshot(self.home.ledger.links)
            held = sum(lease.session == self.session for lease in task.leases.values())
            room = not self.home.paused and (held == 0 or (self.credit_bytes > 0 and held < self.prefetch))
            if isinstance(decision, End):
                yield Over(decision.reason)
                return
            if isinstance(decision, Wait) or not room:
                await self._pause()
                continue
            token = self._lease(task, decision)
            envelopes = [entry for portion in decision.portions for entry in self._stored(portion)]
            begun = self._begin_span(envelope for envelope, _ in envelopes)
            yield Begin(decision.snapshot_id, token, decision.attempt, format_traceparent(begun.context))
            for envelope, place in envelopes:
                assert self._outgoing is not None
                self.credit_bytes -= envelope.size_bytes
                yield await self._outgoing.value(envelope, place, input_name=envelope.link, attempt=decision.attempt)
            self._tell(task, [envelope for envelope, _ in envelopes], decision.attempt, begun)
            yield self._ready(task, decision, token, format_traceparent(begun.context))

    async def _whole(self, task: Task) -> AsyncGenerator[Part, None]:
        delivered: list[Envelope] = []
        began = False
        while True:
            decision = task.next_snapshot(self.home.ledger.links)
            if isinstance(decision, End):
                yield Over(decision.reason)
                return
            if isinstance(decision, Wait) and task.leases:  # another connection has the snapshot; it may still give it back
                await self._pause()
                continue
            if not began:
                yield Begin(b"", 0, 1, "")
                began = True
            progress = False
            for envelope, place in self._arrived(task):
                assert self._outgoing is not None
                progress = True
                delivered.append(envelope)
                self.credit_bytes -= envelope.size_bytes
                yield await self._outgoing.value(envelope, place, input_name=envelope.link)
                while self.credit_bytes <= 0:
                    await self._pause()
            if progress:
                continue
            if isinstance(decision, Offer) and not self.home.paused:
                await self.home.room()
                decision = task.next_snapshot(self.home.ledger.links)
            if isinstance(decision, Offer) and not self.home.paused:
                begun = self._begin_span(iter(delivered))
                token = self._lease(task, decision)
                self._tell(task, delivered, decision.attempt, begun)
                yield self._ready(task, decision, token, format_traceparent(begun.context))
                began, delivered = False, []
                self._streamed.clear()
            await self._pause()

    def _arrived(self, task: Task) -> Iterator[tuple[Envelope, Place]]:
        """Durable values of the task's inputs that did not go out yet, input by input."""
        for name, _ in task.shape.inputs:
            link = self.home.ledger.links[name]
            generation = link.generations[task.inputs[name]]
            while (sequence := self._streamed.get(name, generation.first_sequence - 1) + 1) <= link.readable_last(generation):
                yield from self.home.store.values(name, sequence, sequence)
                self._streamed[name] = sequence

    def _stored(self, portion: Parent) -> list[tuple[Envelope, Place]]:
        return list(self.home.store.values(portion.link, portion.first_sequence, portion.last_sequence))

    def _lease(self, task: Task, offer: Offer) -> int:
        record = commits.lease(self.home.ledger, task, offer)
        self.staged.drop(offer.snapshot_id)
        self.home.admit([record], durable=False)
        task.leases[offer.snapshot_id].session = self.session
        return record.token

    def _ready(self, task: Task, offer: Offer, token: int, traceparent: str) -> Ready:
        empty = []
        for portion in offer.portions:
            if portion.last_sequence < portion.first_sequence:
                generation = self.home.ledger.links[portion.link].generations[portion.generation]
                empty.append(OutputSchema(portion.link, generation.schema, generation.declared))
        return Ready(offer.snapshot_id, token, offer.attempt, offer.portions, traceparent, tuple(empty))

    def _begin_span(self, envelopes: Iterator[Envelope]) -> Begun:
        """The delivery's span begins, under those of the publishes."""
        return self.home.begin_span(*dict.fromkeys(parse_traceparent(envelope.traceparent) for envelope in envelopes))

    def _tell(self, task: Task, envelopes: list[Envelope], attempt: int, begun: Begun) -> None:
        now_ns = self.home.clock.now_ns()
        by_link: dict[str, list[Envelope]] = {}
        for envelope in envelopes:
            by_link.setdefault(envelope.link, []).append(envelope)
        for number, (link, of_link) in enumerate(by_link.items()):
            self.home.telemetry.emit(
                ValueDelivered(
                    link=link,
                    group=task.name,
                    values=len(of_link),
                    rows=sum(envelope.rows for envelope in of_link),
                    size_bytes=sum(envelope.size_bytes for envelope in of_link),
                    wait_seconds=max((now_ns - min(envelope.created_at_ns for envelope in of_link)) / 1e9, 0.0),
                    attempt=attempt,
                    value_id=of_link[0].id.hex() if len(of_link) == 1 else "",
                    span=self.home.end_span(begun if number == 0 else self._begin_span(iter(of_link))),
                )
            )
