"""The text that DuckDB runs, where it is not the one that was written: of statements with `link(...)`, SHOW TABLES, a link's schema, or a
system column.

`_seq`, `_time`, `_task` and `_value` are columns of every link that `SELECT *` does not show. A statement that names none of them is given tables
without them; one that does has them left out of each `*`, by the name of the table they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import duckdb

from linkd.errors import QueryInvalid
from linkd.query.diagnosis import parse_error
from linkd.query.statement import Statement
from linkd.query.walk import Node


def text_to_run(statement: Statement, hidden: Mapping[str, Collection[str]], parser: duckdb.DuckDBPyConnection) -> str:
    """`hidden` names, for each table, the system columns that it is given beside its own. Raises QueryInvalid."""
    is_plain = not (statement.histories or statement.lists_links or statement.is_qualified)
    if is_plain and not any(hidden.values()):
        return statement.text
    names = {id(node): table for node, table in statement.links}
    before: list[tuple[Node, Any]] = []
    try:
        for select in selects(statement.tree):
            tables = [
                (node["alias"] or node["table_name"], hidden.get(names[id(node)], ())) for node in sources(select) if id(node) in names
            ]
            shown = [(alias, columns) for alias, columns in tables if columns]
            if shown and _joins_naturally(select["from_table"]):
                raise QueryInvalid("a NATURAL JOIN would join by the system columns of the links too: write USING (columns)")
            for star in stars(select) if shown else ():
                before.append((star, star["qualified_exclude_list"]))
                star["qualified_exclude_list"] = [*star["qualified_exclude_list"], *_excluded(star, shown)]
        return text_of(statement.tree, parser)
    finally:
        for star, excluded in before:
            star["qualified_exclude_list"] = excluded


def _excluded(star: Node, shown: Sequence[tuple[str, Collection[str]]]) -> list[Node]:
    return [
        {"catalog": "", "schema": "", "table": alias, "column": column}
        for alias, columns in shown
        if star["relation_name"].lower() in ("", alias.lower())
        for column in sorted(columns)
    ]


def text_of(tree: Node, parser: duckdb.DuckDBPyConnection) -> str:
    """The statement of a tree. Raises QueryInvalid."""
    document = json.dumps({"error": False, "statements": [{"node": tree}]})
    try:
        row = parser.execute("SELECT json_deserialize_sql(?::JSON)", [document]).fetchone()
    except duckdb.Error as error:
        raise parse_error(error) from None
    return str(row[0]) if row is not None else ""


def parameters_in(tree: Any) -> frozenset[str]:
    """The names of the parameters in a tree."""
    return frozenset(node["identifier"] for node in nodes(tree) if node.get("class") == "PARAMETER")


def selects(tree: Any) -> Iterator[Node]:
    """Every SELECT in a tree, those within others too."""
    return (node for node in nodes(tree) if node.get("type") == "SELECT_NODE" and "from_table" in node)


def nodes(tree: Any) -> Iterator[Node]:
    """Every node in a tree, each before those within it; without recursion, for a text may be nested as deeply as it likes."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            yield node
            waiting.extend(node.values())


def sources(select: Node) -> Iterator[Node]:
    """The tables, subqueries and functions that a SELECT takes its rows from, through its joins."""
    waiting = [select["from_table"]]
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if node.get("type") == "JOIN":
            waiting += [node["left"], node["right"]]
        else:
            yield node


def joins(source: Node | None) -> Iterator[Node]:
    """The joins among those."""
    waiting = [source]
    while waiting:
        node = waiting.pop()
        if node is not None and node.get("type") == "JOIN":
            yield node
            waiting += [node["left"], node["right"]]


def _joins_naturally(source: Node | None) -> bool:
    return any(join["ref_type"] == "NATURAL" for join in joins(source))


def stars(select: Node) -> Iterator[Node]:
    """The `*` of a SELECT, and not those of queries within it."""
    waiting: list[Any] = [select["select_list"]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict) and "cte_map" not in node:
            if node.get("class") == "STAR" and node.get("expr") is None:
                yield node
            waiting.extend(node.values())
