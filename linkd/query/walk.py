"""What a query reads and calls, found in the tree that DuckDB makes of its text. What is not known here is refused.

Kinds of nodes, functions, and tables that are not named like links: an allow-list each. The tree is that of DuckDB 2; in short: a query node has
a `cte_map`, an expression has a `class`, anything else a `type`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from linkd.core.diagnostics import with_suggestion
from linkd.core.names import COMMITS_LINK, DB_SCHEMA
from linkd.core.value_names import LINK_NAME
from linkd.errors import QueryInvalid
from linkd.model.frozen import frozen
from linkd.query.diagnosis import pointed_at
from linkd.query.functions import FUNCTIONS, OPERATORS, ORDER_FREE_AGGREGATES, SCALARS, TABLE_FUNCTIONS, WINDOW_FUNCTIONS

Node = dict[str, Any]

HISTORY_FUNCTION = "link"
LINKS_TABLE = "links there are"
"""What SHOW TABLES reads: a name that no link has."""
SYSTEM_COLUMNS = ("_seq", "_time", "_task", "_value")
"""Columns that every link has beside its own: the position of the value that a row belongs to, when and by which task it was made, and its id."""

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
_SHOWN_TABLES = '"tables"'
"""What DuckDB makes of SHOW TABLES."""
_NO_ORDINALITY = "WITHOUT_ORDINALITY"
_HISTORY = "a link's history is link('name', generation => 3, since => '2026-11-22T10:00', until => '2026-11-23')"
_FILES = "queries read links, not files: bring a file in as a link with `from:` in the pipeline file"


@frozen()
class History:
    """`link('name', generation => ..., since => ..., until => ...)`: a table of that link, known to DuckDB as `table`. Arguments are expressions."""

    table: str
    link: str
    generation: Node | None
    since: Node | None
    until: Node | None


class Walk:
    """One pass over a tree, without recursion: a query may be nested as deeply as the parser allows.

    Each waiting node comes with the names of the CTEs that can be seen from it. `catalog` is the pipeline's name: a link may be named with the
    schema and the catalog that clients are told of, which the tree is without when `run` returns.
    """

    def __init__(self, sql: str, catalog: str = "") -> None:
        self.tables: set[str] = set()
        self.histories: list[History] = []
        self.links: list[tuple[Node, str]] = []
        """The nodes that are tables of links, and what DuckDB knows these as."""
        self.system_columns: set[str] = set()
        self.order_sensitive = False
        self.is_qualified = False
        """Whether a link was named with its schema."""
        self.lists_links = False
        """Whether there is a SHOW TABLES."""
        self._columns: list[Node] = []
        self._places = {(DB_SCHEMA,), (catalog.lower(), DB_SCHEMA)}
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
        for column in self._columns if self.is_qualified else ():
            column["column_names"] = self._without_place(column["column_names"])

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
        elif kind == "COLUMN_REF":
            self._columns.append(node)
            self.system_columns.update(set(SYSTEM_COLUMNS).intersection(map(str.lower, node["column_names"])))
        elif kind == "WINDOW":
            self._check_function(node, node.get("function_name", "").lower(), FUNCTIONS | WINDOW_FUNCTIONS | {""})
            self.order_sensitive = True
        self._below(node, scope)

    def _part(self, node: Node, scope: frozenset[str]) -> None:
        kind = node["type"]
        if kind == "BASE_TABLE":
            self._table(node, scope)
        elif kind == "TABLE_FUNCTION" and node["function"]["function_name"].lower() == HISTORY_FUNCTION:
            self._history(node)
        elif kind == "TABLE_FUNCTION":
            function = node["function"]
            self._check_function(node, function["function_name"].lower(), TABLE_FUNCTIONS)
            self._below(node, scope, but=("function",))
            self._below(function, scope)
        elif kind == "SHOW_REF":
            self._show(node, scope)
        elif kind in _PARTS:
            distinct_on = kind == "DISTINCT_MODIFIER" and node.get("distinct_on_targets")
            if kind in _ORDER_SENSITIVE_PARTS or node.get("ref_type") in _ORDER_SENSITIVE_JOINS or distinct_on:
                self.order_sensitive = True
            self._below(node, scope)
        else:
            raise self._refused(node, f"{kind.replace('_', ' ').lower()} is not known to linkd")

    def _show(self, node: Node, scope: frozenset[str]) -> None:
        """DESCRIBE and SUMMARIZE have a query; SHOW TABLES becomes a table."""
        place = tuple(node[key].lower() for key in ("catalog_name", "schema_name") if node[key])
        if node["query"] is not None and not node["table_name"]:
            self._below(node, scope)
        elif node["table_name"] == _SHOWN_TABLES or (node["show_type"] == "SHOW_FROM" and place in self._places):
            _become_table(node, LINKS_TABLE, node["alias"])
            self.lists_links = True
        else:
            raise self._refused(node, "SHOW TABLES lists the links, DESCRIBE name shows the columns of one; there is no other SHOW")

    def _table(self, node: Node, scope: frozenset[str]) -> None:
        name = node["table_name"].lower()
        qualifiers = [node[key] for key in ("catalog_name", "schema_name") if node.get(key)]
        if tuple(map(str.lower, qualifiers)) in self._places and name not in scope:
            node |= {"catalog_name": "", "schema_name": "", "qualified_name": {"path": [node["table_name"]]}}
            self.is_qualified = True
        elif qualifiers:
            whole = ".".join([*qualifiers, node["table_name"]])
            hint = (
                f'; write "{whole}" in double quotes'
                if LINK_NAME.fullmatch(whole)
                else ": links have no schema before their name but `links`"
            )
            raise self._refused(node, f"`{whole}` names a table of a database{hint}")
        if node.get("at_clause"):
            raise self._refused(node, "AT is not for queries: a link is read as it is when the query starts")
        if node.get("sample"):
            self.order_sensitive = True
        if name not in scope:
            if name != COMMITS_LINK and not LINK_NAME.fullmatch(name):
                raise self._refused(node, f"`{node['table_name']}` is not the name of a link: {_FILES}")
            self.tables.add(name)
            self.links.append((node, name))

    def _without_place(self, names: list[str]) -> list[str]:
        """The parts of a column's name without those before the name of its link."""
        for place in self._places:
            behind = names[len(place) :]
            if len(behind) > 1 and behind[0].lower() in self.tables and tuple(map(str.lower, names[: len(place)])) == place:
                return behind
        return names

    def _history(self, node: Node) -> None:
        """The call becomes a table of a name that no link has."""
        given: dict[str, Node] = {}
        for argument in node["function"]["arguments"]:
            name = argument["name"].lower() or ("link" if not given else "")
            if name not in ("link", "generation", "since", "until") or name in given:
                raise self._refused(node, f"{_HISTORY}; `{argument['name'] or 'a further value'}` is not known")
            given[name] = argument["expression"]
        constant = given.pop("link", {})
        link = constant.get("literal", {}).get("text", "").lower()
        if constant.get("class") != "CONSTANT" or constant["literal"].get("kind") != "STRING" or not LINK_NAME.fullmatch(link):
            raise self._refused(node, f"{_HISTORY}: its first argument is the name of a link in quotes")
        if node.get("sample") or node.get("with_ordinality", _NO_ORDINALITY) != _NO_ORDINALITY:
            raise self._refused(node, f"{_HISTORY}, without TABLESAMPLE and ORDINALITY")
        for expression in given.values():
            if not (is_constant(expression) or is_moment(expression)):
                raise self._refused(node, f"{_HISTORY}: generation, since and until are constants or parameters, or now() less an INTERVAL")
        history = History(
            f"history {len(self.histories) + 1} of {link}", link, *(given.get(name) for name in ("generation", "since", "until"))
        )
        self.histories.append(history)
        _become_table(node, history.table, node["alias"] or link)
        self.links.append((node, history.table))

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


