"""The state of a home, and what each record of the journal does to it.

`Ledger.apply` is the one meaning of every record: it is called when a frame is decided and again, for the same records in the same order,
when the journal is read after a restart. `Ledger.durable` is called when a frame is on disk: only then may its values and seals be told.
Decisions (`core.publishing`, `core.commits`, `core.runs`) read the ledger and return records; they change nothing themselves.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from linkd.core.cursor import Cursor
from linkd.core.groups import Group
from linkd.core.links import Generation, GenerationState, Link
from linkd.core.tasks import Lease, Task, TaskShape
from linkd.errors import LinkNotFound, StateDamaged
from linkd.model.records import (
    DigestKnown,
    Dropped,
    GenerationBegan,
    GenerationEnd,
    GenerationEnded,
    GenerationReopened,
    GroupLeased,
    GroupMoved,
    GroupOpened,
    LinkOpened,
    PolicySaved,
    Record,
    RunBegan,
    RunEnded,
    SchemaKept,
    SnapshotCommitted,
    SnapshotLeased,
    SourceMoved,
    TaskBegan,
    TaskEnded,
    TaskResumed,
    ValueStored,
)


@dataclass(slots=True)
class Ledger:
    """Everything a home knows, in memory: a few hundred bytes a link, a task, a group; nothing per value.

    `schemas` has messages by id. `executions` counts the starts of every task there ever was: a task that was taken out of the file and is
    put back goes on counting, for ids are made from it.
    """

    shapes: Mapping[str, TaskShape] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    schemas: dict[bytes, bytes] = field(default_factory=dict)
    executions: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    last_token: int = 0
    run: RunBegan | None = None
    run_outcome: str = ""

    def link(self, name: str) -> Link:
        """The link of that name. LinkNotFound names what there is."""
        found = self.links.get(name)
        if found is None:
            raise no_link(name, self.links)
        return found

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
                generation = link.generations[record.generation]
                if record.end is GenerationEnd.SEALED and generation.sealed_sequence == record.last_sequence:
                    generation.seal_durable = True
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
            link.incarnation, link.next_sequence = record.incarnation, record.first_sequence

    def _schema_kept(self, record: SchemaKept) -> None:
        generation = self.links[record.link].current
        if generation is None:
            raise StateDamaged(f"the journal keeps a schema for {record.link} before its first generation")
        generation.schema_id, generation.schema, generation.declared = record.schema_id, record.schema, record.declared
        self.schemas[record.schema_id] = record.schema

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
        self.links[record.link].generations[record.generation].state = GenerationState.GROWING

    def _task_began(self, record: TaskBegan) -> None:
        self.executions[record.task] = record.execution
        task = self.tasks.get(record.task)
        if task is None:
            shape = self.shapes.get(record.task)
            if shape is None:  # a task of an earlier pipeline file: its history stays, it can do nothing
                return
            task = self.tasks[record.task] = Task(shape)
        known = {name: number for name, number in record.inputs.items() if name in self.links}
        task.begin(record.execution, record.version, known, record.outputs, self.links)

    def _task_resumed(self, record: TaskResumed) -> None:
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.ended, task.version = False, record.version

    def _task_ended(self, record: TaskEnded) -> None:
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.ended = True
            task.leases.clear()

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

    def _snapshot_leased(self, record: SnapshotLeased) -> None:
        self.last_token = max(self.last_token, record.token)
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.leases[record.snapshot_id] = Lease(record.snapshot_id, record.token, record.attempt, record.portions, None)

    def _snapshot_committed(self, record: SnapshotCommitted) -> None:
        task = self.tasks.get(record.task)
        if task is not None and task.execution == record.execution:
            task.remember(record)

    def _policy_saved(self, record: PolicySaved) -> None:
        """No policy of this version keeps state between snapshots."""

    def _group_opened(self, record: GroupOpened) -> None:
        self.groups[record.group, record.link] = Group(
            record.group, record.link, record.incarnation, record.generation, Cursor(record.done_sequence)
        )

    def _group_moved(self, record: GroupMoved) -> None:
        cursor = Cursor.of(record.done_sequence, record.ahead)
        self.groups[record.group, record.link].move(record.incarnation, record.generation, cursor)

    def _group_leased(self, record: GroupLeased) -> None:
        self.last_token = max(self.last_token, record.token)
        self.groups[record.group, record.link].leased(record.position.sequence, record.token, record.attempt)

    def _source_moved(self, record: SourceMoved) -> None:
        self.links[record.link].generations[record.generation].source = record

    def _digest_known(self, record: DigestKnown) -> None:
        """Digests are kept by the store, beside the envelopes."""

    def _dropped(self, record: Dropped) -> None:
        link = self.links[record.link]
        link.next_sequence = max(link.next_sequence, record.last_sequence + 1)


def no_link(name: str, links: Iterable[str]) -> LinkNotFound:
    """The error for a name that no link has, with what there is."""
    known = sorted(links)
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    shown = ", ".join(known[:_LINKS_SHOWN]) + (", ..." if len(known) > _LINKS_SHOWN else "")
    return LinkNotFound(f"there is no link {name}{meant} (links: {shown or 'none yet'})")


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
    SnapshotCommitted: Ledger._snapshot_committed,
    PolicySaved: Ledger._policy_saved,
    GroupOpened: Ledger._group_opened,
    GroupMoved: Ledger._group_moved,
    GroupLeased: Ledger._group_leased,
    SourceMoved: Ledger._source_moved,
    DigestKnown: Ledger._digest_known,
    Dropped: Ledger._dropped,
}
