"""Which values cannot have a row that a statement wants: told from the least and the greatest of their columns, before a row of them is read.

Of each SELECT that reads a link, those conditions of its WHERE that compare one of the link's columns with something that is known beforehand
become conditions on the bounds of that column, which DuckDB itself decides: so a constant is cast to the column's type in the one way that it
ever is. A value is passed over only if every place where the statement reads its link allows it. What is not understood allows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from linkd.model.frozen import frozen
from linkd.query.rewriting import joins, selects, sources, text_of
from linkd.query.statement import Statement
from linkd.query.walk import Node, is_constant, is_moment

_COMPARISONS = {
    "COMPARE_EQUAL": "=",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ORDINARY_JOINS = ("REGULAR", "CROSS", "NATURAL", "DEPENDENT")
"""In others which rows are there decides which rows meet, so that none may be left away."""


@frozen()
class Pruning:
    """What is known of the rows that a statement wants of one table: `condition` over the bounds of `columns`, column by column.

    `is_timed` says whether there is a clock in it.
    """

    condition: str
    columns: tuple[str, ...]
    is_timed: bool = False


@dataclass(slots=True)
class _Conditions:
    """The conditions of one WHERE on the columns of one table."""

    owns: Callable[[Node], str]
    """The table's column that a reference means; "" if it means none of them."""
    text: Callable[[Node], str]
    columns: list[str] = field(default_factory=list)
    is_timed: bool = False

    def of(self, node: Node) -> str:
        """The condition on bounds that holds wherever this one can; "" where nothing is known."""
        kind, of_class = node["type"], node["class"]
        if of_class == "CONJUNCTION":
            parts = [self.of(child) for child in node["children"]]
            if kind == "CONJUNCTION_AND":
                return _joined(" AND ", [part for part in parts if part])
            return _joined(" OR ", parts) if all(parts) else ""
        if kind in _COMPARISONS:
            return self._comparison(node["left"], _COMPARISONS[kind], node["right"])
        if kind == "COMPARE_BETWEEN":
            parts = [self._comparison(node["input"], ">=", node["lower"]), self._comparison(node["input"], "<=", node["upper"])]
            return _joined(" AND ", [part for part in parts if part])
        if kind == "COMPARE_IN":
            parts = [self._comparison(node["children"][0], "=", child) for child in node["children"][1:]]
            return _joined(" OR ", parts) if parts and all(parts) else ""
        return ""

    def _comparison(self, left: Node, operator: str, right: Node) -> str:
        if left["class"] != "COLUMN_REF":
            left, operator, right = right, _TURNED[operator], left
        # A clock that is read now shows less than when the statement runs: what is behind that is behind this too.
        if left["class"] != "COLUMN_REF" or not (is_constant(right) or (operator in (">", ">=") and is_moment(right))):
            return ""
        column = self.owns(left)
        if not column:
            return ""
        if column not in self.columns:
            self.columns.append(column)
        self.is_timed = self.is_timed or not is_constant(right)
        least, greatest = _bound_names(column)
        value = self.text(right)
        if operator == "=":
            return f"(({least} <= {value} AND {greatest} >= {value}) IS NOT FALSE)"
        return f"(({least if operator.startswith('<') else greatest} {operator} {value}) IS NOT FALSE)"


def prunings(statement: Statement, columns: Mapping[str, Collection[str]], parser: duckdb.DuckDBPyConnection) -> dict[str, Pruning]:
    """For each table of which some values may be passed over, what decides it. `columns` are those of each table, system columns too."""
    names = {id(node): table for node, table in statement.links}
    found: dict[str, list[tuple[str, _Conditions]]] = {}
    seen = 0
    for select in selects(statement.tree):
        tables = [(node, names[id(node)]) for node in sources(select) if id(node) in names]
        seen += len(tables)
        for node, table in tables:
            conditions = _Conditions(_owner(node, table, tables, columns), lambda expression: expression_text(expression, parser))
            where: Node | None = select.get("where_clause")
            condition = conditions.of(where) if where is not None and _leaves_alone(select, node) else ""
            found.setdefault(table, []).append((condition, conditions))
    if seen != len(statement.links):  # one is read in a place that is no FROM: PIVOT, SUMMARIZE, ...
        return {}
    return {
        table: Pruning(
            _joined(" OR ", [condition for condition, _ in places]),
            tuple(dict.fromkeys(name for _, conditions in places for name in conditions.columns)),
            any(conditions.is_timed for _, conditions in places),
        )
        for table, places in found.items()
        if all(condition for condition, _ in places)
    }


