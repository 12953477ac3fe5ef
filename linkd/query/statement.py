"""Whether a query may run, and what it reads: decided from its text, before any link is touched.

DuckDB parses (`extract_statements`, `json_serialize_sql`); this walks the tree it gives. What is not known here is refused: kinds of
nodes, functions, tables that are not named like links. `get_table_names` would be shorter, but fails on `JOIN ... USING` and takes files
for tables. The tree is that of DuckDB 2; in short: a query node has a `cte_map`, an expression has a `class`, anything else a `type`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from linkd import limits
from linkd.core.diagnostics import with_suggestion
from linkd.core.names import COMMITS_LINK
from linkd.core.value_names import LINK_NAME
from linkd.errors import QueryInvalid
from linkd.query.diagnosis import parse_error, pointed_at
from linkd.query.functions import FUNCTIONS, OPERATORS, ORDER_FREE_AGGREGATES, SCALARS, TABLE_FUNCTIONS, WINDOW_FUNCTIONS

Node = dict[str, Any]

_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
_EXPRESSIONS = (
    frozenset({"COLUMN_REF", "POSITIONAL_REFERENCE", "STAR", "CONSTANT", "TYPE", "CAST", "COLLATE"})
    | frozenset({"BETWEEN", "CASE", "COMPARISON", "CONJUNCTION", "OPERATOR", "SUBQUERY"})
    | frozenset({"FUNCTION", "WINDOW", "LAMBDA", "LAMBDA_REF", "PARAMETER"})
)
_PARTS = (
    frozenset({"EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SUBQUERY"})
    | frozenset({"DISTINCT_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "ORDER_MODIFIER"})
    | frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING", "ORDER_ASCENDING", "ORDER_DESCENDING"})
)
_ORDER_SENSITIVE_PARTS = frozenset({"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"})
_ORDER_SENSITIVE_JOINS = frozenset({"ASOF", "POSITIONAL", "NEAREST"})

_APPEND_ONLY = "links are append-only: publish corrected rows as new ones, or SELECT what you want to keep into another link"
_FILES = "queries read links, not files: bring a file in as a link with `from:` in the pipeline file"
_NO_WRITE = "a query is one SELECT; its rows are the result, so leave away what stores them"
_REMEDIES = {
    "UPDATE": _APPEND_ONLY,
    "DELETE": _APPEND_ONLY,
    "MERGE_INTO": _APPEND_ONLY,
    "INSERT": _NO_WRITE,
    "CREATE": f"{_NO_WRITE}; for a part that is used twice write WITH name AS (SELECT ...)",
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
    "EXPLAIN": "run the SELECT itself",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A query that may run.

    `tables` are the links it reads (lower case), `ordered` says whether it has an ORDER BY at the top, `order_sensitive` whether its result
    may depend on the order in which rows are met (sums of floating point numbers, ties of an ORDER BY, LIMIT, windows, ...).
    `unnamed` says whether a column of the result is an expression without a name of its own; `named` are those that have one.
    `parameters` are the names behind `$` that it has to be given values for.
    """

    text: str
    tables: frozenset[str]
    ordered: bool
    order_sensitive: bool
    unnamed: bool
    named: frozenset[str]
    parameters: frozenset[str] = frozenset()

    def check_reads(self, permitted: Collection[str]) -> None:
        """Raise `QueryInvalid` if it reads a link that is not among `permitted`, with a did-you-mean."""
        for table in sorted(self.tables.difference(permitted)):
            fault = with_suggestion(f"there is no link `{table}` for this query", table, permitted)
            raise QueryInvalid(f"{fault}\n  it may read: {', '.join(sorted(permitted)) or 'no link at all'}")


def check_select(sql: str, parameters: Collection[str] = ()) -> Statement:
    """The query in `sql`, if it is exactly one SELECT that reads links and computes, and nothing else.

    It may name the `parameters` there are, as `$name`. Raises `QueryInvalid` with the place in the text and a remedy. Reads and changes
    nothing; takes some milliseconds.
    """
    if len(sql.encode(errors="replace")) > limits.QUERY_TEXT_MAX_BYTES:
        raise QueryInvalid(f"the query is longer than {limits.QUERY_TEXT_MAX_BYTES:,} bytes: put its data into a link")
    with duckdb.connect(":memory:", config={"enable_external_access": False, "threads": 1}) as parser:
        named_parameters = _check_one_select(parser, sql, parameters)
        text = _without_semicolon(parser, sql)
        tree = _tree(parser, text)
    walk = _Walk(sql)
    walk.run(tree)
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
    )


def _check_one_select(parser: duckdb.DuckDBPyConnection, sql: str, parameters: Collection[str]) -> frozenset[str]:
    """Raises for anything else; the parameters that the statement names."""
    try:
        statements = parser.extract_statements(sql)
    except duckdb.Error as error:
        raise parse_error(error) from None
    if not statements:
        raise QueryInvalid("the query is empty: write one SELECT")
    if len(statements) > 1:
        raise QueryInvalid(f"there are {len(statements)} statements: a query is one SELECT")
    kind = statements[0].type.name
    if kind != "SELECT":
        remedy = _REMEDIES.get(kind, "a query is one SELECT")
        raise QueryInvalid(f"{'PIVOT without IN' if kind == 'MULTI' else kind.replace('_', ' ')} is not for queries: {remedy}")
    named = frozenset(statements[0].named_parameters)
    for name in sorted(named.difference(parameters)):
        raise QueryInvalid(_no_parameter(name, parameters))
    return named


