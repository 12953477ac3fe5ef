"""Durations of nanoseconds, for which SQL has no type: DuckDB's INTERVAL counts microseconds, and would cut them without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from linkd.core import arrow_compute as pc
from linkd.errors import SchemaMismatch
from linkd.query.rewriting import nodes, selects, sources, stars
from linkd.query.statement import Statement
from linkd.query.walk import Node

_NS_PER_US = 1_000
_HIDING = frozenset({"SUBQUERY", "SHOW_REF", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY"})
"""What a FROM has that is no table: a `*` over it reads what is named within it."""


def check_durations(statement: Statement, tables: Mapping[str, pa.Table]) -> None:
    """Raise SchemaMismatch if the statement reads a column that has durations finer than a microsecond. The name of a table ends with its link's."""
    for name, table in tables.items():
        for field in table.schema:
            if _has_nanoseconds(field.type) and _reads(statement.tree, field.name) and any(map(_is_cut, table.column(field.name).chunks)):
                raise SchemaMismatch(
                    f"{name.rpartition(' ')[2]}.{field.name} has durations with nanoseconds, and SQL has none below a microsecond: "
                    f"leave it out (`* EXCLUDE ({field.name})`), or publish it as duration[us] or as a number"
                )


def _has_nanoseconds(kind: pa.DataType) -> bool:
    if pa.types.is_duration(kind):
        return bool(kind.unit == "ns")
    return any(_has_nanoseconds(kind.field(index).type) for index in range(kind.num_fields))


def _is_cut(array: pa.Array) -> bool:
    """Whether a duration in it, however deep, is no whole number of microseconds."""
    kind = array.type
    if pa.types.is_duration(kind) and kind.unit == "ns":
        counts = array.cast(pa.int64())
        return bool(pc.any(pc.not_equal(pc.multiply(pc.divide(counts, _NS_PER_US), _NS_PER_US), counts)).as_py())
    if not _has_nanoseconds(kind):
        return False
    return any(map(_is_cut, array.flatten() if pa.types.is_struct(kind) else [array.flatten()]))


def _reads(tree: Node, column: str) -> bool:
    """Whether a statement may look at what is in a column of this name. DESCRIBE does not."""
    name = column.lower()
    shown = {id(node) for show in nodes(tree) if show.get("show_type") == "DESCRIBE" for node in nodes(show["query"])}
    for node in nodes(tree):
        if id(node) not in shown and (_is_pattern(node) or any(name in named for named in _named(node))):
            return True
    for select in selects(tree):
        tables = [source for source in sources(select) if source["type"] not in _HIDING]
        if tables and id(select) not in shown and any(name not in map(str.lower, star["exclude_list"]) for star in stars(select)):
            return True
        # The name of a table stands for a row of it.
        rows = {(source.get("alias") or source.get("table_name", "")).lower() for source in tables}
        if any(node["column_names"][-1].lower() in rows for node in nodes(select) if node.get("class") == "COLUMN_REF"):
            return True
    return False


def _is_pattern(node: Node) -> bool:
    """COLUMNS('...'), which names whatever fits."""
    return node.get("class") == "STAR" and node.get("expr") is not None


def _named(node: Node) -> Iterator[list[str]]:
    """The columns that a node names."""
    if node.get("class") == "COLUMN_REF":
        yield [part.lower() for part in node["column_names"]]
    elif node.get("using_columns"):
        yield [each.lower() for each in node["using_columns"]]
