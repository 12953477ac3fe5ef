"""The Arrow types that JSON values suggest, where no schema says more: see `core.rows` for the rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pyarrow as pa

from linkd.core.arrow_types import type_text
from linkd.errors import InvalidArgument, SchemaMismatch


class Differs(Exception):
    """Two values have no type in common: `given` came after `seen`."""

    def __init__(self, seen: pa.DataType, given: pa.DataType) -> None:
        super().__init__()
        self.seen = seen
        self.given = given


def inferred_schema(rows: Iterable[dict[str, Any]], link: str) -> pa.Schema:
    """The schema that all rows fit, columns in the order first seen.

    Raises `InvalidArgument` where there are no columns to see, `SchemaMismatch` naming row (from 1) and column where rows contradict.
    """
    types = inferred_types(rows, None, link)
    if not types:
        raise InvalidArgument(f"{link}: there are no columns to see in these rows: publish at least one row, or give links.{link}.schema")
    if "" in types:
        raise InvalidArgument(f'{link}: a column has no name (key ""): give it one')
    return pa.schema(list(types.items()))


def inferred_types(rows: Iterable[dict[str, Any]], names: Collection[str] | None, link: str) -> dict[str, pa.DataType]:
    """The types that the values of the columns `names` (`None`: of all) suggest. Raises `SchemaMismatch` where rows contradict."""
    types: dict[str, pa.DataType] = {}
    said: dict[str, type] = {}  # by the last value of a column: another one of that kind says nothing new
    for number, row in enumerate(rows, 1):
        for name, value in row.items():
            if said.get(name) is type(value) or (names is not None and name not in names):
                continue
            try:
                types[name] = unified(types.get(name, pa.null()), json_type(value))
                if not isinstance(value, list | dict):
                    said[name] = type(value)
            except Differs as error:
                seen, given = type_text(error.seen), type_text(error.given)
                raise SchemaMismatch(
                    f"{link}: row {number}, column `{name}`: {given} after rows with {seen}; "
                    f"give the column one type, or declare links.{link}.schema"
                ) from None
    return types


def json_type(value: Any) -> pa.DataType:
    """The type that one JSON value suggests. Raises `Differs` for a list whose items have none in common."""
    if value is None:
        return pa.null()
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    if isinstance(value, str):
        return pa.string()
    if isinstance(value, list):
        return pa.list_(_common(json_type(item) for item in value))
    if isinstance(value, dict):
        return pa.struct([(name, json_type(item)) for name, item in value.items()])
    return pa.float64()


def _common(types: Iterable[pa.DataType]) -> pa.DataType:
    result = pa.null()
    for kind in types:
        result = unified(result, kind)
    return result


def unified(seen: pa.DataType, given: pa.DataType) -> pa.DataType:
    """The least type that holds the values of both. Raises `Differs` if there is none."""
    types = pa.types
    if seen == given or types.is_null(given):
        return seen
    if types.is_null(seen):
        return given
    if {seen, given} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if types.is_list(seen) and types.is_list(given):
        return pa.list_(unified(seen.value_type, given.value_type))
    if types.is_struct(seen) and types.is_struct(given):
        fields = {field.name: field.type for field in seen}
        for field in given:
            fields[field.name] = unified(fields.get(field.name, pa.null()), field.type)
        return pa.struct(list(fields.items()))
    raise Differs(seen, given)
