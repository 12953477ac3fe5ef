"""A home without an edge: a ledger, and an `admit` that applies records and calls them durable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from linkd.core import commits, publishing, runs
from linkd.core.commits import CommitRequest
from linkd.core.ids import request_fingerprint
from linkd.core.ledger import Ledger
from linkd.core.links import LinkShape
from linkd.core.publishing import Draft, Maker
from linkd.core.runs import RunPlan
from linkd.core.tasks import Offer, Task, TaskShape
from linkd.model.records import Record, SnapshotLeased, SourceMoved, TaskKind
from linkd.model.values import Envelope

LINKS = (
    LinkShape("numbers", ""),
    LinkShape("names", "from:names"),
    LinkShape("names.rejects", "from:names"),
    LinkShape("doubled", "double"),
    LinkShape("total", "sum_up"),
)
TASKS = {
    shape.name: shape
    for shape in (
        TaskShape("from:names", TaskKind.SOURCE, (), ("names", "names.rejects")),
        TaskShape("double", TaskKind.RUN, (("numbers", "each"),), ("doubled",)),
        TaskShape("sum_up", TaskKind.RUN, (("doubled", "whole"), ("names", "whole")), ("total",)),
        TaskShape("to:total", TaskKind.SINK, (("total", "whole"),), ()),
    )
}
SCHEMA = (b"1" * 16, b"schema one")
OTHER = (b"2" * 16, b"schema two")


def draft(link: str, payload: int = 1, schema: tuple[bytes, bytes] = SCHEMA, widens: bytes = b"") -> Draft:
    return Draft(link, rows=10, size_bytes=100, schema_id=schema[0], schema=schema[1], payload_xxh3=payload, widens=widens)


def step(link: str, position: int, *, final: bool = False, rows_read: int | None = None) -> SourceMoved:
    rows = position if rows_read is None else rows_read
    return SourceMoved(link, 1, position.to_bytes(4, "big"), "digest", rows, 0, final)


@dataclass(slots=True)
class PureHome:
    """What the edge does, in the smallest form. Frames are durable at once unless `disk_is_slow`."""

    ledger: Ledger = field(default_factory=lambda: Ledger(shapes=TASKS))
    frames: list[Sequence[Record]] = field(default_factory=list)
    disk_is_slow: bool = False
    now_ns: int = 1_000

    def admit(self, records: Sequence[Record]) -> Sequence[Record]:
        self.ledger.apply(records)
        self.frames.append(records)
        if not self.disk_is_slow:
            self.ledger.durable(records)
        return records

    def begin(self, *, fresh: bool = True, links: Sequence[LinkShape] = LINKS, again: frozenset[str] = frozenset()) -> Sequence[Record]:
        self.ledger.epoch += 1
        epoch = self.ledger.epoch
        return self.admit(
            runs.begin(
                self.ledger, RunPlan(f"run {epoch}", epoch, fresh, "because", links, list(self.ledger.shapes.values()), again=again), 0
            )
        )

    def publish(self, *drafts: Draft) -> list[Envelope]:
        if drafts[0].link not in self.ledger.links:
            self.admit(publishing.open_link(drafts[0].link, self.now_ns))
        self.now_ns += 1
        entropy = b"".join(len(self.frames).to_bytes(5, "big") + n.to_bytes(5, "big") for n in range(len(drafts)))
        return envelopes(self.admit(publishing.publish(self.ledger, drafts, Maker(), self.now_ns, entropy)))

    def source_step(self, moved: SourceMoved, *drafts: Draft) -> Sequence[Record]:
        return self.admit(publishing.source_step(self.ledger, moved.link, drafts, moved, Maker("from:names", "v"), self.now_ns))

    def task(self, name: str) -> Task:
        return self.ledger.tasks[name]

    def offer(self, name: str) -> Offer:
        decision = self.task(name).next_snapshot(self.ledger.links)
        assert isinstance(decision, Offer), decision
        return decision

    def lease(self, name: str, session: int = 1) -> SnapshotLeased:
        """Hands out what comes next to that session."""
        record = commits.lease(self.ledger, self.task(name), self.offer(name))
        self.admit([record])
        self.task(name).leases[record.snapshot_id].session = session
        return record

    def commit(self, lease: SnapshotLeased, *drafts: Draft, final: bool = False) -> Sequence[Record]:
        return self.admit(commits.commit(self.ledger, request(lease, *drafts, final=final), self.now_ns))

    def restarted(self) -> PureHome:
        """Everything read again from the frames."""
        again = PureHome(Ledger(shapes=self.ledger.shapes))
        for frame in self.frames:
            again.ledger.restore(frame)
            again.frames.append(frame)
        return again


def request(lease: SnapshotLeased, *drafts: Draft, final: bool = False) -> CommitRequest:
    fingerprint = request_fingerprint((one.payload_xxh3 for one in drafts), final)
    return CommitRequest(lease.task, lease.snapshot_id, lease.token, drafts, fingerprint, final)


def envelopes(records: Sequence[Record]) -> list[Envelope]:
    return [record.envelope for record in records if hasattr(record, "envelope")]
