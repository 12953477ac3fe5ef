"""One JSON value to and from what Arrow stores, by type: the mapping that clients of other languages rely on.

| column | JSON read | JSON written |
|---|---|---|
| bool | true, false | the same |
| int*, uint* | number without a fraction (`3`, `3.0`), or decimal text (`"9007199254740993"`) | number, all digits |
| float32, float64 | number, or `"NaN"`, `"Infinity"`, `"-Infinity"` | the same, shortest form that reads back |
| decimal | number, or decimal text, of no more digits than the column has | text |
| string | text | text |
| binary | base64 (RFC 4648 section 4) | the same |
| date, time, timestamp | ISO 8601 text (`core.iso8601`) | the same |
| list | array | array |
| struct | object; a missing field is null | object with all fields |
| map | array of `{"key": ..., "value": ...}` | the same |

null is null in every column. Reading is exact or refused. A reader turns one JSON value into what `pa.array(values, storage_type(type))`
takes; it raises `Unfit` saying what was expected. Writers take what `storage_values` gives.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

import pyarrow as pa

from linkd.core import iso8601
from linkd.core.arrow_types import type_text

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]

_INTEGER_TEXT = re.compile(r"-?[0-9]{1,20}")
_DECIMAL_TEXT = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_EXACT_FLOAT_BITS = {16: 11, 32: 24, 64: 53}


class Unfit(Exception):
    """A JSON value does not fit: `expected` says what would, `path` where inside the value (`[2].name`)."""

    def __init__(self, expected: str, path: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.path = path


def has_json_form(kind: pa.DataType) -> bool:
    """Whether columns of this plain type can be rows of JSON."""
    types = pa.types
    if types.is_list(kind) or types.is_fixed_size_list(kind):
        return has_json_form(kind.value_type)
    if types.is_struct(kind):
        return all(has_json_form(field.type) for field in kind)
    if types.is_map(kind):
        return has_json_form(kind.key_type) and has_json_form(kind.item_type)
    simple = (
        types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal128, types.is_string, types.is_binary,
        types.is_date32, types.is_time, types.is_timestamp,
    )  # fmt: skip
    return any(is_kind(kind) for is_kind in simple)


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The type of the integers behind dates and times (Python's own types would lose nanoseconds); any other type as it is."""
    types = pa.types
    if types.is_date32(kind) or types.is_time32(kind):
        return pa.int32()
    if types.is_time64(kind) or types.is_timestamp(kind):
        return pa.int64()
    if types.is_list(kind):
        return pa.list_(storage_type(kind.value_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(storage_type(kind.value_type), kind.list_size)
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, storage_type(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(storage_type(kind.key_type), storage_type(kind.item_type))
    return kind


def reader(kind: pa.DataType) -> Reader:
    """How to read JSON values for a column of this type, which must have a JSON form."""
    read = _reader(kind)
    return lambda value: None if value is None else read(value)


def _reader(kind: pa.DataType) -> Reader:
    types = pa.types
    if types.is_boolean(kind):
        return _read_bool
    if types.is_integer(kind):
        return _integer_reader(kind)
    if types.is_floating(kind):
        return _float_reader(kind)
    if types.is_decimal128(kind):
        return _decimal_reader(kind)
    if types.is_string(kind):
        return _read_string
    if types.is_binary(kind):
        return _read_base64
    if types.is_list(kind) or types.is_fixed_size_list(kind):
        return _list_reader(kind)
    if types.is_struct(kind):
        return _struct_reader(kind)
    if types.is_map(kind):
        entries = reader(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        return lambda value: [(entry["key"], entry["value"]) for entry in entries(value)]
    if types.is_null(kind):
        return _read_null
    return _moment_reader(kind)


def _read_null(_value: Any) -> Any:
    raise Unfit("null, for this column has no type yet")


def _read_bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise Unfit("true or false")


def _read_string(value: Any) -> str:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("text without half of a surrogate pair") from None
        return value
    raise Unfit("text")


def _read_base64(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise Unfit("base64 text")


def _integer_reader(kind: pa.DataType) -> Reader:
    signed = pa.types.is_signed_integer(kind)
    low = -(1 << (kind.bit_width - 1)) if signed else 0
    high = (1 << (kind.bit_width - (1 if signed else 0))) - 1
    expected = f"a whole number from {low} to {high}"

    def read(value: Any) -> int:
        whole = isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value)
        digits = isinstance(value, str) and _INTEGER_TEXT.fullmatch(value)
        if type(value) is int or whole or digits:
            number = int(value)
            if low <= number <= high:
                return number
        raise Unfit(expected)

    return read


def _float_reader(kind: pa.DataType) -> Reader:
    exact = 1 << _EXACT_FLOAT_BITS[kind.bit_width]
    largest = {16: 65504.0, 32: 3.4028234663852886e38, 64: math.inf}[kind.bit_width]

    def read(value: Any) -> float:
        if isinstance(value, str) and value in _SPECIAL_FLOATS:
            return _SPECIAL_FLOATS[value]
        if type(value) is int and abs(value) > exact:
            raise Unfit("a number that a floating point number holds exactly")
        if isinstance(value, (float, Decimal)) or type(value) is int:
            number = float(value)
            if math.isfinite(number) and abs(number) <= largest:
                return number
        raise Unfit(f'a number within {type_text(kind)}, or "NaN", "Infinity", "-Infinity"')

    return read


def _decimal_reader(kind: pa.DataType) -> Reader:
    context = Context(prec=kind.precision, traps=[Inexact, InvalidOperation])
    unit = Decimal(1).scaleb(-kind.scale)
    expected = f"a number, or decimal text, of at most {kind.precision} digits, {kind.scale} of them behind the point"

    def read(value: Any) -> Decimal:
        if isinstance(value, Decimal) or type(value) is int or (isinstance(value, str) and _DECIMAL_TEXT.fullmatch(value)):
            try:
                return Decimal(value).quantize(unit, context=context)
            except (Inexact, InvalidOperation):
                pass
        raise Unfit(expected)

    return read


def _moment_reader(kind: pa.DataType) -> Reader:
    """For the types of the calendar and the clock, as counts of their unit."""
    types = pa.types
    if types.is_date32(kind):
        expected, parse = "a date such as 2013-01-31", iso8601.parse_days
    elif types.is_time(kind):
        expected = f"a time such as 05:07:00, no finer than {kind.unit}"
        parse = lambda text: iso8601.parse_time(text, kind.unit)  # noqa: E731
    else:
        zoned = bool(kind.tz)
        example = "2013-01-31T05:07:00Z (with an offset)" if zoned else "2013-01-31T05:07:00 (without an offset)"
        expected = f"a timestamp such as {example}, no finer than {kind.unit}"
        parse = lambda text: iso8601.parse_timestamp(text, kind.unit, zoned=zoned)  # noqa: E731

    def read(value: Any) -> int:
        if isinstance(value, str):
            try:
                count = parse(value)
            except ValueError:
                raise Unfit(expected) from None
            if -(1 << 63) <= count < 1 << 63:
                return count
        raise Unfit(expected)

    return read


def _list_reader(kind: pa.DataType) -> Reader:
    read_item = reader(kind.value_type)
    size = kind.list_size if pa.types.is_fixed_size_list(kind) else None

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list) or (size is not None and len(value) != size):
            raise Unfit("an array" if size is None else f"an array of {size} elements")
        items = []
        for number, item in enumerate(value):
            try:
                items.append(read_item(item))
            except Unfit as error:
                raise Unfit(error.expected, f"[{number}]{error.path}") from None
        return items

    return read


def _struct_reader(kind: pa.DataType) -> Reader:
    readers = {field.name: reader(field.type) for field in kind}

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Unfit("an object")
        for name in value:
            if name not in readers:
                raise Unfit(f"an object with no other fields than {', '.join(readers)}")
        fields = {}
        for name, read_field in readers.items():
            try:
                fields[name] = read_field(value.get(name))
            except Unfit as error:
                raise Unfit(error.expected, f".{name}{error.path}") from None
        return fields

    return read


def writer(kind: pa.DataType) -> Writer:
    """How to write what `to_pylist` of the storage type gives. The writer raises `ValueError` for a date that ISO 8601 cannot write."""
    write = _writer(kind)
    return lambda value: None if value is None else write(value)


def _writer(kind: pa.DataType) -> Writer:
    types = pa.types
    if types.is_floating(kind):
        return _write_float
    if types.is_decimal128(kind):
        return lambda value: format(value, "f")
    if types.is_binary(kind):
        return lambda value: base64.b64encode(value).decode()
    if types.is_date32(kind):
        return iso8601.days_text
    if types.is_time(kind):
        return lambda value: iso8601.time_text(value, kind.unit)
    if types.is_timestamp(kind):
        return lambda value: iso8601.timestamp_text(value, kind.unit, zoned=bool(kind.tz))
    if types.is_list(kind) or types.is_fixed_size_list(kind):
        write_item = writer(kind.value_type)
        return lambda value: [write_item(item) for item in value]
    if types.is_struct(kind):
        writers = {field.name: writer(field.type) for field in kind}
        return lambda value: {name: write_field(value[name]) for name, write_field in writers.items()}
    if types.is_map(kind):
        write_key, write_value = writer(kind.key_type), writer(kind.item_type)
        return lambda value: [{"key": write_key(key), "value": write_value(item)} for key, item in value]
    return lambda value: value


def _write_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
