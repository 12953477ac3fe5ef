"""How fast links grow: averages over the last seconds."""

from __future__ import annotations

import pytest

from linkd.home.rates import Rate, Rates
from linkd.limits import RATE_WINDOW_S
from linkd.model.records import RunEnded
from linkd.testing.sample_values import sample_value


def test_a_link_that_never_moved_has_no_rate() -> None:
    rates = Rates()
    rates.settled([RunEnded(1, "done", 0)], 10.0)
    assert rates.of("flown", 10.0) is None
    assert not rates.moving


def test_a_burst_counts_for_a_second_at_least() -> None:
    rates = Rates()
    value = sample_value("flown", 1, rows=30)
    rates.settled([value.stored], 10.0)
    assert rates.of("flown", 10.1) == Rate(1, 30, len(value.payload))
    assert rates.of("totals", 10.1) is None


def test_the_rate_is_the_average_since_the_link_began_to_move() -> None:
    rates = Rates()
    for step in range(8):
        rates.settled([sample_value("flown", step + 1, rows=10).stored], 10 + step / 2)
    rate = rates.of("flown", 14.0)
    assert rate is not None
    assert rate.rows_per_s == pytest.approx(20)
    assert rate.values_per_s == pytest.approx(2)


def test_what_is_older_than_the_window_does_not_count() -> None:
    rates = Rates()
    rates.settled([sample_value("flown", 1, rows=1_000).stored], 10.0)
    rates.settled([sample_value("flown", 2, rows=10).stored], 10.0 + RATE_WINDOW_S)
    rate = rates.of("flown", 10.0 + RATE_WINDOW_S)
    assert rate is not None
    assert rate.rows_per_s == 10


def test_a_link_that_stopped_has_no_rate_any_more_and_takes_no_room() -> None:
    rates = Rates()
    rates.settled([sample_value("flown", 1).stored], 10.0)
    assert rates.moving
    assert rates.of("flown", 10.0 + RATE_WINDOW_S) is None
    assert not rates.moving
