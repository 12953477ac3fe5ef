"""Durations of nanoseconds in SQL: whole microseconds are read, finer ones refused where they are read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from linkd.errors import SchemaMismatch
from linkd.query.engine import run_select
from linkd.query.statement import check_select

NS = pa.duration("ns")
TABLE = pa.table(
    {
        "n": [1, 2],
        "whole": pa.array([1000, None], NS),
        "fine": pa.array([None, 1001], NS),
        "nested": pa.array([[{"d": 1000}], [{"d": None}, {"d": -1}]], pa.list_(pa.struct([("d", NS)]))),
        "other": pa.array([1, 2], pa.duration("ms")),
    }
)
FINE = TABLE.select(["n", "fine"])


def run(sql: str, spill_dir: Path, table: pa.Table = TABLE) -> pa.Table:
    with run_select(check_select(sql), {"t": table}, spill_dir=spill_dir) as result:
        return pa.Table.from_batches(result.batches, result.schema)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) AS c FROM t", 1),
        ("SELECT n, whole, other FROM t WHERE whole < INTERVAL 1 SECOND", 1),
        ("SELECT * EXCLUDE (fine, nested) FROM t", 2),
        ("SELECT * FROM (SELECT n, whole AS w FROM t)", 2),
        ("DESCRIBE t", 5),
        ("FROM (DESCRIBE SELECT fine FROM t)", 1),
    ],
)
def test_what_is_not_cut_is_read(sql: str, rows: int, tmp_path: Path) -> None:
    assert run(sql, tmp_path / "d").num_rows == rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t",
        "SELECT t.Fine FROM t",
        "SELECT count(*) AS c FROM t WHERE fine > INTERVAL 1 SECOND",
        "SELECT max(x.fine) AS m FROM t AS x",
        "FROM t JOIN t u USING (fine)",
        "SELECT t FROM t",
        "SELECT COLUMNS('f.*') FROM t",
        "SELECT n FROM (SELECT * FROM t)",
        "WITH a AS (FROM t) SELECT n FROM a",
        "PIVOT t ON n IN (1) USING max(fine)",
        "UNPIVOT t ON fine",
    ],
)
def test_what_would_be_cut_is_refused_by_its_column(sql: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"t\.fine has durations with nanoseconds.*EXCLUDE \(fine\)"):
        run(sql, tmp_path / "d", FINE)


def test_a_nested_one_too(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"t\.nested"):
        run("SELECT nested[1].d AS d FROM t", tmp_path / "d")
