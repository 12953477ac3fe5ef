"""One task with the inputs a test names, as pure decisions: values arrive, are synced and sealed, snapshots are leased, committed, given back.

A crash is what it is on disk: frames behind the last sync are gone, and the rest is read again through its codec.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from linkd.core import commits
from linkd.core.commits import CommitRequest
from linkd.core.ledger import Ledger
from linkd.core.publishing import UNPLACED
from linkd.core.tasks import Again, End, Offer, Task, TaskShape, Wait
from linkd.model.records import (
    GenerationBegan,
    GenerationEnd,
    GenerationEnded,
    LinkOpened,
    Record,
    RunBegan,
    SchemaKept,
    SnapshotCommitted,
    SnapshotLeased,
    TaskBegan,
    TaskKind,
    ValueStored,
)
from linkd.model.values import Envelope, Parent, Position
from linkd.wire.frames import decode_frame, encode_frame

OUTPUT = "out"
Unit = tuple[int, int | None]
"""A row of a value, or None for a value that has none."""


@dataclass(slots=True)
class Composing:
    """The task `t` reads `inputs` (link, policy) and writes `out`. `rows` has those of every value that arrived, by link."""

    inputs: tuple[tuple[str, str], ...]
    follow: bool = False
    ledger: Ledger = field(init=False)
    frames: list[tuple[Record, ...]] = field(default_factory=list)
    synced: int = 0
    asked: int = 0

    def __post_init__(self) -> None:
        self.ledger = self._empty()
        links = (*(link for link, _ in self.inputs), OUTPUT)
        records: list[Record] = [RunBegan(1, "run", 0, True, follow=self.follow)]
        for link in links:
            records += [LinkOpened(link, 1, 1, 0), GenerationBegan(link, 1, 1, 1, "", ""), SchemaKept(link, b"s", b"schema")]
        self.admit(*records)
        self.begin()
        self.sync()

    @property
    def task(self) -> Task:
        return self.ledger.tasks["t"]

    def admit(self, *records: Record) -> None:
        self.ledger.apply(records)
        self.frames.append(records)

    def begin(self, **extents: int) -> None:
        """The next execution, of the same generations."""
        execution = self.ledger.executions.get("t", 0) + 1
        self.admit(TaskBegan("t", execution, "v", {link: 1 for link, _ in self.inputs}, {OUTPUT: 1}, extents))

    def arrive(self, link: str, *rows: int) -> None:
        """Values of so many rows, one frame each."""
        for count in rows:
            sequence = self.ledger.links[link].next_sequence
            identity = b"%s %d" % (link.encode(), sequence)
            self.admit(ValueStored(Envelope(identity, link, Position(1, sequence), 1, count, 10, b"s", 0, 0), UNPLACED))

    def seal(self, link: str) -> None:
        self.admit(GenerationEnded(link, 1, GenerationEnd.SEALED, self.ledger.links[link].next_sequence - 1))

    def is_sealed(self, link: str) -> bool:
        return self.ledger.links[link].generations[1].sealed_sequence is not None

    def sync(self, count: int | None = None) -> None:
        """So many frames more are on disk; all of them by default."""
        end = len(self.frames) if count is None else min(len(self.frames), self.synced + count)
        for frame in self.frames[self.synced : end]:
            self.ledger.durable(frame)
        self.synced = end

    def crash(self) -> None:
        del self.frames[self.synced :]
        self.ledger = self._empty()
        for frame in self.frames:
            self.ledger.restore(decode_frame(encode_frame(frame)))
        self.ledger.last_token += 1000

    def next(self) -> Offer | Wait | End:
        """What the task is told, asked as often as it takes."""
        while isinstance(found := self.task.next_snapshot(self.ledger.links, follow=self.follow, rows=self), Again):
            self.asked += 1
        return found

    def lease(self, offer: Offer | None = None) -> SnapshotLeased:
        """Hands out what comes next; the record of a composition that depends on arrival is synced first, as the home does."""
        found = offer or self.next()
        assert isinstance(found, Offer), found
        record = commits.lease(self.ledger, self.task, found)
        self.admit(record)
        self.task.leases[record.snapshot_id].session = 1
        if found.recorded:
            self.sync()
        return record

    def give_back(self, lease: SnapshotLeased) -> None:
        self.task.leases[lease.snapshot_id].session = None

    def commit(self, lease: SnapshotLeased) -> None:
        self.admit(*commits.commit(self.ledger, CommitRequest("t", lease.snapshot_id, lease.token, (), 0), 0))

    def rows(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        """The rows of values, as the catalog has them."""
        contents = self.contents(link)
        for sequence in range(first_sequence, last_sequence + 1):
            yield sequence, contents[sequence - 1]

    def contents(self, link: str) -> list[int]:
        """The rows of each value of the link that arrived and was not lost."""
        stored = (record.envelope for frame in self.frames for record in frame if isinstance(record, ValueStored))
        return [envelope.rows for envelope in stored if envelope.link == link]

    def units(self, portion: Parent) -> list[Unit]:
        """What a portion holds, row by row."""
        contents, found = self.contents(portion.link), []
        for sequence in range(portion.first_sequence, portion.last_sequence + 1):
            rows = contents[sequence - 1]
            first = portion.first_row if sequence == portion.first_sequence else 0
            end = portion.end_row if portion.end_row and sequence == portion.last_sequence else rows
            found += [(sequence, row) for row in range(first, end)] or [(sequence, None)]
        return found

    def held(self, lease: SnapshotLeased | Offer) -> tuple[list[Unit], ...]:
        return tuple(self.units(portion) for portion in lease.portions)

    def _empty(self) -> Ledger:
        return Ledger(shapes={"t": TaskShape("t", TaskKind.RUN, self.inputs, (OUTPUT,))})


def values(lease: SnapshotLeased | SnapshotCommitted) -> tuple[tuple[int, int], ...]:
    """The first and last value of each portion."""
    return tuple((portion.first_sequence, portion.last_sequence) for portion in lease.portions)
