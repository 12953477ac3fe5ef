"""A task as the ledger knows it: where it is in its inputs, which snapshots are on lease, what it has committed.

`Task.next_snapshot` decides what a program that asks gets: the pure heart of snapshots. The policies of this version are *each value in turn*
and *whole*; a task with no inputs gets one empty snapshot per execution.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from linkd.core.cursor import Cursor
from linkd.core.ids import snapshot_id
from linkd.core.links import Link
from linkd.limits import COMMIT_RECORDS_KEPT
from linkd.model.records import SnapshotCommitted, TaskKind
from linkd.model.values import Parent

SOURCE_PREFIX = "from:"
SINK_PREFIX = "to:"
"""Sources and sinks are tasks too, named after their link; the colon keeps them apart from the names that people give."""

EACH = "each"
WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class TaskShape:
    """What the pipeline file says of a task: its kind, its inputs with their policies, its outputs."""

    name: str
    kind: TaskKind
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Every input is `whole`, so there is one snapshot in an execution (as for a task without inputs)."""
        return all(policy == WHOLE for _, policy in self.inputs)


@dataclass(slots=True)
class Lease:
    """A snapshot that was put together. `session` names the connection that holds it, or is None while it waits to be handed out again."""

    snapshot_id: bytes
    token: int
    attempt: int
    portions: tuple[Parent, ...]
    session: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """Hand this out, under a new token."""

    snapshot_id: bytes
    attempt: int
    portions: tuple[Parent, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing now; ask again when a link or a lease of the task has changed."""


@dataclass(frozen=True, slots=True)
class End:
    """No further snapshot can come."""

    reason: str


@dataclass(slots=True)
class Task:
    shape: TaskShape
    execution: int = 0
    version: str = ""
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    ended: bool = False
    cursors: dict[str, Cursor] = field(default_factory=dict)
    leases: dict[bytes, Lease] = field(default_factory=dict)
    committed: OrderedDict[bytes, SnapshotCommitted] = field(default_factory=OrderedDict)
    commits: int = 0
    refused_late: int = 0
    done_rows: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.shape.name

    def begin(self, execution: int, version: str, inputs: Mapping[str, int], outputs: Mapping[str, int], links: Mapping[str, Link]) -> None:
        """A new execution: its cursors stand before the first value of each input's generation."""
        self.execution, self.version, self.ended = execution, version, False
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self.cursors = {link: Cursor(links[link].generations[number].first_sequence - 1) for link, number in inputs.items()}
        self.leases.clear()
        self.committed.clear()
        self.commits = 0
        self.done_rows = dict.fromkeys(inputs, 0)

    def remember(self, commit: SnapshotCommitted) -> None:
        """Takes a commit into the state: its portions are done, its lease is gone, its answer is kept for repeats."""
        self.leases.pop(commit.snapshot_id, None)
        for portion in commit.portions:
            cursor = self.cursors.get(portion.link)
            if cursor is not None and portion.last_sequence >= portion.first_sequence:
                cursor.settle(portion.first_sequence, portion.last_sequence)
        self.commits += 1
        self.committed[commit.snapshot_id] = commit
        while len(self.committed) > COMMIT_RECORDS_KEPT:
            self.committed.popitem(last=False)

    def release(self, session: int) -> list[bytes]:
        """The connection is gone: what it held waits for the next one. Its tokens stay good until then."""
        released = [lease.snapshot_id for lease in self.leases.values() if lease.session == session]
        for identity in released:
            self.leases[identity].session = None
        return released

    def next_snapshot(self, links: Mapping[str, Link]) -> Offer | Wait | End:
        """What to hand out now. Snapshots that were given back come first, oldest first."""
        if self.execution == 0:
            return Wait()
        if self.ended:
            return End("the task is complete")
        waiting = [lease for lease in self.leases.values() if lease.session is None]
        if waiting:
            oldest = min(waiting, key=_first_sequence)
            return Offer(oldest.snapshot_id, oldest.attempt + 1, oldest.portions)
        if self.shape.is_whole:
            return self._next_whole(links)
        return self._next_each(links)

    def _next_whole(self, links: Mapping[str, Link]) -> Offer | Wait | End:
        if self.commits:
            return End("its one snapshot is committed")
        if self.leases:
            return Wait()
        portions: list[Parent] = []
        for name, _ in self.shape.inputs:
            link = links[name]
            generation = link.generations[self.inputs[name]]
            if not generation.seal_durable:
                return Wait()
            portions.append(generation.extent(name))
        return Offer(snapshot_id(self.name, self.execution, portions), 1, tuple(portions))

    def _next_each(self, links: Mapping[str, Link]) -> Offer | Wait | End:
        [(name, _)] = self.shape.inputs
        link = links[name]
        generation = link.generations[self.inputs[name]]
        taken = {portion.first_sequence for lease in self.leases.values() for portion in lease.portions}
        cursor = self.cursors[name]
        sequence = cursor.next_after(taken, link.readable_last(generation))
        if sequence is not None:
            portion = Parent(name, generation.incarnation, generation.number, sequence, sequence)
            return Offer(snapshot_id(self.name, self.execution, (portion,)), 1, (portion,))
        if generation.seal_durable and cursor.all_done(generation.end_sequence):
            return End(f"{name} is sealed, and all of it is done")
        return Wait()

    def unread(self, links: Mapping[str, Link]) -> dict[str, int]:
        """Values of each input that are not done, as far as is known now."""
        left: dict[str, int] = {}
        for name, number in self.inputs.items():
            generation = links[name].generations[number]
            left[name] = self.cursors[name].left(generation.end_sequence)
        return left


def _first_sequence(lease: Lease) -> tuple[int, ...]:
    return tuple(portion.first_sequence for portion in lease.portions)
