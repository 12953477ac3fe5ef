"""Rows as JSON lines, for clients without Arrow: to a batch of a link's schema, and back.

Format: UTF-8, one JSON object (RFC 8259) per line, `\\n` behind each; empty lines are skipped. A missing key is null, an unknown one an
error. How each type is written stands in `core.json_values`; integers are JSON numbers with all their digits, which a client must read
as such (in JavaScript: as BigInt).

Without a schema the types are inferred as for a first value: whole numbers int64, numbers with a fraction or exponent float64 (a column
with both is float64), then bool, string, list, struct; null where nothing else came. Dates, bytes and "NaN" are text until a schema
says more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

import pyarrow as pa

from linkd import limits
from linkd.core.arrow_types import decided_type, is_undecided, type_text
from linkd.core.diagnostics import with_suggestion
from linkd.core.json_inference import inferred_schema, inferred_types
from linkd.core.json_values import Reader, Unfit, has_json_form, reader, storage_type, writer
from linkd.errors import InvalidArgument, SchemaMismatch, ValueTooLarge

Row = dict[str, Any]


def rows_to_batch(text: bytes | memoryview, schema: pa.Schema | None, *, link: str) -> pa.RecordBatch:
    """The rows as one batch of `schema` (plain types), or of the schema they themselves suggest.

    A column that the schema leaves undecided (type `null`) takes the type its values suggest: the batch's schema then is a wider one.

    Raises `InvalidArgument` for text that is not JSON lines, or without rows where there is no schema; `SchemaMismatch` naming row (from 1)
    and column for what does not fit; `ValueTooLarge` for a row over `JSON_ROW_MAX_BYTES`.
    """
    has_decimals = schema is not None and any(_holds_decimal(kind) for kind in schema.types)
    rows = _parse(bytes(text), Decimal if has_decimals else float, link)
    schema = inferred_schema(rows, link) if schema is None else _decided(schema, rows, link)
    _check_json_forms(schema, link)
    known = frozenset(schema.names)
    for number, row in enumerate(rows, 1):
        if not known.issuperset(row):
            unknown = next(name for name in row if name not in known)
            fault = with_suggestion(f"{link}: row {number} has a column `{unknown}` that the link has not", unknown, known)
            raise SchemaMismatch(f"{fault} (columns: {', '.join(schema.names)})")
    return pa.RecordBatch.from_arrays([_column(rows, field, link) for field in schema], schema=schema)


def batch_to_rows(batch: pa.RecordBatch) -> bytes:
    """The batch (plain types) as JSON lines; `rows_to_batch` of it with the same schema gives the same batch.

    Raises `InvalidArgument` naming the column if a type, or a date outside the years 0001 to 9999, cannot be written.
    """
    _check_json_forms(batch.schema, "")
    rows = limits.JSON_ROWS_AT_ONCE  # as Python objects a row takes many times what it does in Arrow
    return b"".join(_lines(batch.slice(start, rows)) for start in range(0, batch.num_rows, rows))


def _lines(batch: pa.RecordBatch) -> bytes:
    columns = []
    for field, array in zip(batch.schema, batch.columns, strict=True):
        write = writer(field.type)
        try:
            columns.append([write(value) for value in _with_type(array, storage_type(field.type)).to_pylist()])
        except ValueError as error:
            raise InvalidArgument(f"column `{field.name}` cannot be written as JSON rows: a value is {error}; read it as Arrow") from None
    names = batch.schema.names
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    lines = [encode(dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]
    return "".join(f"{line}\n" for line in lines).encode()


def _parse(text: bytes, parse_float: type[float] | type[Decimal], link: str) -> list[Row]:
    decoder = json.JSONDecoder(parse_float=parse_float, parse_constant=_refuse_constant)
    rows: list[Row] = []
    for line in text.split(b"\n"):
        if not line or line.isspace():
            continue
        number = len(rows) + 1
        if len(line) > limits.JSON_ROW_MAX_BYTES:
            raise ValueTooLarge(f"{link}: row {number} has {len(line):,} bytes of JSON, and a row at most {limits.JSON_ROW_MAX_BYTES:,}")
        try:
            row = decoder.decode(line.decode())
        except (ValueError, RecursionError) as error:
            raise InvalidArgument(f"{link}: row {number} is not JSON{_json_fault(error)}") from None
        if not isinstance(row, dict):
            raise InvalidArgument(f"{link}: row {number} is {_json_kind(row)}: each line is one object")
        rows.append(row)
    return rows


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


def _json_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f": {error.msg} at character {error.pos + 1}"
    if isinstance(error, UnicodeDecodeError):
        return f": byte {error.start + 1} is not UTF-8"
    if isinstance(error, RecursionError):
        return ": it is nested too deeply"
    return ': write NaN and infinities as text: "NaN", "Infinity", "-Infinity"'


def _json_kind(value: Any) -> str:
    names = {type(None): "null", bool: "a truth value", str: "text", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")


def _column(rows: Sequence[Row], field: pa.Field, link: str) -> pa.Array:
    read = reader(field.type)
    storage = storage_type(field.type)
    values = [row.get(field.name) for row in rows]
    return _with_type(pa.array(_read_all(values, read, field, link), storage), field.type)


def _read_all(values: list[Any], read: Reader, field: pa.Field, link: str) -> list[Any]:
    result = []
    for number, value in enumerate(values, 1):
        try:
            result.append(read(value))
        except Unfit as error:
            place = f"row {number}, column `{field.name}{error.path}`"
            raise SchemaMismatch(
                f"{link}: {place}: {_json_kind(value)} does not fit {type_text(field.type)}; expected {error.expected}"
            ) from None
    return result


def _with_type(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Counts as dates and times, and back: the same integers under another type."""
    return array if array.type == kind else array.cast(kind)


def _decided(schema: pa.Schema, rows: Sequence[Row], link: str) -> pa.Schema:
    undecided = frozenset(field.name for field in schema if is_undecided(field.type))
    if not undecided:
        return schema
    types = inferred_types(rows, undecided, link)
    return pa.schema([pa.field(field.name, decided_type(field.type, types.get(field.name, field.type))) for field in schema])


def _holds_decimal(kind: pa.DataType) -> bool:
    return pa.types.is_decimal(kind) or any(_holds_decimal(kind.field(index).type) for index in range(kind.num_fields))


def _check_json_forms(schema: pa.Schema, link: str) -> None:
    for field in schema:
        if not has_json_form(field.type):
            raise InvalidArgument(
                f"{link + ': ' if link else ''}column `{field.name}` ({type_text(field.type)}) has no JSON form: use Arrow for this link"
            )
