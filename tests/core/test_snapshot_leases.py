"""Who holds which snapshot, against a model that knows only what a reader of the documentation knows.

Sessions come, take, begin, renew, commit, give back, hang and go, in any order, through restarts. Whatever they do: there is one good token for a
snapshot at a time and only it commits; every snapshot is settled once, by a commit or a dead letter; its composition never changes; with an order
one session holds snapshots at a time, and none is handed out while an older one waits: with keys one session for each slot, and of the same slot.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pure_home import PureHome, draft, request
from thoroughness import examples

from linkd.core import commits
from linkd.core.checkpoint import keep, restored
from linkd.core.leases import Leases
from linkd.core.ledger import Ledger
from linkd.core.links import LinkShape
from linkd.core.tasks import End, GiveUp, Look, Offer, Task, TaskShape
from linkd.errors import LeaseLost
from linkd.model.records import SnapshotCommitted, SnapshotLeased, TaskKind
from linkd.model.terms import Order, TaskTerms

VALUES = 21
LEASE_S = 10.0
SESSIONS = (1, 2, 3)

Composition = tuple[tuple[int, int], ...]


def compositions(policy: str) -> list[tuple[int, int]]:
    """The first and last value of each snapshot of values 1 to `VALUES`, as the documentation of the policies has it."""
    if policy == "each":
        return [(n, n) for n in range(1, VALUES + 1)]
    assert policy == "[3/2]"
    return [(n, n + 2) for n in range(1, VALUES - 1, 2)]


def slots_of(first: int, last: int) -> frozenset[int]:
    """Of the rows of these values: most have one key, some have two."""
    return frozenset(slot for n in range(first, last + 1) for slot in ((n % 4,) if n % 5 else (n % 4, 3)))


@dataclass
class Client:
    """What one session's client believes: what it was handed, and what of that its program began with."""

    reserved: list[SnapshotLeased] = field(default_factory=list)
    started: list[SnapshotLeased] = field(default_factory=list)


