"""What people call values is understood, and nothing else."""

from __future__ import annotations

import pytest

from linkd.core.value_names import ById, BySequence, ByTime, ExtentName, Newest, ValueName, parse_extent_name, parse_value_name
from linkd.errors import InvalidArgument

TEN_NS = 1_795_341_600_000_000_000
"""2026-11-22T10:00:00Z."""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("flown@42", BySequence("flown", 42)),
        ("flights.rejects@1", BySequence("flights.rejects", 1)),
        ("flown@last", Newest("flown")),
        ("flown@2026-11-22T10:00", ByTime("flown", TEN_NS)),
        ("flown@2026-11-22 10:00:00.5Z", ByTime("flown", TEN_NS + 500_000_000)),
        ("flown@2026-11-22T12:00+02:00", ByTime("flown", TEN_NS)),
        ("flown@2026-11-22", ByTime("flown", TEN_NS - 36_000_000_000_000)),
        ("flown@2999-01-01", ByTime("flown", 2**63 - 1)),
        ("C68B342F-a7c5", ById("c68b342fa7c5")),
    ],
)
def test_a_name_means_a_value(text: str, named: ValueName) -> None:
    assert parse_value_name(text) == named


@pytest.mark.parametrize(
    "text", ["", "flown", "flown@", "flown@0", "flown@-1", "flown@yesterday", "flown@2026-13-01", "Flown@1", "c68b34", "a@1@2"]
)
def test_everything_else_is_refused_with_the_forms_that_there_are(text: str) -> None:
    with pytest.raises(InvalidArgument, match="names no value: write LINK@42"):
        parse_value_name(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("flown", ExtentName("flown")),
        ("flown@42", ExtentName("flown", "flown@42", "flown@42")),
        ("flown@3..17", ExtentName("flown", "flown@3", "flown@17")),
        ("flown@3..", ExtentName("flown", "flown@3", "")),
        ("flown@..last", ExtentName("flown", "", "flown@last")),
        ("flown@2026-11-22T10:00..", ExtentName("flown", "flown@2026-11-22T10:00", "")),
        ("01c68b34", ExtentName("", "01c68b34", "01c68b34")),
        ("facade01", ExtentName("facade01", may_be_id=True)),
    ],
)
def test_a_range_is_named_by_its_ends(text: str, named: ExtentName) -> None:
    assert parse_extent_name(text) == named


@pytest.mark.parametrize("text", ["flown@..", "flown@x..3", "flown@1...3", "Flown", "@3"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="names no value"):
        parse_extent_name(text)
