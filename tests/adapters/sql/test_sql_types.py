"""Types x databases: what goes out and comes back is equal, or is refused by column and type."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from sql_database import Database

from linkd.errors import SchemaMismatch
from linkd.plugin.column_types import type_text
from linkd.plugin.contract import SinkValue

UTC = dt.UTC
PG, LITE, DUCK = "postgresql", "sqlite", "duckdb"
EQUAL = "equal"
NO_TYPE = "has no type that holds it"
MAX = Decimal("9" * 38)

# What a link holds, and what becomes of it in each database: EQUAL, the type in which it comes back, or how it is refused.
FROM_LINKS: list[tuple[pa.DataType, list[Any], str, str, str]] = [
    (pa.bool_(), [True, False, None], EQUAL, EQUAL, EQUAL),
    (pa.int8(), [-128, 127, None], "int16", "int64", EQUAL),
    (pa.int16(), [-(2**15), 2**15 - 1], EQUAL, "int64", EQUAL),
    (pa.int32(), [-(2**31), 2**31 - 1], EQUAL, "int64", EQUAL),
    (pa.int64(), [-(2**63), 2**63 - 1, 0, None], EQUAL, EQUAL, EQUAL),
    (pa.uint8(), [0, 255], "int16", "int64", EQUAL),
    (pa.uint16(), [0, 2**16 - 1], "int32", "int64", EQUAL),
    (pa.uint32(), [0, 2**32 - 1], "int64", "int64", EQUAL),
    (pa.uint64(), [0, 2**63 - 1], "decimal(20, 0)", "int64", EQUAL),
    (pa.uint64(), [0, 2**64 - 1], "decimal(20, 0)", "column c is INTEGER, row 2 of what comes: a uint64 there is outside", EQUAL),
    (pa.float32(), [0.0, -1.5, float("inf"), None], EQUAL, "double", EQUAL),
    (pa.float64(), [0.1, -0.0, float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308], EQUAL, EQUAL, EQUAL),
    (pa.float64(), [1.0, float("nan")], EQUAL, "column c is REAL, row 2 of what comes: it is NaN", EQUAL),
    (pa.string(), ["", "a", "\U0001f600 'quoted' \"too\" \\ \t\n", "x" * 100_000, None], EQUAL, EQUAL, EQUAL),
    (pa.string(), ["a", "b\0c"], r"column c is text, row 2 of what comes: a text there has a \\0 in it", EQUAL, EQUAL),
    (pa.binary(), [b"", b"\0\xff", None], EQUAL, EQUAL, EQUAL),
    (pa.date32(), [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(9999, 12, 31), None], EQUAL, EQUAL, EQUAL),
    (pa.date32(), [2_932_897], EQUAL, "column c is DATE, row 1 of what comes: its year", EQUAL),
    (pa.date32(), [0, 2**31 - 2], "column c is date, row 2 of what comes: the date is further away", "its year", EQUAL),
    (pa.time64("us"), [dt.time(0), dt.time(23, 59, 59, 999_999), None], EQUAL, EQUAL, EQUAL),
    (pa.timestamp("us"), [dt.datetime(1, 1, 1), dt.datetime(2024, 2, 29, 12, 30, 0, 1), None], EQUAL, EQUAL, EQUAL),
    (pa.timestamp("us"), [2**62], EQUAL, "its year", EQUAL),
    (pa.timestamp("us"), [-(2**62)], "the time is further away", "its year", EQUAL),
    (pa.timestamp("s"), [dt.datetime(2024, 1, 1)], "timestamp[us]", "timestamp[us]", EQUAL),
    (pa.timestamp("ns"), [1_000, None], "timestamp[us]", "timestamp[us]", EQUAL),
    (pa.timestamp("ns"), [1], "column c is timestamp, row 1 of what comes: .* is finer", "is finer", EQUAL),
    (pa.timestamp("us", "UTC"), [dt.datetime(2024, 1, 1, 12, tzinfo=UTC), None], EQUAL, EQUAL, EQUAL),
    (pa.timestamp("us", "Europe/Oslo"), [dt.datetime(2024, 1, 1, 12, tzinfo=UTC)], *["timestamp[us, UTC]"] * 3),
    (pa.decimal128(10, 2), [Decimal("1.50"), Decimal("-99999999.99"), Decimal("0.00"), None], EQUAL, EQUAL, EQUAL),
    (pa.decimal128(38, 0), [MAX, MAX.copy_negate(), Decimal(1)], EQUAL, EQUAL, EQUAL),
    (pa.decimal128(38, 38), [Decimal("0." + "9" * 38)], EQUAL, EQUAL, EQUAL),
    (pa.list_(pa.int32()), [[1, None, 3], [], None], EQUAL, NO_TYPE, EQUAL),
    (pa.list_(pa.string()), [["a", ""], [None]], EQUAL, NO_TYPE, EQUAL),
    (pa.list_(pa.string()), [["a"], ["b\0"]], "row 2 of what comes: a text there has a", NO_TYPE, EQUAL),
    (pa.list_(pa.list_(pa.int32())), [[[1], [2]]], NO_TYPE, NO_TYPE, EQUAL),
    (pa.struct([("a", pa.int32()), ("b c", pa.string())]), [{"a": 1, "b c": "x"}, None], NO_TYPE, NO_TYPE, EQUAL),
    (pa.duration("us"), [dt.timedelta(1)], NO_TYPE, NO_TYPE, NO_TYPE),
    (pa.null(), [None, None], "string", "string", "string"),
]


@pytest.fixture(scope="module", params=[PG, LITE, DUCK])
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    server = request.getfixturevalue("server") if request.param == PG else None
    return Database(request.param, tmp_path_factory.mktemp("types"), server)


async def test_what_a_link_holds_comes_back_from_a_table(each: Database) -> None:
    """All types in one table, a column each."""
    place = [PG, LITE, DUCK].index(each.kind)
    kept = [
        (kind, values, outcomes[place]) for kind, values, *outcomes in FROM_LINKS if outcomes[place] == EQUAL or _is_type(outcomes[place])
    ]
    longest = max(len(values) for _, values, _ in kept)
    columns = {f"c{n}": pa.array([*values, *[None] * (longest - len(values))], kind) for n, (kind, values, _) in enumerate(kept)}
    await each.put(pa.record_batch(columns))
    [found] = await each.batches()
    wanted = [type_text(kind) if outcome == EQUAL else outcome.replace("double", "float64") for kind, _, outcome in kept]
    assert [type_text(field.type) for field in found.data.schema] == wanted
    assert {name: _plain(array) for name, array in zip(columns, found.data.columns, strict=True)} == {
        name: _plain(array) for name, array in columns.items()
    }


@pytest.mark.parametrize("case", FROM_LINKS, ids=lambda case: f"{type_text(case[0])}-{case[1]!r:.20}")
async def test_what_a_table_cannot_hold_is_refused_by_column_and_type(each: Database, case: tuple[Any, ...]) -> None:
    kind, values, *outcomes = case
    refusal = outcomes[[PG, LITE, DUCK].index(each.kind)]
    if refusal != EQUAL and not _is_type(refusal):
        with pytest.raises(SchemaMismatch, match=refusal) as refused:
            await each.put(pa.record_batch({"c": pa.array(values, kind)}), table="refused")
        assert "column c is" in str(refused.value)


def _is_type(outcome: str) -> bool:
    return outcome.split("[")[0].split("(")[0] in ("int16", "int32", "int64", "double", "decimal", "timestamp", "string")


def _plain(array: pa.Array) -> list[Any]:
    """Values that compare: NaN is itself, and what Python has no dates for is a number."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]
        return [None if value is None else value * factor for value in array.cast(pa.int64()).to_pylist()]
    if pa.types.is_date(kind):
        array = array.cast(pa.int32())
    return [repr(value + 0.0) if isinstance(value, float) else value for value in array.to_pylist()]


