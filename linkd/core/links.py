"""A link as the ledger knows it: its order, its generations, what of it is durable. Pure state; `core.ledger` changes it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from linkd.core import gone
from linkd.core.accounts import Account, Stretch, remember
from linkd.core.gone import DropCount, Gone
from linkd.core.iso8601 import timestamp_text
from linkd.errors import LinkNotFound
from linkd.limits import INCARNATIONS_KEPT
from linkd.model.frozen import frozen
from linkd.model.records import Dropped, SourceMoved
from linkd.model.terms import LinkTerms
from linkd.model.values import Parent, Position


@frozen()
class LinkShape:
    """What the pipeline file says of a link: who writes it ("" for outsiders), the schema it declares, as (id, schema message), its terms."""

    name: str
    writer: str
    declared: tuple[bytes, bytes] | None = None
    terms: LinkTerms = LinkTerms()


class GenerationState(enum.StrEnum):
    GROWING = "growing"
    SEALED = "sealed"
    ABANDONED = "abandoned"


@dataclass(slots=True)
class Generation:
    """One generation of a link.

    `last_sequence` is first_sequence - 1 while it is empty. `state` is as decided. `sealed_sequence` is where it was sealed last, and stays
    when it is reopened: the run's tasks read up to there, what came behind it is the next run's. `seal_durable` says that this seal is on
    disk and may be told, `was_sealed` that one was, ever. `schema` is the encapsulated Arrow schema message, empty until the
    first value, and `declared` says the pipeline file gave it; `schemas` has all that its values have, by id.

    `values`, `rows` and `size_bytes` are of what there is, `account` is the same in stretches. `past` are the values that were dropped and of
    which the envelopes are kept; up to `forgotten_sequence` they are not.
    """

    number: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    task: str
    task_version: str
    inputs: tuple[Parent, ...] = ()
    state: GenerationState = GenerationState.GROWING
    sealed_sequence: int | None = None
    seal_durable: bool = False
    was_sealed: bool = False
    values: int = 0
    rows: int = 0
    size_bytes: int = 0
    schema_id: bytes = b""
    schema: bytes = b""
    declared: bool = False
    source: SourceMoved | None = None
    schemas: dict[bytes, bytes] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    past: list[Stretch] = field(default_factory=list)
    forgotten_sequence: int = 0

    @property
    def kept_sequence(self) -> int:
        """The first that may hold a value: what was before it was dropped."""
        return max(self.account.first_sequence, self.first_sequence)

    @property
    def is_sealed(self) -> bool:
        """It is complete, on disk, and was not reopened."""
        return self.state is GenerationState.SEALED and self.seal_durable

    @property
    def end_sequence(self) -> int:
        """The last sequence, as far as is known, of what a run's tasks read of it."""
        return self.last_sequence if self.sealed_sequence is None else self.sealed_sequence

    def extent(self, link: str) -> Parent:
        """What a run's tasks read of it, as a range of portions: of what there is."""
        first = self.kept_sequence
        return Parent(link, self.incarnation, self.number, first, max(self.end_sequence, first - 1))

    def drop(self, first_sequence: int, last_sequence: int, *, forgotten: bool) -> None:
        """These of its values are there no more."""
        gone = self.account.drop(first_sequence, last_sequence)
        for stretch in gone:
            self.values -= stretch.values
            self.rows -= stretch.rows
            self.size_bytes -= stretch.size_bytes
        if not forgotten:
            self.past = remember(self.past, gone)
            return
        self.past = [stretch for stretch in self.past if not first_sequence <= stretch.last_sequence <= last_sequence]
        if first_sequence <= max(self.forgotten_sequence + 1, self.first_sequence):
            self.forgotten_sequence = max(self.forgotten_sequence, last_sequence)


@frozen()
class Remembered:
    """A generation that was dropped, of whose values the envelopes are kept: something there still is was made from it."""

    number: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    inputs: tuple[Parent, ...]


