"""Those who are not in the pipeline: publishers, numbered producers with answers that get lost, and members of consumer groups."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import xxhash

from linkd.core import publishing
from linkd.core.group_leases import GiveUp, GroupOffer
from linkd.core.groups import Group
from linkd.core.producers import check_same
from linkd.core.publishing import Draft, Maker
from linkd.errors import ProducerFenced, ProducerForgotten
from linkd.model.kept import AnswerKept
from linkd.model.records import GroupFailed, GroupLeased, GroupMoved, GroupOpened, ProducerOpened
from linkd.model.terms import Order
from linkd.model.values import Durability, Position, Producer
from linkd.store.committer import Committed
from linkd.testing.simulation.dice import Dice
from linkd.testing.simulation.numbered_payloads import ROWS, numbered
from linkd.testing.simulation.simulated_home import REFUSED, SimulatedHome, stored
from linkd.testing.simulation.witness import Told, Witness

NewNumber = Callable[[], int]


@dataclass(slots=True)
class Publish:
    """Values that a client wants to be in a link."""

    link: str
    numbers: list[int]
    drafts: list[Draft]
    payloads: list[bytes]
    sequence: int = 0

    @property
    def xxh3(self) -> int:
        """As `home.numbering` makes it: of what was sent."""
        digests = [draft.payload_xxh3 for draft in self.drafts]
        return digests[0] if len(digests) == 1 else xxhash.xxh3_64_intdigest(b"".join(one.to_bytes(8, "big") for one in digests))


def new_publish(link: str, dice: Dice, new_number: NewNumber) -> Publish:
    """One to three values."""
    publish = Publish(link, [], [], [])
    for _ in range(1 + dice.below(3)):
        number = new_number()
        draft, payload = numbered(link, number, dice.one_of(ROWS))
        publish.numbers.append(number)
        publish.drafts.append(draft)
        publish.payloads.append(payload)
    return publish


def send(
    home: SimulatedHome, publish: Publish, maker: Maker, now_ns: int, answer: Callable[[list[Told], bool], None], witness: Witness
) -> None:
    """Publishes, as an outsider."""
    entropy = b"".join(number.to_bytes(10, "big") for number in publish.numbers)
    records = publishing.publish(home.ledger, publish.drafts, maker, now_ns, entropy)
    witness.submitted(publish.link, publish.numbers)

    def answered(done: Committed | None, surely_not: bool) -> None:
        if done is not None:
            answer(stored(records, publish.numbers), done.durability is Durability.FSYNC)
        elif surely_not:
            witness.failed(publish.numbers)

    home.admit(records, publish.payloads, answered)


@dataclass(slots=True)
class NumberedClient:
    """A client that numbers its publishes: what it has no answer to is sent again, in order. `is_open` ends when another one has the name."""

    name: str
    links: Sequence[str]
    witness: Witness
    new_number: NewNumber
    lives: int = 0
    epoch: int = 0
    next_sequence: int = 1
    is_open: bool = False
    unanswered: deque[Publish] = field(default_factory=deque)
    sent: int = 0

    @property
    def id(self) -> str:
        return f"{self.name}{self.lives}" if self.name.startswith("~") else self.name

    def disconnected(self) -> None:
        """It sends again what was not answered."""
        self.sent = 0

    def open(self, home: SimulatedHome) -> None:
        """Asks for the name; whoever has it loses it. What it had not been answered stays unknown to it."""
        self.unanswered.clear()
        self.sent, self.is_open = 0, False
        if self.name.startswith("~"):
            self.lives, self.epoch, self.next_sequence, self.is_open = self.lives + 1, 1, 1, True
            return
        producers = home.ledger.producers
        epoch, sequence = producers.next_epoch(self.name), producers.next_sequence(self.name)

        def opened(done: Committed | None, surely_not: bool) -> None:
            if done is not None:
                self.witness.opened(self.name, epoch)
                self.epoch, self.next_sequence, self.is_open = epoch, sequence, True

        home.admit([ProducerOpened(self.name, epoch)], (), opened)

    def step(self, home: SimulatedHome, dice: Dice, now_ns: int) -> None:
        """Sends the next publish, an old one or a new one; the answer may get lost on its way."""
        if not self.is_open:
            self.open(home)
            return
        if dice.once_in(6):
            self.disconnected()
        if self.sent == len(self.unanswered):
            if len(self.unanswered) > _UNANSWERED_MAX:
                self.disconnected()
            else:
                publish = new_publish(dice.one_of(self.links), dice, self.new_number)
                publish.sequence, self.next_sequence = self.next_sequence, self.next_sequence + 1
                self.witness.submitted(publish.link, publish.numbers)
                self.unanswered.append(publish)
        publish, gets_lost = self.unanswered[self.sent], dice.once_in(4)
        self.sent += 1  # the answer may be there before it returns
        try:
            self._send(home, publish, now_ns, gets_lost=gets_lost)
        except (ProducerFenced, ProducerForgotten):
            self.is_open = False
        except REFUSED:
            self.disconnected()
            raise

    def _send(self, home: SimulatedHome, publish: Publish, now_ns: int, *, gets_lost: bool) -> None:
        producer = Producer(self.id, self.epoch, publish.sequence, publish.xxh3)
        earlier = home.ledger.producers.answer(producer)
        if earlier is None:
            send(
                home,
                publish,
                Maker(producer=producer),
                now_ns,
                lambda told, durable: self._acked(publish, told, durable, gets_lost),
                self.witness,
            )
            return
        check_same(producer, earlier)
        told = [_of_answer(earlier, index, number) for index, number in enumerate(publish.numbers)]
        home.behind_all(lambda _done, _not: self._acked(publish, told, True, gets_lost))

    def _acked(self, publish: Publish, told: list[Told], durable: bool, gets_lost: bool) -> None:
        if gets_lost:
            return
        self.witness.told(told, durable=durable)
        self.witness.numbered(self.id, self.epoch, publish.sequence, told, durable=durable)
        if publish in self.unanswered:
            if self.unanswered.index(publish) < self.sent:
                self.sent -= 1
            self.unanswered.remove(publish)


def _of_answer(answer: AnswerKept, index: int, number: int) -> Told:
    return Told(answer.link, answer.incarnation, answer.first_sequence + index, answer.generation, number)


_UNANSWERED_MAX = 5


@dataclass(frozen=True, slots=True)
class Holding:
    """A value in a member's hands."""

    generation: int
    run_generation: int
    sequence: int
    token: int


