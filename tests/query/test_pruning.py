"""What is passed over is never wanted: blocks of rows, conditions of every kind, and DuckDB itself as the judge."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.query.pruning import bounds_table, decided, prunings
from linkd.query.rewriting import text_to_run
from linkd.query.statement import check_select
from linkd.query.statistics import bounds_of

SCHEMA = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("s", pa.string()), ("d", pa.timestamp("us"))])
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"enable_external_access": False, "threads": 1}) as connection:
        yield connection


numbers = st.none() | st.integers(-5, 12)
rows = st.tuples(
    numbers,
    st.none() | st.sampled_from([-1.5, 0.0, 2.0, float("nan"), float("inf")]),
    st.none() | st.sampled_from(["", "a", "b", "ü", "9", "10"]),
    st.none() | st.integers(0, 4).map(lambda day: day * DAY_US),
)
blocks_of_rows = st.lists(st.lists(rows, max_size=4), min_size=1, max_size=4)
comparisons = st.sampled_from(["=", "<", "<=", ">", ">=", "<>"])
constants = {
    "n": st.sampled_from(["0", "3", "-2", "2.5", "'4'", "1 + 1", "NULL", "$low", "CAST('3' AS VARCHAR)", "$text", "10"]),
    "x": st.sampled_from(["0", "1.5", "'NaN'::DOUBLE", "2"]),
    "s": st.sampled_from(["'a'", "''", "'ü'", "'b'", "9", "$low", "$text", "'10'"]),
    "d": st.sampled_from(
        [
            "now() - INTERVAL 1 DAY",
            "DATE '1970-01-02' + INTERVAL 1 DAY",
            "'1970-01-02'",
            "DATE '1970-01-03'",
            "TIMESTAMP '1970-01-04 00:00:00'",
        ]
    ),
}


@st.composite
def atoms(draw: st.DrawFn) -> str:
    column = draw(st.sampled_from(sorted(constants)))
    constant = constants[column]
    shape = draw(st.integers(0, 4))
    if shape == 0:
        return f"{column} BETWEEN {draw(constant)} AND {draw(constant)}"
    if shape == 1:
        return f"{column} IN ({draw(constant)}, {draw(constant)})"
    if shape == 2:
        return f"{draw(constant)} {draw(comparisons)} t.{column}"
    if shape == 3:
        return draw(st.sampled_from([f"{column} IS NULL", f"{column} IS NOT NULL", "length(s) = 1", "n = x", "NOT n = 1"]))
    return f"{column} {draw(comparisons)} {draw(constant)}"


conditions = st.recursive(
    atoms(), lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda parts: f"({' '.join(parts)})"), max_leaves=5
)


@given(blocks_of_rows, conditions)
def test_a_block_is_passed_over_only_if_no_row_of_it_is_wanted(
    database: duckdb.DuckDBPyConnection, blocks: list[list[tuple[object, ...]]], condition: str
) -> None:
    batches = [
        pa.RecordBatch.from_arrays([pa.array([row[i] for row in block], SCHEMA.types[i]) for i in range(4)], schema=SCHEMA)
        for block in blocks
    ]
    statement = check_select(f"SELECT * FROM t WHERE {condition}", None, parser=database)
    found = prunings(statement, {"t": SCHEMA.names}, database)
    if "t" not in found:
        return
    columns = []
    for name in found["t"].columns:
        bounds = [bounds_of(batch.column(name)) for batch in batches]
        least, greatest = ([getattr(one, end) for one in bounds] for end in ("least", "greatest"))
        columns.append((name, SCHEMA.field(name).type, least, greatest))
    values = {"low": -1, "text": "9"}
    chosen = decided(found["t"].condition, bounds_table(columns), values, database)
    if chosen is None:
        return
    for index, batch in enumerate(batches):
        cursor = database.cursor()
        cursor.register("t", batch)
        used = {name: value for name, value in values.items() if f"${name}" in condition}
        try:
            wanted = cursor.execute(f"SELECT count(*) FROM t WHERE {condition}", used or None).fetchall()[0][0]
        except duckdb.Error:
            return  # no row of it is compared with such a constant
        finally:
            cursor.close()
        assert index in chosen or not wanted, condition


def condition_of(sql: str, database: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
    statement = check_select(sql, None, parser=database)
    tables = {name: ["a", "b", "_seq"] for name in ("t", "u", *(history.table for history in statement.histories))}
    return {table: tuple(sorted(pruning.columns)) for table, pruning in prunings(statement, tables, database).items()}


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT * FROM t WHERE _seq > 5", {"t": ("_seq",)}),
        ("SELECT * FROM t x WHERE x.a = 5 AND lower(b) = 'x'", {"t": ("a",)}),
        ("SELECT * FROM t WHERE a = 1 OR lower(b) = 'x'", {}),
        ("SELECT * FROM t", {}),
        ("SELECT * FROM t WHERE a = 1 UNION SELECT * FROM t", {}),
        ("SELECT * FROM t WHERE a = 1 UNION SELECT * FROM t WHERE b = 2", {"t": ("a", "b")}),
        ("SELECT * FROM t JOIN u USING (a) WHERE t.b = 1", {"t": ("b",)}),
        ("SELECT * FROM t LEFT JOIN u USING (a) WHERE u.b = 1 AND t.b = 2", {"t": ("b",), "u": ("b",)}),
        ("SELECT * FROM t, u WHERE b = 1", {}),
        ("SELECT * FROM t POSITIONAL JOIN u WHERE t.b = 1", {}),
        ("SELECT * FROM t ASOF JOIN u ON t.a >= u.a WHERE u.b = 1", {}),
        ("SELECT * FROM t TABLESAMPLE 10% WHERE a = 1", {}),
        ("SELECT * FROM t AS x(b, a) WHERE a = 1", {}),
        ("SELECT * FROM t WHERE a = (SELECT max(a) FROM u WHERE u.b = 1)", {"u": ("b",)}),
        ("SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND t.b = 1)", {}),
        ("WITH x AS (SELECT * FROM t WHERE a = $1) SELECT * FROM x WHERE b = 1", {"t": ("a",)}),
        ("PIVOT t ON a IN (1, 2) USING sum(b)", {}),
        ("SELECT a FROM t WHERE random() > a", {}),
        ("SELECT a FROM t WHERE a >= DATE '2026-11-23' - INTERVAL 90 DAY", {"t": ("a",)}),
        ("SELECT a FROM t WHERE a > now() - INTERVAL 1 HOUR", {"t": ("a",)}),
        ("SELECT a FROM t WHERE now() - INTERVAL '1 hour' < a", {"t": ("a",)}),
        ("SELECT a FROM t WHERE a < now()", {}),
        ("SELECT a FROM t WHERE a > now() - b", {}),
        ("SELECT a FROM t WHERE a = b", {}),
        ("FROM link('t') WHERE _seq < 7", {"history 1 of t": ("_seq",)}),
    ],
)
def test_conditions_are_used_only_where_they_decide(
    sql: str, columns: dict[str, tuple[str, ...]], database: duckdb.DuckDBPyConnection
) -> None:
    assert condition_of(sql, database) == columns


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT * FROM t WHERE _seq = 1", ["a"]),
        ("SELECT *, _seq FROM t", ["a", "_seq"]),
        ("SELECT t.*, u._seq FROM t JOIN u USING (a)", ["a", "_seq"]),
        ("SELECT * EXCLUDE (a), _seq AS s FROM t, (SELECT 1 AS one)", ["one", "s"]),
        ("SELECT * FROM (SELECT a, _seq FROM t)", ["a", "_seq"]),
        ("WITH x AS (SELECT * FROM t WHERE _seq > 0) SELECT * FROM x", ["a"]),
        ("SELECT count(*) AS n, max(_seq) AS last FROM t", ["n", "last"]),
        ("FROM link('t', generation => 1)", ["a"]),
        ("SELECT t._seq FROM link('t') ORDER BY ALL", ["_seq"]),
    ],
)
def test_system_columns_are_there_for_who_names_them_and_in_no_star(
    sql: str, columns: list[str], database: duckdb.DuckDBPyConnection
) -> None:
    statement = check_select(sql, None, parser=database)
    names = {name for _, name in statement.links}
    text = text_to_run(statement, dict.fromkeys(names, sorted(statement.system_columns)), database)
    cursor = database.cursor()
    for name in names:
        cursor.register(name, pa.table({"a": [1], **{column: [2] for column in statement.system_columns}}))
    assert cursor.sql(text).columns == columns
    cursor.close()
