"""Narrowing down never leaves out what is wanted, and finds few among many without looking at each."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from linkd.query.sequence_ranges import narrowed

CELLS = 16


@given(st.integers(1, 50), st.integers(0, 3_000), st.sets(st.integers(1, 3_050), max_size=8))
def test_what_is_wanted_is_left_and_each_piece_has_some_of_it(first: int, count: int, wanted: set[int]) -> None:
    last = first + count
    asked: list[int] = []

    def chosen(pieces: list[tuple[int, int]]) -> list[int]:
        asked.append(len(pieces))
        return [index for index, (begin, end) in enumerate(pieces) if any(begin <= one <= end for one in wanted)]

    left = narrowed(first, last, CELLS, chosen)
    within = {one for one in wanted if first <= one <= last}
    found = {one for begin, end in left for one in range(begin, end + 1)}
    assert within <= found <= set(range(first, last + 1))
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(left))
    assert max(asked) <= 2 * CELLS + len(wanted)
    if len(within) == 1:
        assert found == within


def test_the_end_of_sixteen_million_is_found_in_three_steps() -> None:
    steps = 0

    def chosen(pieces: list[tuple[int, int]]) -> list[int]:
        nonlocal steps
        steps += 1
        return [index for index, (_, end) in enumerate(pieces) if end > 16_000_000 - 5]

    assert narrowed(1, 16_000_000, 256, chosen) == [(16_000_000 - 4, 16_000_000)]
    assert steps == 3


def test_where_nothing_can_be_told_all_of_it_is_left() -> None:
    assert narrowed(3, 9_000, CELLS, lambda pieces: None) == [(3, 9_000)]
