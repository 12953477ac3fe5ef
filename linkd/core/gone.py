"""Sequences of a link that hold no value any more, though their generation is there: sorted ranges apart from each other. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace

from linkd.limits import DROPPED_RANGES_KEPT
from linkd.model.frozen import frozen

SEVERAL = "several reasons"
"""The reason of ranges that became one long ago and had different ones. (How many values went for which, `Link.dropped` has.)"""


@frozen()
class Gone:
    """Values that were dropped, both ends included; `dropped_at_ns` is when the last of them was, 0 if that is not known."""

    first_sequence: int
    last_sequence: int
    reason: str
    dropped_at_ns: int = 0


@frozen()
class DropCount:
    """How many values a link has dropped for one reason, one by one, and when the last of them."""

    values: int
    last_at_ns: int


def first_behind(gone: Sequence[Gone], sequence: int) -> int:
    """The first sequence from this one on that is in none of the ranges."""
    for one in _from(gone, sequence):
        if one.first_sequence > sequence:
            break
        sequence = one.last_sequence + 1
    return sequence


def within(gone: Sequence[Gone], first_sequence: int, last_sequence: int) -> Iterator[Gone]:
    """What of the ranges lies between these two sequences, in order."""
    for one in _from(gone, first_sequence):
        if one.first_sequence > last_sequence:
            break
        yield replace(one, first_sequence=max(one.first_sequence, first_sequence), last_sequence=min(one.last_sequence, last_sequence))


def new_values(gone: Sequence[Gone], first_sequence: int, last_sequence: int) -> int:
    """How many between these two sequences are in none of the ranges."""
    known = sum(one.last_sequence - one.first_sequence + 1 for one in within(gone, first_sequence, last_sequence))
    return last_sequence - first_sequence + 1 - known


def add(gone: list[Gone], new: Gone) -> None:
    """Another range: what of it the others have already stays as it is.

    Of ranges before the newest `DROPPED_RANGES_KEPT` those that touch become one, so that there are never many more than values between them.
    """
    at = end = bisect_left(gone, new.first_sequence, key=_last)
    first, pieces = new.first_sequence, []
    while end < len(gone) and gone[end].first_sequence <= new.last_sequence:
        one = gone[end]
        if first < one.first_sequence:
            pieces.append(replace(new, first_sequence=first, last_sequence=one.first_sequence - 1))
        pieces.append(one)
        first = one.last_sequence + 1
        end += 1
    if first <= new.last_sequence:
        pieces.append(replace(new, first_sequence=first))
    more = len(pieces) - (end - at)
    gone[at:end] = pieces
    old = len(gone) - DROPPED_RANGES_KEPT
    touching = {*range(at, min(at + len(pieces) + 1, old)), *range(old - more, old)}
    for index in sorted((one for one in touching if one > 0), reverse=True):
        _join(gone, index)


def _join(gone: list[Gone], index: int) -> None:
    """Makes this range and the one before it one, if they touch."""
    before, one = gone[index - 1], gone[index]
    if before.last_sequence + 1 == one.first_sequence:
        reason = one.reason if one.reason == before.reason else SEVERAL
        at_ns = max(before.dropped_at_ns, one.dropped_at_ns)
        gone[index - 1 : index + 1] = [Gone(before.first_sequence, one.last_sequence, reason, at_ns)]


def _from(gone: Sequence[Gone], sequence: int) -> Iterator[Gone]:
    """The ranges that do not end before this sequence."""
    for index in range(bisect_left(gone, sequence, key=_last), len(gone)):
        yield gone[index]


def _last(gone: Gone) -> int:
    return gone.last_sequence
