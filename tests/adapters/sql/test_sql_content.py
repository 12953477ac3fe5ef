"""Batches are cut at places that depend on the rows alone."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.sql.content import cut

SCHEMA = pa.schema([("t", pa.string())])


@st.composite
def rows(draw: st.DrawFn, size_max: int) -> list[str]:
    """Texts of any size, no two of one size alike."""
    return [f"{number:02d}" + "x" * size for number, size in enumerate(draw(st.lists(st.integers(0, size_max), max_size=40)))]


def batches_of(texts: list[str], sizes: list[int]) -> list[pa.RecordBatch]:
    found, start = [], 0
    for size in sizes:
        found.append(pa.record_batch([pa.array(texts[start : start + size], pa.string())], schema=SCHEMA))
        start += size
    return [*found, pa.record_batch([pa.array(texts[start:], pa.string())], schema=SCHEMA)]


@given(rows(30), st.lists(st.integers(0, 9), max_size=9), st.lists(st.integers(0, 9), max_size=9))
def test_how_rows_come_does_not_matter(texts: list[str], one: list[int], other: list[int]) -> None:
    first = list(cut(batches_of(texts, one), SCHEMA, rows_max=7, size_max_bytes=10**6))
    second = list(cut(batches_of(texts, other), SCHEMA, rows_max=7, size_max_bytes=10**6))
    assert [batch.to_pylist() for batch, _ in first] == [batch.to_pylist() for batch, _ in second]
    assert [text for batch, _ in first for text in batch.column("t").to_pylist()] == texts
    assert all(batch.num_rows == 7 for batch, _ in first[:-1])
    assert [is_last for _, is_last in first] == [False] * (len(first) - 1) + [True]


@given(rows(60))
def test_large_rows_make_small_batches_and_one_always_goes(texts: list[str]) -> None:
    found = list(cut(batches_of(texts, []), SCHEMA, rows_max=100, size_max_bytes=64))
    assert [text for batch, _ in found for text in batch.column("t").to_pylist()] == texts
    assert all(batch.num_rows <= 1 or batch.nbytes <= 64 + 8 for batch, _ in found)
