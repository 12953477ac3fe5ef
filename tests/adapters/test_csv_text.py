"""Rows as CSV: the same text, whether lines are written as they are or a field among them needs quotes."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.file.csv_text import rows_text

from linkd.plugin.contract import CsvDialect

DIALECTS = (
    CsvDialect(),
    CsvDialect(separator=";", decimal=","),
    CsvDialect(decimal=","),
    CsvDialect(separator=":"),
    CsvDialect(quote="'"),
)
TEXTS = st.none() | st.sampled_from(["a", "", "x,y", "x;y", 'say "so"', "it's", "two\nlines", "cr\r", "ü", " "])
FLOATS = st.none() | st.floats() | st.integers(-(10**11), 10**11).map(float)


@given(rows=st.lists(st.tuples(TEXTS, FLOATS), min_size=1, max_size=6), dialect=st.sampled_from(DIALECTS))
def test_the_lines_of_rows_are_those_of_each_row(rows: list[tuple[str | None, float | None]], dialect: CsvDialect) -> None:
    texts, numbers = zip(*rows, strict=True)
    batch = pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.string()), "number": pa.array(numbers, pa.float64())})
    whole = rows_text(batch, dialect)
    assert whole == b"".join(rows_text(batch.slice(row, 1), dialect) for row in range(len(rows)))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, b"1.0"),
        (-0.0, b"-0.0"),
        (0.1, b"0.1"),
        (999_999_999.0, b"999999999.0"),
        (1e9, b"1000000000.0"),
        (1e10, b"1e+10"),
        (1e20, b"1e+20"),
    ],
)
def test_a_float_has_a_point_or_an_exponent_beside_small_ones_and_by_itself(number: float, text: bytes) -> None:
    for others in ([], [2.5], [1e300], [None]):
        batch = pa.RecordBatch.from_pydict({"number": pa.array([number, *others], pa.float64()), "n": [1] * (1 + len(others))})
        assert rows_text(batch, CsvDialect()).splitlines()[0] == text + b",1"
