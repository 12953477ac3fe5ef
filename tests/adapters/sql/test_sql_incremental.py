"""Tables that are read by their key: what comes behind the last one, in order, once; and what would lose a row is refused."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import aclosing
from typing import Any

import pytest
from linkd_adapters.sql import SqlAdapter
from linkd_adapters.sql.incremental import IncrementalSource
from linkd_adapters.sql.location import Table, locate
from linkd_adapters.sql.postgres import Postgres
from sql_database import Database

from linkd.errors import DataFault, PlaceAway, SchemaMismatch, StateDamaged
from linkd.plugin.contract import Source, SourceBatch
from linkd.testing.adapter_conformance import read_all

FOREVER_S = 60


def made(database: Database, rows: str = "(1, 'a'), (2, 'b')") -> Database:
    database.run("CREATE TABLE orders (id bigint, name varchar(20))", f"INSERT INTO orders VALUES {rows}", "SELECT 1")
    return database


async def names_behind(source: Source, position: bytes | None) -> tuple[list[str], SourceBatch]:
    batches = await read_all(source, await source.survey(), position)
    return [name for batch in batches for name in batch.data.column("name").to_pylist()], batches[-1]


async def test_what_comes_behind_the_last_key_is_read_and_nothing_twice(database: Database) -> None:
    made(database, "(2, 'b'), (1, 'a')")
    source = database.source(key=("id",))
    names, last = await names_behind(source, None)
    assert (names, last.final, last.rows_read) == (["a", "b"], True, 2)
    assert await source.digest() == last.digest
    database.run("INSERT INTO orders VALUES (30, 'd'), (4, 'c')", "UPDATE orders SET name = 'changed' WHERE id = 1", "SELECT 1")
    assert await source.digest() != last.digest
    assert await source.begins_with(last.position)
    names, last = await names_behind(database.source(key=("id",)), last.position)
    assert (names, last.rows_read, dict(last.attributes)) == (["c", "d"], 4, {"table": "orders", "first_row": "3", "last_row": "4"})
    names, last = await names_behind(source, last.position)
    assert (names, last.final) == ([], True)


async def test_a_key_may_have_several_columns_of_any_exact_type(database: Database) -> None:
    rows = ["('2024-01-01', 'x', 1)", "('2024-01-02', 'a', 2)", "('2024-01-01', 'y''s', 3)"]
    database.run("CREATE TABLE orders (day date, code varchar(9), n int)", f"INSERT INTO orders VALUES {', '.join(rows)}", "SELECT 1")
    source = database.source(key=("day", "code"))
    batches = await read_all(source, await source.survey())
    assert [batch.data.column("n").to_pylist() for batch in batches] == [[1, 3, 2]]
    database.run("INSERT INTO orders VALUES ('2024-01-02', 'b', 4)", "SELECT 1")
    [batch] = await read_all(source, await source.survey(), batches[-1].position)
    assert batch.data.to_pylist() == [{"day": dt.date(2024, 1, 2), "code": "b", "n": 4}]


async def test_times_of_postgresql_are_keys_to_the_microsecond(postgres: Database) -> None:
    postgres.run("CREATE TABLE orders (at timestamptz, id uuid)", "INSERT INTO orders SELECT t, gen_random_uuid() FROM (VALUES "
        "('2024-01-01 00:00:00.000001+02'::timestamptz), ('2024-01-01 00:00:00.000002+02')) AS v(t)", "SELECT 1")  # fmt: skip
    source = postgres.source(key=("at", "id"))
    [batch] = await read_all(source, await source.survey())
    assert batch.data.num_rows == 2
    assert (await read_all(source, await source.survey(), batch.position))[0].data.num_rows == 0


async def test_the_rows_of_a_query_can_be_read_by_key(database: Database) -> None:
    made(database)
    source = database.source("", query="SELECT id, name FROM orders WHERE name <> 'b' -- a comment\n;", key=("id",))
    assert (await names_behind(source, None))[0] == ["a"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("(1, 'a'), (1, 'b'), (2, 'c')", r"the key id is not unique \(rows 1 and 2 of what is new have the same\)"),
        ("(1, 'a'), (NULL, 'b')", "there are rows without id, which is their key; leave them out by query:, or give them one"),
    ],
)
async def test_a_key_that_does_not_tell_rows_apart_is_refused(database: Database, rows: str, message: str) -> None:
    made(database, rows)
    source = database.source(key=("id",))
    with pytest.raises(DataFault, match=message):
        await read_all(source, await source.survey())


async def test_a_key_that_is_not_there_or_not_exact_is_refused(database: Database) -> None:
    database.run("CREATE TABLE orders (id bigint, x double precision)", "SELECT 1")
    with pytest.raises(SchemaMismatch, match="key: names ident, and it has the columns id, x"):
        await database.source(key=("ident",)).survey()
    with pytest.raises(
        SchemaMismatch, match=r"(?i)key: names x, which is .*(float8|double).*; a key is a whole number, a text, a date or a time"
    ):
        await database.source(key=("x",)).survey()


async def test_a_position_of_another_way_of_reading_is_refused(database: Database) -> None:
    made(database)
    [batch] = await database.batches()
    source = database.source(key=("id",))
    with pytest.raises(StateDamaged, match="cannot be read; remove the directory"):
        await read_all(source, await source.survey(), batch.position)


async def test_rows_that_are_not_committed_yet_are_waited_for_since_their_keys_may_be_smaller(postgres: Database) -> None:
    made(postgres)
    location = locate(postgres.options(key=("id",)))
    first, second, looker = (Postgres().connect(location) for _ in range(3))
    first.begin()
    first.execute("INSERT INTO orders VALUES (3, 'late')")
    postgres.run("INSERT INTO orders VALUES (4, 'early')", "SELECT 1")
    [writer] = looker.writers(Table("orders"))
    assert writer.startswith("process ")
    source = IncrementalSource(postgres.options(key=("id",)), location, Postgres(), settle_s=FOREVER_S)
    surveyed = asyncio.create_task(source.survey(), name="survey")
    async with asyncio.timeout(FOREVER_S):
        while not looker.rows(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%FROM pg_locks%' AND pid <> pg_backend_pid() AND state <> 'active'"
        ):  # its first look is over: whoever writes from now on is none of those it saw
            await asyncio.sleep(0.01)
    second.begin()
    second.execute("INSERT INTO orders VALUES (5, 'who began later')")
    assert not surveyed.done()
    first.commit()
    survey = await surveyed
    second.commit()
    assert survey.digest != (await source.survey()).digest, "the later one was not waited for, and is read the next time"
    assert (await names_behind(source, None))[0] == ["a", "b", "late", "early", "who began later"]


async def test_a_table_is_followed_as_it_grows(database: Database) -> None:
    made(database)
    source = database.source(key=("id",), every_s=0.02)
    assert source.can_follow
    stopping = asyncio.Event()
    found: list[Any] = []
    async with asyncio.timeout(FOREVER_S), aclosing(source.follow(await source.survey(), None, stopping)) as batches:
        async for batch in batches:
            assert not batch.final
            found += batch.data.column("name").to_pylist()
            if len(found) == 2:
                await asyncio.to_thread(database.run, "INSERT INTO orders VALUES (3, 'c')", "SELECT 1")
            else:
                stopping.set()
    assert found == ["a", "b", "c"]


async def test_a_table_that_is_not_there_yet_is_waited_for(database: Database) -> None:
    database.run("SELECT 1")
    source = database.source(key=("id",), every_s=0.02)
    assert not await source.exists()
    async with asyncio.timeout(FOREVER_S), asyncio.TaskGroup() as group:
        appeared = group.create_task(source.appeared(), name="appeared")
        await asyncio.to_thread(made, database)
        await appeared


async def test_a_table_that_is_read_as_a_whole_is_watched_for_a_change(database: Database) -> None:
    made(database)
    source = database.source(every_s=0.02)
    survey = await source.survey()
    await source.close()
    async with asyncio.timeout(FOREVER_S), asyncio.TaskGroup() as group:
        changed = group.create_task(source.changed(survey.stat, survey.digest), name="changed")
        await asyncio.to_thread(database.run, "UPDATE orders SET name = 'c' WHERE id = 1", "SELECT 1")
        assert "changed" in await changed


async def test_more_rows_than_one_batch_are_read_in_pieces_that_meet(lite: Database) -> None:
    lite.run("CREATE TABLE orders (id bigint)", "INSERT INTO orders VALUES (1), (2), (3), (4), (5)", "SELECT 1")
    source = SqlAdapter(rows_per_batch=2).source(lite.options(key=("id",)))
    batches = await read_all(source, await source.survey())
    assert [(batch.data.num_rows, batch.final) for batch in batches] == [(2, False), (2, False), (1, True)]
    lite.run("UPDATE orders SET id = 2 WHERE id = 3", "SELECT 1")
    with pytest.raises(DataFault, match=r"is not unique \(rows 2 and 3 of what is new"):
        await read_all(source, await source.survey())


async def test_a_transaction_that_does_not_end_is_named(postgres: Database) -> None:
    made(postgres)
    location = locate(postgres.options())
    writer = Postgres().connect(location)
    writer.begin()
    writer.execute("INSERT INTO orders VALUES (3, 'late')")
    source = IncrementalSource(postgres.options(key=("id",)), location, Postgres(), settle_s=0.0)
    with pytest.raises(
        PlaceAway, match=r"process \d+ of the server \(.*\) is writing to orders, for 0 s now, and may add rows with smaller keys"
    ):
        await source.survey()
    writer.close()
