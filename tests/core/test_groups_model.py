"""Random lives of a consumer group against a model of its clients: nobody settles what another one has, order holds, nothing is left or done twice.

The model knows nothing of lines and slots: it has what each client was sent, what its program works on, and what was settled. It keeps DESIGN's
promises in mind alone: see `program_takes`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import examples

from linkd.core.group_leases import GiveUp, GroupOffer, Look
from linkd.core.group_terms import AskedTerms, GroupTerms
from linkd.core.groups import Group
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, Link
from linkd.model.records import GroupFailed, GroupLeased, GroupMoved, GroupOpened, Record
from linkd.model.terms import Order
from linkd.model.values import Position

LEASE_S = 10.0
MAX_ATTEMPTS = 3
SLOTS = [(n % 3,) if n % 7 else (0, 1) for n in range(1, 400)]
"""Of each value from 1 on: mostly one of three, sometimes two."""


@dataclass
class Client:
    """A member as its own process sees it: tokens that wait for the program, and those it works on, each with its sequence."""

    inbox: list[tuple[int, int]] = field(default_factory=list)
    working: dict[int, int] = field(default_factory=dict)


class GroupLife:
    """One life, in steps that chance chooses."""

    def __init__(self, order: Order, attempts: int | None, seed: int) -> None:
        self.random = random.Random(seed)
        self.order = order
        self.terms = GroupTerms(order, "k" if order is Order.KEY else "", LEASE_S, 60.0, attempts)
        self.records: list[Record] = []
        self.ledger = self.ledger_with_link(0)
        asked = AskedTerms.of(self.terms)
        self.admit(GroupOpened("g", "l", 1, 1, 0, False, asked.order, asked.key, asked.lease_ms, asked.timeout_ms, asked.max_attempts))
        self.values = 0
        self.now_s = 100.0
        self.sessions = 0
        self.clients: dict[int, Client] = {}
        self.done: set[int] = set()
        self.dead: set[int] = set()
        self.tokens: dict[int, list[int]] = {}
        self.publish()
        self.join()
        self.join()

    def ledger_with_link(self, values: int) -> Ledger:
        ledger = Ledger()
        link = Link("l", 1, values + 1, values, newest=1)
        link.generations[1] = Generation(1, 1, 1, values, "", "", values=values)
        ledger.links["l"] = link
        return ledger

    @property
    def group(self) -> Group:
        return self.ledger.groups["g", "l"]

    @property
    def link(self) -> Link:
        return self.ledger.links["l"]

    def admit(self, record: Record) -> None:
        self.ledger.apply([record])
        self.records.append(record)

    def slots(self, sequence: int) -> set[int]:
        return {Order.LINK: {0}, Order.NONE: set()}.get(self.order, set(SLOTS[sequence - 1]))

    # -- what happens -------------------------------------------------------------------------------------------------------------------------

    def publish(self) -> None:
        count = self.random.randint(1, 6)
        self.values += count
        self.link.next_sequence += count
        self.link.durable_sequence += count
        self.link.generations[1].last_sequence += count

    def join(self) -> None:
        if len(self.clients) == 3:
            return
        self.sessions += 1
        self.clients[self.sessions] = Client()
        self.group.join(self.sessions)

    def send(self) -> None:
        if self.clients:
            session = self.random.choice(list(self.clients))
            for _ in range(self.random.randint(1, 5)):
                self.serve(session)

    def serve(self, session: int) -> bool:
        """What the home does for one member, once. Whether something went out or was settled."""
        self.group.expire(self.now_s)
        decision = self.group.next_value(session, self.link, self.now_s)
        while isinstance(decision, Look):
            self.group.looked(decision.sequence, SLOTS[decision.sequence - 1])
            decision = self.group.next_value(session, self.link, self.now_s)
        if isinstance(decision, GiveUp):
            assert decision.sequence not in self.done | self.dead
            assert self.group.leases[decision.sequence].failures >= MAX_ATTEMPTS
            self.group.hold(decision.sequence, session, sent=False)
            self.dead.add(decision.sequence)
            self.settle(decision.sequence)
            return True
        if isinstance(decision, GroupOffer):
            sequence = decision.sequence
            assert sequence not in self.done | self.dead
            known = self.group.leases.get(sequence)
            token = self.ledger.last_token + 1
            failures, reason = (known.failures, known.reason) if known else (0, "")
            self.admit(GroupLeased("g", "l", Position(1, sequence), token, decision.attempt, failures, reason))
            self.group.hold(sequence, session)
            self.tokens.setdefault(sequence, []).append(token)
            self.clients[session].inbox.append((token, sequence))
            return True
        self.group.spare(session)
        return False

    def settle(self, sequence: int) -> None:
        self.admit(GroupMoved("g", "l", 1, 1, 0, 0, settled=((sequence, sequence),)))

    def program_takes(self) -> None:
        """Whatever is before the value, in one of its slots, is settled, or in the hands of the same program."""
        sessions = [session for session, client in self.clients.items() if client.inbox]
        if not sessions:
            return
        session = self.random.choice(sessions)
        client = self.clients[session]
        self.hear(session)
        if not client.inbox:
            return
        token, sequence = client.inbox.pop(0)
        client.working[token] = sequence
        self.group.started(session, token, self.now_s)
        if self.group.holds(sequence, token) and self.group.leases[sequence].session == session:
            before = {earlier for earlier in range(1, sequence) if self.slots(earlier) & self.slots(sequence)}
            assert before <= self.done | self.dead | set(client.working.values())

    def hear(self, session: int) -> None:
        """The client is told what is asked back, and drops what its program has not seen."""
        member, client = self.group.members[session], self.clients[session]
        if member.recalls:
            asked, member.recalls = set(member.recalls), []
            dropped = [token for token, _ in client.inbox if token in asked]
            client.inbox = [one for one in client.inbox if one[0] not in asked]
            self.group.released(session, dropped)

    def program_settles(self) -> None:
        """An ack, or a nack with a delay: accepted only under the newest token."""
        delay_s = self.random.choice([None, 0.0, 5.0])
        sessions = [session for session, client in self.clients.items() if client.working]
        if not sessions:
            return
        session = self.random.choice(sessions)
        client = self.clients[session]
        token = self.random.choice(sorted(client.working))
        sequence = client.working.pop(token)
        newest = self.tokens[sequence][-1] == token and sequence not in self.done | self.dead
        assert self.group.holds(sequence, token) == newest
        if not newest:
            self.group.refuse_late(sequence)
            return
        if delay_s is None:
            self.done.add(sequence)
            self.settle(sequence)
            return
        lease = self.group.leases[sequence]
        failures = lease.failures + (lease.session is not None)
        self.admit(GroupFailed("g", "l", Position(1, sequence), failures, "no"))
        recalled = self.group.give_back(sequence, self.now_s + delay_s)
        self.group.members[session].recalls += recalled

    def member_dies(self) -> None:
        if self.clients:
            session = self.random.choice(list(self.clients))
            del self.clients[session]
            self.group.leave(session, counts=self.random.random() < 0.5)

    def time_passes(self) -> None:
        """Some processes are alive and renew."""
        for session in self.clients:
            if self.random.random() < 0.7:
                self.group.renew(session, self.now_s)
        self.now_s += self.random.choice([1.0, 4.0, LEASE_S])
        self.group.expire(self.now_s)

    def home_restarts(self) -> None:
        """Its connections are gone; what the journal said is known."""
        self.ledger = self.ledger_with_link(self.values)
        self.ledger.apply(self.records)
        self.clients.clear()

    # -- what holds ---------------------------------------------------------------------------------------------------------------------------

    def one_token_of_a_value_is_good_at_most(self) -> None:
        for sequence, tokens in self.tokens.items():
            good = [token for token in tokens if self.group.holds(sequence, token)]
            assert good in ([], tokens[-1:])
            assert not (good and sequence in self.done | self.dead)

    def live(self, steps: int) -> None:
        """So many steps, and then the end: whatever happened, one member that works gets all that is left, and nothing else."""
        often = [self.send] * 6 + [self.program_takes] * 6 + [self.program_settles] * 6
        seldom = [self.publish, self.join, self.join, self.member_dies, self.time_passes, self.time_passes]
        for number in range(steps):
            self.random.choice(often + seldom if number % 40 else [self.home_restarts, self.join])()
            self.one_token_of_a_value_is_good_at_most()
        self.end()

    def end(self) -> None:
        for session in list(self.clients):
            self.group.leave(session, counts=False)
        self.clients.clear()
        self.now_s += 1_000.0
        self.join()
        session, client = self.sessions, self.clients[self.sessions]
        while self.serve(session):
            for token, sequence in client.inbox:
                self.group.started(session, token, self.now_s)
                self.done.add(sequence)
                self.settle(sequence)
            client.inbox.clear()
        assert not self.group.leases
        assert self.group.cursor.all_done(self.values)


@settings(max_examples=examples(150))
@given(order=st.sampled_from(list(Order)), attempts=st.sampled_from([None, MAX_ATTEMPTS]), seed=st.integers(0, 2**32))
def test_whatever_happens_values_are_settled_once_in_order_by_who_has_them(order: Order, attempts: int | None, seed: int) -> None:
    life = GroupLife(order, attempts, seed)
    life.live(160)
    assert not life.done & life.dead
    assert life.done | life.dead == set(range(1, life.values + 1))
