"""The values of parameters, for each time that a statement is to run; and the inserts that run once for all of them.

`INSERT INTO link VALUES (?, ?)` with thousands of rows of values, as clients send what they have in a list, becomes a SELECT over a table of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from linkd.core import arrow_compute as pc
from linkd.errors import QueryInvalid, SchemaMismatch
from linkd.query.engine import bound
from linkd.query.readable import readable_schema
from linkd.query.rewriting import nodes, text_of
from linkd.query.statement import Statement
from linkd.query.walk import Node

ROWS_TABLE = "rows of parameters"
"""A name that no link has."""
_PLAIN = frozenset({"PARAMETER", "CONSTANT", "CAST", "TYPE"})


def values_of(statement: Statement, given: pa.Table | None) -> Iterator[Mapping[str, Any]]:
    """A value for each parameter, row by row. Raises QueryInvalid unless each has one, and nothing else has."""
    rows = _named(statement, given)
    for row in range(rows.num_rows if rows.num_columns else 1):
        yield {name: bound(column[row].as_py()) for name, column in zip(rows.column_names, rows.columns, strict=True)}


def over_rows(statement: Statement, given: pa.Table | None, parser: duckdb.DuckDBPyConnection) -> tuple[str, pa.Table] | None:
    """The text that gives, of `ROWS_TABLE` with these rows, what the statement gives for each of them; None where it is to run for each.

    Raises QueryInvalid as `values_of` does.
    """
    row = _row_of_values(statement.tree)
    if row is None or given is None or given.num_rows < 2:
        return None
    rows = _named(statement, given)
    try:
        if readable_schema(rows.schema, ROWS_TABLE) != rows.schema:
            return None
    except SchemaMismatch:
        return None
    select: Node = {**statement.tree, "select_list": [_of_column(each) for each in row], "from_table": _ROWS}
    columns = [pc.cast(column, pa.int64()) if _is_small_integer(column.type) else column for column in rows.columns]
    return text_of(select, parser), pa.Table.from_arrays(columns, names=rows.column_names)


def _named(statement: Statement, given: pa.Table | None) -> pa.Table:
    """The columns that have values for the parameters, by the names of these."""
    rows = given if given is not None else pa.table({})
    by_position = all(name.isdigit() for name in statement.parameters)
    places = {name: int(name) - 1 if by_position else rows.schema.get_field_index(name) for name in sorted(statement.parameters)}
    for name, place in places.items():
        if not 0 <= place < rows.num_columns:
            raise QueryInvalid(f"parameter ${name} has no value: {_counted(rows)}")
    if rows.num_columns > (max(places.values(), default=-1) + 1 if by_position else len(places)):
        there_are = f"{len(places)} parameter{'s'[: len(places) != 1]}: {', '.join(f'${name}' for name in places)}" if places else "none"
        raise QueryInvalid(f"{_counted(rows)}, and the statement has {there_are}")
    return pa.Table.from_arrays([rows.column(place) for place in places.values()], names=list(places))


def _counted(values: pa.Table) -> str:
    match values.num_columns:
        case 0:
            return "none was given"
        case 1:
            return "1 value was given"
        case many:
            return f"{many} values were given"


def _row_of_values(tree: Node) -> list[Node] | None:
    """The expressions of a statement that is one row of VALUES, of nothing but parameters, constants, and CASTs of them."""
    source = tree.get("from_table")
    if (
        tree["type"] != "SELECT_NODE"
        or tree["modifiers"]
        or tree["cte_map"]["map"]
        or source is None
        or source["type"] != "EXPRESSION_LIST"
    ):
        return None
    if [item["class"] for item in tree["select_list"]] != ["STAR"] or tree["where_clause"] is not None or len(source["values"]) != 1:
        return None
    row: list[Node] = source["values"][0]
    return row if all(node["class"] in _PLAIN for node in nodes(row) if "class" in node) else None


def _of_column(expression: Node) -> Node:
    """The expression with columns in place of parameters."""
    if expression["class"] == "PARAMETER":
        place = {key: expression[key] for key in ("alias", "query_location", "query_location_length")}
        return {"class": "COLUMN_REF", "type": "COLUMN_REF", **place, "column_names": [expression["identifier"]]}
    if expression["class"] == "CAST":
        return {**expression, "child": _of_column(expression["child"])}
    return expression


def _is_small_integer(kind: pa.DataType) -> bool:
    """Whether it is one that is bound as BIGINT."""
    return pa.types.is_integer(kind) and not pa.types.is_uint64(kind)


_ROWS: Node = {
    "type": "BASE_TABLE",
    "alias": "",
    "sample": None,
    "query_location": 0,
    "query_location_length": 0,
    "schema_name": "",
    "table_name": ROWS_TABLE,
    "column_name_alias": [],
    "catalog_name": "",
    "at_clause": None,
    "qualified_name": {"path": [ROWS_TABLE]},
}
