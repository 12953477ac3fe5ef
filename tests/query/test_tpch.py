"""The 22 queries of TPC-H over links give what DuckDB gives over the same rows."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkd.client.session import connect
from linkd.core.rights import OUTSIDER
from linkd.core.sql_text import StatementCutter
from linkd.testing.home import running_home

SCALE = "0.01"
QUERIES = Path(__file__).parents[2] / "benchmarks" / "tpch" / "queries.sql"
GENERATOR = Path(sys.executable).parent / "tpchgen-cli"


def statements() -> list[str]:
    cutter = StatementCutter()
    return [statement.text for statement in (*cutter.feed(QUERIES.read_text()), *cutter.rest())]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    directory = tmp_path_factory.mktemp("tpch")
    subprocess.run([GENERATOR, "parquet", "-s", SCALE, "--output-dir", directory], check=True, capture_output=True, timeout=60)
    return {path.stem: pq.read_table(path) for path in sorted(directory.glob("*.parquet"))}


async def test_all_of_them_are_answered_as_by_duckdb_itself(tables: dict[str, pa.Table], tmp_path: Path) -> None:
    assert len(tables) == 8
    assert len(statements()) == 22
    async with running_home(tmp_path / "state") as home, connect(home.endpoint) as client:
        for name, table in tables.items():
            await client.publish(name, table)
        with duckdb.connect(":memory:", config={"threads": 1}) as database:
            for name, table in tables.items():
                database.register(name, table)
            for number, sql in enumerate(statements(), 1):
                messages = [message async for message in home.links.queries.run(OUTSIDER, sql)]
                answer = pa.ipc.open_stream(b"".join(messages)).read_all()
                expected = database.sql(sql).to_arrow_table()
                assert answer.column_names == expected.column_names
                assert same(answer.to_pylist(), expected.to_pylist()), f"q{number}"


def same(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    """Equal, but for the last digits of sums of floating point numbers."""
    return len(some) == len(others) and all(
        _same(one, other)
        for row, beside in zip(some, others, strict=True)
        for one, other in zip(row.values(), beside.values(), strict=True)
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float | Decimal) and isinstance(other, float | Decimal):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)
