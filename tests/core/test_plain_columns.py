"""Columns of plain values are those that pyarrow makes of them, and are left to it where they are not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.plain_columns import plain_column

PLAIN = (st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary())


@given(st.one_of([st.lists(kind | st.none(), min_size=1) for kind in PLAIN]))
def test_a_column_is_the_one_that_pyarrow_makes(values: list[Any]) -> None:
    expected, made = pa.array(values), plain_column(values)
    if expected.type == pa.null():
        assert made is None
        return
    assert made is not None
    made.validate(full=True)
    assert made.type == expected.type
    assert made.equals(expected)
    assert made.null_count == expected.null_count


def test_not_a_number_is_no_null() -> None:
    made = plain_column([float("nan"), None])
    assert made is not None
    assert made.null_count == 1


@pytest.mark.parametrize(
    "values",
    [[], [None], [1, 2.5], [True, 1], ["a", b"a"], [2**63], [-(2**63) - 1], ["\ud800"], [Decimal(1)], [[1]], [{"a": 1}], [bytearray(b"a")]],
    ids=repr,
)
def test_what_is_not_plain_is_left_to_pyarrow(values: list[Any]) -> None:
    assert plain_column(values) is None
