"""Whether the clock on the wall may be believed when values are measured by their age."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linkd.core.steady_clock import SteadyClock
from linkd.limits import CLOCK_JUMP_MAX_S, CLOCK_STEADY_S

NOON_S = 1_800_000_000.0
YEAR_S = 365 * 86_400.0


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def test_a_clock_that_jumped_is_believed_again_when_it_ran_steadily_for_an_hour() -> None:
    clock = SteadyClock.at_start(ns(NOON_S), 0.0, ns(NOON_S - 5.0))
    assert clock.look(ns(NOON_S + 10.0), 10.0) == 0.0
    assert clock.credible_ns == ns(NOON_S + 10.0)
    assert clock.look(ns(NOON_S + 20.0 + YEAR_S), 20.0) == YEAR_S
    assert clock.credible_ns is None
    assert clock.look(ns(NOON_S + 19.0 + YEAR_S + CLOCK_STEADY_S), 19.0 + CLOCK_STEADY_S) == 0.0
    assert clock.credible_ns is None
    clock.look(ns(NOON_S + 20.0 + YEAR_S + CLOCK_STEADY_S), 20.0 + CLOCK_STEADY_S)
    assert clock.credible_ns == ns(NOON_S + 20.0 + YEAR_S + CLOCK_STEADY_S)


def test_a_machine_that_slept_has_a_clock_that_jumped() -> None:
    """The monotonic clock stands still meanwhile: whether somebody set the other is not to be told."""
    clock = SteadyClock.at_start(ns(NOON_S), 0.0, 0)
    assert clock.look(ns(NOON_S + 8 * 3_600), 1.0) == 8 * 3_600 - 1.0
    assert clock.credible_ns is None


def test_at_a_start_the_newest_value_says_what_time_it_was() -> None:
    assert SteadyClock.at_start(ns(NOON_S), 0.0, 0).credible_ns == ns(NOON_S)
    assert SteadyClock.at_start(ns(NOON_S), 0.0, ns(NOON_S - CLOCK_JUMP_MAX_S)).credible_ns == ns(NOON_S)
    for last_s in (NOON_S - CLOCK_JUMP_MAX_S - 1.0, NOON_S + YEAR_S):
        clock = SteadyClock.at_start(ns(NOON_S), 0.0, ns(last_s))
        assert clock.credible_ns is None
        clock.look(ns(NOON_S + CLOCK_STEADY_S), CLOCK_STEADY_S)
        assert clock.credible_ns is not None


@given(st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from((0, 0, 0, 60, -60, 4_000, -4_000, 30_000_000))), max_size=40))
def test_however_the_clock_is_set_it_is_believed_only_behind_an_hour_without_a_jump(looks: list[tuple[int, int]]) -> None:
    clock, now_s, monotonic_s, jumped_at_s = SteadyClock(ns(NOON_S), 0.0), int(NOON_S), 0, -int(CLOCK_STEADY_S)
    for passed_s, set_by_s in looks:
        monotonic_s += passed_s
        now_s += passed_s + set_by_s
        said_s = clock.look(ns(now_s), float(monotonic_s))
        if abs(set_by_s) > CLOCK_JUMP_MAX_S:
            jumped_at_s = monotonic_s
            assert said_s == set_by_s
        else:
            assert said_s == 0.0
        believed = monotonic_s - jumped_at_s >= CLOCK_STEADY_S
        assert clock.credible_ns == (ns(now_s) if believed else None)
