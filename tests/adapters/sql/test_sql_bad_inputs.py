"""What goes wrong with databases, and what a person is told: what happened, to what, what to do; and no secret, and no value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from linkd_adapters.sql import ADAPTER
from sql_database import Database

from linkd.errors import Conflict, DataFault, Error, InvalidArgument, PlaceAway, SchemaMismatch, SourceChanged
from linkd.plugin.contract import LinkOptions, SinkValue
from linkd.testing.adapter_conformance import read_all

ONE = pa.record_batch({"id": pa.array([1], pa.int64()), "name": ["a"]})
TABLE = "CREATE TABLE orders (id bigint, name varchar(20))"


async def told(database: Database, batch: pa.RecordBatch = ONE, mode: Any = "append", **options: Any) -> str:
    """What is said when the value is written."""
    sink = database.value_sink(mode, **options)
    with pytest.raises(Error) as raised:
        await sink.write(SinkValue(1, 1, batch), {})
    await sink.close()
    return str(raised.value).partition("?table=")[2]


async def test_a_table_that_is_not_there_is_named_with_what_is(database: Database) -> None:
    database.run("CREATE TABLE Orders (id bigint)", "CREATE TABLE other (id bigint)", "SELECT 1")
    with pytest.raises(InvalidArgument, match=r"(?i)there is no table orderz; did you mean orders\?$"):
        await database.source("orderz").survey()
    with pytest.raises(InvalidArgument, match=r"(?i)there is no table zzz; there are (orders, other|other, orders)$"):
        await database.source("zzz").survey()


async def test_columns_that_do_not_match_are_shown_with_both_sides(database: Database) -> None:
    database.run(TABLE, "SELECT 1")
    extra = pa.record_batch({"id": pa.array([1]), "nom": ["a"]})
    said = await told(database, extra)
    assert said.startswith("orders has no column nom: the table has id ")
    assert said.endswith("; the rows that come have id int64, nom string; add it to the table, or leave it out of the rows")
    with pytest.raises(SchemaMismatch, match="has no column nom, which schema: declares; it has id, name"):
        await database.source(schema={"nom": "string"}).survey()
    database.run("CREATE TABLE strict (id bigint, name varchar(9) NOT NULL)", "SELECT 1")
    said = await told(database, ONE.select(["id"]), table="strict")
    assert said.startswith("strict: column name must have a value, and the rows that come have none")


async def test_values_that_do_not_fit_name_column_and_row_but_not_the_value(database: Database) -> None:
    database.run("CREATE TABLE orders (id integer, name varchar(3))", "SELECT 1")
    large = 2**40 if database.kind != "sqlite" else 2**63
    batch = pa.record_batch({"id": pa.array([1, large], pa.int64() if large < 2**63 else pa.uint64()), "name": ["a", "b"]})
    said = await told(database, batch)
    assert "column id is " in said
    assert "row 2 of what comes: a " in said
    assert "is outside the range of int" in said
    assert str(large) not in said
    text = pa.record_batch({"id": ["one"], "name": ["b"]})
    assert "and string comes: the types do not convert into each other" in await told(database, text)


async def test_a_text_that_is_too_long_for_its_column_is_refused_without_telling_it(postgres: Database) -> None:
    postgres.run("CREATE TABLE orders (id bigint, name varchar(3))", "SELECT 1")
    said = await told(postgres, pa.record_batch({"id": pa.array([1, 2]), "name": ["a", "treasure"]}))
    assert (
        said == "orders: a value does not fit its column (column name, row 2 of what comes): value too long for type character varying(3)"
    )


async def test_a_text_that_is_none_of_its_columns_type_is_refused_without_telling_it(postgres: Database) -> None:
    postgres.run("CREATE TYPE mood AS ENUM ('sad')", "CREATE TABLE orders (id uuid, name mood)", "SELECT 1")
    said = await told(postgres, pa.record_batch({"id": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "name": ["treasure"]}))
    assert said == "orders: a value that comes is none of its column's type; the column's type may have changed just now"


async def test_a_row_that_is_there_already_says_how_to_replace_it(database: Database) -> None:
    database.run("CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(20))", "INSERT INTO orders VALUES (1, 'x')", "SELECT 1")
    said = await told(database)
    assert said.startswith("orders: a row is there already")
    assert said.endswith("; `mode: upsert` with `key:` replaces rows instead of adding them")


async def test_a_constraint_that_is_broken_is_named(postgres: Database) -> None:
    postgres.run("CREATE TABLE orders (id bigint CONSTRAINT positive CHECK (id > 5), name text)", "SELECT 1")
    assert await told(postgres) == "orders: a row that comes breaks positive of the table"


async def test_upserting_needs_a_unique_key_that_is_there_in_table_and_rows(database: Database) -> None:
    database.run(TABLE, "SELECT 1")
    said = await told(database, mode="upsert", key=("id",))
    assert said == (
        "orders: mode: upsert needs the key to be unique, and orders has no unique index of (id); "
        "make one: CREATE UNIQUE INDEX ON orders (id)"
    )
    said = await told(database, mode="upsert", key=("ident",), table="new")
    assert said == "new: key: names ident, and the rows that come have id, name"
    null = pa.record_batch({"id": pa.array([1, None], pa.int64()), "name": ["a", "b"]})
    assert (
        await told(database, null, mode="upsert", key=("id",), table="new")
        == "new: row 2 of what comes has no id, which is part of the key"
    )


async def test_a_column_whose_type_changes_meanwhile_is_told(postgres: Database) -> None:
    sink = postgres.value_sink("append")
    last = (await sink.write(SinkValue(1, 1, ONE), {})).record
    postgres.run("ALTER TABLE orders ALTER COLUMN id TYPE uuid USING gen_random_uuid()", "SELECT 1")
    with pytest.raises(SchemaMismatch, match="column id is uuid, and int64 comes: the types do not convert into each other"):
        await sink.write(SinkValue(1, 2, ONE), last)
    await sink.close()


async def test_a_table_whose_columns_change_between_two_runs_is_another_one(database: Database) -> None:
    database.run(TABLE, "INSERT INTO orders VALUES (1, 'a')", "SELECT 1")
    source = database.source()
    survey = await source.survey()
    position = (await read_all(source, survey))[0].position
    database.run("ALTER TABLE orders ADD COLUMN more varchar(9)", "SELECT 1")
    with pytest.raises(SourceChanged, match="run again to read it anew"):
        await read_all(source, await source.survey(), position)
    await source.close()


async def test_a_query_that_is_none_says_what_the_database_says(database: Database) -> None:
    database.run(TABLE, "SELECT 1")
    for query in ("SELEC 1", "SELECT nom FROM orders", "DELETE FROM orders"):
        with pytest.raises(InvalidArgument, match=f"{database.url()}: (PostgreSQL|SQLite|DuckDB) refuses: "):
            await database.source("", query=query).survey()


async def test_a_table_of_somebody_else_is_not_replaced(database: Database) -> None:
    database.run(TABLE, "INSERT INTO orders VALUES (7, 'theirs')", "SELECT 1")
    with pytest.raises(
        Conflict, match="is there already, it has rows, and this pipeline did not make it: rename it to keep it, name another"
    ):
        await database.sink().check({})
    with pytest.raises(Conflict, match="this pipeline did not make it"):
        await database.put(ONE)
    assert database.run("SELECT id FROM orders") == [(7,)]
    await database.put(ONE, overwrite=True)
    assert database.run("SELECT id FROM orders") == [(1,)]


async def test_a_table_that_took_the_place_of_ours_is_not_replaced(postgres: Database) -> None:
    made = await postgres.put(ONE)
    postgres.run("DROP TABLE orders", TABLE, "SELECT 1")
    with pytest.raises(Conflict, match=r"changed by somebody else since linkd wrote it \(another table has its name\)"):
        await postgres.sink().check(made.record)


async def test_what_hangs_on_a_table_stays_when_its_rows_are_replaced(postgres: Database) -> None:
    made = await postgres.put(ONE)
    postgres.run("CREATE VIEW seen AS SELECT name FROM orders", "CREATE INDEX by_name ON orders (name)", "SELECT 1")
    sink = postgres.sink()
    await sink.begin(ONE.schema)
    await sink.write(ONE)
    await sink.write(ONE)
    await sink.finish(made.record)
    assert postgres.run("SELECT count(*) FROM seen") == [(2,)]
    assert postgres.run("SELECT indexname FROM pg_indexes WHERE tablename = 'orders'") == [("by_name",)]


async def test_a_table_of_ours_gets_other_columns_when_others_come(database: Database) -> None:
    await database.put(ONE)
    await database.put(pa.record_batch({"ident": pa.array([5])}))
    assert database.run("SELECT * FROM orders") == [(5,)]


async def test_a_wrong_password_says_so_and_does_not_show_it(postgres: Database) -> None:
    assert postgres.server is not None
    written = f"postgresql://guarded:${{secret.PW}}@127.0.0.1:{postgres.server.port}/postgres?table=orders"
    wrong = LinkOptions("orders", written.replace("${secret.PW}", "tr/easure"), postgres.base, written=written)
    with pytest.raises(InvalidArgument) as raised:
        await ADAPTER.source(wrong).survey()
    assert "the server does not let us in: " in str(raised.value)
    assert 'password authentication failed for user "guarded"' in str(raised.value)
    assert "easure" not in str(raised.value)
    right = replace(wrong, location=written.replace("${secret.PW}", "s3cret:/@#"))
    with pytest.raises(InvalidArgument, match="there is no table orders"):
        await ADAPTER.source(right).survey()


async def test_a_database_that_is_not_there_is_no_loss_but_away(postgres: Database) -> None:
    nobody = LinkOptions("orders", "postgresql://me@127.0.0.1:1/shop?table=orders", postgres.base)
    with pytest.raises(PlaceAway, match=r"^postgresql://me@127\.0\.0\.1:1/shop\?table=orders: the database is away: .*Connection refused"):
        await ADAPTER.source(nobody).survey()
    with pytest.raises(InvalidArgument, match=r'does not let us in: .*database "nope" does not exist'):
        await ADAPTER.source(replace(nobody, location=postgres.url("orders").replace(postgres.name, "nope"))).survey()


async def test_a_file_that_is_taken_is_away_and_one_that_is_none_is_damaged(lite: Database) -> None:
    lite.run(TABLE, "SELECT 1")
    (lite.base / "no.db").write_bytes(b"no database at all, but long enough to have a header of one" * 20)
    with pytest.raises(DataFault, match="it is no sound file of SQLite"):
        await ADAPTER.source(replace(lite.options(), location="sqlite://no.db?table=orders")).survey()
