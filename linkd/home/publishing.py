"""Publishing: at once, staged for a commit, or as a source's step. One session for each stream of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from linkd.core import publishing
from linkd.core.commits import check_token
from linkd.core.disk import DiskState
from linkd.core.publishing import Maker
from linkd.core.rights import Identity, Role, source_task
from linkd.errors import Error, InvalidArgument
from linkd.home.at_once import AtOnce, Place
from linkd.home.budget import Taken
from linkd.home.flow import Relief
from linkd.home.home import Home
from linkd.home.intake import (
    Incoming,
    Prepared,
    Target,
    check_attributes,
    discard,
    has_bulk,
    misfits,
    prepare,
    prepare_again,
    sent_xxh3,
    wanted_bytes,
)
from linkd.home.numbering import Numbered, check_unnumbered
from linkd.home.published import DueAck, PublishAck, ack_again, ack_of_dropped, due_ack
from linkd.home.staging import StagedRef, StagedValues
from linkd.limits import DISK_LOOK_INTERVAL_S
from linkd.model.frozen import frozen
from linkd.model.kept import AnswerKept
from linkd.model.records import Record, SourceMoved, ValueStored
from linkd.model.values import Parent, Producer
from linkd.telemetry.events import RowsRejected


@frozen()
class SourceStep:
    """Where a source stands behind the values that came with it."""

    position: bytes
    digest: str
    rows_read: int
    rows_rejected: int
    final: bool


@dataclass(slots=True)
class PublishSession:
    """One publish stream. `add` is called for each value in order, and the acks it returns are awaited in that order, beside the next calls.

    With `replaces` each publish becomes the next generation of its link, which is sealed behind it.
    """

    home: Home
    staged: StagedValues
    who: Identity
    traceparent: str = ""
    replaces: bool = False
    parents: tuple[Parent, ...] = ()
    """What the values of its publishes are made from."""
    check: Callable[[], None] | None = None
    """Raises what a publish is refused with as its link stands: asked when nothing comes between it and the publish any more."""
    taken: Taken = field(default_factory=Taken)
    """The memory of the value in hand: given back as soon as the value only waits for room."""
    at_once: AtOnce = field(init=False)
    _held: list[Prepared] = field(default_factory=list)
    _held_values: int = 0
    _numbered: Numbered | None = None
    _refs: list[StagedRef] = field(default_factory=list)
    _refs_values: int = 0

    def __post_init__(self) -> None:
        self.at_once = AtOnce(self.home, self.who.task, self.traceparent)

    def add_at_once(self, incoming: Incoming, place: Place | None = None) -> DueAck | None:
        """Takes a value that is a publish of its own, and small or of a known `place`, before the next await; None, and nothing is done, if it is
        to take the general way.

        Raises Draining, InvalidArgument for what is no message, what `place` does, StorageFailed.
        """
        self.home.check_open()
        return None if self._held_values or self.replaces else self.at_once.publish(incoming, place)

    async def add(
        self,
        incoming: Incoming,
        *,
        more: bool = False,
        snapshot: tuple[str, bytes, int] | None = None,
        source: SourceStep | None = None,
    ) -> DueAck | None:
        """Takes one value. With `snapshot` (task, snapshot id, token) it is staged; with `more` it waits for the publish's last value.

        Returns when the value has its place in the order: a further `add` comes behind it. The ack that is returned is done when all values
        of the publish are durable. Raises NotAllowed, SchemaMismatch, LeaseLost, ValueTooLarge, InvalidArgument, and what `core.producers`
        refuses; the ack StorageFailed.
        """
        try:
            return await self._add(incoming, more, snapshot, source)
        except BaseException:  # refused, for whatever reason and at whatever point: it lies where it was placed for nothing
            incoming.discard()
            raise

    async def _add(
        self, incoming: Incoming, more: bool, snapshot: tuple[str, bytes, int] | None, source: SourceStep | None
    ) -> DueAck | None:
        self.home.check_open()
        if snapshot is not None:
            check_unnumbered(incoming.producer, incoming.link)
            return await self._stage(incoming, snapshot, more)
        from_source = source is not None or (more and self.who.role is Role.ADAPTERS)
        if from_source:
            check_unnumbered(incoming.producer, incoming.link)
        await self._allow(incoming.link, source=from_source)
        if not from_source and incoming.link in self.home.ledger.links:
            self.at_once.allowed.add(incoming.link)
        began_s = self.home.clock.monotonic_s()
        await self._hold(incoming)
        self._held_values += 1
        if more:
            return None
        return await self._publish_held(incoming.link, source, incoming.attributes, began_s)

    async def stand(self, incoming: Incoming, source: SourceStep) -> DueAck:
        """Takes the position of a source whose link gets no value with it, behind what is held. As `add` otherwise."""
        self.home.check_open()
        check_unnumbered(incoming.producer, incoming.link)
        check_attributes(incoming)
        await self._allow(incoming.link, source=True)
        self._held_values += 1
        return await self._publish_held(incoming.link, source, incoming.attributes, self.home.clock.monotonic_s())

    @property
    def holds(self) -> bool:
        """Whether values wait for the rest of their publish."""
        return bool(self._held_values)

    async def complete(self, link: str) -> DueAck:
        """Ends the publish with the value that was added last, though it had `more`. As `add` otherwise."""
        self.home.check_open()
        return await self._publish_held(link, None, {}, self.home.clock.monotonic_s())

    async def room_for(self, link: str, snapshot: tuple[str, bytes, int] | None) -> tuple[Target, int]:
        """The schema and generation that values of `link` would have now, for a publisher that places them itself. As `add` otherwise."""
        self.home.check_open()
        if snapshot is None:
            await self._allow(link, source=self.who.role is Role.ADAPTERS)
            await self._room_on_disk(patient=True)
            current = self.home.ledger.link(link).current
            return self._target(link, self._held), current.number if current is not None else 0
        name = snapshot[0] or self.who.task
        with self.home.audited(self.who, "publish", link):
            self.home.rights.stage(self.who, name, link)
        task = self.home.ledger.tasks[name]
        check_token(task, *snapshot[1:])
        return self._staging_target(name, link, *snapshot[1:]), task.outputs[link]

    def close(self) -> None:
        """The stream is gone: what waited for the rest of its publish is dropped."""
        discard(self._held)
        self._held, self._held_values, self._numbered = [], 0, None

    # -- staged ---------------------------------------------------------------------------------------------------------------------------

    async def _stage(self, incoming: Incoming, snapshot: tuple[str, bytes, int], more: bool) -> DueAck | None:
        task_name, snapshot_id, token = snapshot
        name = task_name or self.who.task
        with self.home.audited(self.who, "publish", incoming.link):
            self.home.rights.stage(self.who, name, incoming.link)
        task = self.home.ledger.tasks[name]
        check_token(task, snapshot_id, token)
        await self._room_on_disk(DiskState.PAUSED, patient=True)
        check_token(task, snapshot_id, token)
        target = self._staging_target(name, incoming.link, snapshot_id, token)
        prepared = await prepare(self.home, incoming, target)
        try:
            check_token(task, snapshot_id, token)
        except Error:
            discard(prepared)
            raise
        self._refs += [self.staged.add(snapshot_id, token, value) for value in prepared]
        self._refs_values += 1
        if more:
            return None
        refs, count = tuple(self._refs), self._refs_values
        self._refs, self._refs_values = [], 0
        return DueAck(None, partial(PublishAck, count, 0, incoming.link, staged=refs))

    def _staging_target(self, task_name: str, link: str, snapshot_id: bytes, token: int) -> Target:
        """The schema of the task's output; while it has none, that of what is staged for it already."""
        target = self._output_target(task_name, link)
        return target if target.schema_id else self.staged.schema(snapshot_id, token, link) or target

    def _output_target(self, task_name: str, link: str) -> Target:
        """The schema of the task's output; while it has none, those of a program's inputs decide the types of columns of the same name.

        (A query, and a file, have types of their own: what they call `x` need not be the `x` that went in.)
        """
        task = self.home.ledger.tasks[task_name]
        links = self.home.ledger.links
        generation = links[link].generations[task.outputs[link]]
        schemas = [links[name].generations[number].schema for name, number in task.inputs.items()]
        inputs = () if task.shape.has_own_types else tuple(schema for schema in schemas if schema)
        return Target(generation.schema_id, generation.schema, generation.declared, inputs)

    # -- at once --------------------------------------------------------------------------------------------------------------------------

    async def _allow(self, link: str, *, source: bool) -> None:
        with self.home.audited(self.who, "publish", link):
            if self.who.role is not Role.TASK and not self.home.layout.anyone:
                self.home.check_link(link)
            self.home.rights.publish(self.who, link, source=source)
            if self.replaces:
                self.home.rights.replace(self.who, link)
        await self.home.ensure_link(link)

    def _target(self, link: str, held: Sequence[Prepared]) -> Target:
        """The schema that the next value of `link` must have, behind those of the same publish that are held."""
        generation = self.home.ledger.link(link).current
        begins_anew = generation is None or (self.replaces and not generation.declared)
        target = Target() if generation is None or begins_anew else Target(generation.schema_id, generation.schema, generation.declared)
        before = next((value.draft for value in reversed(held) if value.draft.link == link), None)
        return Target(before.schema_id, before.schema, target.declared) if before is not None else target

    async def _hold(self, incoming: Incoming) -> None:
        """Takes a value that is to be published with its last one; one of a publish that is repeated is only looked at."""
        producer, link = incoming.producer, incoming.link
        numbered = self._numbered
        if numbered is None and producer.id and not self._held_values:
            numbered = self._numbered = Numbered.begin(self.home, producer, link)
        if numbered is None:
            if producer.id:
                raise InvalidArgument(f"{link}: all values of a publish have the same producer; the first one had none")
            self._held.extend(await prepare(self.home, incoming, self._target(link, self._held)))
            return
        if numbered.is_repeated(producer, link):
            numbered.sent(await sent_xxh3(incoming))
            incoming.discard()
            return
        target = self._target(link, self._held)
        prepared = await prepare(self.home, incoming, target)
        self._held.extend(prepared)
        numbered.sent(await sent_xxh3(incoming, prepared, target))

    async def _fit(self) -> None:
        """Returns when the store takes a frame and what is held has the schemas that its links have now: others publish meanwhile."""
        await self.home.room(bulk=has_bulk(self._held))
        index = 0
        while index < len(self._held):
            value = self._held[index]
            target = self._target(value.draft.link, self._held[:index])
            if not misfits(value, target):
                index += 1
                continue
            self._held[index] = await prepare_again(self.home, value, target)
            value.payload.discard()
            await self.home.room(bulk=has_bulk(self._held))
            index = 0

    async def _publish_held(self, link: str, source: SourceStep | None, attributes: Mapping[str, str], began_s: float) -> DueAck:
        relief = await self._room()
        held, count, numbered = self._held, self._held_values, self._numbered
        self._held, self._held_values, self._numbered = [], 0, None
        moved = self._moved(link, source, attributes) if source is not None else None
        try:
            producer = numbered.complete() if numbered is not None else Producer()
            earlier = numbered.answer(producer) if numbered is not None else None
            if earlier is None:
                if self.check is not None:
                    self.check()
                return self._publish(link, held, count, moved, producer, relief, began_s)
        except Error:
            discard(held)
            raise
        discard(held)  # another stream of the same producer was quicker
        return self._acknowledge_again(earlier, count)

    async def _room_on_disk(self, most: DiskState = DiskState.OPEN, *, patient: bool) -> None:
        """Returns as long as there is so much room. Else whoever is patient waits for it; others are told: StorageFull."""
        if not patient:
            self.home.disk.check(most)
            return
        with self.home.changes.watch("drain", "storage") as watch:
            while self.home.disk.state() > most:
                self.taken.give()
                self.home.check_alive()
                await watch.wait(DISK_LOOK_INTERVAL_S)

    async def _room(self) -> Relief:
        """Returns when what is held can be admitted before the next await, together with what is to be dropped for it."""
        flow, wanted, patient = self.home.flow, wanted_bytes(self._held), self.who.role is Role.ADAPTERS
        if wanted:
            await self._room_on_disk(patient=patient)
        await self._fit()
        if not flow.is_bounded(wanted):
            return Relief()
        with flow.in_line(wanted, self.who.task) as place:
            while full := flow.full(wanted, place):
                relief = flow.relief(wanted, patient=patient)
                if relief is not None:
                    return relief
                self.taken.give()
                await flow.wait(place, full)
                await self._fit()
        return Relief()

    def _publish(
        self,
        link: str,
        held: list[Prepared],
        count: int,
        source: SourceMoved | None,
        producer: Producer,
        relief: Relief,
        began_s: float,
    ) -> DueAck:
        refused = [prepared for prepared in held if prepared.draft.link in relief.refused]
        held = [prepared for prepared in held if prepared.draft.link not in relief.refused]
        begun = self.home.spans.begin(self.traceparent)
        now_ns = self.home.clock.now_ns()
        drafts = [prepared.draft for prepared in held]
        if source is not None:
            records = self._source_records(held, source, begun.traceparent, now_ns)
        else:
            maker = Maker(self.who.task, parents=self.parents, traceparent=begun.traceparent, producer=producer)
            entropy = self.home.clock.entropy(10 * len(drafts))
            if self.replaces and drafts:
                records = publishing.replace(self.home.ledger, link, drafts, maker, now_ns, entropy)
            else:
                records = publishing.publish(self.home.ledger, drafts, maker, now_ns, entropy)
        newest = publishing.drop_newest(self.home.ledger, [prepared.draft for prepared in refused], producer, now_ns)
        written = self.home.admit([*relief.drops, *records, *newest], [prepared.payload for prepared in held])
        discard(refused)
        dropped = next((record for record in newest if record.link == link), None)
        if dropped is not None:
            return DueAck(written, partial(ack_of_dropped, dropped, count))
        envelopes = [record.envelope for record in records if isinstance(record, ValueStored)]
        return due_ack(self.home, written, envelopes, link, count, begun, began_s)

    def _acknowledge_again(self, answer: AnswerKept, count: int) -> DueAck:
        """What happened before may not be on disk yet: its first ack got lost before it was due."""
        durability = self.home.store.durability(self.home.terms(answer.link).sync_within_s)
        return DueAck(self.home.unwritten(), partial(ack_again, answer, count, durability))

    def _moved(self, link: str, source: SourceStep, attributes: Mapping[str, str]) -> SourceMoved:
        generation = self.home.ledger.link(link).current
        number = generation.number if generation is not None else 0
        return SourceMoved(
            link, number, source.position, source.digest, source.rows_read, source.rows_rejected, source.final, dict(attributes)
        )

    def _source_records(self, held: list[Prepared], moved: SourceMoved, traceparent: str, now_ns: int) -> list[Record]:
        link = moved.link
        generation = self.home.ledger.link(link).current
        maker = Maker(source_task(link), moved.digest, traceparent=traceparent)
        records = publishing.source_step(self.home.ledger, link, [prepared.draft for prepared in held], moved, maker, now_ns)
        before = generation.source.rows_rejected if generation is not None and generation.source is not None else 0
        if moved.rows_rejected > before:
            self.home.telemetry.emit(RowsRejected(link=link, rows=moved.rows_rejected - before))
        return records
