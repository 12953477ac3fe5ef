"""Which values the store still has, held against a look at every one of them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from linkd.model.kept import Held
from linkd.model.records import Dropped
from linkd.model.values import Position
from linkd.store.holdings import Holdings
from linkd.testing.sample_values import sample_value

MOST = 60
ONE = sample_value("a", 1)


@given(st.lists(st.tuples(st.integers(1, MOST), st.integers(0, 6), st.booleans()), max_size=60))
def test_what_was_dropped_by_itself_is_not_live_and_all_else_is(drops: list[tuple[int, int, bool]]) -> None:
    holdings = Holdings(Held())
    for sequence in range(1, MOST + 10):
        holdings.stored(replace(ONE.envelope, position=Position(1, sequence)), ONE.stored.place)
    gone: set[int] = set()
    for first, more, freed in drops:
        holdings.dropped(Dropped("a", 1, first, first + more, "full"))
        gone.update(range(first, first + more + 1))
        for _, part in holdings.parts() if freed else ():
            holdings.part_freed("a", part, {})
    for sequence in range(1, MOST + 10):
        assert holdings.is_live("a", 1, sequence) == (sequence not in gone)
    [held] = holdings.held().links
    assert held.gone == tuple(ranges_of(gone))
    again = Holdings(holdings.held())
    assert again.held() == holdings.held()


def ranges_of(gone: set[int]) -> list[tuple[int, int]]:
    firsts = sorted(one for one in gone if one - 1 not in gone)
    lasts = sorted(one for one in gone if one + 1 not in gone)
    return list(zip(firsts, lasts, strict=True))
