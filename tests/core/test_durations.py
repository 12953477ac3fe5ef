"""Spans of time as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.durations import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10.0), ("10m", 600.0), ("1h", 3600.0), ("2d", 172_800.0), ("1.5h", 5400.0)]
)
def test_a_number_and_a_unit_are_a_span(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "-1s", "1w", "1e3s", "1.s", "١s", "9999999999s"])
def test_nothing_else_is(text: str) -> None:
    assert parse_duration(text) is None


@given(st.integers(1, 10**9), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_what_is_shown_means_the_same(count: int, unit: str) -> None:
    seconds = parse_duration(f"{min(count, 999_999)}{unit}")
    assert seconds is not None
    assert parse_duration(duration_text(seconds)) == pytest.approx(seconds, rel=1e-4)
