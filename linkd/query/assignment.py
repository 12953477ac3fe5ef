"""What an INSERT may put into a column beyond what a publish may: as SQL assigns values to columns, whose literals have no other types.

A number with a point, such as 3.5, is a DECIMAL to DuckDB: it goes into a column of floats, to the nearest of them. A text that is written as a
value (`VALUES ('2026-11-23')`) goes into a column of dates or timestamps. Everything else is left as it is: `core.schema` decides about it.
"""

from __future__ import annotations

import pyarrow as pa

from linkd.core import arrow_compute as pc
from linkd.errors import SchemaMismatch


def assigned(batch: pa.RecordBatch, schema: pa.Schema, *, is_values: bool, link: str) -> pa.RecordBatch:
    """The batch, whose columns are those of `schema` in its order, with what can be assigned in the types of `schema`.

    `is_values` says that the rows are written in the statement. Raises SchemaMismatch for a text that is no date or timestamp.
    """
    columns = [_assigned(column, field, is_values, link) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


def _assigned(column: pa.Array, field: pa.Field, is_values: bool, link: str) -> pa.Array:
    types = pa.types
    if types.is_decimal(column.type) and types.is_floating(field.type):
        return pc.cast(column, field.type)
    if is_values and types.is_string(column.type) and (types.is_date(field.type) or types.is_timestamp(field.type)):
        try:
            return pc.cast(column, field.type)
        except pa.ArrowInvalid:
            raise SchemaMismatch(
                f"{link}: a text that is inserted into column `{field.name}` is no {field.type}: write it like {_example(field.type)}"
            ) from None
    return column


def _example(kind: pa.DataType) -> str:
    if pa.types.is_date(kind):
        return "2026-11-23"
    return "2026-11-23 12:30:00Z" if kind.tz else "2026-11-23 12:30:00"