# What a column of PostgreSQL holds, as its server writes it: it goes through a link into a column of the same type, or is refused.
FROM_POSTGRES = [
    ("smallint", ["-32768", "32767", None], ""),
    ("bigint", ["-9223372036854775808", "9223372036854775807"], ""),
    ("real", ["1.5", "NaN", "Infinity", "-Infinity", "1e-45"], ""),
    ("double precision", ["0.1", "NaN", "-0", "1e308"], ""),
    ("numeric(10,2)", ["1.50", "-99999999.99", "0", None], ""),
    ("numeric(38,10)", ["1234567890123456789012345678.0123456789"], ""),
    ("numeric(10,2)", ["1.00", "NaN"], r"column c is numeric\(10,2\), row 2: it has a number that decimal128\(10, 2\) does not hold"),
    ("numeric(50,2)", ["1"], r"column c is numeric\(50,2\): a link has decimals of up to 38 digits"),
    ("numeric", ["1.5"], "column c is numeric: its numbers have no bound; say what they are in schema:"),
    ("text", ["", "a", "\\x", "ümläut", None], ""),
    ("varchar(3)", ["abc", ""], ""),
    ("char(3)", ["ab ", "abc"], ""),
    ("name", ["x"], ""),
    ("bytea", ["\\x", "\\x00ff", None], ""),
    ("date", ["4713-01-01 BC", "2024-02-29", "5874897-12-31", None], ""),
    ("date", ["2024-01-01", "infinity"], "column c is date, row 2: it has infinity"),
    ("date", ["-infinity"], "column c is date, row 1: it has infinity"),
    ("time", ["00:00:00", "23:59:59.999999"], ""),
    ("timestamp", ["4713-01-01 00:00:00 BC", "294246-12-31 23:59:59.999999"], ""),
    ("timestamp", ["294276-12-31 23:59:59.999999"], "row 1: it has infinity, or a time behind the year 294246"),
    ("timestamp", ["infinity"], "column c is timestamp, row 1: it has infinity"),
    ("timestamptz", ["2024-01-01 12:00:00+02", "0001-01-01 00:00:00+00"], ""),
    ("timestamptz", ["-infinity"], "row 1: it has infinity"),
    ("timetz", ["12:00:00+02"], "column c is timetz: linkd cannot take it as it is"),
    ("boolean", ["true", "false", None], ""),
    ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None], ""),
    ("json", ['{"a":  1}', "null", None], ""),
    ("jsonb", ['{"a": [1, 2.50, "x"]}', "null"], ""),
    ("xml", ["<a/>"], ""),
    ("inet", ["10.0.0.1/8", "::1"], ""),
    ("macaddr", ["08:00:2b:01:02:03"], ""),
    ("interval", ["1 year 2 mons 3 days 04:05:06.000007", "-1 days"], ""),
    ("bit(3)", ["101"], ""),
    ("mood", ["sad", "so so", None], ""),
    ("positive", ["1", "2"], ""),
    ("int4[]", ["{}", "{1,NULL,3}", None], ""),
    ("text[]", ['{a,"",NULL}'], ""),
    ("timestamptz[]", ['{"2024-01-01 00:00:00+00"}'], ""),
    ("int4[]", ["{1}", "{{1,2},{3,4}}"], "column c is int4.*, row 2: it has an array of several dimensions"),
    ("int4[]", ["[0:1]={1,2}"], "row 1: it has an array of several dimensions, or one that does not begin at 1"),
    ("uuid[]", ["{}"], "column c is uuid.*: linkd cannot take it as it is"),
    ("money", ["1.00"], "column c is money: linkd cannot take it as it is"),
    ("point", ["(1,2)"], "column c is point: linkd cannot take it as it is"),
    ("int4range", ["[1,2)"], "column c is int4range: linkd cannot take it as it is"),
]


