"""The state of a home, and what each record of the journal does to it.

`Ledger.apply` is the one meaning of every record: it is called when a frame is decided and again, for the same records in the same order,
when the journal is read after a restart. `Ledger.durable` is called when a frame is on disk: only then may its values and seals be told.
Decisions (`core.publishing`, `core.commits`, `core.runs`) read the ledger and return records; they change nothing themselves.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from linkd.core.cursor import Cursor
from linkd.core.group_terms import AskedTerms
from linkd.core.groups import Group
from linkd.core.links import Generation, GenerationState, Link, Remembered
from linkd.core.producers import Producers
from linkd.core.tasks import Task, TaskShape
from linkd.errors import LinkNotFound, StateDamaged
from linkd.limits import TASK_NAMES_KEPT
from linkd.model.records import (
    DigestKnown,
    Dropped,
    GenerationBegan,
    GenerationEnd,
    GenerationEnded,
    GenerationReopened,
    GroupFailed,
    GroupLeased,
    GroupMoved,
    GroupOpened,
    HoldPlaced,
    HoldReleased,
    HomeStarted,
    LinkOpened,
    PolicySaved,
    ProducerOpened,
    Record,
    RunBegan,
    RunEnded,
    SchemaKept,
    SnapshotCommitted,
    SnapshotFailed,
    SnapshotLeased,
    SourceMoved,
    TaskBegan,
    TaskEnded,
    TaskResumed,
    ValueStored,
)
from linkd.model.values import Envelope


@dataclass(slots=True)
class Ledger:
    """Everything a home knows, in memory: a few hundred bytes a link, a task, a group, some KiB a generation that is kept; nothing per value.

    `executions` counts the starts of the tasks there were, the one that began last at
    the end: a task that was taken out of the file and is put back goes on counting, for ids are made from it.
    """

    shapes: Mapping[str, TaskShape] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    executions: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    last_token: int = 0
    run: RunBegan | None = None
    run_outcome: str = ""
    producers: Producers = field(default_factory=Producers)
    holds: dict[str, HoldPlaced] = field(default_factory=dict)
    boot: str = ""
    weak_links: tuple[str, ...] = ()

    @property
    def follows(self) -> bool:
        """The present run, or the last one, has no end of its own."""
        return self.run is not None and self.run.follow

    def link(self, name: str) -> Link:
        """The link of that name. LinkNotFound names what there is."""
        found = self.links.get(name)
        if found is None:
            raise no_link(name, self.links)
        return found

    def schema_of(self, envelope: Envelope) -> bytes:
        """The schema message of a value. LinkNotFound if it was dropped."""
        generation = self.links[envelope.link].generations.get(envelope.generation)
        if generation is None:
            raise LinkNotFound(f"{envelope.name} was dropped with generation {envelope.generation} of {envelope.link}: read the link again")
        return generation.schemas[envelope.schema_id]

    def apply(self, records: Iterable[Record]) -> None:
        """Takes one frame's records into the state, in order."""
        for record in records:
            _APPLY[type(record)](self, record)

    def durable(self, records: Iterable[Record]) -> set[str]:
        """Marks a frame's values and seals as on disk. Returns the names of the links about which something may now be told."""
        touched: set[str] = set()
        for record in records:
            if isinstance(record, ValueStored):
                link = self.links[record.envelope.link]
                link.durable_sequence = max(link.durable_sequence, record.envelope.position.sequence)
                touched.add(link.name)
            elif isinstance(record, GenerationEnded):
                link = self.links[record.link]
                generation = link.generations.get(record.generation)
                sealed = generation is not None and record.end is GenerationEnd.SEALED
                if generation is not None and sealed and generation.sealed_sequence == record.last_sequence:
                    generation.seal_durable = generation.was_sealed = True
                touched.add(link.name)
        return touched

    def restore(self, records: Iterable[Record]) -> None:
        """What the journal said at the start: it is on disk, and no connection of then is alive."""
        kept = tuple(records)
        self.apply(kept)
        self.durable(kept)

    # -- one method a record --------------------------------------------------------------------------------------------------------------

    def _run_began(self, record: RunBegan) -> None:
        self.run, self.run_outcome = record, "running"
        self.epoch = max(self.epoch, record.epoch)

    def _run_ended(self, record: RunEnded) -> None:
        self.run_outcome = record.outcome

    def _link_opened(self, record: LinkOpened) -> None:
        link = self.links.get(record.link)
        if link is None:
            self.links[record.link] = Link(
                record.link, record.incarnation, record.first_sequence, record.first_sequence - 1, record.created_at_ns
            )
        else:
            link.open_again(record.incarnation, record.first_sequence)

    def _schema_kept(self, record: SchemaKept) -> None:
        generation = self.links[record.link].current
        if generation is None:
            raise StateDamaged(f"the journal keeps a schema for {record.link} before its first generation")
        generation.schema_id, generation.schema, generation.declared = record.schema_id, record.schema, record.declared
        generation.schemas[record.schema_id] = record.schema

    def _generation_began(self, record: GenerationBegan) -> None:
        link = self.links[record.link]
        link.newest = record.generation
        link.generations[record.generation] = Generation(
            record.generation,
            record.incarnation,
            record.first_sequence,
            record.first_sequence - 1,
            record.task,
            record.task_version,
            record.inputs,
        )

    def _generation_ended(self, record: GenerationEnded) -> None:
        generation = self.links[record.link].generations[record.generation]
        if record.end is GenerationEnd.SEALED:
            generation.state, generation.sealed_sequence, generation.seal_durable = GenerationState.SEALED, record.last_sequence, False
        else:
            generation.state = GenerationState.ABANDONED

    def _generation_reopened(self, record: GenerationReopened) -> None:
        generation = self.links[record.link].generations[record.generation]
        generation.state = GenerationState.GROWING
        if record.within_run:
            generation.sealed_sequence, generation.seal_durable = None, False
            if generation.source is not None:
                generation.source = replace(generation.source, final=False)

    def _task_began(self, record: TaskBegan) -> None:
        self.executions.pop(record.task, None)
        self.executions[record.task] = record.execution
        self._forget_executions()
        task = self.tasks.get(record.task)
        if task is None:
            shape = self.shapes.get(record.task)
            if shape is None:  # a task of an earlier pipeline file: its history stays, it can do nothing
                return
            task = self.tasks[record.task] = Task(shape)
        known = {name: number for name, number in record.inputs.items() if name in self.links}
        task.begin(record.execution, record.version, known, record.outputs, self.links, record.extents)

    def _task_resumed(self, record: TaskResumed) -> None:
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.resume(record.version)

    def _task_ended(self, record: TaskEnded) -> None:
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.end()

    def _value_stored(self, record: ValueStored) -> None:
        envelope = record.envelope
        link = self.links[envelope.link]
        generation = link.generations[envelope.generation]
        link.next_sequence = envelope.position.sequence + 1
        link.last_created_at_ns = max(link.last_created_at_ns, envelope.created_at_ns)
        generation.last_sequence = envelope.position.sequence
        generation.values += 1
        generation.rows += envelope.rows
        generation.size_bytes += envelope.size_bytes
        generation.account.add(envelope)
        if envelope.producer.id:
            self.producers.stored(envelope)

    def _snapshot_leased(self, record: SnapshotLeased) -> None:
        self.last_token = max(self.last_token, record.token)
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.lease(record)

    def _snapshot_failed(self, record: SnapshotFailed) -> None:
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.failed(record)

    def _snapshot_committed(self, record: SnapshotCommitted) -> None:
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.remember(record)

    def _policy_saved(self, record: PolicySaved) -> None:
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.restore_policy(record.state)

    def _group_opened(self, record: GroupOpened) -> None:
        self.groups[record.group, record.link] = Group(
            record.group,
            record.link,
            record.incarnation,
            record.generation,
            Cursor(record.done_sequence),
            AskedTerms(record.order, record.key, record.lease_ms, record.timeout_ms, record.max_attempts).of_new_group(),
        )

    def _group_moved(self, record: GroupMoved) -> None:
        group = self.groups[record.group, record.link]
        if record.settled:
            group.settle(record.settled, record.token)
        else:
            cursor = Cursor.of(record.done_sequence, record.ahead)
            group.move(record.incarnation, record.generation, cursor, record.run_generation)

    def _group_leased(self, record: GroupLeased) -> None:
        self.last_token = max(self.last_token, record.token)
        self.groups[record.group, record.link].leased(
            record.position.sequence, record.token, record.attempt, record.failures, record.reason, record.delay_ms, failed=record.failed
        )

    def _group_failed(self, record: GroupFailed) -> None:
        self.groups[record.group, record.link].failed(record.position.sequence, record.failures, record.reason, record.delay_ms)

    def _source_moved(self, record: SourceMoved) -> None:
        self.links[record.link].generations[record.generation].source = record

    def _producer_opened(self, record: ProducerOpened) -> None:
        self.producers.opened(record.producer, record.epoch)

    def _digest_known(self, record: DigestKnown) -> None:
        """Digests are kept by the store, beside the envelopes."""

    def _dropped(self, record: Dropped) -> None:
        link = self.links[record.link]
        link.next_sequence = max(link.next_sequence, record.last_sequence + 1)
        if not record.generation:
            link.drop_values(record)
            self._pass_over(link, record)
            if record.producer is not None:
                self.producers.dropped(record, record.producer)
            return
        dropped = link.generations.pop(record.generation, None)
        if record.forgotten:
            link.remembered.pop(record.generation, None)
        elif dropped is not None:
            link.remembered[dropped.number] = Remembered(
                dropped.number, dropped.incarnation, dropped.first_sequence, dropped.last_sequence, dropped.inputs
            )
        link.forget_gone()

    def _pass_over(self, link: Link, record: Dropped) -> None:
        """What was dropped of a generation is done for whoever reads that."""
        for task in self.tasks.values():
            task.pass_over(link, record.first_sequence, record.last_sequence)
        for group in self.groups.values():
            bound = link.generations.get(group.generation) if group.link == link.name else None
            if bound is not None:
                first = max(record.first_sequence, bound.first_sequence)
                last = record.last_sequence if bound.number == link.newest else min(record.last_sequence, bound.last_sequence)
                left = group.cursor.left(last)
                group.settle([(first, last)] if first <= last else [])
                group.lost_values += left - group.cursor.left(last)

    def _hold_placed(self, record: HoldPlaced) -> None:
        self.holds[record.name] = record

    def _hold_released(self, record: HoldReleased) -> None:
        self.holds.pop(record.name, None)

    def _home_started(self, record: HomeStarted) -> None:
        self.boot, self.weak_links = record.boot, record.weak_links

    def _forget_executions(self) -> None:
        """Of tasks that are not in the file any more, and of which nothing is left that their ids could be mistaken for."""
        if len(self.executions) <= TASK_NAMES_KEPT:
            return
        makers = {generation.task for link in self.links.values() for generation in link.generations.values()}
        for name in list(self.executions):
            if len(self.executions) > TASK_NAMES_KEPT and name not in self.shapes and name not in makers:
                del self.executions[name]


