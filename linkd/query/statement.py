"""Whether a query may run, and what it reads: decided from its text, before any link is touched.

DuckDB parses (`extract_statements`, `json_serialize_sql`), `walk` goes through the tree it gives. `get_table_names` would be shorter, but fails
on `JOIN ... USING` and takes files for tables.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import field

import duckdb

from linkd import limits
from linkd.core.diagnostics import with_suggestion
from linkd.errors import QueryInvalid
from linkd.model.frozen import frozen
from linkd.query.diagnosis import parse_error
from linkd.query.walk import History, Node, Walk

_APPEND_ONLY = "links are append-only: publish corrected rows as new ones, or SELECT what you want to keep into another link"
_NO_DDL = "links are append-only: they are made by the wiring of the pipeline file, and hold what was published to them"
_REMEDIES = {
    "UPDATE": _APPEND_ONLY,
    "DELETE": _APPEND_ONLY,
    "MERGE_INTO": _APPEND_ONLY,
    "INSERT": "a query is one SELECT, or INSERT INTO link SELECT ...",
    "CREATE": f"{_NO_DDL}; for a part that is used twice write WITH name AS (SELECT ...)",
    "ALTER": _NO_DDL,
    "DROP": _NO_DDL,
    "TRANSACTION": "each statement is one by itself, and there is nothing to begin or to commit",
    "CREATE_FUNC": "name parts of a query with WITH name AS (SELECT ...)",
    "COPY": "results go to a file through a link with `to:` in the pipeline file",
    "EXPORT": "results go to a file through a link with `to:` in the pipeline file",
    "COPY_DATABASE": "queries read the links of their pipeline only",
    "ATTACH": "queries read the links of their pipeline only",
    "DETACH": "queries read the links of their pipeline only",
    "MULTI": "a PIVOT must name its columns: PIVOT t ON column IN (a, b, ...) USING ...",
    "PRAGMA": "settings are linkd's own",
    "SET": "settings are linkd's own",
    "VARIABLE_SET": "write the value into the query",
    "LOAD": "extensions are closed to queries",
    "EXPLAIN": "it stands right before a SELECT of a client, without options and without ANALYZE",
}


@frozen()
class Statement:
    """A query that may run.

    `tables` are the links it reads (lower case), `ordered` says whether it has an ORDER BY at the top, `order_sensitive` whether its result
    may depend on the order in which rows are met (sums of floating point numbers, ties of an ORDER BY, LIMIT, windows, ...).
    `unnamed` says whether a column of the result is an expression without a name of its own; `named` are those that have one.
    `parameters` are the names behind `$` that it has to be given values for. `histories` are tables beside those of `tables`; with one of them, a
    name of `system_columns`, a link that is named with its schema, or a SHOW TABLES (`lists_links`), DuckDB runs not `text` but what `rewriting`
    makes of it.
    """

    text: str
    tables: frozenset[str]
    ordered: bool
    order_sensitive: bool
    unnamed: bool
    named: frozenset[str]
    parameters: frozenset[str] = frozenset()
    histories: tuple[History, ...] = ()
    system_columns: frozenset[str] = frozenset()
    is_qualified: bool = False
    lists_links: bool = False
    tree: Node = field(default_factory=dict, repr=False, compare=False)
    links: tuple[tuple[Node, str], ...] = field(default=(), repr=False, compare=False)
    """The nodes of the tree that are tables of links, with the names under which DuckDB is given them."""

    def read_links(self) -> list[str]:
        """The links that it reads, in whatever way."""
        return sorted({*self.tables, *(history.link for history in self.histories)})

    def check_reads(self, permitted: Collection[str]) -> None:
        """Raise `QueryInvalid` if it reads a link that is not among `permitted`, with a did-you-mean."""
        for table in sorted(set(self.read_links()).difference(permitted)):
            fault = with_suggestion(f"there is no link `{table}` for this query", table, permitted)
            raise QueryInvalid(f"{fault}\n  it may read: {', '.join(sorted(permitted)) or 'no link at all'}")


def check_select(
    sql: str, parameters: Collection[str] | None = (), *, parser: duckdb.DuckDBPyConnection | None = None, catalog: str = ""
) -> Statement:
    """The query in `sql`, if it is exactly one SELECT that reads links and computes, and nothing else.

    It may name the `parameters` there are, as `$name`; with None, which is for somebody who asks, any that its caller has values for, and it may
    be SHOW TABLES. `catalog` may stand before the schema of a
    link. Raises `QueryInvalid` with the place in the text and a remedy. Reads and changes nothing; takes a millisecond with a `parser` (a database
    that is closed), some tens without.
    """
    if len(sql.encode(errors="replace")) > limits.QUERY_TEXT_MAX_BYTES:
        raise QueryInvalid(f"the query is longer than {limits.QUERY_TEXT_MAX_BYTES:,} bytes: put its data into a link")
    with _parsing(parser) as connection:
        named_parameters = _check_one_select(connection, sql, parameters)
        text = _without_semicolon(connection, sql)
        tree = _tree(connection, text)
    walk = Walk(sql, catalog)
    walk.run(tree)
    if walk.lists_links and parameters is not None:
        raise QueryInvalid(
            "SHOW TABLES is for who asks: a task reads the links of its wiring, and what it gives is to be the same each time"
        )
    ordered = _has_modifier(tree, "ORDER_MODIFIER")
    items = [item for item in _leftmost(tree).get("select_list", ()) if item["class"] != "STAR"]
    names = [item["alias"] or (item["column_names"][-1] if item["class"] == "COLUMN_REF" else "") for item in items]
    return Statement(
        text=text,
        tables=frozenset(walk.tables),
        ordered=ordered,
        order_sensitive=ordered or walk.order_sensitive,
        unnamed="" in names,
        named=frozenset(names) - {""},
        parameters=named_parameters,
        histories=tuple(walk.histories),
        system_columns=frozenset(walk.system_columns),
        is_qualified=walk.is_qualified,
        lists_links=walk.lists_links,
        tree=tree,
        links=tuple(walk.links),
    )


@contextmanager
def _parsing(parser: duckdb.DuckDBPyConnection | None) -> Iterator[duckdb.DuckDBPyConnection]:
    if parser is not None:
        yield parser
        return
    with duckdb.connect(":memory:", config={"enable_external_access": False, "threads": 1}) as connection:
        yield connection


def _check_one_select(parser: duckdb.DuckDBPyConnection, sql: str, parameters: Collection[str] | None) -> frozenset[str]:
    """Raises for anything else; the parameters that the statement names."""
    if "\0" in sql:  # where some parsers stop, and others go on
        raise QueryInvalid("the query has a NUL character, which no statement needs")
    try:
        statements = parser.extract_statements(sql)
    except duckdb.Error as error:
        raise parse_error(error) from None
    if not statements:
        raise QueryInvalid("the query is empty: write one SELECT")
    if len(statements) > 1:
        raise QueryInvalid(f"there are {len(statements)} statements: a query is one SELECT")
    try:
        kind = statements[0].type.name
    except ValueError:  # a kind that DuckDB's own list lacks
        kind = "this"
    if kind != "SELECT":
        remedy = _REMEDIES.get(kind, "a query is one SELECT")
        raise QueryInvalid(f"{'PIVOT without IN' if kind == 'MULTI' else kind.replace('_', ' ')} is not for queries: {remedy}")
    named = frozenset(statements[0].named_parameters)
    if parameters is not None and (unknown := sorted(named.difference(parameters))):
        raise QueryInvalid(no_parameter(unknown[0], parameters))
    return named


def no_parameter(name: str, parameters: Collection[str]) -> str:
    """What to say of a parameter that there is no value for."""
    if not parameters:
        return "this query has no parameters (`$name`, `?`): write the value into it, or make it a task and declare `params:`"
    if name.isdigit():
        return f"parameters have names here: write ${min(parameters)} rather than ? or ${name}"
    fault = with_suggestion(f"there is no parameter `${name}`", name, parameters)
    return f"{fault}\n  there are: {', '.join(f'${known}' for known in sorted(parameters))}"


def _without_semicolon(parser: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The statement alone, so that it can stand in brackets. The parser decides which semicolon ends it and which are text or comment."""
    end = sql.rfind(";")
    while end >= 0:
        try:
            if len(parser.extract_statements(sql[:end])) == 1 and not parser.extract_statements(sql[end + 1 :]):
                return _without_semicolon(parser, sql[:end])
        except duckdb.Error:
            pass  # this one is within a string or a comment
        end = sql.rfind(";", 0, end)
    return sql


def _tree(parser: duckdb.DuckDBPyConnection, sql: str) -> Node:
    try:
        row = parser.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
        answer = json.loads(row[0] if row else "{}")
    except duckdb.Error as error:
        raise parse_error(error) from None
    except RecursionError:
        raise QueryInvalid("the query is nested too deeply: name its parts with WITH name AS (SELECT ...)") from None
    if answer.get("error") is not False or len(answer["statements"]) != 1:
        raise QueryInvalid(f"the query is not understood: {answer.get('error_message', 'no tree')}")
    node: Node = answer["statements"][0]["node"]
    return node


def _leftmost(node: Node) -> Node:
    """The SELECT that names the columns: of a UNION, the first."""
    while node.get("children") or node.get("left"):
        node = node["children"][0] if node.get("children") else node["left"]
    return node


def _has_modifier(node: Node, kind: str) -> bool:
    return any(modifier["type"] == kind for modifier in node["modifiers"])
