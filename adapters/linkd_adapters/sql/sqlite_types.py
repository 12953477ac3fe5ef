"""Columns of SQLite and their carriers, and how values stand in its cells.

A column of SQLite has a word for a type, and cells hold what they like; here the word decides, and a cell that holds something else is refused.

    BOOLEAN                                 0 or 1
    any with INT in it                      int64
    any with REAL, FLOA or DOUB in it       float64 (SQLite keeps NaN as NULL, so it is refused; -0.0 is 0.0)
    DATE, TIME, DATETIME, TIMESTAMP         texts, `2013-01-31`, `12:30:00.000001`, `2013-01-31 12:30:00.000001`; years 1 to 9999
    TIMESTAMPTZ                             the same and `+00:00`, in UTC
    DECIMAL_TEXT(p, s)                      texts, exact: what linkd makes of decimals
    DECIMAL(p, s), NUMERIC(p, s)            numbers that are exact in that many digits
    BLOB                                    bytes
    CHAR, CLOB, TEXT, UUID, JSON and other words    texts
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from linkd_adapters.sql.database import Column

_UTC = pa.timestamp("us", tz="UTC")
_INTEGERS = {pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()}
_NEW = {
    pa.bool_(): ("BOOLEAN", pa.bool_()),
    pa.float64(): ("REAL", pa.float64()),
    pa.float32(): ("REAL", pa.float64()),
    pa.string(): ("TEXT", pa.string()),
    pa.null(): ("TEXT", pa.string()),
    pa.binary(): ("BLOB", pa.binary()),
    pa.date32(): ("DATE", pa.date32()),
}
_DECIMAL = re.compile(r"(DECIMAL_TEXT|DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_NAMED = {
    "BOOLEAN": pa.bool_(),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMPTZ": _UTC,
    "TIMESTAMP WITH TIME ZONE": _UTC,
}
_DAY_FIRST, _DAY_LAST = -719_162, 2_932_896
_US_PER_DAY = 86_400_000_000
_EXACT = Context(prec=1_000)


class CellRefused(Exception):
    """A cell holds something that its column's word does not stand for."""


def file_column(name: str, declared: str, *, required: bool = False) -> Column:
    """The column of this word."""
    word = declared.upper().strip()
    if word in _NAMED:
        return Column(name, declared, _NAMED[word], required=required)
    if (found := _DECIMAL.fullmatch(word)) is not None:
        precision, scale = int(found[2]), int(found[3] or 0)
        if precision <= 38 and scale <= precision:
            return Column(name, declared, pa.decimal128(precision, scale), required=required)
    if "INT" in word:
        return Column(name, declared, pa.int64(), required=required)
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return Column(name, declared, pa.float64(), required=required)
    if "BLOB" in word:
        return Column(name, declared, pa.binary(), required=required)
    if word in ("NUMERIC", "DECIMAL", "NUMBER"):
        refusal = "its numbers have no bound; say what they are in schema:, such as `decimal(18, 2)`, or cast it in query:"
        return Column(name, declared, None, takes_any=True, refusal=refusal, required=required)
    if not word:
        refusal = "it has no type, so its cells may hold anything; say what they are in query:, such as CAST(x AS TEXT)"
        return Column(name, "without a type", None, refusal=refusal, required=required)
    return Column(name, declared, pa.string(), required=required)


def new_column(name: str, kind: pa.DataType) -> Column | None:
    """The column of a new table for a plain type of a link."""
    types = pa.types
    if kind in _INTEGERS:
        return Column(name, "INTEGER", pa.int64())
    if types.is_uint64(kind):
        return Column(name, "INTEGER", pa.int64())
    if kind in _NEW:
        word, carrier = _NEW[kind]
        return Column(name, word, carrier)
    if types.is_decimal128(kind) and 0 <= kind.scale <= kind.precision:
        return Column(name, f"DECIMAL_TEXT({kind.precision}, {kind.scale})", kind)
    if types.is_timestamp(kind):
        return Column(name, "TIMESTAMPTZ", _UTC) if kind.tz else Column(name, "TIMESTAMP", pa.timestamp("us"))
    if types.is_time(kind):
        return Column(name, "TIME", pa.time64("us"))
    return None