@dataclass
class World:
    """One task in a home, its clients, and what is known from outside."""

    order: Order
    policy: str
    max_attempts: int | None
    home: PureHome = field(init=False)
    deadlines: Leases[bytes] = field(default_factory=Leases)
    clients: dict[int, Client] = field(default_factory=dict)
    now_s: float = 0.0
    newest: dict[bytes, int] = field(default_factory=dict)
    settled: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    old_tokens: list[SnapshotLeased] = field(default_factory=list)

    def __post_init__(self) -> None:
        key = "k" if self.order is Order.KEY else ""
        terms = TaskTerms(order=self.order, key=key, lease_s=LEASE_S, max_attempts=self.max_attempts)
        shape = TaskShape("work", TaskKind.RUN, (("numbers", self.policy),), ("made",), terms)
        self.home = PureHome(Ledger(shapes={"work": shape}))
        for n in range(VALUES):
            self.home.publish(draft("numbers", n))
        self.home.begin(links=(LinkShape("numbers", ""), LinkShape("made", "work")))

    @property
    def task(self) -> Task:
        return self.home.task("work")

    def join(self, session: int) -> None:
        if session not in self.clients:
            self.clients[session] = Client()
            self.task.holders.join(session, says_started=True)

    def leave(self, session: int) -> None:
        if self.clients.pop(session, None) is not None:
            for lease in self.task.holders.leave(session):
                self.deadlines.drop(lease.snapshot_id)
                if lease.tried:
                    self.task.holders.fail(lease, "died")

    def take(self, session: int) -> None:
        client = self.clients.get(session)
        if client is None:
            return
        while isinstance(decision := self.task.next_snapshot(self.home.ledger.links, session=session), Look):
            assert self.order is Order.KEY
            if decision.is_new:
                self.home.admit([commits.put_together(self.task, decision.offer)])
            [portion] = self.task.keyed_portions(decision.offer)
            self.task.looked(decision.offer, slots_of(portion.first_sequence, portion.last_sequence))
        if isinstance(decision, GiveUp):
            self.give_up(decision)
            return
        holders = self.task.holders
        if not isinstance(decision, Offer) or not holders.may_take(session):
            if (recalled := holders.recall_for(session)) is not None:
                assert self.order is not Order.LINK
                self.deadlines.hold(recalled.snapshot_id, self.now_s, holders.lease_s(recalled))
            return
        record = commits.lease(self.home.ledger, self.task, decision)
        self.check_hand_out(session, record)
        before = self.task.leases.get(record.snapshot_id)
        unsaid = [commits.failure(self.task, before)] if before is not None and before.unsaid else []
        self.home.admit([*unsaid, record])
        self.task.leases[record.snapshot_id].session = session
        self.newest[record.snapshot_id] = record.token
        self.old_tokens.append(record)
        client.reserved.append(record)

    def check_hand_out(self, session: int, record: SnapshotLeased) -> None:
        [portion] = record.portions
        assert (portion.first_sequence, portion.last_sequence) in compositions(self.policy)
        assert record.snapshot_id not in self.settled
        before = self.task.leases.get(record.snapshot_id)
        assert before is None or before.session is None, "it is somebody else's"
        assert record.token > max(self.newest.values(), default=0)
        if self.order is Order.LINK:
            assert all(lease.session in (None, session) for lease in self.task.leases.values())
            older = [one for one in self.task.leases.values() if one.portions[0].first_sequence < portion.first_sequence]
            assert all(one.session == session and not one.recalled for one in older), "an older one waits"
        if self.order is Order.KEY:
            mine = slots_of(portion.first_sequence, portion.last_sequence)
            settled = set(self.settled.values())
            for first, last in compositions(self.policy):
                if (first, last) in settled or first == portion.first_sequence or mine.isdisjoint(slots_of(first, last)):
                    continue
                one = next((lease for lease in self.task.leases.values() if lease.portions[0].first_sequence == first), None)
                if first < portion.first_sequence:
                    assert one is not None
                    assert one.session == session, "an older one of its slot waits, or another session has it"
                    assert not one.recalled
                else:
                    assert one is None or one.session in (None, session)

    def give_up(self, decision: GiveUp) -> None:
        assert self.max_attempts is not None
        assert decision.lease.failures == self.max_attempts
        self.settle(self.home.admit(commits.give_up(self.home.ledger, self.task, decision.lease, 1)))

    def settle(self, records: object) -> None:
        for record in records:  # type: ignore[attr-defined]
            if isinstance(record, SnapshotCommitted):
                [portion] = record.portions
                assert record.snapshot_id not in self.settled, "settled twice"
                self.settled[record.snapshot_id] = portion.first_sequence, portion.last_sequence
                self.deadlines.drop(record.snapshot_id)

    def start(self, session: int) -> None:
        client = self.clients.get(session)
        if client is None or not client.reserved:
            return
        record = client.reserved.pop(0)
        client.started.append(record)
        lease = self.task.holders.start(session, record.snapshot_id, record.token, self.now_s)
        if lease is not None:
            self.deadlines.hold(record.snapshot_id, self.now_s, self.task.holders.lease_s(lease))

    def hear(self, session: int) -> None:
        """The client reads what it is told: what its program has not begun with goes back."""
        client = self.clients.get(session)
        for taken in self.task.holders.to_tell(session) if client is not None else ():
            for record in [one for one in client.reserved if one.token == taken.token]:  # type: ignore[union-attr]
                client.reserved.remove(record)  # type: ignore[union-attr]
                self.give_back(session, record, untried=True)

    def give_back(self, session: int, record: SnapshotLeased, *, untried: bool) -> None:
        lease = self.task.holders.give_back(session, record.snapshot_id, record.token, untried=untried)
        if lease is not None:
            self.deadlines.drop(record.snapshot_id)
            for other in self.task.leases.values():
                if other.session == session and other.started_s is None and other.beginning > lease.beginning:
                    tied = self.order is Order.LINK or not (other.slots or frozenset()).isdisjoint(lease.slots or ())
                    assert other.recalled or not tied, "what is behind it goes back, too"
            if not untried:
                self.task.holders.fail(lease, "no")
                self.home.admit([commits.failure(self.task, lease)])
            for other in self.task.holders.recalled():
                if other.snapshot_id not in self.deadlines:
                    self.deadlines.hold(other.snapshot_id, self.now_s, LEASE_S)

    def nack(self, session: int) -> None:
        client = self.clients.get(session)
        if client is not None and client.started:
            self.give_back(session, client.started.pop(0), untried=False)

    def renew(self, session: int) -> None:
        client = self.clients.get(session)
        for record in client.started if client is not None else ():
            lease = self.task.holders.renew(session, record.snapshot_id, record.token, self.now_s)
            if lease is not None and not self.deadlines.renew(record.snapshot_id, self.now_s):
                self.deadlines.hold(record.snapshot_id, self.now_s, self.task.holders.lease_s(lease))

    def pass_time(self) -> None:
        self.now_s += LEASE_S * 0.6
        for snapshot_id in self.deadlines.due(self.now_s):
            lease = self.task.leases[snapshot_id]
            was_recalled, session = lease.recalled, lease.session
            if self.task.holders.over(snapshot_id, lease.token) is None:
                continue
            assert session is not None
            assert not self.task.holders.may_take(session), "it hangs"
            assert not [one for one in self.task.leases.values() if one.session == session and one.started_s is None], "what it never began"
            if not was_recalled:
                self.task.holders.fail(lease, "silent")

    def commit(self, session: int) -> None:
        client = self.clients.get(session)
        if client is not None and client.started:
            self.commit_with(client.started.pop(0))

    def commit_late(self, number: int) -> None:
        """With any token that was ever given."""
        if self.old_tokens:
            self.commit_with(self.old_tokens[number % len(self.old_tokens)])

    def commit_with(self, record: SnapshotLeased) -> None:
        good = record.snapshot_id not in self.settled and self.newest[record.snapshot_id] == record.token
        try:
            told = commits.answered(self.task, record.snapshot_id, record.token, request(record, draft("made")).fingerprint)
            if told is None:
                self.settle(self.home.commit(record, draft("made")))
            accepted = True
        except LeaseLost:
            accepted = False
        if record.snapshot_id not in self.settled or good or not accepted:
            assert accepted == good

    def restart(self) -> None:
        """From the frames, and from a checkpoint: nobody holds anything, and what was counted is not forgotten."""
        failures = {lease.snapshot_id: lease.failures for lease in self.task.leases.values() if not lease.unsaid}
        again = self.home.restarted()
        assert restored(keep(again.ledger), again.ledger.shapes) == again.ledger
        again.ledger.last_token += 100
        again.now_ns = self.home.now_ns
        self.home = again
        self.clients.clear()
        self.deadlines = Leases()
        now = {lease.snapshot_id: lease.failures for lease in self.task.leases.values()}
        assert now.keys() >= failures.keys()
        assert all(now[snapshot_id] >= count for snapshot_id, count in failures.items())

    def check(self) -> None:
        for snapshot_id, lease in self.task.leases.items():
            assert lease.token == self.newest.get(snapshot_id, 0)
        if self.order is Order.LINK:
            holders = {lease.session for lease in self.task.leases.values() if lease.session is not None}
            assert len(holders) <= 1
        held = [(slot, lease.session) for lease in self.task.leases.values() if lease.session is not None for slot in lease.slots or ()]
        assert len({slot for slot, _ in held}) == len(set(held)), "two sessions have the same slot"

    def finish(self) -> None:
        """One good session is all it takes to come to the end."""
        for session in SESSIONS:
            self.leave(session)
        self.join(9)
        for _ in range(20 * VALUES):
            if isinstance(self.task.next_snapshot(self.home.ledger.links), End):
                break
            self.take(9)
            self.start(9)
            self.commit(9)
        assert self.task.unread(self.home.ledger.links) == {"numbers": 0}


