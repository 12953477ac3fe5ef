"""The types in which DuckDB reads what a link holds."""

from __future__ import annotations

import pyarrow as pa

from linkd.errors import SchemaMismatch


def readable_schema(schema: pa.Schema, link: str) -> pa.Schema:
    """The schema in types that DuckDB has: it knows no half floats, which a float holds as well, and no decimals of 256 bits."""
    return pa.schema([pa.field(field.name, _readable_type(field.type, f"{link}.{field.name}")) for field in schema])


def _readable_type(kind: pa.DataType, column: str) -> pa.DataType:
    types = pa.types
    if types.is_float16(kind):
        return pa.float32()
    if types.is_decimal256(kind):
        raise SchemaMismatch(f"{column} is {kind}, which SQL cannot read: publish it as decimal128, with at most 38 digits, or as text")
    if types.is_list(kind):
        return pa.list_(_readable_type(kind.value_type, column))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, _readable_type(field.type, column)) for field in kind])
    return kind
