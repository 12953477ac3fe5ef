"""What is gone of a link that stays: sorted ranges, each with its reason, held against a look at every sequence."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from linkd.core.gone import SEVERAL, Gone, add, first_behind, new_values, within
from linkd.limits import DROPPED_RANGES_KEPT

MOST = 400
ranges = st.tuples(st.integers(1, MOST), st.integers(0, 12), st.sampled_from(("full", "age", "values")))


def by_sequence(gone: list[Gone]) -> dict[int, str]:
    return {sequence: one.reason for one in gone for sequence in range(one.first_sequence, one.last_sequence + 1)}


@given(st.lists(ranges, max_size=150))
def test_every_sequence_is_gone_once_for_the_first_reason_it_was_dropped_for(drops: list[tuple[int, int, str]]) -> None:
    gone: list[Gone] = []
    model: dict[int, str] = {}
    for at_ns, (first, more, reason) in enumerate(drops, 1):
        last = first + more
        assert new_values(gone, first, last) == sum(sequence not in model for sequence in range(first, last + 1))
        add(gone, Gone(first, last, reason, at_ns))
        for sequence in range(first, last + 1):
            model.setdefault(sequence, reason)
        assert all(one.last_sequence < other.first_sequence for one, other in pairwise(gone))
    found = by_sequence(gone)
    assert found.keys() == model.keys()
    newest = gone[-DROPPED_RANGES_KEPT:]
    assert all(found[sequence] in (model[sequence], SEVERAL) for sequence in model)
    assert all(found[sequence] == model[sequence] for one in newest[1:] for sequence in range(one.first_sequence, one.last_sequence + 1))
    for sequence in range(1, MOST + 15, 7):
        assert first_behind(gone, sequence) == next(one for one in range(sequence, MOST + 20) if one not in model)
    assert by_sequence(list(within(gone, 50, 90))) == {one: found[one] for one in found if 50 <= one <= 90}


def test_old_ranges_that_touch_are_told_as_one() -> None:
    gone: list[Gone] = []
    for sequence in range(1, 1_001):
        add(gone, Gone(sequence, sequence, "age", sequence))
    assert len(gone) == DROPPED_RANGES_KEPT + 1
    assert gone[0] == Gone(1, 1_000 - DROPPED_RANGES_KEPT, "age", 1_000 - DROPPED_RANGES_KEPT)


def test_a_link_that_sheds_while_it_is_cut_for_ever_needs_no_more_room() -> None:
    """Every second value is dropped as it comes, and what is kept of the others goes in its time."""
    gone: list[Gone] = []
    for sequence in range(2, 20_000, 2):
        add(gone, Gone(sequence, sequence, "full"))
        if sequence > 100:
            add(gone, Gone(sequence - 99, sequence - 99, "values"))
        assert len(gone) <= 3 * DROPPED_RANGES_KEPT
    assert gone[0].reason == SEVERAL