@pytest.fixture(scope="module")
def types(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(PG, tmp_path_factory.mktemp("types"), server)
    database.run("CREATE TYPE mood AS ENUM ('sad', 'so so')", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)", "SELECT 1")
    return database


async def test_what_a_table_of_postgresql_holds_goes_through_a_link_into_one_like_it(types: Database) -> None:
    """All types in one table, a column each."""
    kept = [(declared, values) for declared, values, refusal in FROM_POSTGRES if not refusal]
    columns = ", ".join(f"c{n} {declared}" for n, (declared, _) in enumerate(kept))
    longest = max(len(values) for _, values in kept)
    rows = [", ".join(_cell(declared, values, row) for declared, values in kept) for row in range(longest)]
    inserts = [f"INSERT INTO here VALUES ({row}, {cells})" for row, cells in enumerate(rows)]
    types.run(f"CREATE TABLE here (n int, {columns})", f"CREATE TABLE there (n int, {columns})", *inserts, "SELECT 1")
    [batch] = await types.batches("here")
    sink = types.value_sink("append", "there")
    await sink.write(SinkValue(1, 1, batch.data), {})
    await sink.close()
    texts = ", ".join(f"c{n}::text" for n in range(len(kept)))
    assert types.run(f"SELECT {texts} FROM there ORDER BY n") == types.run(f"SELECT {texts} FROM here ORDER BY n")


REFUSED = [case for case in FROM_POSTGRES if case[2]]


@pytest.mark.parametrize(("declared", "values", "refusal"), REFUSED, ids=lambda value: str(value)[:30])
async def test_what_a_link_cannot_hold_of_a_table_of_postgresql_is_refused(
    types: Database, declared: str, values: list[str | None], refusal: str
) -> None:
    rows = " UNION ALL ".join(f"SELECT {_cell(declared, values, row)} AS c" for row in range(len(values)))
    with pytest.raises(SchemaMismatch, match=refusal):
        await types.batches("", query=rows)


def _cell(declared: str, values: Sequence[str | None], row: int) -> str:
    value = values[row] if row < len(values) else None
    return f"{'NULL' if value is None else _quoted(value)}::{declared}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("declared", "value", "refusal"),
    [
        ("BOOLEAN", 2, "column c is BOOLEAN, and row 1 holds something else"),
        ("INTEGER", "x", "column c is INTEGER, and row 1 holds something else"),
        ("INT", 1.5, "column c is INT, and row 1"),
        ("DATE", "yesterday", "column c is DATE, and row 1"),
        ("TIMESTAMPTZ", "2024-01-01 00:00:00", "column c is TIMESTAMPTZ, and row 1"),
        ("DECIMAL(4, 2)", 1.255, r"column c is DECIMAL\(4, 2\), and row 1"),
        ("DECIMAL(4, 2)", 1255, r"column c is DECIMAL\(4, 2\), and row 1"),
        ("NUMERIC", 1, "column c is NUMERIC: its numbers have no bound"),
    ],
)
async def test_a_cell_of_sqlite_that_is_not_what_its_column_says_is_refused(
    lite: Database, declared: str, value: object, refusal: str
) -> None:
    lite.run(f"CREATE TABLE orders (c {declared})", f"INSERT INTO orders VALUES ({value!r})", "SELECT 1")
    with pytest.raises(SchemaMismatch, match=refusal):
        await lite.batches()