@dataclass(slots=True)
class Consumers:
    """A consumer group with some members, each on a connection of its own: what a member does is what `home.subscriptions` does for it."""

    name: str
    link: str
    order: Order
    size: int
    witness: Witness
    max_attempts: int = 0
    held: list[list[Holding]] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)

    def disconnected(self) -> None:
        """The home is gone. What they have in hand they may still ack."""
        self.sessions = [0] * self.size
        self.held = self.held or [[] for _ in range(self.size)]

    def step(self, home: SimulatedHome, dice: Dice, now_s: float, session: int) -> None:
        """One of the members does one thing; it comes back under `session` if it was away."""
        member = dice.below(self.size)
        group = home.ledger.groups.get((self.name, self.link))
        link = home.ledger.links.get(self.link)
        if link is None or link.readable is None:
            return
        if group is None:
            if self.witness_may_open(home):
                generation = link.readable
                first = generation.kept_sequence
                opened = GroupOpened(
                    self.name,
                    self.link,
                    generation.incarnation,
                    generation.number,
                    first - 1,
                    True,
                    str(self.order),
                    "",
                    0,
                    0,
                    self.max_attempts,
                )
                home.admit([opened])
            return
        if self.sessions[member] not in group.members:
            self.sessions[member] = session
            group.join(session)
        action = dice.below(16)
        group.heard(self.sessions[member])
        if action < 6 or (action < 13 and not self.held[member]):
            self._take(home, group, member, now_s)
        elif action < 12:
            self._ack(home, group, member, dice)
        elif action < 14:
            self._give_back(home, group, member, dice, now_s)
        elif action == 14:
            group.leave(self.sessions[member])
            self.held[member] = [] if dice.once_in(2) else self.held[member]
        else:
            group.renew(self.sessions[member], now_s)

    def witness_may_open(self, home: SimulatedHome) -> bool:
        """A group is opened once at a time: its record waits for the disk."""
        return not home.store.full

    def _take(self, home: SimulatedHome, group: Group, member: int, now_s: float) -> None:
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
            self._settle(home, group, decision.sequence, decision.sequence)
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
        self.held[member].append(Holding(group.generation, group.run_generation, offer.sequence, token))
        self.witness.told(told, durable=home.terms(self.link).durability is Durability.FSYNC)
        self.witness.handed_value(self.name, self.link, group.generation, token, offer.sequence)

    def _ack(self, home: SimulatedHome, group: Group, member: int, dice: Dice) -> None:
        if not self.held[member]:
            return
        held = self.held[member]
        one = held.pop(dice.below(len(held)) if dice.once_in(3) else 0)
        if not group.holds(one.sequence, one.token):
            group.refuse_late(one.sequence)
            self.held[member] = [other for other in held if group.holds(other.sequence, other.token)]
            return
        self._settle(home, group, one.sequence, one.sequence, acked=True)

    def _give_back(self, home: SimulatedHome, group: Group, member: int, dice: Dice, now_s: float) -> None:
        if not self.held[member]:
            return
        one = self.held[member].pop(dice.below(len(self.held[member])))
        if not group.holds(one.sequence, one.token):
            return
        lease = group.leases[one.sequence]
        failures = lease.failures + 1 if lease.session is not None else lease.failures
        home.admit([GroupFailed(self.name, self.link, Position(group.incarnation, one.sequence), failures, "no")])
        for token in group.give_back(one.sequence, now_s + dice.below(2)):
            group.released(self.sessions[member], [token])
            self.held[member] = [held for held in self.held[member] if held.token != token]

    def _settle(self, home: SimulatedHome, group: Group, first: int, last: int, *, acked: bool = False) -> None:
        generation = group.generation

        def answered(done: Committed | None, surely_not: bool) -> None:
            if done is not None:
                for sequence in range(first, last + 1):
                    self.witness.settled(self.name, self.link, generation, sequence, durable=done.durability is Durability.FSYNC)

        for sequence in range(first, last + 1):
            self.witness.settling(self.name, self.link, generation, sequence)
        moved = GroupMoved(self.name, self.link, group.incarnation, generation, 0, 0, settled=((first, last),))
        home.admit([moved], (), answered)

    def _move(self, home: SimulatedHome, group: Group, incarnation: int, generation: int, first: int) -> None:
        self.witness.moved(self.name, self.link, generation)
        home.admit([GroupMoved(self.name, self.link, incarnation, generation, first - 1, first, run_generation=group.run_generation)])