def unfit(array: pa.Array, column: Column) -> tuple[int, str] | None:
    """The first row that the file cannot hold, and why."""
    kind, types = array.type, pa.types
    if types.is_floating(kind):
        return _first(pc.is_nan(array), "it is NaN, which SQLite keeps as NULL")
    reach = "its year is not one of 1 to 9999, and SQLite has dates as texts"
    if types.is_date32(kind):
        days = array.cast(pa.int32())
        return _first(pc.or_(pc.less(days, _DAY_FIRST), pc.greater(days, _DAY_LAST)), reach)
    if types.is_timestamp(kind):
        instants = array.cast(pa.int64())
        return _first(pc.or_(pc.less(instants, _DAY_FIRST * _US_PER_DAY), pc.greater_equal(instants, (_DAY_LAST + 1) * _US_PER_DAY)), reach)
    if types.is_decimal(kind) and not column.declared.upper().startswith("DECIMAL_TEXT") and kind.precision > 15:
        return (0, f"SQLite keeps a {column.declared} as a number of 15 digits; make the column DECIMAL_TEXT(p, s)") if len(array) else None
    return None


def cells(array: pa.Array) -> list[Any]:
    """The values as they stand in cells."""
    kind, types = array.type, pa.types
    values: list[Any] = array.to_pylist()
    if types.is_boolean(kind):
        return [None if value is None else int(value) for value in values]
    if types.is_decimal(kind):
        return [None if value is None else str(value) for value in values]
    if types.is_timestamp(kind):
        return [None if value is None else value.isoformat(" ", "microseconds") for value in values]
    if types.is_date(kind) or types.is_time(kind):
        return [None if value is None else value.isoformat() for value in values]
    return values


def carried(values: list[Any], kind: pa.DataType) -> pa.Array:
    """What stands in cells, in a carrier. Raises `CellRefused`, with the number of the row from 0 as its argument."""
    parse = _parser(kind)
    parsed: list[Any] = []
    for row, value in enumerate(values):
        if value is None:
            parsed.append(None)
            continue
        try:
            parsed.append(parse(value))
        except (ValueError, TypeError, InvalidOperation) as error:
            raise CellRefused(row) from error
    try:
        return pa.array(parsed, kind)
    except pa.ArrowInvalid as error:
        raise CellRefused(_first_too_long(parsed, kind)) from error


def _first_too_long(values: list[Any], kind: pa.DataType) -> int:
    """The first decimal that has more digits than its type."""
    whole = kind.precision - kind.scale
    for row, value in enumerate(values):
        if value is not None:
            _, digits, exponent = value.normalize(_EXACT).as_tuple()
            if -exponent > kind.scale or len(digits) + exponent > whole:
                return row
    return 0


def _parser(kind: pa.DataType) -> Callable[[Any], Any]:
    types = pa.types
    if types.is_boolean(kind):
        return _boolean
    if types.is_integer(kind):
        return lambda value: _only(value, int)
    if types.is_floating(kind):
        return lambda value: float(value) if isinstance(value, int) and int(float(value)) == value else _only(value, float)
    if types.is_binary(kind):
        return lambda value: _only(value, bytes)
    if types.is_decimal(kind):
        return lambda value: _decimal(value, kind)
    if types.is_date(kind):
        return lambda value: datetime.date.fromisoformat(_only(value, str))
    if types.is_time(kind):
        return lambda value: datetime.time.fromisoformat(_only(value, str))
    if types.is_timestamp(kind):
        return lambda value: _instant(_only(value, str), has_zone=kind.tz is not None)
    return lambda value: _only(value, str)


def _only(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not int or value not in (0, 1):
        raise ValueError
    return bool(value)


def _decimal(value: Any, kind: pa.DataType) -> Decimal:
    found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not found.is_finite():
        raise ValueError
    return found  # Arrow refuses what has more digits than the carrier


def _instant(text: str, *, has_zone: bool) -> datetime.datetime:
    found = datetime.datetime.fromisoformat(text)
    if (found.tzinfo is not None) != has_zone:
        raise ValueError
    return found


def _first(found: pa.Array, reason: str) -> tuple[int, str] | None:
    row = pc.index(found, True).as_py()
    return None if row < 0 else (row, reason)
