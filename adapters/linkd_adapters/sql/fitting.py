"""Rows of a link against the columns of a table: what fits, exactly, and what is refused, by column and row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from linkd.errors import SchemaMismatch
from linkd.plugin.column_types import CastLoses, lossless, type_text
from linkd_adapters.sql.database import Column, Database


def new_columns(database: Database, schema: pa.Schema, shown: str, key: Sequence[str] = ()) -> tuple[Column, ...]:
    """The columns of a table that is to be made. Raises `SchemaMismatch` for a type that the database has no column for."""
    columns = []
    for field in schema:
        column = database.column_of(field.name, field.type)
        if column is None:
            raise SchemaMismatch(
                f"{shown}: column {field.name} is {type_text(field.type)}, and {database.title} has no type that holds it: "
                "publish it as text (JSON), or leave it out"
            )
        columns.append(column)
    missing = [name for name in key if name not in schema.names]
    if missing:
        raise SchemaMismatch(f"{shown}: key: names {', '.join(missing)}, and the rows that come have {_names(schema.names)}")
    return tuple(columns)


def matched(columns: Sequence[Column], schema: pa.Schema, shown: str) -> tuple[Column, ...]:
    """The columns of an existing table that these rows go into, in the order of the rows, with the carriers for them.

    Raises `SchemaMismatch` showing both if there is none for one of them, or a column that must have a value gets none.
    """
    there = {column.name: column for column in columns}
    both = f"the table has {', '.join(f'{one.name} {one.declared}' for one in columns)}; the rows that come have {_fields(schema)}"
    extra = [name for name in schema.names if name not in there]
    if extra:
        raise SchemaMismatch(f"{shown} has no column {', '.join(extra)}: {both}; add it to the table, or leave it out of the rows")
    missing = [column.name for column in columns if column.required and column.name not in schema.names]
    if missing:
        raise SchemaMismatch(f"{shown}: column {', '.join(missing)} must have a value, and the rows that come have none: {both}")
    return tuple(_carrier(there[field.name], field.type, shown) for field in schema)


def fitted(batch: pa.RecordBatch, columns: Sequence[Column], database: Database, shown: str, first_row: int = 0) -> pa.RecordBatch:
    """The rows in the carriers of the columns. Raises `SchemaMismatch` naming column, type and row (counted from 1) for one that does not fit."""
    arrays = []
    for array, column in zip(batch.columns, columns, strict=True):
        try:
            fit = lossless(array, column.carrier)
        except CastLoses as error:
            row = f", row {first_row + error.row + 1:,} of what comes" if error.row is not None else ""
            raise SchemaMismatch(
                f"{shown}: column {column.name} is {column.declared}{row}: a {type_text(array.type)} there {error.reason}"
                if row
                else f"{shown}: column {column.name} is {column.declared}, and {type_text(array.type)} comes: {error.reason}"
            ) from None
        unfit = database.unfit(fit, column)
        if unfit is not None:
            row_number, reason = unfit
            raise SchemaMismatch(
                f"{shown}: column {column.name} is {column.declared}, row {first_row + row_number + 1:,} of what comes: {reason}"
            )
        arrays.append(fit)
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def declared_columns(columns: Sequence[Column], declared: Mapping[str, pa.DataType] | None, shown: str) -> tuple[Column, ...]:
    """What is read of a source: all columns, or those of `schema:`, which also says what becomes of one that could be several things.

    Raises `SchemaMismatch` for a declared column that is not there, and for one that cannot be read.
    """
    there = {column.name: column for column in columns}
    if declared is not None:
        missing = [name for name in declared if name not in there]
        if missing:
            raise SchemaMismatch(f"{shown} has no column {', '.join(missing)}, which schema: declares; it has {_names(list(there))}")
        columns = [_declared(there[name], kind) for name, kind in declared.items()]
    for column in columns:
        if column.carrier is None:
            raise SchemaMismatch(f"{shown}: column {column.name} is {column.declared}: {column.refusal}")
    if not columns:
        raise SchemaMismatch(f"{shown} has no columns")
    return tuple(columns)


def as_declared(batch: pa.RecordBatch, schema: pa.Schema, shown: str, first_row: int) -> pa.RecordBatch:
    """Rows as they were read, in the types of the link. Raises `SchemaMismatch` as `fitted` does."""
    arrays = []
    for array, field in zip(batch.columns, schema, strict=True):
        try:
            arrays.append(lossless(array, field.type))
        except CastLoses as error:
            row = f", row {first_row + error.row + 1:,}" if error.row is not None else ""
            raise SchemaMismatch(
                f"{shown}: column {field.name}{row}: schema: declares {type_text(field.type)}, and what stands there {error.reason}"
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _declared(column: Column, kind: pa.DataType) -> Column:
    """A column without a bound is read as what is declared; one that the driver cannot give is not helped by declaring it."""
    return column.carried_by(kind) if column.takes_any and (pa.types.is_decimal(kind) or pa.types.is_string(kind)) else column


def _carrier(column: Column, kind: pa.DataType, shown: str) -> Column:
    if column.takes_any and (pa.types.is_decimal(kind) or pa.types.is_integer(kind)):
        return column.carried_by(kind if pa.types.is_decimal(kind) else pa.decimal128(20, 0))
    if column.carrier is None:
        raise SchemaMismatch(f"{shown}: column {column.name} is {column.declared}: {column.refusal}")
    return column


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def _fields(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {type_text(field.type)}" for field in schema)
