"""Arrow types: of the type words of a pipeline file, and the plain form in which a link stores them.

A link stores one form of each type, so that equal data has equal bytes whatever library made it: 32-bit offsets, no dictionaries, no
views, no run ends, every field nullable, no metadata. `plain_type` names that form; `core.casts` brings columns into it. The grammar of
the type words is `core.column_types`, which needs no Arrow.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from linkd.core.column_types import ColumnType, NoType, parse_column_type
from linkd.errors import InvalidArgument

_NAMED = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date32": pa.date32(),
}


def parse_type(text: str) -> pa.DataType:
    """The Arrow type that a type word of a pipeline file means. Raises `InvalidArgument` naming the word and the remedy."""
    parsed = parse_column_type(text)
    if isinstance(parsed, NoType):
        raise InvalidArgument(f"{parsed.what} ({parsed.remedy})")
    return arrow_type(parsed)


def arrow_type(column: ColumnType) -> pa.DataType:
    """The Arrow type of a parsed type word."""
    if column.name == "time64":
        return pa.time64(column.unit)
    if column.name == "timestamp":
        return pa.timestamp(column.unit, tz=column.zone or None)
    if column.name == "decimal":
        return pa.decimal128(column.precision, column.scale)
    return _NAMED[column.name]


def type_text(kind: pa.DataType) -> str:
    """The type word of an Arrow type: `parse_type(type_text(t)) == t` for every type that has one, else Arrow's own name."""
    if pa.types.is_timestamp(kind):
        return f"timestamp[{kind.unit}, {kind.tz}]" if kind.tz else f"timestamp[{kind.unit}]"
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    for word, known in _NAMED.items():
        if known == kind:
            return word
    if pa.types.is_list(kind):
        return f"list<{type_text(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ", ".join(f"{field.name}: {type_text(field.type)}" for field in kind) + ">"
    return str(kind)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The one form in which a link stores values of this type."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if is_varying_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    if types.is_decimal(kind) and not types.is_decimal256(kind):
        return pa.decimal128(kind.precision, kind.scale)
    return kind


def is_varying_list(kind: pa.DataType) -> bool:
    """Whether this is one of the list types of varying length, in any of their layouts."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_list_view(kind) or types.is_large_list_view(kind))


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with plain types, every field nullable, and without the metadata of whatever library made it."""
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def is_undecided(kind: pa.DataType) -> bool:
    """Whether a part of this plain type is `null`: no value has come yet that would say what it is."""
    types = pa.types
    if types.is_list(kind):
        return is_undecided(kind.value_type)
    if types.is_struct(kind):
        return any(is_undecided(field.type) for field in kind)
    return bool(types.is_null(kind))


def decided_type(kept: pa.DataType, given: pa.DataType) -> pa.DataType:
    """`kept` with its undecided parts taken from `given`, as far as the two are alike; both are plain types."""
    return merged_type(kept, given, lambda kept, given: kept)


def merged_type(kept: pa.DataType, given: pa.DataType, chosen: Callable[[pa.DataType, pa.DataType], pa.DataType]) -> pa.DataType:
    """`kept`, with `given` where nothing was decided, and what `chosen` makes of the two where both are; within lists and structs, too.

    The fields of a struct are those of `kept`. Both are plain types.
    """
    types = pa.types
    if types.is_null(kept):
        return given
    if types.is_list(kept) and types.is_list(given):
        return pa.list_(merged_type(kept.value_type, given.value_type, chosen))
    if types.is_struct(kept) and types.is_struct(given):
        offered = {field.name: field.type for field in given}
        return pa.struct([(field.name, merged_type(field.type, offered.get(field.name, field.type), chosen)) for field in kept])
    return chosen(kept, given)