def _no_parameter(name: str, parameters: Collection[str]) -> str:
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


class _Walk:
    """One pass over a tree, without recursion: a query may be nested as deeply as the parser allows.

    Each waiting node comes with the names of the CTEs that can be seen from it.
    """

    def __init__(self, sql: str) -> None:
        self.tables: set[str] = set()
        self.order_sensitive = False
        self._sql = sql
        self._waiting: list[tuple[Any, frozenset[str]]] = []

    def run(self, tree: Node) -> None:
        self._waiting.append((tree, frozenset()))
        while self._waiting:
            node, scope = self._waiting.pop()
            if isinstance(node, list):
                self._waiting.extend((child, scope) for child in node)
            elif isinstance(node, dict):
                self._visit(node, scope)

    def _visit(self, node: Node, scope: frozenset[str]) -> None:
        if "cte_map" in node:
            self._query(node, scope)
        elif "class" in node:
            self._expression(node, scope)
        elif isinstance(node.get("type"), str):
            self._part(node, scope)
        else:
            self._below(node, scope)

    def _below(self, node: Node, scope: frozenset[str], but: Collection[str] = ()) -> None:
        self._waiting.extend((child, scope) for key, child in node.items() if key not in but)

    def _query(self, node: Node, scope: frozenset[str]) -> None:
        """A CTE sees those before it; itself only if it is recursive; the body sees all."""
        if node["type"] not in _QUERY_NODES:
            raise self._refused(node, f"{node['type'].removesuffix('_NODE').replace('_', ' ')} inside a query is not known to linkd")
        if node["type"] == "RECURSIVE_CTE_NODE":
            scope |= {node["cte_name"].lower()}
        for entry in node["cte_map"]["map"]:
            self._waiting.append((entry["value"], scope))
            scope |= {entry["key"].lower()}
        self._below(node, scope, but=("cte_map",))

    def _expression(self, node: Node, scope: frozenset[str]) -> None:
        kind = node["class"]
        if kind not in _EXPRESSIONS:
            raise self._refused(node, f"{kind.replace('_', ' ').lower()} is not known to linkd")
        if kind == "FUNCTION":
            name = node["function_name"].lower()
            self._check_function(node, name, FUNCTIONS)
            if name not in SCALARS and name not in OPERATORS and name not in ORDER_FREE_AGGREGATES:
                self.order_sensitive = True
        elif kind == "WINDOW":
            self._check_function(node, node.get("function_name", "").lower(), FUNCTIONS | WINDOW_FUNCTIONS | {""})
            self.order_sensitive = True
        self._below(node, scope)

    def _part(self, node: Node, scope: frozenset[str]) -> None:
        kind = node["type"]
        if kind == "BASE_TABLE":
            self._table(node, scope)
        elif kind == "TABLE_FUNCTION":
            function = node["function"]
            self._check_function(node, function["function_name"].lower(), TABLE_FUNCTIONS)
            self._below(node, scope, but=("function",))
            self._below(function, scope)
        elif kind == "SHOW_REF":
            if node["query"] is None or node["table_name"]:
                raise self._refused(node, "SHOW is not for queries: `linkd ls` lists the links, DESCRIBE name shows the columns of one")
            self._below(node, scope)
        elif kind in _PARTS:
            distinct_on = kind == "DISTINCT_MODIFIER" and node.get("distinct_on_targets")
            if kind in _ORDER_SENSITIVE_PARTS or node.get("ref_type") in _ORDER_SENSITIVE_JOINS or distinct_on:
                self.order_sensitive = True
            self._below(node, scope)
        else:
            raise self._refused(node, f"{kind.replace('_', ' ').lower()} is not known to linkd")

    def _table(self, node: Node, scope: frozenset[str]) -> None:
        name = node["table_name"].lower()
        qualifiers = [node[key] for key in ("catalog_name", "schema_name") if node.get(key)]
        if qualifiers:
            whole = ".".join([*qualifiers, node["table_name"]])
            hint = f'; write "{whole}" in double quotes' if LINK_NAME.fullmatch(whole) else ": links have no schema before their name"
            raise self._refused(node, f"`{whole}` names a table of a database{hint}")
        if node.get("at_clause"):
            raise self._refused(node, "AT is not for queries: a link is read as it is when the query starts")
        if node.get("sample"):
            self.order_sensitive = True
        if name not in scope:
            if name != COMMITS_LINK and not LINK_NAME.fullmatch(name):
                raise self._refused(node, f"`{node['table_name']}` is not the name of a link: {_FILES}")
            self.tables.add(name)

    def _check_function(self, node: Node, name: str, allowed: Collection[str]) -> None:
        if name in allowed:
            return
        if name.startswith(("read_", "parquet_", "sniff_")) or name in ("glob", "query_table", "query"):
            remedy = _FILES if name not in ("query_table", "query") else "name the link itself, without quotes"
            raise self._refused(node, f"{name}() is not for queries: {remedy}")
        fault = with_suggestion(f"{name}() is not among the functions that queries may call", name, list(_suggestable(allowed)))
        raise self._refused(node, fault)

    def _refused(self, node: Node, fault: str) -> QueryInvalid:
        return QueryInvalid(pointed_at(fault, self._sql, node.get("query_location", -1), node.get("query_location_length", 0)))


def _suggestable(names: Collection[str]) -> Iterator[str]:
    return (name for name in names if name and name[0].isalpha())
