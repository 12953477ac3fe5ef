"""A publish that its producer numbers, while its values come: taken once, however often it is sent (`core.producers`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import xxhash

from linkd.core.producers import check_id, check_name, check_same
from linkd.core.rights import Identity
from linkd.errors import Error, InvalidArgument
from linkd.home.home import Home
from linkd.model.kept import AnswerKept
from linkd.model.records import ProducerOpened
from linkd.model.values import Producer
from linkd.telemetry.events import ProducerRefused, PublishRepeated


@dataclass(slots=True)
class Numbered:
    """What is known of the publish before its last value has come."""

    home: Home
    producer: Producer
    link: str
    _sent_xxh3: list[int] = field(default_factory=list)

    @staticmethod
    def begin(home: Home, producer: Producer, link: str) -> Numbered:
        """With its first value."""
        check_id(producer.id)
        return Numbered(home, producer, link)

    def is_repeated(self, producer: Producer, link: str) -> bool:
        """Whether the publish happened before, so that its next value need not be looked at.

        Raises what `core.producers` refuses, and InvalidArgument for a value that is of another publish or link.
        """
        if producer != self.producer:
            raise InvalidArgument(
                f"{link}: all values of a publish have the same producer, epoch and sequence; this one came behind values of "
                f"{self.producer.id or 'no producer'} ({self.producer.sequence:,})"
            )
        if link != self.link:
            raise InvalidArgument(
                f"a publish that its producer numbers goes to one link; this one has values for {self.link} and for {link}"
            )
        with self._refusing():
            return self.home.ledger.producers.answer(self.producer) is not None

    def sent(self, xxh3: int) -> None:
        """The xxh3 of a value's payload as it came."""
        self._sent_xxh3.append(xxh3)

    def complete(self) -> Producer:
        """The producer as the envelopes have it, when the last value has come."""
        digests = self._sent_xxh3
        xxh3 = digests[0] if len(digests) == 1 else xxhash.xxh3_64_intdigest(b"".join(one.to_bytes(8, "big") for one in digests))
        return replace(self.producer, request_xxh3=xxh3)

    def answer(self, producer: Producer) -> AnswerKept | None:
        """What the complete publish was answered when it happened; None if it is to happen now, before the next await.

        Raises Conflict if another has its number, and what `core.producers` refuses.
        """
        with self._refusing():
            answer = self.home.ledger.producers.answer(producer)
            if answer is not None:
                check_same(producer, answer)
        if answer is not None:
            self.home.telemetry.emit(PublishRepeated(link=answer.link, producer=producer.id, sequence=producer.sequence))
        return answer

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """A refusal is told before it goes on its way."""
        try:
            yield
        except Error as error:
            self.home.telemetry.emit(ProducerRefused(producer=self.producer.id, link=self.link, reason=error.code, detail=str(error)))
            raise


def check_unnumbered(producer: Producer, link: str) -> None:
    """InvalidArgument for a number on what has an identity of its own: a staged value, a source's step."""
    if producer.id:
        raise InvalidArgument(f"{link}: what is staged for a commit, and what a source publishes, has no producer: leave it out")


async def open_producer(home: Home, who: Identity, name: str) -> tuple[int, int]:
    """Opens a named producer; whoever had it is fenced when this returns. The new epoch, and the sequence of its next publish.

    Raises NotAllowed, InvalidArgument, Draining, StorageFailed.
    """
    home.check_open()
    check_name(name)
    with home.audited(who, "open_producer"):
        home.rights.open_producer(who)
    await home.room()
    producers = home.ledger.producers
    epoch, sequence = producers.next_epoch(name), producers.next_sequence(name)
    await home.written(home.admit([ProducerOpened(name, epoch)]))
    return epoch, sequence
