"""The SQL adapter, with each database, under the conformance suites that every adapter passes."""

from __future__ import annotations

import pyarrow as pa
import pytest
from linkd_adapters.sql import SqlAdapter
from sql_database import Database

from linkd.plugin.contract import SinkValue
from linkd.testing.adapter_conformance import (
    SinkConformance,
    SinkSubject,
    SourceConformance,
    SourceSubject,
    ValueSinkConformance,
    ValueSinkSubject,
)

ADAPTER = SqlAdapter(rows_per_batch=1_000)
ROWS = 1_500
TABLE = pa.table({"n": pa.array(range(ROWS), pa.int64()), "s": [f"text {row % 7}" for row in range(ROWS)]})
BATCHES = (TABLE.slice(0, 10).to_batches()[0], TABLE.slice(10, 5).to_batches()[0])
SERIES = {
    "postgresql": "generate_series(0, {last}) AS g(i)",
    "duckdb": "range({last} + 1) AS g(i)",
    "sqlite": "(WITH RECURSIVE g(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM g WHERE i < {last}) SELECT i FROM g)",
}


@pytest.fixture
def filled(database: Database) -> Database:
    """With `orders`, which holds TABLE."""
    text = "text" if database.kind != "duckdb" else "varchar"
    series = SERIES[database.kind].format(last=ROWS - 1)
    database.run(
        f"CREATE TABLE orders (n bigint, s {text})",
        f"INSERT INTO orders SELECT i, 'text ' || (i % 7) FROM {series}",
        "SELECT 1",
    )
    return database


def content(database: Database, table: str = "orders") -> pa.Table | None:
    """What others see."""
    names = [name for (name,) in database.run(tables(database))]
    if table not in names:
        return None
    rows = database.run(f"SELECT n, s FROM {table} ORDER BY n")
    return pa.table({"n": pa.array([n for n, _ in rows], pa.int64()), "s": pa.array([s for _, s in rows], pa.string())})


def tables(database: Database) -> str:
    if database.kind == "sqlite":
        return "SELECT name FROM sqlite_master WHERE type = 'table'"
    return "SELECT table_name FROM information_schema.tables"


class TestTableAsSource(SourceConformance):
    @pytest.fixture
    def subject(self, filled: Database) -> SourceSubject:
        def change() -> None:
            filled.run("UPDATE orders SET s = 'another text' WHERE n = 70", "SELECT 1")

        missing = filled.options("missing")
        return SourceSubject(ADAPTER, filled.options(), TABLE, change, missing, has_snapshots=filled.kind != "sqlite", is_beside_us=False)

    @pytest.fixture(autouse=True)
    def _writers_wait_in_sqlite(self, request: pytest.FixtureRequest, filled: Database) -> None:
        if filled.kind == "sqlite" and "another_content" in request.node.name:
            pytest.skip("in SQLite nobody writes while somebody reads, so there is no other content")


class TestTableAsSink(SinkConformance):
    @pytest.fixture
    def subject(self, database: Database) -> SinkSubject:
        return SinkSubject(ADAPTER, database.options(), BATCHES, lambda: content(database))


class TestAppendedTable(ValueSinkConformance):
    @pytest.fixture
    def subject(self, database: Database) -> ValueSinkSubject:
        def damage() -> None:
            database.run("DELETE FROM linkd_positions", "SELECT 1")

        return ValueSinkSubject(ADAPTER, database.options(mode="append"), BATCHES, lambda: content(database), damage)


class TestUpsertedTable(TestAppendedTable):
    @pytest.fixture
    def subject(self, database: Database) -> ValueSinkSubject:
        def damage() -> None:
            database.run("UPDATE linkd_positions SET sequence = 0", "SELECT 1")

        options = database.options(mode="upsert", key=("n",))
        return ValueSinkSubject(ADAPTER, options, BATCHES, lambda: content(database), damage)

    async def test_a_row_takes_the_place_of_the_one_with_its_key_and_the_last_of_several_counts(self, subject: ValueSinkSubject) -> None:
        sink = subject.adapter.value_sink(subject.options)
        first = pa.record_batch({"n": pa.array([1, 2]), "s": ["old", "kept"]})
        second = pa.record_batch({"n": pa.array([1, 3, 1]), "s": ["between", "added", "new"]})
        last = (await sink.write(SinkValue(1, 1, first), {})).record
        await sink.write(SinkValue(1, 2, second), last)
        await sink.close()
        found = subject.read_back()
        assert found is not None
        assert found.to_pydict() == {"n": [1, 2, 3], "s": ["new", "kept", "added"]}


async def test_a_table_that_is_gone_is_begun_anew(database: Database) -> None:
    made = await database.value_sink("append").write(SinkValue(1, 1, BATCHES[0]), {})
    database.run("DROP TABLE orders", "SELECT 1")
    sink = database.value_sink("append")
    await sink.check(made.record)
    await sink.write(SinkValue(1, 2, BATCHES[1]), made.record)
    await sink.close()
    found = content(database)
    assert found is not None
    assert found.num_rows == BATCHES[1].num_rows
