"""Which queries may run, and what they are seen to read."""

from __future__ import annotations

import functools
from collections.abc import Collection

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.errors import QueryInvalid
from linkd.query.functions import AGGREGATES, FUNCTIONS, ORDER_FREE_AGGREGATES
from linkd.query.statement import Statement, check_select


@functools.cache
def parser() -> duckdb.DuckDBPyConnection:
    """As a process that runs queries has one: to make it takes longer than all that is done with it."""
    return duckdb.connect(":memory:", config={"enable_external_access": False, "threads": 1})


def checked(sql: str, parameters: Collection[str] | None = ()) -> Statement:
    return check_select(sql, parameters, parser=parser())


def test_a_parser_is_made_where_none_is_given() -> None:
    assert check_select("SELECT * FROM flown").tables == {"flown"}


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT count(*) AS n FROM flown f JOIN airlines a USING (carrier)", {"flown", "airlines"}),
        ("FROM flown", {"flown"}),
        ("SELECT * FROM Flown; -- done", {"flown"}),
        ('SELECT * FROM "flights.rejects"', {"flights.rejects"}),
        ('SELECT * FROM "flights.dead" JOIN "flights.rejects.dead" USING (reason)', {"flights.dead", "flights.rejects.dead"}),
        ("SELECT * FROM a WHERE x IN (SELECT y FROM b) ORDER BY (SELECT max(z) FROM c) LIMIT (SELECT 1 FROM d)", {"a", "b", "c", "d"}),
        ("SELECT EXISTS(FROM a), ARRAY(FROM b)", {"a", "b"}),
        ("SELECT sum(x) OVER w AS s FROM a WINDOW w AS (PARTITION BY (SELECT max(y) FROM b))", {"a", "b"}),
        ("SELECT 1 UNION (SELECT 2 FROM a) EXCEPT SELECT 3 INTERSECT FROM b", {"a", "b"}),
        ("FROM a, LATERAL (SELECT a.x) l POSITIONAL JOIN b", {"a", "b"}),
        ("SELECT * FROM a ASOF JOIN b ON a.t >= b.t", {"a", "b"}),
        ("PIVOT flown ON month IN (1, 2) USING sum(distance)", {"flown"}),
        ("UNPIVOT flown ON a, b", {"flown"}),
        ("DESCRIBE flown", {"flown"}),
        ("SUMMARIZE flown", {"flown"}),
        ("FROM range(3), unnest([1, 2]), generate_series(1, 2)", set()),
        ("VALUES (1), (2)", set()),
    ],
)
def test_all_links_that_a_query_reads_are_seen(sql: str, tables: set[str]) -> None:
    assert checked(sql).tables == tables


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("WITH t AS (FROM a) FROM t", {"a"}),
        ("WITH a AS (FROM a) FROM a", {"a"}),
        ("WITH a AS (SELECT 1 AS x) FROM A", set()),
        ("WITH a AS (FROM b), b AS (FROM c) FROM a, b", {"b", "c"}),
        ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) FROM t", set()),
        ("SELECT (WITH t AS (SELECT 1) SELECT count(*) FROM t) AS x FROM t", {"t"}),
        ("FROM (WITH t AS (SELECT 1 AS x) FROM t) JOIN t USING (x)", {"t"}),
        ("WITH t AS (SELECT 1 AS x) SELECT (SELECT max(x) FROM t) AS m", set()),
        ("WITH t AS MATERIALIZED (FROM (FROM a)) SELECT 1 UNION FROM t", {"a"}),
    ],
)
def test_names_of_parts_shadow_links_only_where_they_can_be_seen(sql: str, tables: set[str]) -> None:
    assert checked(sql).tables == tables


EVERYDAY = """
    SELECT x[1], {'a': 1}.a, [y FOR y IN [1]], list_transform([1], LAMBDA q: q + 1), x::INT, CASE WHEN x THEN 1 END, f.x.upper(),
           date_trunc('day', t) AT TIME ZONE 'UTC', extract(year FROM t), current_date, current_timestamp, now(), -x, x ^ 2, x % 2,
           count(DISTINCT x) FILTER (WHERE y), string_agg(x, ',' ORDER BY y), x BETWEEN 1 AND 2, x LIKE 'a', x NOT IN (1, 2),
           coalesce(x, 1), x IS NOT NULL, INTERVAL 1 DAY, x COLLATE nocase, COLUMNS('a.*'), #1, try(x), grouping(x), NOT x,
           substring(x FROM 1 FOR 2), trim(x), position('a' IN x), x ILIKE 'a' ESCAPE 'b', x SIMILAR TO 'y', ifnull(x, 1), x || 'y',
           greatest(1, 2), CAST(x AS ENUM('a', 'b')), x = ANY ([1]), row_number() OVER (), lag(x) OVER (ORDER BY t ROWS 1 PRECEDING)
    FROM flown f TABLESAMPLE 10% GROUP BY GROUPING SETS ((x), ()) HAVING max(x) > 1 QUALIFY rank() OVER () = 1
"""


