"""How the schema of a link grows while values come: the one rule, whatever road they come by.

    a column of which only nulls were seen     takes the type of the first value that has one
    a number, also within lists and structs    takes the wider type of its kind: int32 becomes int64, float32 float64, decimal(5, 2) decimal(9, 2)
    a column that is new and may be null       comes behind the others; the rows before it have none

Everything else stays as it is, and is for `schema.conform` to cast without loss or to refuse: other types, fewer columns, a new column that is
never null. A declared schema does not grow, nor does a link of opaque bytes. The rule knows schemas alone, never rows, so that equal values give
equal links in whatever pieces they come. All types here are plain ones (`arrow_types`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from linkd.core.arrow_types import merged_type, plain_schema, plain_type
from linkd.core.payload import is_opaque
from linkd.core.schema import conform, in_schema


def evolved(kept: pa.Schema, given: pa.Schema) -> pa.Schema:
    """`kept` as it has to be for rows of `given` too: its columns in their order, then those that only `given` has. Equal to it if nothing grows."""
    if is_opaque(kept) or len(set(given.names)) < len(given.names):
        return kept
    there = {field.name: plain_type(field.type) for field in given}
    fields = [pa.field(field.name, wider_type(field.type, there.get(field.name, field.type))) for field in kept]
    known = set(kept.names)
    fields += [pa.field(field.name, there[field.name]) for field in given if field.name not in known and field.nullable]
    return pa.schema(fields)


def wider_type(kept: pa.DataType, given: pa.DataType) -> pa.DataType:
    """The one of the two that holds the values of both; `kept` where neither does."""
    return merged_type(kept, given, lambda kept, given: given if _holds(given, kept) else kept)


def grown(data: pa.Table | pa.RecordBatch, kept: pa.Schema, *, declared: bool, link: str) -> pa.RecordBatch:
    """The rows in the schema that their link has from them on: `kept`, which is `declared`, or what became of it.

    Raises `SchemaMismatch` as `conform` does, showing the rows beside `kept`.
    """
    fits = declared or data.schema.equals(kept) or not set(kept.names).issubset(data.schema.names)
    return conform(data, kept if fits else evolved(kept, data.schema), link=link, shown=kept)


def together(tables: Sequence[pa.Table], *, link: str) -> pa.Table:
    """The rows of values of one link in one table, whose schemas may have grown from one to the next. Raises `SchemaMismatch`."""
    schema = united(table.schema for table in tables)
    if all(table.schema.equals(schema) for table in tables):
        return pa.concat_tables(tables)
    return pa.Table.from_batches([in_schema(table, schema, link=link) for table in tables], schema)


def united(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """What rows of all of these go into, if they go together at all; the first one says the order of the columns."""
    whole: pa.Schema | None = None
    for schema in schemas:
        whole = plain_schema(schema) if whole is None else evolved(whole, schema)
    return whole if whole is not None else pa.schema([])


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Whether a type of numbers has every value of another one of its kind."""
    types = pa.types
    if types.is_integer(wide) and types.is_integer(narrow):
        if types.is_signed_integer(wide) == types.is_signed_integer(narrow):
            return bool(wide.bit_width >= narrow.bit_width)
        return bool(types.is_signed_integer(wide) and wide.bit_width > narrow.bit_width)
    if types.is_floating(wide) and types.is_floating(narrow):
        return bool(wide.bit_width >= narrow.bit_width)
    if types.is_decimal(wide) and types.is_decimal(narrow):
        return bool(wide.scale >= narrow.scale and wide.precision - wide.scale >= narrow.precision - narrow.scale)
    return False
