"""Sequences of a link that hold no value any more, though their generation is there: sorted ranges apart from each other. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from linkd.limits import DROPPED_RANGES_KEPT


@dataclass(frozen=True, slots=True)
class Gone:
    """Values that were dropped, both ends included; `dropped_at_ns` is when the last of them was, 0 if that is not known."""

    first_sequence: int
    last_sequence: int
    reason: str
    dropped_at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many values a link has dropped for one reason, one by one, and when the last of them."""

    values: int
    last_at_ns: int


def first_behind(gone: Sequence[Gone], sequence: int) -> int:
    """The first sequence from this one on that is in none of the ranges."""
    for one in gone[bisect_left(gone, sequence, key=_last) :]:
        if one.first_sequence > sequence:
            break
        sequence = one.last_sequence + 1
    return sequence


def within(gone: Sequence[Gone], first_sequence: int, last_sequence: int) -> Iterator[Gone]:
    """What of the ranges lies between these two sequences, in order."""
    for one in gone[bisect_left(gone, first_sequence, key=_last) :]:
        if one.first_sequence > last_sequence:
            break
        yield replace(one, first_sequence=max(one.first_sequence, first_sequence), last_sequence=min(one.last_sequence, last_sequence))


def new_values(gone: Sequence[Gone], first_sequence: int, last_sequence: int) -> int:
    """How many between these two sequences are in none of the ranges."""
    known = sum(one.last_sequence - one.first_sequence + 1 for one in within(gone, first_sequence, last_sequence))
    return last_sequence - first_sequence + 1 - known


def with_range(gone: Sequence[Gone], new: Gone) -> list[Gone]:
    """The ranges with another one: what of it they have already stays as it is. There are never many more than `DROPPED_RANGES_KEPT`."""
    found = list(gone)
    first = new.first_sequence
    for one in [*within(gone, new.first_sequence, new.last_sequence), None]:
        last = new.last_sequence if one is None else one.first_sequence - 1
        if first <= last:
            found.append(replace(new, first_sequence=first, last_sequence=last))
        if one is not None:
            first = one.last_sequence + 1
    found.sort(key=_last)
    return _joined(found, len(found) - DROPPED_RANGES_KEPT)


def _joined(gone: Iterable[Gone], surplus: int) -> list[Gone]:
    """So many ranges less, if as many touch others of the same reason: the oldest become one with what comes behind them."""
    found: list[Gone] = []
    for one in gone:
        before = found[-1] if found else None
        if surplus > 0 and before is not None and before.last_sequence + 1 == one.first_sequence and before.reason == one.reason:
            at_ns = max(before.dropped_at_ns, one.dropped_at_ns)
            found[-1] = replace(one, first_sequence=before.first_sequence, dropped_at_ns=at_ns)
            surplus -= 1
        else:
            found.append(one)
    return found


def _last(gone: Gone) -> int:
    return gone.last_sequence