async def test_a_column_of_sqlite_without_a_type_is_of_that_of_its_first_value(lite: Database) -> None:
    lite.run("CREATE TABLE orders (c)", "INSERT INTO orders VALUES (NULL), (1), (2)", "SELECT 1")
    assert await lite.rows() == [{"c": None}, {"c": 1}, {"c": 2}]
    lite.run("INSERT INTO orders VALUES ('x')", "SELECT 1")
    with pytest.raises(SchemaMismatch, match="row 4 holds something else"):
        await lite.batches()


async def test_numbers_without_a_bound_are_what_the_schema_says(types: Database) -> None:
    types.run(
        "DROP TABLE IF EXISTS bare", "CREATE TABLE bare (n int, c numeric)", "INSERT INTO bare VALUES (1, 1.5), (2, NULL)", "SELECT 1"
    )
    assert await types.rows("bare", schema={"n": "int64", "c": "decimal(10, 2)"}) == [{"n": 1, "c": Decimal("1.50")}, {"n": 2, "c": None}]
    assert await types.rows("bare", schema={"c": "string"}) == [{"c": "1.5"}, {"c": None}]
    with pytest.raises(SchemaMismatch, match=r"column c is numeric, row 1: it has a number that decimal128\(10, 0\) does not hold"):
        await types.rows("bare", schema={"c": "decimal(10, 0)"})


async def test_computed_columns_of_each_database_have_types(database: Database) -> None:
    database.run("CREATE TABLE orders (id bigint, amount decimal(10, 2))", "INSERT INTO orders VALUES (1, 2.50), (2, 2.50)", "SELECT 1")
    rows = await database.rows("", query="SELECT count(*) AS n, 'x' AS s, CAST(sum(amount) AS decimal(20, 2)) AS total FROM orders;")
    assert [(row["n"], row["s"], float(row["total"])) for row in rows] == [(2, "x", 5.0)]