@dataclass(slots=True)
class Link:
    """One link. Sequences below `next_sequence` are given; those up to `durable_sequence` are on disk and may be delivered.

    `generations` are those that were not dropped, the `newest` always among them; `gone` are the values that they lack. `incarnations` maps
    each that followed the first to its first sequence (the oldest are forgotten: what they cut off counts to the next one's loss). `dropped`
    counts, by reason, the values that were ever dropped while their generation stayed.
    """

    name: str
    incarnation: int
    next_sequence: int
    durable_sequence: int
    last_created_at_ns: int = 0
    generations: dict[int, Generation] = field(default_factory=dict)
    newest: int = 0
    remembered: dict[int, Remembered] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)
    incarnations: dict[int, int] = field(default_factory=dict)
    dropped: dict[str, DropCount] = field(default_factory=dict)

    def open_again(self, incarnation: int, first_sequence: int) -> None:
        """A new incarnation begins behind what is there: the tail of the one before may be lost."""
        self.incarnation, self.next_sequence = incarnation, first_sequence
        self.incarnations[incarnation] = first_sequence
        while len(self.incarnations) > INCARNATIONS_KEPT:
            del self.incarnations[min(self.incarnations)]

    @property
    def current(self) -> Generation | None:
        """The newest generation, growing or not."""
        return self.generations.get(self.newest)

    @property
    def readable(self) -> Generation | None:
        """What readers outside the run see: the newest generation that was complete once, or the growing one while none was.

        One that was reopened is seen as it grows: nothing that was told of it is taken back.
        """
        for number in sorted(self.generations, reverse=True):
            generation = self.generations[number]
            if generation.was_sealed and generation.state is not GenerationState.ABANDONED:
                return generation
        current = self.current
        return current if current is not None and current.state is not GenerationState.ABANDONED else None

    def durable_last(self, generation: Generation) -> int:
        """The last sequence of `generation` that is on disk; first_sequence - 1 if none is."""
        return max(min(generation.last_sequence, self.durable_sequence), generation.first_sequence - 1)

    def readable_last(self, generation: Generation) -> int:
        """The last sequence of `generation` that a run's tasks may have by now."""
        return min(self.durable_last(generation), generation.end_sequence)

    def there_from(self, sequence: int) -> int:
        """The first sequence from this one on that was not dropped by itself."""
        return gone.first_behind(self.gone, sequence)

    def drop_values(self, record: Dropped) -> None:
        """Some of its values are there no more; its generations stay."""
        first, last = record.first_sequence, record.last_sequence
        values = gone.new_values(self.gone, first, last)
        if values:
            before = self.dropped.get(record.reason, DropCount(0, 0))
            self.dropped[record.reason] = DropCount(before.values + values, record.dropped_at_ns)
        gone.add(self.gone, Gone(first, last, record.reason, record.dropped_at_ns))
        for generation in self.generations.values():
            of_it = max(first, generation.first_sequence), min(last, generation.last_sequence)
            if of_it[0] <= of_it[1]:
                generation.drop(*of_it, forgotten=record.forgotten)
                generation.account.first_sequence = min(self.there_from(generation.kept_sequence), generation.last_sequence + 1)

    def forget_gone(self) -> None:
        """A generation was dropped: what was dropped of it before is of no interest any more."""
        extents = [
            (one.first_sequence, self.next_sequence if one.number == self.newest else one.last_sequence)
            for one in self.generations.values()
        ]
        self.gone = [one for one in self.gone if any(first <= one.last_sequence and one.first_sequence <= last for first, last in extents)]

    def following(self, number: int) -> Generation | None:
        """The first generation behind `number` that was not abandoned."""
        for later in sorted(self.generations):
            if later > number and self.generations[later].state is not GenerationState.ABANDONED:
                return self.generations[later]
        return None


def lost_behind(link: Link, position: Position) -> int:
    """How many values up to this position, which somebody may have seen, the link has lost; they go on at the first sequence of what followed.

    0 for a position of the present incarnation, and for one that an older incarnation still has.
    """
    later = [first for incarnation, first in link.incarnations.items() if incarnation > position.incarnation]
    return max(position.sequence - min(later) + 1, 0) if later else 0


def dropped_within(link: Link, first_sequence: int, last_sequence: int) -> tuple[Gone, ...]:
    """The values between these two sequences, both included, that were dropped though their generation is there; in order, apart from each other.

    Whoever goes on from `first_sequence` to `last_sequence` passes over these, each for its reason.
    """
    return tuple(gone.within(link.gone, first_sequence, last_sequence))


def expired_text(dropped: Gone) -> str:
    """`expired (age) at 2026-11-22T10:00:00Z`: why values are not there any more, and since when, if that is known."""
    at = f" at {timestamp_text(dropped.dropped_at_ns, 'ns', zoned=True)}" if dropped.dropped_at_ns else ""
    return f"expired ({dropped.reason}){at}"


def check_not_gone(link: Link, first_sequence: int, last_sequence: int) -> None:
    """LinkNotFound, saying why and when, if all of these values were dropped though their generation is there."""
    found = dropped_within(link, first_sequence, last_sequence)
    if not found or link.there_from(first_sequence) <= last_sequence:
        return
    names = f"{link.name}@{first_sequence}" + (f" to {link.name}@{last_sequence}" if last_sequence > first_sequence else "")
    there = link.there_from(first_sequence)
    behind = f"the first value there is is {link.name}@{there}" if there <= link.durable_sequence else "nothing behind it is there yet"
    raise LinkNotFound(f"{names} {expired_text(found[-1])}: {behind}")