def _become_table(node: Node, table: str, alias: str) -> None:
    """What a FROM has there is a table of this name."""
    parts = {key: node.get(key, []) for key in ("query_location", "query_location_length", "column_name_alias")}
    names = {"alias": alias, "catalog_name": "", "schema_name": "", "table_name": table, "qualified_name": {"path": [table]}}
    node.clear()
    node |= {"type": "BASE_TABLE", "sample": None, "at_clause": None, **parts, **names}


def _suggestable(names: Collection[str]) -> Iterator[str]:
    return (name for name in names if name and name[0].isalpha())


_INTERVALS = frozenset(
    {"trunc", *(f"to_{unit}" for unit in ("years", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds"))}
)
"""What DuckDB makes of `INTERVAL 1 DAY`."""


def is_constant(expression: Node) -> bool:
    """Whether the value of an expression is known before any row is: constants and parameters, cast and computed with."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        if node.get("class") == "CAST":
            waiting.append(node["child"])
        elif node.get("class") == "FUNCTION" and (node["function_name"] in ("+", "-") or node["function_name"] in _INTERVALS):
            waiting += [argument["expression"] for argument in node["arguments"]]
        elif node.get("class") not in ("CONSTANT", "PARAMETER"):
            return False
    return True


def is_moment(expression: Node) -> bool:
    """Whether an expression is the time at which it is evaluated, or so much before or behind it."""
    if expression.get("class") != "FUNCTION":
        return False
    arguments = [argument["expression"] for argument in expression["arguments"]]
    if expression["function_name"] in ("+", "-") and len(arguments) == 2:
        return is_moment(arguments[0]) and is_constant(arguments[1])
    return expression["function_name"] == "now" and not arguments
