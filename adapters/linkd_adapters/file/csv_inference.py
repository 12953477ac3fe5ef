"""The type of a CSV column, from all its values, in bounded memory: a small lattice that values only ever climb.

    null < int64 < float64 < string        null < bool < string
    null < date32 < timestamp < string     null < timestamp UTC < string

- int64: decimal digits as Arrow writes them, so no leading zeros (`007` is a name) and no sign `+` (a telephone number). Integers that
  int64 cannot hold make the column string, not float64, which would lose digits.
- float64: anything Arrow reads as one (`1.5`, `1e3`, `nan`, `inf`), with the same exceptions.
- bool: `true` and `false` in any case.
- date32: `2013-01-01`. timestamp: ISO 8601 with `T` or a blank; all with `Z` or an offset, which makes UTC, or all without. The unit is the
  coarsest that holds every value, so seconds where no value has a fraction. A date among times without a zone is its midnight.
- string: everything else, and a column without any value.

The result does not depend on where the text is cut into blocks: each kind is a set of texts, and a column has the least kind that holds
all.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from linkd_adapters.file.conversion import converted, shown_value, with_points


class Kind(enum.IntEnum):
    NULL = 0
    INT64 = 1
    FLOAT64 = 2
    BOOL = 3
    DATE = 4
    TIMESTAMP = 5
    TIMESTAMP_UTC = 6
    STRING = 7


_ABOVE: dict[Kind, tuple[Kind, ...]] = {
    Kind.NULL: (Kind.INT64, Kind.FLOAT64, Kind.BOOL, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_UTC),
    Kind.INT64: (Kind.INT64, Kind.FLOAT64),
    Kind.FLOAT64: (Kind.FLOAT64,),
    Kind.BOOL: (Kind.BOOL,),
    Kind.DATE: (Kind.DATE, Kind.TIMESTAMP),
    Kind.TIMESTAMP: (Kind.TIMESTAMP,),
    Kind.TIMESTAMP_UTC: (Kind.TIMESTAMP_UTC,),
    Kind.STRING: (),
}
_UNITS = ("s", "ms", "us", "ns")
_INTEGER = r"^-?(0|[1-9][0-9]*)$"
_NAME_OF_DIGITS = r"^[+-]?0[0-9]|^\+[0-9]+$"
_LONG_INTEGER = r"^-?[0-9]{19,}$"
_POWERS = 19
_POWERS_OF_TEN = struct.pack(f"<{2 * _POWERS}q", *(sign * 10**power for sign in (1, -1) for power in range(_POWERS)))
"""1, 10, ... and -1, -10, ... as Arrow stores them: arrays made of Python's numbers make pyarrow import pandas, where there is one."""
_EARLIEST_NS_S = -9_223_372_036
_LATEST_NS_S = 9_223_372_036
_STAND_INS = frozenset({"na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "unknown", "\\n", "#n/a"})
"""What people write for no value, in lower case: worth a hint."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What is known of a column so far. `unit` indexes the units of time; `earliest_s` and `latest_s` bound its times."""

    kind: Kind = Kind.NULL
    unit: int = 0
    earliest_s: int = 0
    latest_s: int = 0

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of the column if nothing else follows."""
        match self.kind:
            case Kind.INT64:
                return pa.int64()
            case Kind.FLOAT64:
                return pa.float64()
            case Kind.BOOL:
                return pa.bool_()
            case Kind.DATE:
                return pa.date32()
            case Kind.TIMESTAMP | Kind.TIMESTAMP_UTC if self.is_time_held:
                return pa.timestamp(_UNITS[self.unit], "UTC" if self.kind is Kind.TIMESTAMP_UTC else None)
        return pa.string()

    @property
    def is_time_held(self) -> bool:
        """Whether the unit holds all times: nanoseconds end in 1677 and 2262."""
        return _UNITS[self.unit] != "ns" or (self.earliest_s > _EARLIEST_NS_S and self.latest_s < _LATEST_NS_S)


def widened(guess: Guess, texts: pa.Array, decimal: str = ".") -> Guess:
    """The guess with more values of the column, given as texts; nulls say nothing. `decimal` stands before the fraction of numbers."""
    if guess.kind is Kind.STRING:
        return guess
    if texts.null_count:
        texts = texts.drop_null()
    if not len(texts):
        return guess
    for kind in _ABOVE[guess.kind]:
        wanted = replace(guess, kind=kind)
        # Arrow is slow to refuse a whole array of texts, so one text is asked first.
        if _as_kind(wanted, guess.kind, texts.slice(0, 1), decimal) is None:
            continue
        found = _as_kind(wanted, guess.kind, texts, decimal)
        if found is not None:
            return found
    return Guess(Kind.STRING)


def _as_kind(wanted: Guess, before: Kind, texts: pa.Array, decimal: str) -> Guess | None:
    """`wanted` with these values, or `None` if one of them is not of its kind."""
    match wanted.kind:
        case Kind.INT64:
            return wanted if _are_integers(texts) else None
        case Kind.FLOAT64:
            return wanted if _are_floats(texts if decimal == "." else with_points(texts)) else None
        case Kind.BOOL:
            return wanted if _are_bools(texts) else None
        case Kind.DATE:
            return _with_times(wanted, before, texts, pa.date32())
        case _:
            return _as_timestamps(wanted, before, texts)


def _are_integers(texts: pa.Array) -> bool:
    values = _converted_or_none(texts, pa.int64())
    if values is None:
        return False
    # The usual text of an integer is the shortest that is read as that integer: equal lengths in all are equal texts.
    if _digits_and_signs(values) == pc.sum(pc.binary_length(texts)).as_py():
        return True
    return bool(pc.all(pc.match_substring_regex(pc.utf8_trim_whitespace(texts), _INTEGER)).as_py())


def _digits_and_signs(values: pa.Array) -> int:
    """The characters of these integers, all together, counted without writing them: ten times as fast."""
    bounds = pc.min_max(values)
    lowest, highest = bounds["min"].as_py(), bounds["max"].as_py()
    powers = pa.Array.from_buffers(pa.int64(), 2 * _POWERS, [None, pa.py_buffer(_POWERS_OF_TEN)])
    total = len(values)
    for power in range(1, _POWERS):
        if highest >= 10**power:
            total += pc.sum(pc.greater_equal(values, powers[power])).as_py()
        if lowest <= -(10**power):
            total += pc.sum(pc.less_equal(values, powers[_POWERS + power])).as_py()
    if lowest < 0:
        total += pc.sum(pc.less_equal(values, powers[_POWERS])).as_py()
    return int(total)


def _are_floats(texts: pa.Array) -> bool:
    if _converted_or_none(texts, pa.float64()) is None:
        return False
    trimmed = pc.utf8_trim_whitespace(texts)
    if not pc.any(pc.match_substring_regex(trimmed, f"{_NAME_OF_DIGITS}|{_LONG_INTEGER}")).as_py():
        return True
    if pc.any(pc.match_substring_regex(trimmed, _NAME_OF_DIGITS)).as_py():
        return False
    return _converted_or_none(trimmed.filter(pc.match_substring_regex(trimmed, _LONG_INTEGER)), pa.int64()) is not None


def _are_bools(texts: pa.Array) -> bool:
    lowered = pc.ascii_lower(pc.utf8_trim_whitespace(texts))
    return bool(pc.all(pc.match_substring_regex(lowered, "^(true|false)$")).as_py())


def _as_timestamps(wanted: Guess, before: Kind, texts: pa.Array) -> Guess | None:
    zone = "UTC" if wanted.kind is Kind.TIMESTAMP_UTC else None
    for unit in range(wanted.unit, len(_UNITS)):
        found = _with_times(replace(wanted, unit=unit), before, texts, pa.timestamp(_UNITS[unit], zone))
        if found is not None:
            return found
    return None


def _with_times(wanted: Guess, before: Kind, texts: pa.Array, kind: pa.DataType) -> Guess | None:
    values = _converted_or_none(texts, kind)
    if values is None:
        return None
    bounds = pc.min_max(values.cast(pa.timestamp("s", getattr(kind, "tz", None)), safe=False).cast(pa.int64()))
    earliest, latest = bounds["min"].as_py(), bounds["max"].as_py()
    if before is Kind.NULL:
        return replace(wanted, earliest_s=earliest, latest_s=latest)
    return replace(wanted, earliest_s=min(earliest, wanted.earliest_s), latest_s=max(latest, wanted.latest_s))


def _converted_or_none(texts: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return converted(texts, kind)
    except pa.ArrowInvalid:
        return None


@dataclass(frozen=True, slots=True)
class Breaker:
    """The value that made a column string: its index, its text, and what all before it were."""

    index: int
    text: str
    before: Kind

    @property
    def reason(self) -> str:
        """`'abc' is not a number`, with a hint where the text may stand for no value."""
        said = shown_value(self.text)
        stripped = self.text.strip()
        digits = stripped.lstrip("+-")
        if self.before in (Kind.INT64, Kind.FLOAT64) and digits.isdecimal() and digits.isascii():
            if stripped.startswith("+"):
                return f"{said} begins with +"
            return f"{said} has leading zeros" if digits.startswith("0") else f"{said} is beyond int64"
        hint = f" (if it stands for no value, say nulls: [{stripped}])" if stripped.lower() in _STAND_INS else ""
        return f"{said} is not {_MEMBER[self.before]}{hint}"


_MEMBER = {
    Kind.INT64: "a number",
    Kind.FLOAT64: "a number",
    Kind.BOOL: "true or false",
    Kind.DATE: "a date",
    Kind.TIMESTAMP: "a timestamp without a zone",
    Kind.TIMESTAMP_UTC: "a timestamp with a zone",
}


def breaker(guess: Guess, texts: pa.Array, decimal: str = ".") -> Breaker | None:
    """The value of `texts` that makes a column of this guess string, or `None` if it was never anything else.

    Found by doubling and halving: a prefix is string from that value on.
    """
    low, high = 0, 1
    while high < len(texts) and widened(guess, texts.slice(0, high), decimal).kind is not Kind.STRING:
        low, high = high, min(2 * high, len(texts))
    while high - low > 1:
        middle = (low + high) // 2
        if widened(guess, texts.slice(0, middle), decimal).kind is Kind.STRING:
            high = middle
        else:
            low = middle
    before = widened(guess, texts.slice(0, low), decimal).kind
    if before in (Kind.NULL, Kind.STRING) or widened(guess, texts.slice(0, high), decimal).kind is not Kind.STRING:
        return None
    return Breaker(high - 1, texts[high - 1].as_py(), before)
