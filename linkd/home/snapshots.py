"""Handing a task its snapshots, over one connection.

What goes out is a sequence of parts: `Begin`, the values, `Ready`; then the next one. Of `whole` inputs the values go out as they become
durable, before it is known that the snapshot will fire; `Ready` says that it has. In a run that follows such a task begins again, and so does
what goes out: from the first value of the next execution. Of other tasks up to `prefetch` snapshots are handed out ahead, within the credit in
bytes; one snapshot always fits, so a window may be larger than the credit.

A task may have several sessions (replicas); which of them gets the next snapshot is decided in `core.snapshot_leases`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType

from linkd.core import commits
from linkd.core.composition import rows_within
from linkd.core.rights import Identity
from linkd.core.tasks import LATEST, Again, Ask, End, GiveUp, Look, Offer, Recall, Task, Wait
from linkd.errors import Error, InvalidArgument, LinkNotFound, SessionFenced
from linkd.home import recalling
from linkd.home import snapshot_leases as leases
from linkd.home.changes import LEASES, Watch, link_topic, task_topic
from linkd.home.composing import Decision, look, next_snapshot
from linkd.home.delivery import Delivery
from linkd.home.home import Home
from linkd.home.outgoing import Out, Outgoing
from linkd.home.snapshot_parts import Begin, Opened, OutputSchema, Over, Part, Ready, Recalled, Released, Stored
from linkd.home.staging import StagedValues
from linkd.limits import CREDIT_BYTES, CREDIT_MAX_BYTES, PREFETCH_SNAPSHOTS, PREFETCH_SNAPSHOTS_MAX, SPAN_CAUSES_MAX
from linkd.model.values import PlaceKind
from linkd.telemetry.trace_context import format_traceparent


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
    says_started: bool = False
    session: int = 0
    _released: list[Released] = field(default_factory=list)
    _watch: Watch | None = None
    _outgoing: Outgoing | None = None
    _streamed: dict[str, int] = field(default_factory=dict)

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Everything that goes out. Raises NotAllowed, SessionFenced when a newer run begins, Draining, StorageFailed."""
        task = self._task()
        self.session = self.home.new_session()
        self.credit_bytes = min(self.credit_bytes or CREDIT_BYTES, CREDIT_MAX_BYTES)
        self.prefetch = min(self.prefetch or PREFETCH_SNAPSHOTS, PREFETCH_SNAPSHOTS_MAX)
        outgoing = self._outgoing = Outgoing(self.home, self.form)
        self.home.connections[task.name] = self.home.connections.get(task.name, 0) + 1
        topics = [task_topic(task.name), "run", "drain", "storage", *(link_topic(name) for name, _ in task.shape.inputs)]
        with ExitStack() as stack:
            task.holders.join(self.session, says_started=self.says_started)
            stack.push(self._left)
            stack.callback(outgoing.close)
            self._watch = stack.enter_context(self.home.changes.watch(*topics))
            self.home.changes.announce([task_topic(task.name)])
            yield self._opened(task)
            of_task = self._whole(task) if task.shape.is_whole and task.shape.inputs else self._composed(task)
            async with aclosing(of_task) as parts:
                async for part in parts:
                    yield part

    def give_credit(self, size_bytes: int) -> None:
        """The consumer has room for so many bytes more."""
        self.credit_bytes = min(self.credit_bytes + size_bytes, CREDIT_MAX_BYTES)
        if self._watch is not None:
            self._watch.poke()

    def started(self, snapshot_id: bytes, token: int) -> None:
        """The program begins with this snapshot."""
        leases.started(self.home, self._task(), self.session, snapshot_id, token)

    def renew(self, snapshot_id: bytes, token: int) -> None:
        """The program works on this snapshot."""
        leases.renewed(self.home, self._task(), self.session, snapshot_id, token)

    async def give_back(self, snapshot_id: bytes, token: int, *, reason: str = "", delay_s: float = 0.0, untried: bool = False) -> None:
        """The program takes nothing of this snapshot: it waits to be handed out again. Raises InvalidArgument for more than one can have."""
        if len(self._released) > PREFETCH_SNAPSHOTS_MAX:
            raise InvalidArgument(f"{self.task_name}: more snapshots were given back at once than can be handed out ahead")
        await leases.given_back(self.home, self._task(), self.session, snapshot_id, token, reason=reason, delay_s=delay_s, untried=untried)
        if self.says_started:
            self._released.append(Released(snapshot_id, token))
            if self._watch is not None:
                self._watch.poke()

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

    def _left(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The session is over: its end was told, it was refused with an error of ours, or else the client has gone."""
        self.home.connections[self.task_name] -= 1
        died = kind is not None and not issubclass(kind, Error) and not self.home.draining and not self.home.paused
        leases.left(self.home, self.home.ledger.tasks[self.task_name], self.session, died=died)

    def _opened(self, task: Task) -> Opened:
        links = self.home.ledger.links
        inputs = tuple((name, policy, task.inputs.get(name, 0)) for name, policy in task.shape.inputs)
        outputs = []
        for name in task.shape.outputs:
            generation = links[name].generations[task.outputs[name]]
            outputs.append(OutputSchema(name, generation.schema, generation.declared))
        return Opened(task.name, inputs, tuple(outputs), task.shape.terms.lease_s)

    def _told(self, task: Task) -> Iterator[Part]:
        """What the client has to be told of what it has. That it gave something back comes behind what is recalled with that."""
        released, self._released = self._released, []
        for taken in task.holders.to_tell(self.session):
            yield Recalled(taken.snapshot_id, taken.token)
        yield from released

    async def _pause(self) -> None:
        """Waits for a change, and ends the session when there is nothing more to wait for."""
        assert self._watch is not None
        self._check_alive()
        await self._watch.wait()
        self._check_alive()

    def _check_alive(self) -> None:
        self.home.check_alive()
        if self.who.epoch and self.who.epoch != self.home.ledger.epoch:
            raise SessionFenced(f"a newer run has begun ({self.home.ledger.epoch}): end this program")

    async def _composed(self, task: Task) -> AsyncGenerator[Part, None]:
        """The snapshots of a task that takes its inputs batch by batch, or by their newest values, or has none."""
        while True:
            for told in self._told(task):
                yield told
            recalling.look_again(self.home, task)
            await self.home.room()
            decision = next_snapshot(self.home, task, self.session)
            held = sum(lease.session == self.session for lease in task.leases.values())
            room = not self.home.paused and (held == 0 or (self.credit_bytes > 0 and held < self.prefetch))
            if isinstance(decision, End):
                yield Over(decision.reason)
                return
            if isinstance(decision, Again):
                await asyncio.sleep(0)
                self._check_alive()
                continue
            if isinstance(decision, GiveUp):
                await leases.give_up(self.home, task, decision.lease)
                continue
            if isinstance(decision, Look) and room:
                await look(self.home, task, decision, self.session)
                self._check_alive()
                continue
            if await self._is_memos(task, decision):
                continue
            if not isinstance(decision, Offer) or not room or not task.holders.may_take(self.session):
                if isinstance(decision, Wait) and room:
                    leases.recall_for(self.home, task, self.session)
                await self._pause()
                continue
            token = await self._lease(task, decision)
            async with aclosing(self._handed_out(task, decision, token)) as parts:
                async for part in parts:
                    yield part

    async def _is_memos(self, task: Task, decision: Decision) -> bool:
        """Whether this was for the memo: it is asked before a snapshot goes out, and what it knows is committed."""
        if self.home.paused or not task.holders.may_take(self.session):
            return False
        if isinstance(decision, Ask | Recall):
            await recalling.follow(self.home, self.staged, task, decision)
        elif not isinstance(decision, Offer) or not await recalling.to_be_asked(self.home, task, decision, self.session):
            return False
        self._check_alive()
        return True

    async def _handed_out(self, task: Task, offer: Offer, token: int) -> AsyncGenerator[Part, None]:
        """One snapshot that is on lease to this session."""
        delivery, values = Delivery(self.home, task), self._stored(offer)
        first = list(islice(values, SPAN_CAUSES_MAX))
        for one in first:
            delivery.add(one.envelope, one.rows[1] - one.rows[0], settled=one.settled)
        begun = delivery.begin()
        traceparent = format_traceparent(begun.context)
        yield Begin(offer.snapshot_id, token, offer.attempt, traceparent)
        for one in first:
            yield await self._out(one, offer.attempt)
        for one in values:
            delivery.add(one.envelope, one.rows[1] - one.rows[0], settled=one.settled)
            yield await self._out(one, offer.attempt)
        self._keep_rows(task, offer, delivery)
        delivery.tell(offer.attempt, begun)
        yield self._ready(offer, token, traceparent)

    async def _whole(self, task: Task) -> AsyncGenerator[Part, None]:
        """The snapshot of each execution of a task that takes its inputs whole."""
        began = 0  # the execution of which values go out
        delivery = Delivery(self.home, task)
        while True:
            for told in self._told(task):
                yield told
            recalling.look_again(self.home, task)
            decision = next_snapshot(self.home, task)
            if isinstance(decision, End):
                yield Over(decision.reason)
                return
            if isinstance(decision, GiveUp):
                await leases.give_up(self.home, task, decision.lease)
                continue
            if await self._is_memos(task, decision):
                continue
            # Another connection may have the snapshot and still give it back; or it is committed, and the task may begin again.
            if isinstance(decision, Wait) and (task.leases or task.commits or task.ended):
                await self._pause()
                continue
            if began != task.execution:
                began, delivery = task.execution, Delivery(self.home, task)
                self._streamed.clear()
                yield Begin(b"", 0, 1, "")
            progress = False
            for one in self._arrived(task, began):
                progress = True
                delivery.add(one.envelope, one.rows[1])
                yield await self._out(one, 1)
                while self.credit_bytes <= 0:
                    await self._pause()
            if progress:
                continue
            if isinstance(decision, Offer):  # it was one before the last value went out, so all of them did
                await self.home.room()
                decision = next_snapshot(self.home, task)
            ours = task.holders.may_take(self.session) and not self.home.paused and began == task.execution
            if isinstance(decision, Offer) and ours:
                async with aclosing(self._completed(task, decision, delivery)) as parts:
                    async for part in parts:
                        yield part
                began = 0
            await self._pause()

    async def _completed(self, task: Task, offer: Offer, delivery: Delivery) -> AsyncGenerator[Part, None]:
        """The end of a snapshot whose whole inputs went out already: the newest values of the others, and that it is ready."""
        token = await self._lease(task, offer)
        for one in self._stored(offer, but=self._streamed):
            delivery.add(one.envelope, one.rows[1])
            yield await self._out(one, offer.attempt)
        begun = delivery.begin()
        self._keep_rows(task, offer, delivery)
        delivery.tell(offer.attempt, begun)
        yield self._ready(offer, token, format_traceparent(begun.context))

    def _arrived(self, task: Task, execution: int) -> Iterator[Stored]:
        """Durable values of the task's whole inputs that did not go out yet, input by input, as long as it is that execution."""
        for name, policy in task.shape.inputs:
            if policy == LATEST:
                continue
            while task.execution == execution:
                link = self.home.ledger.links[name]
                generation = link.generations[task.inputs[name]]
                sequence = self._streamed.setdefault(name, generation.kept_sequence - 1) + 1
                if sequence > min(link.readable_last(generation), task.extents.get(name, generation.end_sequence)):
                    break
                for envelope, place in self.home.store.values(name, sequence, sequence):
                    if place.kind is not PlaceKind.DROPPED:
                        yield Stored(envelope, place, (0, envelope.rows), True)
                self._streamed[name] = sequence

    def _stored(self, offer: Offer, but: Collection[str] = ()) -> Iterator[Stored]:
        """The values of a snapshot, input by input; not those of the links `but`."""
        settles = {portion.link: portion for portion in offer.settles}
        for portion in offer.portions:
            done = settles.get(portion.link, portion)
            if portion.first_sequence <= portion.last_sequence and portion.link not in but:
                for envelope, place in self.home.store.values(portion.link, portion.first_sequence, portion.last_sequence):
                    if place.kind is PlaceKind.DROPPED:
                        continue  # of a value that was damaged, or dropped to make room, there are no rows
                    sequence = envelope.position.sequence
                    settled = done.first_sequence <= sequence <= done.last_sequence
                    yield Stored(envelope, place, rows_within(portion, sequence, envelope.rows), settled)

    async def _out(self, one: Stored, attempt: int) -> Out:
        assert self._outgoing is not None
        out = await self._outgoing.value(one.envelope, one.place, input_name=one.envelope.link, attempt=attempt, rows=one.rows)
        self.credit_bytes -= out.size_bytes
        return out

    async def _lease(self, task: Task, offer: Offer) -> int:
        """Leases the snapshot to this session; returns when it may be handed out."""
        record = commits.lease(self.home.ledger, task, offer)
        before = task.leases.get(offer.snapshot_id)
        if before is not None and before.lost_by is not None:
            task.holders.lost(before)
            self.home.changes.announce([task_topic(task.name)])
        self.staged.drop(offer.snapshot_id)
        future = self.home.admit([*(leases.unsaid(task, before) if before is not None else ()), record], durable=offer.recorded)
        lease = task.leases[offer.snapshot_id]
        lease.session, lease.since_ns = self.session, self.home.clock.now_ns()
        self.home.changes.announce([LEASES])
        if offer.recorded:
            await self.home.written(future)
        return record.token

    def _keep_rows(self, task: Task, offer: Offer, delivery: Delivery) -> None:
        """For the commit, which counts the rows that are done."""
        lease = task.leases.get(offer.snapshot_id)
        if lease is not None:
            lease.rows = delivery.settled_rows()

    def _ready(self, offer: Offer, token: int, traceparent: str) -> Ready:
        empty = []
        for portion in offer.portions:
            if portion.last_sequence < portion.first_sequence:
                generation = self.home.ledger.links[portion.link].generations[portion.generation]
                empty.append(OutputSchema(portion.link, generation.schema, generation.declared))
        return Ready(offer.snapshot_id, token, offer.attempt, offer.portions, traceparent, tuple(empty), offer.partial)
