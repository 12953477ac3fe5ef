"""Who numbers its publishes, how far it has come, and what it was answered: so that one that is repeated happens once. Pure.

A producer counts its publishes from 1, over all links. The next one is taken; one that was taken before, among the last
`PUBLISH_WINDOW_VALUES`, is answered as it was then; anything else is refused, and nothing of it is stored. So a client that lost its
connection before an answer sends again what it has no answer to, in the same order and with the same numbers.

*Named* producers are opened: that begins an epoch, which fences whoever opened the name before, and the count goes on. *Anonymous* ones (their
ids begin with `~` and are random) exist from their first publish on, in epoch 1. Both are fed by what the frames say (`ProducerOpened`, and
the producer in the envelope of each value), and so are the same after a restart.

A power cut may take publishes to links that sync later, which were answered: their producer lives on and sends one that is too far ahead, and
learns it (ProducerSetBack). None from that one on can be in the log, for the log lost its end.

What is remembered is bounded in number and in answers; the producers that were used longest ago are forgotten first. One that publishes after
that learns it (ProducerForgotten). Epochs are never used twice: a name that was forgotten goes on behind the highest epoch of all such.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from linkd.errors import Conflict, InvalidArgument, ProducerFenced, ProducerForgotten, ProducerSetBack
from linkd.limits import PRODUCER_ANSWERS_MAX, PRODUCER_NAME_MAX_CHARS, PRODUCERS_MAX, PUBLISH_WINDOW_VALUES
from linkd.model.kept import AnswerKept
from linkd.model.records import Dropped
from linkd.model.values import Envelope, Producer

ANONYMOUS = "~"
"""What the ids begin with that clients make up for themselves; no name may."""


@dataclass(slots=True)
class KnownProducer:
    """A producer: `last_sequence` is that of its last publish, `answers` are those of its last ones in order, without a gap."""

    id: str
    epoch: int
    last_sequence: int = 0
    answers: deque[AnswerKept] = field(default_factory=deque)

    @property
    def is_named(self) -> bool:
        return not self.id.startswith(ANONYMOUS)

    def answer(self, sequence: int) -> AnswerKept | None:
        """What the publish of that number was answered, if that is still known."""
        index = sequence - self.answers[0].sequence if self.answers else -1
        return self.answers[index] if 0 <= index < len(self.answers) else None


@dataclass(slots=True)
class Producers:
    """All that are known, the one that was used longest ago first. `forgotten_epoch` is the highest of those that were forgotten."""

    known: OrderedDict[str, KnownProducer] = field(default_factory=OrderedDict)
    answers: int = 0
    forgotten_epoch: int = 0

    def next_epoch(self, name: str) -> int:
        """Of that name, when it is opened now."""
        known = self.known.get(name)
        return (known.epoch if known is not None else self.forgotten_epoch) + 1

    def next_sequence(self, name: str) -> int:
        """Of the next publish of that producer."""
        known = self.known.get(name)
        return (known.last_sequence if known is not None else 0) + 1

    def answer(self, producer: Producer) -> AnswerKept | None:
        """What the publish was answered when it happened; None if it is the producer's next one.

        Raises ProducerFenced, ProducerForgotten, ProducerSetBack where others before it are missing, and InvalidArgument for one that is
        too old to be recognised.
        """
        known = self._known(producer)
        if producer.sequence == known.last_sequence + 1:
            return None
        if producer.sequence > known.last_sequence:
            raise ProducerSetBack(
                f"producer {producer.id} sent its publish {producer.sequence:,}, and its last one was {known.last_sequence:,}: "
                "those between were lost with the power (their links sync later), or never sent; open it again and go on behind that one"
            )
        answer = known.answer(producer.sequence)
        if answer is None:
            raise InvalidArgument(
                f"producer {producer.id} sent its publish {producer.sequence:,} again, which is too old to be recognised: its last one was "
                f"{known.last_sequence:,}, and answers are kept of the last {len(known.answers):,}; go on behind that"
            )
        return answer

    def opened(self, name: str, epoch: int) -> None:
        """The name was opened: whoever has an older epoch is fenced."""
        known = self.known.get(name)
        if known is None:
            self.known[name] = KnownProducer(name, epoch)
            self._forget()
        else:
            known.epoch = epoch
            self.known.move_to_end(name)

    def stored(self, envelope: Envelope) -> None:
        """A value of a numbered publish is part of its link: the first of the publish, or a further one in the same frame."""
        producer = envelope.producer
        known = self.known.get(producer.id)
        if known is None:
            known = self.known[producer.id] = KnownProducer(producer.id, producer.epoch)
        else:
            self.known.move_to_end(producer.id)
        answers = known.answers
        if answers and answers[-1].sequence == producer.sequence:
            answers[-1] = _and(answers[-1], envelope)
            return
        self._answered(known, _first(envelope))

    def dropped(self, record: Dropped, producer: Producer) -> None:
        """A numbered publish went to a link that was full, and its values were dropped: it is answered by an answer without an id."""
        known = self.known.get(producer.id)
        if known is None:
            known = self.known[producer.id] = KnownProducer(producer.id, producer.epoch)
        else:
            self.known.move_to_end(producer.id)
        first, last = record.first_sequence, record.last_sequence
        answer = AnswerKept(producer.sequence, record.link, record.incarnation, 0, first, last, 0, b"", producer.request_xxh3)
        self._answered(known, answer)

    def _answered(self, known: KnownProducer, answer: AnswerKept) -> None:
        known.last_sequence = answer.sequence
        known.answers.append(answer)
        self.answers += 1
        if len(known.answers) > PUBLISH_WINDOW_VALUES:
            known.answers.popleft()
            self.answers -= 1
        self._forget()

    def restore(self, known: KnownProducer) -> None:
        """As a checkpoint has it, behind those that were used before it."""
        self.known[known.id] = known
        self.answers += len(known.answers)

    def _known(self, producer: Producer) -> KnownProducer:
        if producer.sequence < 1 or producer.epoch < 1:
            raise InvalidArgument(f"producer {producer.id}: epoch {producer.epoch} and publish {producer.sequence}; both count from 1")
        known = self.known.get(producer.id)
        if known is None:
            if producer.id.startswith(ANONYMOUS) and producer.sequence == 1:
                return KnownProducer(producer.id, producer.epoch)
            raise ProducerForgotten(
                f"producer {producer.id} is not known, or has not published for so long that it was forgotten: "
                "open it again, and look at what it has published before going on"
            )
        if producer.epoch < known.epoch:
            raise ProducerFenced(f"producer {producer.id} was opened by another program after this one: end, or open it again")
        if producer.epoch > known.epoch:
            raise InvalidArgument(
                f"producer {producer.id} has epoch {known.epoch}, and epoch {producer.epoch} was not begun: open it first"
            )
        return known

    def _forget(self) -> None:
        """Keeps the bounds. The one that was used last stays."""
        if len(self.known) > PRODUCERS_MAX:
            anonymous = next((known for known in self._longest_unused() if not known.is_named), None)
            self._drop(anonymous or next(self._longest_unused()))
        while self.answers > PRODUCER_ANSWERS_MAX:
            victim = next(known for known in self._longest_unused() if known.answers)
            if victim.is_named:
                self.answers -= len(victim.answers)
                victim.answers.clear()
            else:
                self._drop(victim)

    def _longest_unused(self) -> Iterator[KnownProducer]:
        last = next(reversed(self.known))
        return (known for name, known in self.known.items() if name != last)

    def _drop(self, known: KnownProducer) -> None:
        del self.known[known.id]
        self.answers -= len(known.answers)
        if known.is_named:
            self.forgotten_epoch = max(self.forgotten_epoch, known.epoch)


def check_same(producer: Producer, answer: AnswerKept) -> None:
    """Raises Conflict if the publish that is repeated is another than the one that was answered."""
    if producer.request_xxh3 != answer.request_xxh3:
        raise Conflict(
            f"producer {producer.id} sent its publish {producer.sequence:,} again with other content: under that number "
            f"{answer.link}@{answer.last_sequence} was stored, and stays; number what is new by the next number"
        )


def check_name(name: str) -> None:
    """InvalidArgument unless `name` can name a producer."""
    good = bool(name) and all(c.isalnum() or c in "_-." for c in name)
    if not good or len(name) > PRODUCER_NAME_MAX_CHARS:
        raise InvalidArgument(
            f"{name[:60]!r} cannot be the name of a producer: letters, digits, `_`, `-` and `.`, at most {PRODUCER_NAME_MAX_CHARS} characters"
        )


def check_id(identity: str) -> None:
    """InvalidArgument unless `identity` can be a producer's: a name, or one that a client made up."""
    check_name(identity.removeprefix(ANONYMOUS))


def _first(envelope: Envelope) -> AnswerKept:
    position = envelope.position
    return AnswerKept(
        envelope.producer.sequence,
        envelope.link,
        position.incarnation,
        envelope.generation,
        position.sequence,
        position.sequence,
        envelope.rows,
        envelope.id,
        envelope.producer.request_xxh3,
    )


def _and(answer: AnswerKept, envelope: Envelope) -> AnswerKept:
    return AnswerKept(
        answer.sequence,
        answer.link,
        answer.incarnation,
        answer.generation,
        answer.first_sequence,
        envelope.position.sequence,
        answer.rows + envelope.rows,
        envelope.id,
        answer.request_xxh3,
    )
