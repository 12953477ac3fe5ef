"""The type of a column of JSON lines, from all its values: the JSON types, not what their texts look like.

Whole numbers are int64, numbers with a fraction or an exponent float64 (a column with both is float64), then bool, string, list, struct.
A string stays one, whatever it looks like; `schema:` makes dates of it. A column without any value is string. What has no type in common,
a number beyond int64, an object without keys, and what is nested more than `JSONL_NESTING_MAX` deep make the whole column string: text as it
is, everything else as its JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from linkd.limits import JSONL_NESTING_MAX
from linkd.plugin.column_types import type_text
from linkd.plugin.json_rows import Differs, json_type, unified
from linkd_adapters.file.jsonl_nesting import is_deep

_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1


class JsonTypes:
    """What is known of the columns so far, in the order in which they first appeared."""

    def __init__(self) -> None:
        self._types: dict[str, pa.DataType] = {}
        self._reasons: dict[str, tuple[int, str, str]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._types)

    @property
    def reasons(self) -> Mapping[str, tuple[int, str, str]]:
        """Of the columns that are string because their values have nothing else in common: line and file where that was seen, and why."""
        return self._reasons

    def take(self, row: Mapping[str, Any], line: int, shown: str) -> None:
        """The row in this line of this file."""
        for name, value in row.items():
            if name in self._reasons:
                continue
            seen = self._types.setdefault(name, pa.null())
            if is_deep(value):
                self._make_string(name, line, shown, f"it is nested more than {JSONL_NESTING_MAX} deep")
                continue
            try:
                self._types[name] = unified(seen, _type_of(value))
            except Differs as error:
                self._make_string(name, line, shown, f"{type_text(error.given)} after {type_text(error.seen)}")
            except OverflowError:
                self._make_string(name, line, shown, "a number is beyond int64")

    def take_types(self, schema: pa.Schema) -> bool:
        """The types of many rows at once; `False`, and nothing taken, if they do not go with what is known."""
        wider: dict[str, pa.DataType] = {}
        for field in schema:
            if field.name in self._reasons:
                continue
            try:
                wider[field.name] = unified(self._types.get(field.name, pa.null()), _as_json(field.type))
            except Differs:
                return False
        self._types.update(wider)
        return True

    def _make_string(self, name: str, line: int, shown: str, why: str) -> None:
        self._types[name] = pa.string()
        self._reasons[name] = (line, shown, why)

    def settled(self) -> dict[str, pa.DataType]:
        """The types if no more rows follow."""
        return {name: _settled(kind) for name, kind in self._types.items()}


def _type_of(value: Any) -> pa.DataType:
    if _has_beyond_int64(value):
        raise OverflowError
    return json_type(value)


def _has_beyond_int64(value: Any) -> bool:
    if isinstance(value, list):
        return any(_has_beyond_int64(item) for item in value)
    if isinstance(value, dict):
        return any(_has_beyond_int64(item) for item in value.values())
    return isinstance(value, int) and not _LEAST <= value <= _GREATEST


def _as_json(kind: pa.DataType) -> pa.DataType:
    """What pyarrow found, without the timestamps it makes of texts."""
    types = pa.types
    if types.is_timestamp(kind):
        return pa.string()
    if types.is_list(kind):
        return pa.list_(_as_json(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, _as_json(field.type)) for field in kind])
    return kind


def _settled(kind: pa.DataType) -> pa.DataType:
    return pa.string() if _is_without_keys(kind) else _decided(kind)


def _decided(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_null(kind):
        return pa.string()
    if types.is_list(kind):
        return pa.list_(_decided(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, _decided(field.type)) for field in kind])
    return kind


def _is_without_keys(kind: pa.DataType) -> bool:
    """Whether there is an object in it of which no key was ever seen."""
    if pa.types.is_struct(kind) and not kind.num_fields:
        return True
    return any(_is_without_keys(kind.field(index).type) for index in range(kind.num_fields))
