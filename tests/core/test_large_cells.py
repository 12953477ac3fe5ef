"""Cells that are too large for a value: which they are, and that they come back as they were, against lists of Python values."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.artifact_references import attribute_of, cell_text, cells_of, references_of
from linkd.core.large_cells import LargeCell, check_size, filled, large_cells, replaced
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import TABLE_CELLS_MAX_BYTES
from linkd.model.artifacts import ArtifactReference

texts = st.none() | st.text("aö", max_size=12)
rows = st.lists(st.tuples(texts, texts, st.integers(0, 9)), min_size=1, max_size=8)
types = st.sampled_from((pa.string(), pa.binary(), pa.large_string(), pa.large_binary()))


def table_of(given_rows: list[tuple[str | None, str | None, int]], kind: pa.DataType, cut: int) -> pa.Table:
    """In two chunks, as tables come that were put together."""
    columns = list(zip(*given_rows, strict=True))
    made = pa.table({"a": pa.array(columns[0], pa.string()).cast(kind), "b": pa.array(columns[1], pa.string()), "n": columns[2]})
    return pa.concat_tables([made.slice(0, cut), made.slice(cut)])


@given(rows, types, st.integers(0, 8), st.integers(0, 20), st.integers(0, 8))
def test_the_large_cells_of_large_rows_go_and_come_back(
    given_rows: list[tuple[str | None, str | None, int]], kind: pa.DataType, cut: int, row_bytes: int, cell_bytes: int
) -> None:
    table = table_of(given_rows, kind, cut)
    sizes = [[len((cell or "").encode()) for cell in row[:2]] for row in given_rows]
    expected = [
        ("ab"[column], row) for column in range(2) for row, size in enumerate(sizes) if sum(size) > row_bytes and size[column] > cell_bytes
    ]
    found = large_cells(table, row_bytes, cell_bytes)
    assert [(cell.column, cell.row) for cell in found] == expected
    without = replaced(table, {(cell.column, cell.row): f"there:{number}" for number, cell in enumerate(found)})
    assert without.schema == table.schema
    contents: dict[str, dict[bytes, bytes]] = {}
    for number, cell in enumerate(found):
        assert without[cell.column][cell.row].as_py() in (f"there:{number}", f"there:{number}".encode())
        contents.setdefault(cell.column, {})[f"there:{number}".encode()] = bytes(cell.content)
    [batch] = without.combine_chunks().to_batches()
    assert pa.Table.from_batches([filled(batch, contents, name="x@1")]) == table


def test_columns_that_are_not_text_or_bytes_have_none() -> None:
    table = pa.table({"n": [1, 2], "lists": [["x" * 100], None]})
    assert large_cells(table, 0, 0) == []
    [batch] = table.to_batches()
    assert filled(batch, {"n": {b"1": b"2"}, "gone": {b"x": b"y"}}, name="x@1") == batch


def test_a_cell_is_found_where_it_lies() -> None:
    [cell] = large_cells(pa.table({"a": [None, "xyz"]}), 2, 2)
    assert cell == LargeCell("a", 1, memoryview(b"xyz"))


def test_more_than_a_column_holds_is_refused() -> None:
    check_size(TABLE_CELLS_MAX_BYTES, name="x@1")
    with pytest.raises(ValueTooLarge, match=r"^x@1 holds cells of 2,146,435,073 bytes together"):
        check_size(TABLE_CELLS_MAX_BYTES + 1, name="x@1")


def test_a_value_says_which_artifacts_its_cells_are() -> None:
    photo, cell = ArtifactReference(bytes(32), 5, "photo.jpg", "image/jpeg"), ArtifactReference(bytes(range(32)), 7, column="text")
    attributes = attribute_of([photo, cell])
    assert references_of(attributes) == (photo, cell)
    assert cells_of(attributes) == (cell,)
    assert cells_of({}) == ()
    assert cell_text(cell) == f"linkd:artifact:{bytes(range(32)).hex()}:7"
    with pytest.raises(InvalidArgument, match="by something else than texts and a size"):
        references_of({"linkd.artifacts": f'[{{"digest":"{bytes(32).hex()}","size":1,"column":3}}]'})
