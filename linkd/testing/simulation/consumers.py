"""Consumer groups and their members: what a member does is what `home.subscriptions` does for it, one step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from linkd.core.dead_letters import Letter, bury, dead_link, opening
from linkd.core.group_leases import GiveUp, GroupOffer, Look
from linkd.core.group_start import EARLIEST, LATEST, place_of
from linkd.core.group_terms import AskedTerms
from linkd.core.groups import Group
from linkd.core.links import Link
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen
from linkd.model.records import GroupFailed, GroupLeased, GroupMoved, GroupOpened, Record
from linkd.model.terms import Order
from linkd.model.values import Durability, Parent, Position
from linkd.store.committer import Committed
from linkd.testing.simulation.dice import Dice
from linkd.testing.simulation.numbered_payloads import numbered, schema_of_all
from linkd.testing.simulation.outsiders import NewNumber
from linkd.testing.simulation.simulated_home import SimulatedHome, stored
from linkd.testing.simulation.witness import GroupName, Handed, Witness, lane_of

_KEY = "n"
"""The column of `order: key`; a value has one key, and so one slot: `witness.lane_of` its number."""


@frozen()
class Holding:
    """A value in a member's hands."""

    generation: int
    sequence: int
    token: int


@dataclass(slots=True)
class Consumers:
    """A consumer group with some members, each on a connection of its own."""

    name: str
    link: str
    order: Order
    size: int
    witness: Witness
    new_number: NewNumber
    max_attempts: int = 0
    held: list[list[Holding]] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)

    @property
    def of(self) -> GroupName:
        return GroupName(self.name, self.link)

    def disconnected(self) -> None:
        """The home is gone. What they have in hand they may still ack."""
        self.sessions = [0] * self.size
        self.held = self.held or [[] for _ in range(self.size)]

    def step(self, home: SimulatedHome, dice: Dice, now_ns: int, now_s: float, session: int) -> None:
        """One of the members does one thing; it comes back under `session` if it was away."""
        member = dice.below(self.size)
        link = home.ledger.links.get(self.link)
        if link is None or link.readable is None:
            return
        group = home.ledger.groups.get((self.name, self.link))
        if group is None:
            self._open(home, link)
            return
        if self.sessions[member] not in group.members:
            self.sessions[member] = session
            group.join(session)
        group.heard(self.sessions[member])
        action = dice.below(16)
        if action < 6 or (action < 13 and not self.held[member]):
            self._take(home, group, member, now_ns, now_s)
        elif action < 11:
            self._ack(home, group, member, dice)
        elif action < 14:
            self._give_back(home, group, member, dice, now_s)
        elif action == 14:
            group.leave(self.sessions[member])
            self.witness.left(self.of, member)
            self.held[member] = [] if dice.once_in(2) else self.held[member]
        else:
            group.renew(self.sessions[member], now_s)

    def seek(self, home: SimulatedHome, dice: Dice) -> None:
        """Somebody moves the group: whatever is on lease is void."""
        link, group = home.ledger.links.get(self.link), home.ledger.groups.get((self.name, self.link))
        if link is None or group is None or link.readable is None:
            return
        readable = link.readable
        sequence = readable.kept_sequence + dice.below(readable.last_sequence - readable.kept_sequence + 3)
        try:
            place = place_of(link, dice.one_of((EARLIEST, LATEST, str(sequence))), follow=False, last_before=lambda at_ns: None)
        except InvalidArgument:  # it is not kept, or nothing has it yet
            return
        if place is None:
            return
        generation, done = place.generation, place.next_sequence - 1
        run_generation = group.run_generation + 1
        moved = GroupMoved(
            self.name, self.link, generation.incarnation, generation.number, done, place.next_sequence, run_generation=run_generation
        )
        self._place(home, moved, generation.number, place.next_sequence)

    def _open(self, home: SimulatedHome, link: Link) -> None:
        """A group is opened once at a time: its record waits for the disk."""
        generation = link.readable
        if home.store.full or generation is None:
            return
        terms = AskedTerms(str(self.order), _KEY if self.order is Order.KEY else "", 0, 0, self.max_attempts)
        first = generation.kept_sequence
        opened = GroupOpened(
            self.name,
            self.link,
            generation.incarnation,
            generation.number,
            first - 1,
            True,
            terms.order,
            terms.key,
            terms.lease_ms,
            terms.timeout_ms,
            terms.max_attempts,
        )
        self._place(home, opened, generation.number, first)

    def _place(self, home: SimulatedHome, record: Record, generation: int, first: int) -> None:
        """The group is put there, to begin with or by a seek."""
        self.witness.sought(self.of, generation, first, durable=False)

        def answered(done: Committed | None, surely_not: bool) -> None:
            if done is not None and done.durability is Durability.FSYNC:
                self.witness.sought(self.of, generation, first, durable=True)

        home.admit([record], (), answered)

    # -- what goes out ----------------------------------------------------------------------------------------------------------------------

    def _take(self, home: SimulatedHome, group: Group, member: int, now_ns: int, now_s: float) -> None:
        session = self.sessions[member]
        link = home.ledger.links[self.link]
        group.expire(now_s)
        recalls = group.members[session].recalls
        if recalls:
            tokens, group.members[session].recalls = tuple(recalls), []
            gone = {token for token in tokens if token in group.members[session].tokens}
            self.held[member] = [one for one in self.held[member] if one.token not in gone]
            group.released(session, tokens)
            return
        if group.superseded(link) or group.finished(link):
            following = link.following(group.generation) if group.superseded(link) else link.readable
            if following is not None and following.number > group.generation:
                self._move(home, group, following.incarnation, following.number, following.first_sequence)
            return
        if self._passed_over(home, group):
            return
        decision = group.next_value(session, link, now_s)
        if isinstance(decision, GiveUp):
            self._give_up(home, group, decision.sequence, now_ns)
        elif isinstance(decision, Look):
            [told] = home.values(self.link, decision.sequence, decision.sequence)
            group.looked(decision.sequence, [lane_of(self.order, told.number) or 0])
        elif isinstance(decision, GroupOffer):
            self._hand_out(home, group, decision, member, now_s)

    def _passed_over(self, home: SimulatedHome, group: Group) -> bool:
        link, fresh = home.ledger.links[self.link], group.handed_sequence + 1
        generation = link.generations.get(group.generation)
        last = generation.last_sequence if generation is not None else group.handed_sequence
        there = min(link.there_from(fresh), last + 1)
        if there > fresh and not group.cursor.is_done(fresh):
            self._settle(home, group, fresh, there - 1)
        return group.passed_over() is not None

    def _hand_out(self, home: SimulatedHome, group: Group, offer: GroupOffer, member: int, now_s: float) -> None:
        session, token = self.sessions[member], home.ledger.last_token + 1
        told = list(home.values(self.link, offer.sequence, offer.sequence))
        assert told, f"{self.link}@{offer.sequence} is offered to {self.name} and is not there"
        known = group.leases.get(offer.sequence)
        failures, reason = (known.failures, known.reason) if known is not None else (0, "")
        position = Position(told[0].incarnation, offer.sequence)
        home.admit([GroupLeased(self.name, self.link, position, token, offer.attempt, failures, reason)])
        group.hold(offer.sequence, session)
        group.started(session, token, now_s)
        self.held[member].append(Holding(group.generation, offer.sequence, token))
        self.witness.told(told, durable=home.terms(self.link).durability is Durability.FSYNC)
        handed = Handed(group.generation, offer.sequence, token, offer.attempt, member, self.order)
        self.witness.handed_value(self.of, handed)

    def _give_up(self, home: SimulatedHome, group: Group, sequence: int, now_ns: int) -> None:
        """The value has failed as often as it may: its letter and its end are in one frame."""
        lease, into, number = group.leases[sequence], dead_link(self.link), self.new_number()
        if opened := opening(home.ledger, into, schema_of_all(), now_ns):
            home.admit(opened)
        draft, payload = numbered(into, number, 1)
        portion = Parent(self.link, group.incarnation, group.generation, sequence, sequence)
        letter = Letter(portion, self.name, lease.token, lease.failures, lease.reason, now_ns)
        done = ((sequence, sequence),)
        settles = GroupMoved(self.name, self.link, group.incarnation, group.generation, 0, 0, settled=done)
        records = bury(home.ledger, [(letter, draft)], [settles], now_ns)
        self.witness.submitted(into, [number])
        self.witness.buried(self.of, group.generation, sequence, lease.token, number, lease.failures, self.max_attempts)
        self._admit_settled(home, group, records, [payload], sequence, sequence, number)

    # -- what comes back --------------------------------------------------------------------------------------------------------------------

    def _ack(self, home: SimulatedHome, group: Group, member: int, dice: Dice) -> None:
        held = self.held[member]
        if not held:
            return
        one = held.pop(dice.below(len(held)) if dice.once_in(3) else 0)
        if not group.holds(one.sequence, one.token):
            group.refuse_late(one.sequence)
            self.held[member] = [other for other in held if group.holds(other.sequence, other.token)]
            return
        self._settle(home, group, one.sequence, one.sequence, token=one.token)

    def _give_back(self, home: SimulatedHome, group: Group, member: int, dice: Dice, now_s: float) -> None:
        held = self.held[member]
        if not held:
            return
        one = held.pop(dice.below(len(held)))
        if not group.holds(one.sequence, one.token):
            return
        lease, delay_ms = group.leases[one.sequence], 1000 * dice.below(2)
        failures = lease.failures + (not lease.failed)
        home.admit([GroupFailed(self.name, self.link, Position(group.incarnation, one.sequence), failures, "no", delay_ms)])
        self.witness.gave_back(self.of, one.generation, one.sequence)
        for token in group.give_back(one.sequence, now_s + delay_ms / 1000 if delay_ms else 0.0):
            group.released(self.sessions[member], [token])
            self.held[member] = [other for other in self.held[member] if other.token != token]

    def _settle(self, home: SimulatedHome, group: Group, first: int, last: int, *, token: int = 0) -> None:
        """`token` is that of an ack; without one, the values were dropped."""
        moved = GroupMoved(self.name, self.link, group.incarnation, group.generation, 0, 0, settled=((first, last),), token=token)
        for sequence in range(first, last + 1):
            self.witness.settling(self.of, group.generation, sequence, token)
        self._admit_settled(home, group, [moved], (), first, last)

    def _admit_settled(
        self,
        home: SimulatedHome,
        group: Group,
        records: Sequence[Record],
        payloads: Sequence[bytes],
        first: int,
        last: int,
        letter: int = 0,
    ) -> None:
        generation = group.generation

        def answered(done: Committed | None, surely_not: bool) -> None:
            if done is not None:
                durable = done.durability is Durability.FSYNC
                self.witness.told(stored(records, [letter] if letter else []), durable=durable)
                for sequence in range(first, last + 1):
                    self.witness.settled(self.of, generation, sequence, durable=durable)
            elif surely_not and letter:
                self.witness.failed([letter])

        home.admit(records, payloads, answered)

    def _move(self, home: SimulatedHome, group: Group, incarnation: int, generation: int, first: int) -> None:
        moved = GroupMoved(self.name, self.link, incarnation, generation, first - 1, first, run_generation=group.run_generation)
        self.witness.moved(self.of, generation, first, durable=False)

        def answered(done: Committed | None, surely_not: bool) -> None:
            if done is not None and done.durability is Durability.FSYNC:
                self.witness.moved(self.of, generation, first, durable=True)

        home.admit([moved], (), answered)
