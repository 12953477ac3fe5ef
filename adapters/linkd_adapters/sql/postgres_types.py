"""Columns of PostgreSQL and their carriers.

    smallint integer bigint real double precision boolean text varchar char name bytea date time timestamp     as they are
    timestamptz                         an instant, in UTC: the column keeps no zone
    numeric(p, s)                       decimal(p, s), p up to 38; numeric without bounds: what `schema:` says
    arrays of these                     lists; of one dimension only
    uuid json jsonb xml inet cidr macaddr interval, enums, bit strings     text, written and read by the server's own rules
    domains                             what they are made of

and of a new column: int8 and uint8 are smallint, uint16 integer, uint32 bigint, uint64 numeric(20, 0); times of other units are microseconds,
where nothing is lost by that. The server has no `\\0` in texts, no dates before 4713 BC, none behind 5874897 and no timestamps behind 294276;
a link has no `infinity` for dates, and no NaN for decimals.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from linkd.plugin.column_types import plain_array
from linkd_adapters.sql.database import Column

_UTC = pa.timestamp("us", tz="UTC")
_PLAIN: dict[str, tuple[str, pa.DataType]] = {
    "bool": ("boolean", pa.bool_()),
    "int2": ("smallint", pa.int16()),
    "int4": ("integer", pa.int32()),
    "int8": ("bigint", pa.int64()),
    "float4": ("real", pa.float32()),
    "float8": ("double precision", pa.float64()),
    "text": ("text", pa.string()),
    "varchar": ("character varying", pa.string()),
    "bpchar": ("character", pa.string()),
    "name": ("name", pa.string()),
    "bytea": ("bytea", pa.binary()),
    "date": ("date", pa.date32()),
    "time": ("time", pa.time64("us")),
    "timestamp": ("timestamp", pa.timestamp("us")),
    "timestamptz": ("timestamptz", _UTC),
}
_AS_TEXT = frozenset(["uuid", "json", "jsonb", "xml", "inet", "cidr", "macaddr", "macaddr8", "interval", "bit", "varbit"])
_NEW = {kind: name for name, kind in _PLAIN.values() if name not in ("character varying", "character", "name")}
_WIDER = {pa.int8(): pa.int16(), pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.null(): pa.string()}
_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
_DIGITS_MAX = 38

DAY_FIRST, DAY_LAST = -2_440_588, 2_145_042_905
"""Days since 1970 of the server's first day, 24 November 4714 BC, and of its last."""
INSTANT_FIRST = DAY_FIRST * 86_400_000_000
"""Microseconds since 1970 at which its times begin; they end behind those that Arrow can count."""


def server_column(name: str, kind: str, declared: str, *, is_enum: bool = False, required: bool = False) -> Column:
    """The column of this type: `kind` is its name in pg_type, `declared` what format_type says of it."""
    if kind in _PLAIN:
        return Column(name, declared, _PLAIN[kind][1], required=required)
    if is_enum or kind in _AS_TEXT:
        return Column(name, declared, pa.string(), as_text=True, required=required)
    if kind == "numeric":
        return _numeric(name, declared, required)
    if kind.startswith("_") and kind[1:] in _PLAIN:
        return Column(name, declared, pa.list_(_PLAIN[kind[1:]][1]), required=required)
    refusal = "linkd cannot take it as it is; give a query: that casts it to text, or leaves it out"
    return Column(name, declared, None, refusal=refusal, required=required)


def new_column(name: str, kind: pa.DataType) -> Column | None:
    """The column of a new table for a plain type of a link."""
    kind = _WIDER.get(kind, kind)
    if kind in _NEW:
        return Column(name, _NEW[kind], kind)
    types = pa.types
    if types.is_uint64(kind):
        return Column(name, "numeric(20,0)", pa.decimal128(20, 0))
    if types.is_decimal128(kind) and 0 <= kind.scale <= kind.precision:
        return Column(name, f"numeric({kind.precision},{kind.scale})", kind)
    if types.is_timestamp(kind):
        return Column(name, "timestamptz", _UTC) if kind.tz else Column(name, "timestamp", pa.timestamp("us"))
    if types.is_time(kind):
        return Column(name, "time", pa.time64("us"))
    if types.is_list(kind):
        item = new_column(name, kind.value_type)
        if item is not None and item.carrier in _NEW:
            return Column(name, f"{item.declared}[]", pa.list_(item.carrier))
    return None


def unfit(array: pa.Array, kind: pa.DataType) -> tuple[int, str] | None:
    """The first row that the server cannot hold, and why."""
    types = pa.types
    if types.is_list(kind):
        inner = unfit(array.flatten(), kind.value_type)
        return None if inner is None else (pc.list_parent_indices(array)[inner[0]].as_py(), inner[1])
    if types.is_string(kind):
        return _first(pc.match_substring(array, "\0"), "a text there has a \\0 in it, and PostgreSQL has no texts with one")
    if types.is_date32(kind):
        return _outside(array, "the date is further away than PostgreSQL's reach (4713 BC to 5874897)")
    if types.is_timestamp(kind):
        return _outside(array, "the time is further away than PostgreSQL's reach (4713 BC to 294276)")
    return None


def infinite(array: pa.Array) -> int | None:
    """The first row that is `infinity` or `-infinity`: the driver gives them as days and times that the server cannot have."""
    types = pa.types
    if types.is_list(array.type):
        inner = infinite(array.flatten())
        return None if inner is None else int(pc.list_parent_indices(array)[inner].as_py())
    found = _outside(array, "") if types.is_date32(array.type) or types.is_timestamp(array.type) else None
    return None if found is None else found[0]


def carried(array: pa.Array, column: Column) -> pa.Array:
    """What the driver gave for a column, in its carrier. Raises `pyarrow.ArrowInvalid` for a value that has no form in it."""
    plain = plain_array(array)
    return plain if plain.type == column.carrier else pc.cast(plain, column.carrier, safe=True)


def _numeric(name: str, declared: str, required: bool) -> Column:
    bounds = _NUMERIC.fullmatch(declared)
    if bounds is None:
        refusal = (
            "its numbers have no bound; say what they are in schema: (`decimal(18, 2)`, or string), "
            f"or cast it in query: (`{name}::numeric(18,2) AS {name}`)"
        )
        return Column(name, declared, None, takes_any=True, required=required, refusal=refusal)
    precision, scale = int(bounds[1]), int(bounds[2])
    if precision > _DIGITS_MAX or not 0 <= scale <= precision:
        refusal = f"a link has decimals of up to {_DIGITS_MAX} digits; cast it in query:, to fewer digits or to text"
        return Column(name, declared, None, required=required, refusal=refusal)
    return Column(name, declared, pa.decimal128(precision, scale), required=required)


def _outside(array: pa.Array, reason: str) -> tuple[int, str] | None:
    """The first date or time that the server does not have."""
    if pa.types.is_date32(array.type):
        days = array.cast(pa.int32())
        return _first(pc.or_(pc.less(days, DAY_FIRST), pc.greater(days, DAY_LAST)), reason)
    return _first(pc.less(array.cast(pa.int64()), INSTANT_FIRST), reason)


def _first(found: pa.Array, reason: str) -> tuple[int, str] | None:
    row = pc.index(found, True).as_py()
    return None if row < 0 else (row, reason)
