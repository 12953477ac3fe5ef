"""Statements that try to reach what is no link: refused by their text, and where that is not enough by the process that runs them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from linkd.core.rights import OUTSIDER
from linkd.errors import Error, InvalidArgument, QueryInvalid
from linkd.query.answering import parameters_in
from linkd.query.insertion import insertion_in
from linkd.query.statement import check_select
from linkd.testing.home import InProcessHome, running_home

PERMITTED = ("_commits", "airlines", "flown")
STATEMENTS = [
    tuple(line.rsplit(" => ", 1))
    for line in (Path(__file__).parent / "hostile_statements.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
DEEP = {
    "brackets": "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    "lists": "SELECT " + "[" * 2000 + "]" * 2000,
    "negations": "SELECT " + "NOT " * 5000 + "true",
    "sums": "SELECT " + "1 +" * 20000 + " 1 FROM 'x.csv'",
    "selects": "SELECT * FROM (" * 1500 + "SELECT 1" + ")" * 1500 + " FROM 'x.csv'",
    "parts": "WITH " + ", ".join(f"c{i} AS (SELECT 1)" for i in range(3000)) + " SELECT * FROM 'x.csv'",
}
BOMBS = {
    "a text": "SELECT length(repeat('x', 4200000000)) AS n",
    "a list": "SELECT length(list(range)) AS n FROM range(100000000000)",
    "a recursion": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) AS n FROM r",
    "a product": "SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = -1",
    "a pattern": "SELECT regexp_matches(repeat('a', 100000) || range, '(a*)*b') AS n FROM range(100000000)",
}


@pytest.fixture(scope="module")
def parser() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"enable_external_access": False, "threads": 1}) as connection:
        yield connection


def test_there_are_enough_of_them() -> None:
    assert len(STATEMENTS) >= 300


def test_every_statement_is_refused_with_its_reason(parser: duckdb.DuckDBPyConnection) -> None:
    for text, part in STATEMENTS:
        statement = json.loads(text)
        with pytest.raises(QueryInvalid) as refused:
            check_select(statement, None, parser=parser).check_reads(PERMITTED)
        assert part in str(refused.value), f"{statement}: {refused.value}"


def test_the_same_behind_an_insert(parser: duckdb.DuckDBPyConnection) -> None:
    for text, _ in STATEMENTS:
        insertion = insertion_in(f"INSERT INTO flown (a) {json.loads(text)}")
        assert insertion is not None
        with pytest.raises(QueryInvalid):
            check_select(insertion.select, None, parser=parser).check_reads(PERMITTED)


@pytest.mark.parametrize("name", DEEP)
def test_texts_of_any_depth_are_refused_or_understood(name: str, parser: duckdb.DuckDBPyConnection) -> None:
    try:
        check_select(DEEP[name], None, parser=parser)
    except QueryInvalid:
        return
    assert "x.csv" not in DEEP[name]


def test_parameters_are_not_decompressed() -> None:
    table = pa.table({"a": ["x" * 1_000_000]})
    for compression in ("zstd", "lz4"):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table)
        with pytest.raises(InvalidArgument, match="compress"):
            parameters_in(sink.getvalue().to_pybytes())
    with pytest.raises(InvalidArgument):
        parameters_in(b"no stream at all")


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    async with running_home(tmp_path / "state") as home:
        yield home


async def test_the_process_refuses_what_the_text_does_and_ends_what_grows_without_end(home: InProcessHome) -> None:
    queries = home.links.queries

    async def refusal(sql: str) -> str:
        with pytest.raises(Error) as refused:
            async for _ in queries.run(OUTSIDER, sql, 0.5):
                pass
        return str(refused.value)

    for text, part in STATEMENTS[::40]:
        statement = json.loads(text)
        assert part in await refusal(statement), statement
    [child] = queries.children()
    for name, bomb in BOMBS.items():
        said = await refusal(bomb)
        assert "too large" in said or "took longer than 0.5 s" in said, f"{name}: {said}"
    assert queries.children() == [child]
    assert [len(message) > 0 async for message in queries.run(OUTSIDER, "SELECT 1 AS one")] == [True, True]
