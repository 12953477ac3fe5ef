"""Inputs of a query on disk: mapped, checked, gathered, and gone afterwards."""

from __future__ import annotations

import stat
from pathlib import Path

import pyarrow as pa
import pytest

from linkd import limits
from linkd.errors import InvalidArgument, SchemaMismatch, StorageFailed
from linkd.query.spill import Spill

SCHEMA = pa.schema([("a", pa.int64()), ("s", pa.string())])


def _value(*rows: int) -> pa.RecordBatch:
    return pa.record_batch({"a": list(rows), "s": [str(row) for row in rows]})


def test_values_come_back_in_order_as_one_table(tmp_path: Path) -> None:
    with Spill(tmp_path / "spill") as spill:
        for row in range(100):
            spill.add("flown", _value(row, -row))
        table = spill.tables()["flown"]
    assert table.column("a").to_pylist() == [number for row in range(100) for number in (row, -row)]
    assert table.column("a").num_chunks == 1


def test_rows_are_mapped_not_held(tmp_path: Path) -> None:
    with Spill(tmp_path / "spill") as spill:
        for _ in range(8):
            spill.add("flown", pa.record_batch({"a": range(limits.ROWS_PER_VALUE)}))
        before = pa.total_allocated_bytes()
        table = spill.tables()["flown"]
        assert table.num_rows == 8 * limits.ROWS_PER_VALUE
        assert pa.total_allocated_bytes() - before < 100_000


def test_thousands_of_tiny_values_do_not_wait_one_by_one(tmp_path: Path) -> None:
    count = 4 * limits.SPILL_GATHERED_VALUES
    with Spill(tmp_path / "spill") as spill:
        before = pa.total_allocated_bytes()
        for row in range(count):
            spill.add("flown", _value(row))
        assert pa.total_allocated_bytes() - before < 50 * count
        spill.add("flown", _value(count))
        table = spill.tables()["flown"]
    assert table.column("a").to_pylist() == list(range(count + 1))
    assert table.column("a").num_chunks == 1


def test_the_directory_is_private_and_gone_afterwards_while_tables_stay(tmp_path: Path) -> None:
    directory = tmp_path / "spill"
    with Spill(directory) as spill:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        spill.add("flown", _value(1, 2))
        table = spill.tables()["flown"]
    assert not directory.exists()
    assert table.to_pydict() == {"a": [1, 2], "s": ["1", "2"]}


def test_an_input_without_values_has_its_declared_columns(tmp_path: Path) -> None:
    with Spill(tmp_path / "spill") as spill:
        spill.declare("flown", SCHEMA)
        assert spill.tables()["flown"].equals(SCHEMA.empty_table())


def test_an_input_of_empty_values_has_their_columns(tmp_path: Path) -> None:
    with Spill(tmp_path / "spill") as spill:
        spill.declare("flown", None)
        spill.add("flown", _value())
        assert spill.tables()["flown"].num_rows == 0


def test_an_input_of_which_nothing_is_known_says_what_to_do(tmp_path: Path) -> None:
    with Spill(tmp_path / "spill") as spill:
        spill.declare("flown", None)
        with pytest.raises(SchemaMismatch) as caught:
            spill.tables()
    assert str(caught.value) == "flown has no columns: nothing was published to it; give links.flown.schema"


def test_nulls_from_before_a_column_had_a_type_get_the_type_that_came_later(tmp_path: Path) -> None:
    with Spill(tmp_path / "spill") as spill:
        spill.add("flown", pa.record_batch({"a": [1], "s": pa.nulls(1)}))
        spill.add("flown", _value(2))
        table = spill.tables()["flown"]
    assert table.schema == SCHEMA
    assert table.to_pydict() == {"a": [1, 2], "s": [None, "2"]}


def test_a_damaged_value_is_refused_before_anything_reads_it(tmp_path: Path) -> None:
    offsets = pa.array([0, 1_000_000, 2], pa.int32()).buffers()[1]
    damaged = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"xy")])
    with Spill(tmp_path / "spill") as spill, pytest.raises(InvalidArgument, match="flown: a value is damaged"):
        spill.add("flown", pa.record_batch({"s": damaged}))


def test_a_disk_that_refuses_is_said_so(tmp_path: Path) -> None:
    directory = tmp_path / "spill"
    with Spill(directory) as spill:
        (directory / "flown.0.arrow").mkdir()
        with pytest.raises(StorageFailed, match="could not write the rows it reads"):
            spill.add("flown", pa.record_batch({"a": range(limits.ROWS_PER_VALUE)}))


def test_half_floats_are_floats_for_sql_which_has_none(tmp_path: Path) -> None:
    halves = pa.array([1.5, None]).cast(pa.float16())
    with Spill(tmp_path / "spill") as spill:
        spill.declare("flown", pa.schema([("h", pa.float16()), ("l", pa.list_(pa.float16()))]))
        spill.add("flown", pa.record_batch({"h": halves, "l": pa.array([None, None], pa.list_(pa.float16()))}))
        table = spill.tables()["flown"]
    assert table.schema.types == [pa.float32(), pa.list_(pa.float32())]
    assert table.column("h").to_pylist() == [1.5, None]


def test_a_type_that_sql_lacks_is_refused_with_its_column(tmp_path: Path) -> None:
    with Spill(tmp_path / "spill") as spill, pytest.raises(SchemaMismatch, match=r"flown\.d is decimal256\(50, 2\), which SQL cannot read"):
        spill.declare("flown", pa.schema([("d", pa.decimal256(50, 2))]))