def no_link(name: str, links: Iterable[str]) -> LinkNotFound:
    """The error for a name that no link has, with what there is."""
    known = sorted(links)
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"; did you mean `{near[0]}`?" if near else ""
    shown = ", ".join(known[:_LINKS_SHOWN]) + (", ..." if len(known) > _LINKS_SHOWN else "")
    return LinkNotFound(f"there is no link `{name}`{meant} (links: {shown or 'none yet'})")


_LINKS_SHOWN = 20

_APPLY: dict[type, Callable[[Ledger, Any], None]] = {
    RunBegan: Ledger._run_began,
    RunEnded: Ledger._run_ended,
    LinkOpened: Ledger._link_opened,
    SchemaKept: Ledger._schema_kept,
    GenerationBegan: Ledger._generation_began,
    GenerationEnded: Ledger._generation_ended,
    GenerationReopened: Ledger._generation_reopened,
    TaskBegan: Ledger._task_began,
    TaskResumed: Ledger._task_resumed,
    TaskEnded: Ledger._task_ended,
    ValueStored: Ledger._value_stored,
    SnapshotLeased: Ledger._snapshot_leased,
    SnapshotFailed: Ledger._snapshot_failed,
    SnapshotCommitted: Ledger._snapshot_committed,
    PolicySaved: Ledger._policy_saved,
    GroupOpened: Ledger._group_opened,
    GroupMoved: Ledger._group_moved,
    GroupLeased: Ledger._group_leased,
    GroupFailed: Ledger._group_failed,
    SourceMoved: Ledger._source_moved,
    ProducerOpened: Ledger._producer_opened,
    DigestKnown: Ledger._digest_known,
    Dropped: Ledger._dropped,
    HomeStarted: Ledger._home_started,
    HoldPlaced: Ledger._hold_placed,
    HoldReleased: Ledger._hold_released,
}
