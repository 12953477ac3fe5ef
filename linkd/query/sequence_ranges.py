"""Ranges of the sequences of a link, narrowed down to those that may be wanted without a list of its values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Range = tuple[int, int]
"""The first sequence and the last one."""
Chosen = Callable[[Sequence[Range]], Sequence[int] | None]
"""Which of these ranges may have a sequence that is wanted; None if that cannot be told."""


def narrowed(first: int, last: int, cells: int, chosen: Chosen) -> list[Range]:
    """What is left of [first, last], in order and apart from each other: `chosen` is asked of some `cells` ranges at a time.

    What is left is cut up again, until each range is one sequence or little more can be left out.
    """
    ranges = [(first, last)]
    while True:
        width = max(1, -(-_total(ranges) // cells))
        pieces = [piece for each in ranges for piece in _cut(each, width)]
        found = chosen(pieces)
        if found is None:
            return ranges
        left = merged([pieces[index] for index in found])
        if width == 1 or 2 * _total(left) > _total(ranges) or len(left) > cells:
            return left
        ranges = left


def merged(ranges: Sequence[Range]) -> list[Range]:
    """The same sequences; of ranges that follow one another one is made."""
    whole: list[Range] = []
    for first, last in ranges:
        if whole and whole[-1][1] + 1 == first:
            whole[-1] = whole[-1][0], last
        else:
            whole.append((first, last))
    return whole


def _cut(whole: Range, width: int) -> list[Range]:
    first, last = whole
    return [(begin, min(begin + width - 1, last)) for begin in range(first, last + 1, width)]


def _total(ranges: Sequence[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)