def bounds_table(columns: Sequence[tuple[str, pa.DataType, Sequence[Any], Sequence[Any]]]) -> pa.Table:
    """What a condition is decided over: for each column its name, its type, and the least and the greatest in each block."""
    arrays: dict[str, pa.Array] = {}
    for name, kind, least, greatest in columns:
        for key, values in zip(_keys(name), (least, greatest), strict=True):
            arrays[key] = pa.array(values, kind)
    rows = len(columns[0][2]) if columns else 0
    return pa.table({"block": pa.array(range(rows), pa.int64()), **arrays})


def decided(condition: str, bounds: pa.Table, values: Mapping[str, Any], connection: duckdb.DuckDBPyConnection) -> list[int] | None:
    """The blocks that may have a row that is wanted; None if that cannot be told. `values` are those of the parameters in the condition."""
    cursor = connection.cursor()
    try:
        cursor.register("bounds", bounds)
        rows = cursor.execute(f"SELECT block FROM bounds WHERE {condition} ORDER BY block", used_in(condition, values) or None).fetchall()
    except duckdb.Error:
        return None  # the statement itself will say what is wrong with its constants
    finally:
        cursor.close()
    return [row[0] for row in rows]


def used_in(text: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values of parameters that a text needs."""
    return {name: value for name, value in values.items() if f"${name}" in text}


def _owner(node: Node, table: str, tables: Sequence[tuple[Node, str]], columns: Mapping[str, Collection[str]]) -> Callable[[Node], str]:
    mine = {name.lower(): name for name in columns[table]}
    alias = (node["alias"] or node["table_name"]).lower()

    def owns(reference: Node) -> str:
        *qualifier, name = (part.lower() for part in reference["column_names"])
        if name not in mine or (qualifier and qualifier != [alias]):
            return ""
        holders = [one for one, other in tables if name in (each.lower() for each in columns[other])]
        return mine[name] if qualifier or holders == [node] else ""

    return owns


def _leaves_alone(select: Node, node: Node) -> bool:
    """Whether fewer rows of this table change nothing but what the WHERE leaves out anyhow."""
    if node.get("sample") or node.get("column_name_alias") or select.get("sample"):
        return False
    return all(join["ref_type"] in _ORDINARY_JOINS for join in joins(select["from_table"]))


def expression_text(expression: Node, parser: duckdb.DuckDBPyConnection) -> str:
    """An expression as DuckDB writes it."""
    select: Node = {
        "type": "SELECT_NODE",
        "modifiers": [],
        "cte_map": {"map": []},
        "select_list": [{**expression, "alias": ""}],
        "from_table": {"type": "EMPTY", "alias": "", "sample": None, "query_location": 0, "query_location_length": 0},
        "where_clause": None,
        "group_expressions": [],
        "group_sets": [],
        "aggregate_handling": "STANDARD_HANDLING",
        "having": None,
        "sample": None,
        "qualify": None,
    }
    return f"({text_of(select, parser).removeprefix('SELECT ')})"


def _joined(operator: str, parts: Sequence[str]) -> str:
    return f"({operator.join(parts)})" if len(parts) > 1 else "".join(parts)


def _keys(column: str) -> tuple[str, str]:
    return f"least {column}", f"greatest {column}"


def _bound_names(column: str) -> tuple[str, str]:
    least, greatest = ('"' + key.replace('"', '""') + '"' for key in _keys(column))
    return least, greatest