STEPS = (*["take"] * 10, *["start"] * 6, *["join", "nack", "time", "hear", "commit"] * 4, "renew", "renew", "leave", "late", "restart")

STEPS_OF_A_HISTORY = 160


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("policy", ["each", "[3/2]"])
@settings(max_examples=examples(15))
@given(seed=st.integers(0, 2**32), max_attempts=st.sampled_from((None, 2)))
@example(seed=216, max_attempts=None)
def test_nothing_is_settled_twice_or_out_of_turn(order: Order, policy: str, seed: int, max_attempts: int | None) -> None:
    world = World(order, policy, max_attempts)
    chance = random.Random(seed)  # a choice of hypothesis for each step costs more than the step
    for _ in range(STEPS_OF_A_HISTORY):
        what, session = chance.choice(STEPS), chance.choice((1, 1, 1, 2, 2, 3))
        if what == "time":
            world.pass_time()
        elif what == "late":
            world.commit_late(chance.randrange(len(STEPS)))
        elif what == "restart":
            world.restart()
        else:
            getattr(world, what)(session)
        world.check()
    world.finish()
    assert sorted(world.settled.values()) == compositions(policy)


def test_what_is_asked_back_holds_back_its_slot() -> None:
    world = World(Order.KEY, "each", None)
    for session in SESSIONS:
        world.join(session)
    world.take(1)
    world.start(1)
    world.take(1)
    for _ in range(3):  # 3, 4 and 8, which is behind 4
        world.take(2)
        world.start(2)
    world.take(3)  # finds nothing, and asks for 2
    assert [lease.portions[0].first_sequence for lease in world.task.holders.recalled()] == [2]
    world.take(1)
    assert [record.portions[0].first_sequence for record in world.clients[1].reserved] == [2], (
        "6 is behind 2, which is on its way to another"
    )
    world.hear(1)
    world.take(1)
    assert world.clients[1].reserved == [], "it would be asked for that again, and again"
    world.take(3)
    assert [record.portions[0].first_sequence for record in world.clients[3].reserved] == [2]
    world.check()
    world.finish()
    assert sorted(world.settled.values()) == compositions("each")
