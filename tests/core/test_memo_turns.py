"""Snapshots whose outcome is known, or being made, stand by: against a model that knows what each of them holds and what was made of it before."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure_home import PureHome, draft, request

from linkd.core import commits
from linkd.core.ledger import Ledger
from linkd.core.links import LinkShape
from linkd.core.snapshot_leases import Lease, MemoState
from linkd.core.tasks import Ask, End, Offer, Recall, Task, TaskShape
from linkd.model.records import SnapshotLeased, TaskKind
from linkd.model.terms import Order, TaskTerms

SESSIONS = (1, 2)


@dataclass
class Memory:
    """A task over values of these contents. `ran` are the contents that a program made, in order; `settled` the values that are done."""

    order: Order
    contents: list[int]
    known: set[int]
    ran: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    held: dict[int, list[SnapshotLeased]] = field(default_factory=lambda: {session: [] for session in SESSIONS})

    def __post_init__(self) -> None:
        shape = TaskShape("work", TaskKind.RUN, (("numbers", "each"),), ("made",), TaskTerms(order=self.order))
        self.home = PureHome(Ledger(shapes={"work": shape}))
        for n, _ in enumerate(self.contents):
            self.home.publish(draft("numbers", n))
        self.home.begin(links=(LinkShape("numbers", ""), LinkShape("made", "work")))
        for session in SESSIONS:
            self.task.holders.join(session, says_started=True)

    @property
    def task(self) -> Task:
        return self.home.task("work")

    def content(self, lease: Lease | SnapshotLeased) -> int:
        return self.contents[lease.portions[0].first_sequence - 1]

    def is_worked_at(self, mine: Lease) -> bool:
        others = (lease for lease in self.task.leases.values() if lease is not mine and lease.memo is MemoState.UNKNOWN)
        return any(self.content(lease) == self.content(mine) and (lease.session is not None or not lease.token) for lease in others)

    def take(self, session: int) -> bool:
        """What a session does when something has changed: whether it did anything."""
        for lease in self.task.leases.values():
            if lease.memo is MemoState.AWAITED and not self.is_worked_at(lease):
                lease.memo = MemoState.UNASKED
        decision = self.task.next_snapshot(self.home.ledger.links, session=session)
        if not self.task.holders.may_take(session) or not isinstance(decision, Ask | Recall | Offer):
            return False
        match decision:
            case Ask(lease):
                is_known = self.content(lease) in self.known
                lease.memo = MemoState.AWAITED if self.is_worked_at(lease) else MemoState.KNOWN if is_known else MemoState.UNKNOWN
            case Recall(lease):
                assert self.content(lease) in self.known
                offer = Offer(lease.snapshot_id, 1, lease.portions)
                self.settle(self.admit(commits.lease(self.home.ledger, self.task, offer)))
            case Offer() if decision.snapshot_id not in self.task.leases:
                self.home.admit([commits.put_together(self.task, decision)])
                self.task.leases[decision.snapshot_id].memo = MemoState.UNASKED
            case Offer():
                record = self.admit(commits.lease(self.home.ledger, self.task, decision))
                lease = self.task.leases[record.snapshot_id]
                assert lease.memo is MemoState.UNKNOWN
                lease.session = session
                self.held[session].append(record)
        return True

    def admit(self, record: SnapshotLeased) -> SnapshotLeased:
        self.home.admit([record])
        return record

    def settle(self, record: SnapshotLeased) -> None:
        self.home.admit(commits.commit(self.home.ledger, request(record), 0))
        self.settled.append(record.portions[0].first_sequence)
        self.known.add(self.content(record))

    def commit(self, session: int) -> None:
        if self.held[session]:
            record = self.held[session].pop(0)
            self.ran.append(self.content(record))
            self.settle(record)

    def fail(self, session: int) -> None:
        """The oldest is given back, and what the session has reserved behind it."""
        mine = self.held[session]
        if mine:
            record = mine.pop(0)
            self.task.holders.start(session, record.snapshot_id, record.token, 0.0)
            self.task.holders.give_back(session, record.snapshot_id, record.token, untried=False)
        for taken in self.task.holders.to_tell(session):
            mine[:] = [record for record in mine if record.token != taken.token]
            self.task.holders.give_back(session, taken.snapshot_id, taken.token, untried=True)


@pytest.mark.parametrize("order", [Order.LINK, Order.NONE])
@given(
    contents=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    known=st.sets(st.integers(0, 4), max_size=3),
    steps=st.lists(st.tuples(st.sampled_from(("take", "take", "commit", "fail")), st.sampled_from(SESSIONS)), max_size=60),
)
def test_everything_is_settled_once_in_its_turn_and_nothing_known_is_made(
    order: Order, contents: list[int], known: set[int], steps: list[tuple[str, int]]
) -> None:
    memory = Memory(order, contents, set(known))
    for what, session in steps:
        getattr(memory, what)(session)
    for _ in range(20 * len(contents)):
        for session in SESSIONS:
            while memory.take(session):
                pass
            memory.commit(session)
    assert isinstance(memory.task.next_snapshot(memory.home.ledger.links), End)
    assert sorted(memory.settled) == list(range(1, len(contents) + 1))
    assert order is not Order.LINK or memory.settled == sorted(memory.settled)
    assert not known & set(memory.ran)
    if not any(what == "fail" for what, _ in steps):
        assert sorted(memory.ran) == sorted(set(contents) - known), "each content once: others waited for it"