def test_everyday_sql_is_understood() -> None:
    assert checked(EVERYDAY).tables == {"flown"}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "the query is empty"),
        ("-- nothing", "the query is empty"),
        ("SELECT 1; SELECT 2", "there are 2 statements"),
        ("selct 1", 'syntax error at or near "selct"\n\nLINE 1: selct 1\n        ^^^^^'),
        ("FROM 'x.csv'", "`x.csv` is not the name of a link: queries read links, not files"),
        ('FROM "/etc/passwd"', "is not the name of a link"),
        ("FROM 'http://x/y.parquet'", "is not the name of a link"),
        ("SELECT * FROM read_csv('x')", "read_csv() is not for queries: queries read links, not files"),
        ("SELECT * FROM read_text('x')", "read_text() is not for queries"),
        ("SELECT * FROM main.read_text('x')", "read_text() is not for queries"),
        ("SELECT * FROM parquet_metadata('x')", "parquet_metadata() is not for queries"),
        ("SELECT * FROM glob('*')", "glob() is not for queries"),
        ("SELECT * FROM query_table('flown')", "query_table() is not for queries: name the link itself"),
        ("SELECT * FROM query('SELECT 1')", "query() is not for queries"),
        ("SELECT * FROM duckdb_settings()", "duckdb_settings() is not among the functions"),
        ("SELECT * FROM histogram(flown, a)", "histogram() is not among the functions"),
        ("SELECT getenv('HOME')", "getenv() is not among the functions"),
        ("SELECT system.main.getenv('HOME')", "getenv() is not among the functions"),
        ("SELECT 'HOME'.getenv()", "getenv() is not among the functions"),
        ("SELECT * REPLACE (getenv('x') AS a) FROM flown", "getenv() is not among the functions"),
        ("SELECT current_setting('x')", "current_setting() is not among the functions"),
        ("SELECT @@threads", "@@() is not among the functions"),
        ("SELECT json_execute_serialized_sql('x')", "json_execute_serialized_sql() is not among the functions"),
        ("SELECT cuont(*) FROM flown", "did you mean `count`?"),
        ("SELECT * FROM main.flown", "`main.flown` names a table of a database: links have no schema"),
        ("SELECT * FROM another.links.flown", "`another.links.flown` names a table of a database"),
        ("WITH flown AS (SELECT 1) SELECT * FROM links.flown", "`links.flown` names a table of a database"),
        ("SELECT * FROM flights.rejects", 'write "flights.rejects" in double quotes'),
        ("SELECT * FROM information_schema.tables", "names a table of a database"),
        ("SELECT * FROM flown AT (VERSION => 1)", "AT is not for queries"),
        ("SELECT $year", "this query has no parameters"),
        ("SHOW TABLES", "SHOW TABLES is for who asks"),
        ("FROM (SHOW ALL TABLES)", "there is no other SHOW"),
        ("PIVOT flown ON month USING sum(distance)", "a PIVOT must name its columns"),
        ("WITH x AS (INSERT INTO t VALUES (1)) SELECT 1", "INSERT QUERY inside a query is not known"),
        ("UPDATE flown SET a = 1", "UPDATE is not for queries: links are append-only"),
        ("DELETE FROM flown", "DELETE is not for queries: links are append-only"),
        ("MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE", "MERGE INTO is not for queries: links are append-only"),
        ("INSERT INTO flown VALUES (1)", "INSERT is not for queries"),
        ("CREATE TABLE x AS SELECT 1", "WITH name AS (SELECT ...)"),
        ("COPY flown TO 'x.csv'", "COPY is not for queries: results go to a file through a link"),
        ("EXPORT DATABASE 'x'", "EXPORT is not for queries"),
        ("ATTACH 'x.db'", "ATTACH is not for queries"),
        ("PRAGMA version", "PRAGMA is not for queries"),
        ("SET threads = 1", "SET is not for queries"),
        ("USE x", "SET is not for queries"),
        ("INSTALL httpfs", "LOAD is not for queries: extensions are closed"),
        ("CALL range(3)", "CALL is not for queries"),
        ("EXPLAIN SELECT 1", "EXPLAIN is not for queries"),
        ("EXECUTE x", "EXECUTE is not for queries"),
        ("BEGIN", "TRANSACTION is not for queries"),
        ("VACUUM", "VACUUM is not for queries"),
        ("SELECT " + "+".join(["1"] * 5000), "Max expression depth limit"),
        ("SELECT '" + "x" * 2**20 + "'", "the query is longer than 1,048,576 bytes"),
    ],
)
def test_what_is_no_plain_select_is_refused_with_a_remedy(sql: str, message: str) -> None:
    with pytest.raises(QueryInvalid) as caught:
        checked(sql)
    assert message in str(caught.value)


