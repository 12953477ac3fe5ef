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
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias

import pyarrow as pa

from linkd import limits
from linkd.core.arrow_types import decided_type, is_undecided, type_text
from linkd.core.diagnostics import with_suggestion
from linkd.core.json_inference import inferred_schema, inferred_types
from linkd.core.json_values import Reader, Unfit, has_json_form, reader, storage_type, writer
from linkd.errors import InvalidArgument, SchemaMismatch, ValueTooLarge

Row = dict[str, Any]
Bytes: TypeAlias = bytes | memoryview


def rows_to_batch(text: Bytes, schema: pa.Schema | None, *, link: str) -> pa.RecordBatch:
    """`parts_to_batch` of rows that are in one piece."""
    return parts_to_batch((text,), schema, link=link)


def parts_to_batch(parts: Sequence[Bytes], schema: pa.Schema | None, *, link: str) -> pa.RecordBatch:
    """The rows as one batch of `schema` (plain types), or of the schema they themselves suggest. `parts` may be cut anywhere.

    Never are more than `JSON_ROWS_AT_ONCE` rows Python objects; so rows of which the types are still to be found are parsed twice.

    A column that the schema leaves undecided (type `null`) takes the type its values suggest: the batch's schema then is a wider one.

    Raises `InvalidArgument` for text that is not JSON lines, or without rows where there is no schema; `SchemaMismatch` naming row (from 1)
    and column for what does not fit; `ValueTooLarge` for a row over `JSON_ROW_MAX_BYTES`, and for rows that take far more as columns.
    """
    has_decimals = schema is not None and any(_holds_decimal(kind) for kind in schema.types)
    text = _Text(parts, Decimal if has_decimals else float, link)
    schema = inferred_schema(text.rows(), link) if schema is None else _decided(schema, text, link)
    _check_json_forms(schema, link)
    made = [pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)]
    left_bytes = max(text.size_bytes * limits.JSON_COLUMNS_BYTES_PER_BYTE, limits.JSON_COLUMNS_MIN_BYTES)
    for first_row, rows in text.pieces():
        made.append(_batch(rows, first_row, schema, link))
        left_bytes -= made[-1].nbytes
        if left_bytes < 0:
            raise ValueTooLarge(
                f"{link}: {text.size_bytes:,} bytes of JSON rows take far more than that as columns, because most rows lack most of them: "
                f"publish them in pieces of {first_row:,} rows"
            )
    return made[1] if len(made) == 2 else pa.concat_batches(made)


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


class _Text:
    """JSON lines, parsed anew each time they are gone through, unless there are few."""

    def __init__(self, parts: Sequence[Bytes], parse_float: type[float] | type[Decimal], link: str) -> None:
        self.size_bytes = sum(map(len, parts))
        self._parts = parts
        self._decoder = json.JSONDecoder(parse_float=parse_float, parse_constant=_refuse_constant)
        self._link = link
        self._few: list[Row] | None = None

    def rows(self) -> Iterator[Row]:
        for _, rows in self.pieces():
            yield from rows

    def pieces(self) -> Iterator[tuple[int, list[Row]]]:
        """The number of a row (from 1), and it and those behind it."""
        if self._few is not None:
            yield 1, self._few
            return
        first_row, rows, held_bytes = 1, list[Row](), 0
        for line in _lines_of(self._parts):
            if not line or line.isspace():
                continue
            if len(rows) == limits.JSON_ROWS_AT_ONCE or held_bytes >= limits.JSON_ROW_MAX_BYTES:
                yield first_row, rows
                first_row, rows, held_bytes = first_row + len(rows), [], 0
            rows.append(self._parsed(line, first_row + len(rows)))
            held_bytes += len(line)
        if first_row == 1:
            self._few = rows
        if rows:
            yield first_row, rows

    def _parsed(self, line: bytes, number: int) -> Row:
        if len(line) > limits.JSON_ROW_MAX_BYTES:
            raise ValueTooLarge(
                f"{self._link}: row {number} has {len(line):,} bytes of JSON, and a row at most {limits.JSON_ROW_MAX_BYTES:,}"
            )
        try:
            row = self._decoder.decode(line.decode())
        except (ValueError, RecursionError) as error:
            raise InvalidArgument(f"{self._link}: row {number} is not JSON{_json_fault(error)}") from None
        if not isinstance(row, dict):
            raise InvalidArgument(f"{self._link}: row {number} is {_json_kind(row)}: each line is one object")
        return row


def _lines_of(parts: Iterable[Bytes]) -> Iterator[bytes]:
    """The lines of a text that was cut anywhere."""
    begun: list[bytes] = []
    for part in parts:
        content, start = bytes(part), 0
        while (end := content.find(b"\n", start)) >= 0:
            yield b"".join((*begun, content[start:end]))
            begun.clear()
            start = end + 1
        begun.append(content[start:])
    yield b"".join(begun)


def _batch(rows: Sequence[Row], first_row: int, schema: pa.Schema, link: str) -> pa.RecordBatch:
    known = frozenset(schema.names)
    for number, row in enumerate(rows, first_row):
        if not known.issuperset(row):
            unknown = next(name for name in row if name not in known)
            fault = with_suggestion(f"{link}: row {number} has a column `{unknown}` that the link has not", unknown, known)
            raise SchemaMismatch(f"{fault} (columns: {', '.join(schema.names)})")
    return pa.RecordBatch.from_arrays([_column(rows, first_row, field, link) for field in schema], schema=schema)


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


def _column(rows: Sequence[Row], first_row: int, field: pa.Field, link: str) -> pa.Array:
    read = reader(field.type)
    storage = storage_type(field.type)
    values = [row.get(field.name) for row in rows]
    return _with_type(pa.array(_read_all(values, first_row, read, field, link), storage), field.type)


def _read_all(values: list[Any], first_row: int, read: Reader, field: pa.Field, link: str) -> list[Any]:
    result = []
    for number, value in enumerate(values, first_row):
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


def _decided(schema: pa.Schema, text: _Text, link: str) -> pa.Schema:
    undecided = frozenset(field.name for field in schema if is_undecided(field.type))
    if not undecided:
        return schema
    types = inferred_types(text.rows(), undecided, link)
    return pa.schema([pa.field(field.name, decided_type(field.type, types.get(field.name, field.type))) for field in schema])


def _holds_decimal(kind: pa.DataType) -> bool:
    return pa.types.is_decimal(kind) or any(_holds_decimal(kind.field(index).type) for index in range(kind.num_fields))


def _check_json_forms(schema: pa.Schema, link: str) -> None:
    for field in schema:
        if not has_json_form(field.type):
            raise InvalidArgument(
                f"{link + ': ' if link else ''}column `{field.name}` ({type_text(field.type)}) has no JSON form: use Arrow for this link"
            )
