"""The rows of a block of JSON lines as values of a schema, and the rows that are none.

pyarrow reads whole blocks at once; a block it refuses, and one that has something in it that pyarrow reads otherwise than this module says,
is gone through row by row. A missing key is null. Dates and times are texts, read as in CSV; other values are read by `jsonl_values`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.json as pa_json

from linkd.limits import JSONL_TEXT_NESTING_MAX
from linkd.plugin.column_types import type_text
from linkd.plugin.json_rows import Unfit, storage_type
from linkd_adapters.file.blocks import Block
from linkd_adapters.file.conversion import reject_text, shown_value
from linkd_adapters.file.csv_rows import no_text_reason
from linkd_adapters.file.jsonl_nesting import has_deep_line
from linkd_adapters.file.jsonl_values import ValueReader, value_reader
from linkd_adapters.file.rejects import Reject
from linkd_adapters.file.rows import Rows, fitted, is_text

_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
_MINUS_ZEROS = (b"-0,", b"-0}", b"-0]", b"-0 ", b"-0\t")


@dataclass(frozen=True, slots=True)
class JsonRecord:
    """A row of a block: its object, or why it is none."""

    row: int
    line: int
    raw: bytes
    value: dict[str, Any] | str


def json_records(block: Block, *, decimals: bool = False) -> Iterator[JsonRecord]:
    """The rows of a block one by one; `decimals` keeps all digits of numbers with a fraction."""
    decoder = json.JSONDecoder(parse_float=_decimal if decimals else _finite)
    for row, record in enumerate(block.grammar.records(block.text)):
        raw = block.text[record.start : record.end]
        yield JsonRecord(row, block.line + record.lines_before, raw, _object(decoder, raw))


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _TooLarge(text)
    return number


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _TooLarge(text) from None


class _TooLarge(ValueError):
    """A number beyond float64."""


def _object(decoder: json.JSONDecoder, raw: bytes) -> dict[str, Any] | str:
    if not is_text(raw):
        return no_text_reason(raw, "utf-8")
    if has_deep_line(raw, JSONL_TEXT_NESTING_MAX):
        return "it is nested too deeply"
    try:
        value = decoder.decode(raw.decode())
    except json.JSONDecodeError as error:
        if raw.strip() in (b"{", b"["):
            return "a row is one object on one line; make such lines of a document with: jq -c"
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    except _TooLarge as error:
        return f"{error} is beyond float64"
    except ValueError:
        return f"a number has more than {sys.get_int_max_str_digits():,} digits"
    if not isinstance(value, dict):
        return f"{shown_value(json.dumps(value))} is not an object"
    if _SURROGATE.search(raw) and _has_half_in_key(value):
        return "a key has half of a surrogate pair, which no text has"
    return "a key is empty; every column needs a name" if "" in value else value


def _has_half_in_key(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if any(_HALF.search(key) for key in item):
                return True
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return False


def is_plain(block: Block) -> bool:
    """Whether pyarrow may be asked: it is text, not too deep, and each line an object by its looks (pyarrow would take two in a line, and
    lists)."""
    text = block.text
    if not text.startswith(b"{") or not is_text(text) or has_deep_line(text):
        return False
    starts = text.count(b"}\n{") + text.count(b"}\r\n{")
    return starts == block.lines - 1 and text[-3:].rstrip(b"\r\n").endswith(b"}")


def inferred(block: Block) -> pa.Schema | None:
    """The types that pyarrow finds in a plain block, `None` if it refuses it or would take a long integer for a float."""
    try:
        table = _read(block.text, None)
    except pa.ArrowInvalid:
        return None
    if any(_holds_float(field.type) for field in table.schema) and _LONG_NUMBER.search(block.text):
        return None
    return table.schema if table.num_rows == block.lines and "" not in table.schema.names else None


def _holds_float(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or any(_holds_float(kind.field(index).type) for index in range(kind.num_fields))


def typed_json_rows(block: Block, schema: pa.Schema) -> Rows:
    """The rows of a block as values of `schema`, and those that do not fit; a row with another key does not."""
    carried = pa.schema([pa.field(field.name, _carrier(field.type)) for field in schema])
    if is_plain(block) and all(_is_read_directly(field.type) for field in carried) and not _has_minus_zero(block, carried):
        try:
            table = _read(block.text, carried)
        except pa.ArrowInvalid:
            pass  # a row that does not fit: found below
        else:
            if table.num_rows == block.lines:
                batch = table.select(schema.names).combine_chunks().to_batches()[0]
                return fitted(Rows(block, batch, (), batch.num_rows), schema)
    return fitted(_row_by_row(block, carried), schema)


def _has_minus_zero(block: Block, schema: pa.Schema) -> bool:
    """Whether there may be a `-0` for a column of floats: pyarrow makes it -0.0, and JSON's whole number has no sign."""
    return any(_holds_float(field.type) for field in schema) and any(text in block.text for text in _MINUS_ZEROS)


def _read(text: bytes, schema: pa.Schema | None) -> pa.Table:
    return pa_json.read_json(
        pa.BufferReader(text),
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "error"),
    )


def _carrier(kind: pa.DataType) -> pa.DataType:
    """As what values of a column are read first: dates and times as texts."""
    types = pa.types
    return pa.string() if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind) else kind


def _is_read_directly(kind: pa.DataType) -> bool:
    """Whether pyarrow's JSON reader reads no value as this type that a column's reader would not read as the same value."""
    types = pa.types
    if types.is_list(kind):
        return _is_read_directly(kind.value_type)
    if types.is_struct(kind):
        return all(_is_read_directly(field.type) for field in kind)
    return any(is_kind(kind) for is_kind in (types.is_boolean, types.is_integer, types.is_float64, types.is_string))


def _row_by_row(block: Block, carried: pa.Schema) -> Rows:
    readers = {field.name: value_reader(field.type) for field in carried}
    rejects: list[Reject] = []
    rows: list[dict[str, Any]] = []
    count = 0
    for record in json_records(block, decimals=any(pa.types.is_decimal(field.type) for field in carried)):
        count += 1
        read = _values(record.value, readers, carried)
        if isinstance(read, dict):
            rows.append(read)
        else:
            rejects.append(Reject(record.row, record.line, *read, reject_text(record.raw)))
    columns = [pa.array([row[field.name] for row in rows], storage_type(field.type)).cast(field.type) for field in carried]
    return Rows(block, pa.RecordBatch.from_arrays(columns, schema=carried), tuple(rejects), count)


def _values(row: dict[str, Any] | str, readers: dict[str, ValueReader], schema: pa.Schema) -> dict[str, Any] | tuple[str, str]:
    """What the columns store of a row; or the column that does not fit, "" for the row as a whole, and why."""
    if isinstance(row, str):
        return "", row
    unknown = next((name for name in row if name not in readers), None)
    if unknown is not None:
        return unknown, "no such column is declared"
    values: dict[str, Any] = {}
    for name, read in readers.items():
        try:
            values[name] = read(row.get(name))
        except Unfit as error:
            inside = f" ({error.path.lstrip('.')})" if error.path else ""
            return name, f"{shown_value(row[name])}{inside} is not {type_text(schema.field(name).type)}"
    return values