def test_parameters_are_those_that_are_declared() -> None:
    assert checked("SELECT $year, '$no', $$ $no $$ AS x", {"year": 1, "who": 2}).parameters == {"year"}
    with pytest.raises(QueryInvalid, match=r"there is no parameter `\$yaer`; did you mean `year`\?\n  there are: \$who, \$year"):
        checked("SELECT $yaer", {"year": 1, "who": 2})
    with pytest.raises(QueryInvalid, match=r"parameters have names here: write \$year rather than \? or \$1"):
        checked("SELECT ?", {"year": 1})


def test_a_refusal_points_at_its_place_also_behind_other_alphabets() -> None:
    with pytest.raises(QueryInvalid) as caught:
        checked("SELECT 'é',\n  'ü', getenv('x')")
    assert str(caught.value).endswith("LINE 2:   'ü', getenv('x')\n               ^^^^^^^^^^^")


def test_a_query_may_be_nested_deeply() -> None:
    assert checked("SELECT " + "(" * 900 + "1" + ")" * 900 + " AS x").tables == frozenset()


def test_a_link_that_may_not_be_read_is_refused_with_a_suggestion() -> None:
    statement = checked("SELECT * FROM flwn")
    with pytest.raises(
        QueryInvalid, match=r"there is no link `flwn` for this query; did you mean `flown`\?\n  it may read: airlines, flown"
    ):
        statement.check_reads({"flown", "airlines"})


@pytest.mark.parametrize(
    "sql", ["SELECT 1 AS x ORDER BY 1", "FROM a ORDER BY ALL", "SELECT 1 UNION SELECT 2 ORDER BY 1", "(FROM a) ORDER BY 1"]
)
def test_an_order_at_the_top_is_seen(sql: str) -> None:
    assert checked(sql).ordered


@pytest.mark.parametrize(
    "sql", ["FROM (FROM a ORDER BY 1)", "SELECT list(x ORDER BY x) AS l FROM a", "SELECT row_number() OVER (ORDER BY x) AS n FROM a"]
)
def test_an_order_further_in_is_not_one_at_the_top(sql: str) -> None:
    assert not checked(sql).ordered


@pytest.mark.parametrize(
    ("sql", "sensitive"),
    [
        ("SELECT k, count(*) AS n, max(x) AS m FROM a GROUP BY k", False),
        ("SELECT * FROM a JOIN b USING (k)", False),
        ("SELECT k, sum(x) AS s FROM a GROUP BY k", True),
        ("SELECT first(x) AS f FROM a", True),
        ("FROM a LIMIT 3", True),
        ("FROM a ORDER BY x", True),
        ("FROM a TABLESAMPLE 10%", True),
        ("SELECT DISTINCT ON (k) x FROM a", True),
        ("SELECT row_number() OVER () AS n FROM a", True),
        ("SELECT * FROM a ASOF JOIN b ON a.t >= b.t", True),
    ],
)
def test_what_depends_on_the_order_of_rows_is_seen(sql: str, sensitive: bool) -> None:
    assert checked(sql).order_sensitive is sensitive


def test_columns_without_a_name_are_seen() -> None:
    assert checked("SELECT a, b AS c, count(*) FROM t").unnamed
    assert checked("SELECT count(*) UNION SELECT 1").unnamed
    statement = checked("SELECT t.a, b AS c, * FROM t")
    assert (statement.unnamed, statement.named) == (False, {"a", "c"})


def test_every_allowed_function_that_duckdb_has_computes_only() -> None:
    with duckdb.connect(":memory:") as connection:
        tables = connection.execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type LIKE 'table%'").fetchall()
    readers = {name for (name,) in tables} - {"range", "generate_series", "unnest", "repeat", "histogram"}
    assert not readers & FUNCTIONS
    assert ORDER_FREE_AGGREGATES < AGGREGATES


@given(st.text("SELECTFROM()'\";,.*$?x1 -\n\0", max_size=40))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        said = checked(text).text
    except QueryInvalid as error:
        said = str(error)
    assert said
