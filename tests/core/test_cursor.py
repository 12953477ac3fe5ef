"""A cursor is a set of done sequences, kept as a beginning and ranges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linkd.core.cursor import Cursor

LAST = 30
ranges = st.tuples(st.integers(1, LAST), st.integers(0, 6)).map(lambda pair: (pair[0], min(pair[0] + pair[1] - 1, LAST)))


@given(st.lists(ranges, max_size=12), st.sets(st.integers(1, LAST)))
def test_a_cursor_is_the_set_of_what_was_settled(settled: list[tuple[int, int]], taken: set[int]) -> None:
    cursor, model = Cursor(0), set[int]()
    for first, last in settled:
        before, old = cursor.copy(), set(model)
        cursor.settle(first, last)
        model.update(range(first, last + 1))
        assert list(cursor.newly_done(before)) == sorted(model - old)
    assert {n for n in range(1, LAST + 1) if cursor.is_done(n)} == model
    assert cursor.last_done == max(model, default=0)
    assert cursor.all_done(LAST) == (model == set(range(1, LAST + 1)))
    for last in (0, 7, LAST):
        left = set(range(1, last + 1)) - model
        assert cursor.left(last) == len(left)
        assert cursor.next_after(taken, last) == min(left - taken, default=None)
    assert Cursor.of(cursor.done_sequence, cursor.ranges_ahead()) == cursor


@given(st.permutations(range(1, 12)))
def test_in_whatever_order_all_is_settled_nothing_is_left_ahead(order: list[int]) -> None:
    cursor = Cursor(0)
    for n in order:
        cursor.settle(n, n)
    assert cursor == Cursor(11)


def test_ranges_ahead_are_apart_from_each_other() -> None:
    cursor = Cursor(0)
    for first, last in ((3, 3), (5, 6), (9, 9), (4, 4)):
        cursor.settle(first, last)
    assert cursor.ranges_ahead() == ((3, 6), (9, 9))


def test_an_empty_range_settles_nothing() -> None:
    cursor = Cursor(4)
    cursor.settle(5, 4)
    assert cursor == Cursor(4)
