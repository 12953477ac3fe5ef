"""A running account of the values of a generation, in a bounded number of stretches, so that retention looks at no value by itself. Pure.

Each stretch is a sixty-fourth of what there is, or one value while that is few: what leaves a link leaves it in stretches. An account takes
some ten KiB at most, whether it stands for a hundred values or a hundred million.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from linkd.limits import RETENTION_STRETCHES_MAX
from linkd.model.values import Envelope


@dataclass(slots=True)
class Stretch:
    """Values that follow one another, up to `last_sequence`. `created_at_ns` is that of the newest of them.

    `parents` has the first sequence of each link that any of them was made from.
    """

    last_sequence: int
    values: int
    rows: int
    size_bytes: int
    created_at_ns: int
    parents: dict[str, int] = field(default_factory=dict)

    def take(self, other: Stretch) -> None:
        """The values of another stretch, or of what is left of this one, are part of this one."""
        self.last_sequence = max(self.last_sequence, other.last_sequence)
        self.values += other.values
        self.rows += other.rows
        self.size_bytes += other.size_bytes
        self.created_at_ns = max(self.created_at_ns, other.created_at_ns)
        join_parents(self.parents, other.parents)


@dataclass(slots=True)
class Account:
    """Stretches in order. `first_sequence` is where the first of them begins; nothing before it is there."""

    first_sequence: int = 0
    stretches: list[Stretch] = field(default_factory=list)
    values: int = 0

    def add(self, envelope: Envelope) -> None:
        """A value behind all others."""
        sequence = envelope.position.sequence
        self.first_sequence = self.first_sequence or sequence
        last = self.stretches[-1] if self.stretches else None
        if last is None or last.values >= max(self.values // (RETENTION_STRETCHES_MAX // 2), 1):
            last = Stretch(sequence, 0, 0, 0, envelope.created_at_ns)
            self.stretches.append(last)
        last.last_sequence = sequence
        last.values += 1
        last.rows += envelope.rows
        last.size_bytes += envelope.size_bytes
        last.created_at_ns = max(last.created_at_ns, envelope.created_at_ns)
        for parent in envelope.parents:
            first = last.parents.get(parent.link)
            if first is None or parent.first_sequence < first:
                last.parents[parent.link] = parent.first_sequence
        self.values += 1
        if len(self.stretches) > RETENTION_STRETCHES_MAX:
            self.stretches = in_pairs(self.stretches)

    def drop(self, first_sequence: int, last_sequence: int) -> list[Stretch]:
        """These are there no more; what they were. Of a stretch that goes in part rows and bytes are told by its share of values."""
        gone: list[Stretch] = []
        kept: list[Stretch] = []
        begin = self.first_sequence
        for stretch in self.stretches:
            first, last = max(first_sequence, begin), min(last_sequence, stretch.last_sequence)
            span = stretch.last_sequence - begin + 1
            begin = stretch.last_sequence + 1
            if last < first:
                kept.append(stretch)
            elif last - first + 1 == span:
                gone.append(stretch)
            else:
                gone.append(_part(stretch, min(last - first + 1, stretch.values), last))
                if stretch.values:
                    kept.append(stretch)
        self.values -= sum(stretch.values for stretch in gone)
        self.stretches = kept
        if first_sequence <= self.first_sequence <= last_sequence:
            self.first_sequence = last_sequence + 1
        return gone

    @property
    def size_bytes(self) -> int:
        return sum(stretch.size_bytes for stretch in self.stretches)


def join_parents(parents: dict[str, int], others: Mapping[str, int]) -> None:
    """Of each link the first sequence that either names."""
    for link, first in others.items():
        parents[link] = min(parents.get(link, first), first)


def in_pairs(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Half as many stretches, of twice the length."""
    joined: list[Stretch] = []
    for index, stretch in enumerate(stretches):
        if index % 2:
            joined[-1].take(stretch)
        else:
            joined.append(stretch)
    return joined


def remember(past: list[Stretch], gone: Iterable[Stretch]) -> list[Stretch]:
    """Stretches of which the envelopes are kept, and more of them, in order and not too many."""
    for stretch in gone:
        insort(past, stretch, key=_last)
    while len(past) > RETENTION_STRETCHES_MAX:
        past = in_pairs(past)
    return past


def _part(stretch: Stretch, values: int, last_sequence: int) -> Stretch:
    """So many values of a stretch, taken out of it."""
    share = values / stretch.values if stretch.values else 1.0
    rows, size_bytes = int(stretch.rows * share), int(stretch.size_bytes * share)
    stretch.values -= values
    stretch.rows -= rows
    stretch.size_bytes -= size_bytes
    return Stretch(last_sequence, values, rows, size_bytes, stretch.created_at_ns, dict(stretch.parents))


def _last(stretch: Stretch) -> int:
    return stretch.last_sequence
