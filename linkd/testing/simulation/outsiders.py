"""Those who publish and are not in the pipeline: publishers, and numbered producers with answers that get lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import xxhash

from linkd.core import publishing
from linkd.core.producers import check_same
from linkd.core.publishing import Draft, Maker
from linkd.errors import ProducerFenced, ProducerForgotten
from linkd.model.kept import AnswerKept
from linkd.model.records import ProducerOpened, Record
from linkd.model.values import Durability, Producer
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
    def size_bytes(self) -> int:
        return sum(draft.size_bytes for draft in self.drafts)

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
    """Publishes, as an outsider, if the link has room; else what its terms say happens."""
    entropy = b"".join(number.to_bytes(10, "big") for number in publish.numbers)
    drops, is_dropped = home.relief(publish.link, publish.size_bytes)
    records: list[Record] = publishing.publish(home.ledger, () if is_dropped else publish.drafts, maker, now_ns, entropy)
    witness.submitted(publish.link, publish.numbers)
    if is_dropped:
        records += publishing.drop_newest(home.ledger, publish.drafts, maker.producer, now_ns)
        witness.failed(publish.numbers)
        home.admit(records)
        return

    def answered(done: Committed | None, surely_not: bool) -> None:
        if done is not None:
            answer(stored(records, publish.numbers), done.durability is Durability.FSYNC)
        elif surely_not:
            witness.failed(publish.numbers)

    home.admit([*drops, *records], publish.payloads, answered)
    witness.admitted(publish.link, [(draft.size_bytes, number) for draft, number in zip(publish.drafts, publish.numbers, strict=True)])


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
