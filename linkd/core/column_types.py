"""The column types a declared schema may name, as text: a small grammar of Arrow's own names.

type  = "int8" .. "int64" | "uint8" .. "uint64" | "float32" | "float64" | "string" | "bool" | "binary"
      | "date32" | "date"                                                  one day; `date` is short for `date32`
      | "time64[us]"
      | "timestamp[" unit [ "," zone ] "]"                                 unit: s, ms, us, ns; zone: UTC, Europe/Oslo, +02:00
      | "decimal(" precision "," scale ")"                                 precision 1 to 38, scale 0 to precision
"""

from __future__ import annotations

import re
from collections.abc import Callable

from linkd.core.diagnostics import did_you_mean
from linkd.model.frozen import frozen

PLAIN_TYPES = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"),
    *("string", "bool", "binary", "date32"),
)
DECIMAL_PRECISION_MAX = 38
"""Digits of Arrow's decimal128."""

_OTHER_NAMES = {
    **dict.fromkeys(("int", "integer", "bigint", "long", "number", "i64"), "int64"),
    **dict.fromkeys(("smallint", "short"), "int16"),
    **dict.fromkeys(("float", "double", "real", "double precision", "f64"), "float64"),
    **dict.fromkeys(("text", "str", "varchar", "char", "utf8", "object", "category", "large_string", "uuid"), "string"),
    **dict.fromkeys(("boolean", "logical"), "bool"),
    **dict.fromkeys(("bytes", "blob", "bytea"), "binary"),
    **dict.fromkeys(("day", "date64"), "date32"),
    **dict.fromkeys(("time", "time32", "time64"), "time64[us]"),
    **dict.fromkeys(("timestamp", "datetime", "datetime64"), "timestamp[us]"),
    **dict.fromkeys(("timestamptz", "timestamp with time zone"), "timestamp[us, UTC]"),
    **dict.fromkeys(("decimal", "numeric", "money", "decimal128"), "decimal(18, 2)"),
}
_TIMESTAMP = re.compile(r"timestamp\s*\[\s*([a-z]+)\s*(?:,\s*([^\s,\]]+)\s*)?\]")
_DECIMAL = re.compile(r"decimal(?:128)?\s*\(\s*([0-9]{1,4})\s*(?:,\s*([0-9]{1,4})\s*)?\)")
_OFFSET = re.compile(r"[+-][0-9]{2}:[0-9]{2}")
_UNITS = ("s", "ms", "us", "ns")


@frozen()
class ColumnType:
    """A parsed type. `name` is one of `PLAIN_TYPES`, `time64`, `timestamp` or `decimal`; what the name does not need is empty or 0.

    `str` of it is the canonical text, which parses to the same.
    """

    name: str
    unit: str = ""
    zone: str = ""
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        if self.name == "decimal":
            return f"decimal({self.precision}, {self.scale})"
        if self.zone:
            return f"{self.name}[{self.unit}, {self.zone}]"
        return f"{self.name}[{self.unit}]" if self.unit else self.name


@frozen()
class NoType:
    """Why a text is no type, and what to do."""

    what: str
    remedy: str


def parse_column_type(text: str, is_zone: Callable[[str], bool] = lambda zone: True) -> ColumnType | NoType:
    """The type that `text` names. `is_zone` knows the time zones; offsets such as `+02:00` need none."""
    body = " ".join(text.split())
    if body in PLAIN_TYPES:
        return ColumnType(body)
    if body == "date":
        return ColumnType("date32")
    if re.fullmatch(r"time64\s*\[\s*us\s*\]", body):
        return ColumnType("time64", unit="us")
    if match := _TIMESTAMP.fullmatch(body):
        return _timestamp(match[1], match[2] or "", is_zone)
    if match := _DECIMAL.fullmatch(body):
        return _decimal(int(match[1]), int(match[2] or 0))
    return NoType(f"`{text}` is not a type{_suggestion(body)}", f"types are {_all_types()}")


def _timestamp(unit: str, zone: str, is_zone: Callable[[str], bool]) -> ColumnType | NoType:
    if unit not in _UNITS:
        return NoType(f"`{unit}` is not a unit of timestamps", "units are `s`, `ms`, `us` and `ns`")
    if zone and not _OFFSET.fullmatch(zone) and not is_zone(zone):
        return NoType(f"`{zone}` is not a time zone", "zones are `UTC`, names such as `Europe/Oslo`, and offsets such as `+02:00`")
    return ColumnType("timestamp", unit=unit, zone=zone)


def _decimal(precision: int, scale: int) -> ColumnType | NoType:
    if not 1 <= precision <= DECIMAL_PRECISION_MAX:
        return NoType(f"a decimal of {precision} digits cannot be", f"digits are 1 to {DECIMAL_PRECISION_MAX}")
    if scale > precision:
        what = f"a decimal of {precision} digits cannot have {scale} of them behind the point"
        return NoType(what, "write `decimal(digits, digits behind the point)`")
    return ColumnType("decimal", precision=precision, scale=scale)


def _suggestion(body: str) -> str:
    lower = body.lower()
    found = _OTHER_NAMES.get(lower) or (lower if lower in PLAIN_TYPES else None)
    found = found or did_you_mean(lower, (*PLAIN_TYPES, *_OTHER_NAMES))
    found = _OTHER_NAMES.get(found or "", found)
    return f"; did you mean `{found}`?" if found else ""


def _all_types() -> str:
    sized = "`int8` to `int64`, `uint8` to `uint64`, `float32`, `float64`"
    return f"{sized}, `string`, `bool`, `binary`, `date`, `time64[us]`, `timestamp[us]`, `timestamp[us, UTC]` and `decimal(10, 2)`"
