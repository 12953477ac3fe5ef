"""Patterns of metadata calls, against what a regular expression says."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.search_pattern import matches


@pytest.mark.parametrize(
    ("pattern", "name", "meant"),
    [
        (None, "flown", True),
        ("", "flown", False),
        ("%", "flown", True),
        ("fl%", "flown", True),
        ("%wn", "flown", True),
        ("f_own", "flown", True),
        ("f_own", "fllown", False),
        ("a\\_b", "a_b", True),
        ("a\\_b", "axb", False),
        ("100\\%", "100%", True),
        ("a\\\\b", "a\\b", True),
        ("a\\", "a\\", True),
        ("FLOWN", "flown", False),
    ],
)
def test_what_a_pattern_means(pattern: str | None, name: str, meant: bool) -> None:
    assert matches(pattern, name) is meant


def _model(pattern: str, name: str) -> bool:
    tokens = re.findall(r"\\.|.", pattern, re.DOTALL)
    meaning = {"%": ".*", "_": "."}
    return re.fullmatch("".join(meaning.get(token) or re.escape(token[-1]) for token in tokens), name, re.DOTALL) is not None


@given(st.text("ab%_\\", max_size=8), st.text("ab_%\\\n", max_size=8))
def test_it_is_the_regular_expression_that_it_stands_for(pattern: str, name: str) -> None:
    assert matches(pattern, name) is _model(pattern, name)


def test_a_hostile_pattern_takes_no_time() -> None:
    began_s = time.process_time()
    assert not matches("%a" * 5_000 + "b", "a" * 40)
    assert time.process_time() - began_s < 1.0
