"""Dates, times and timestamps as ISO 8601 text (RFC 3339 profile), to and from the integers that Arrow stores.

Python's own types stop at microseconds; these are exact down to nanoseconds. Years are 0001 to 9999, as RFC 3339 has it.
Forms: `2013-01-31`; `05:07:00[.123456789]`; `2013-01-31T05:07:00[.123456789]` (also with a space), with `Z` or `+02:00` behind it where the
column has a zone. A column with a zone stores the instant; it is always written in UTC with `Z`.
"""

from __future__ import annotations

import re
from datetime import date

UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_S = 86_400
_LAST_DAY = date.max.toordinal() - _EPOCH_DAY
_FIRST_DAY = date.min.toordinal() - _EPOCH_DAY

_DATE = r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_TIME = r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
_DATE_ONLY = re.compile(_DATE)
_TIME_ONLY = re.compile(_TIME)
_TIMESTAMP = re.compile(rf"{_DATE}[T ]{_TIME}(Z|z|[+-][0-9]{{2}}:?[0-9]{{2}})?")


def parse_days(text: str) -> int:
    """Days since 1970-01-01. Raises `ValueError`."""
    matched = _DATE_ONLY.fullmatch(text)
    if not matched:
        raise ValueError("not a date")
    return _days(matched[1], matched[2], matched[3])


def parse_time(text: str, unit: str) -> int:
    """Units since midnight. Raises `ValueError`, also where the fraction is finer than the unit."""
    matched = _TIME_ONLY.fullmatch(text)
    if not matched:
        raise ValueError("not a time")
    return _clock(matched.groups(), unit)


def parse_timestamp(text: str, unit: str, *, zoned: bool) -> int:
    """Units since 1970-01-01T00:00:00, in UTC if `zoned`, which must agree with whether the text has an offset. Raises `ValueError`."""
    matched = _TIMESTAMP.fullmatch(text)
    if not matched:
        raise ValueError("not a timestamp")
    offset = matched[8]
    if zoned != (offset is not None):
        raise ValueError("an offset is missing" if zoned else "there is an offset")
    days = _days(matched[1], matched[2], matched[3])
    return days * _DAY_S * UNITS_PER_SECOND[unit] + _clock(matched.groups()[3:7], unit) - _offset(offset, unit)


def _days(year: str, month: str, day: str) -> int:
    return date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY


def _clock(parts: tuple[str | None, ...], unit: str) -> int:
    hour, minute, second = (int(part or 0) for part in parts[:3])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time of day")
    nanoseconds = int((parts[3] or "").ljust(9, "0"))
    fraction, rest = divmod(nanoseconds, UNITS_PER_SECOND["ns"] // UNITS_PER_SECOND[unit])
    if rest:
        raise ValueError("finer than the column's unit")
    return (hour * 3600 + minute * 60 + second) * UNITS_PER_SECOND[unit] + fraction


def _offset(text: str | None, unit: str) -> int:
    if text is None or text in "Zz":
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError("no such offset")
    seconds = hours * 3600 + minutes * 60
    return (seconds if text[0] == "+" else -seconds) * UNITS_PER_SECOND[unit]


def days_text(days: int) -> str:
    """`2013-01-31`. Raises `ValueError` outside the years 0001 to 9999."""
    if not _FIRST_DAY <= days <= _LAST_DAY:
        raise ValueError("outside the years 0001 to 9999")
    return date.fromordinal(days + _EPOCH_DAY).isoformat()


def time_text(count: int, unit: str) -> str:
    """`05:07:00`, with as many digits behind it as are needed of 3, 6 or 9. Raises `ValueError` outside one day."""
    seconds, fraction = divmod(count, UNITS_PER_SECOND[unit])
    if not 0 <= seconds < _DAY_S:
        raise ValueError("outside one day")
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    digits = len(str(UNITS_PER_SECOND[unit])) - 1
    text = f"{fraction:0{digits}}" if fraction else ""
    while text.endswith("000"):
        text = text[:-3]
    return f"{clock}.{text}" if text else clock


def timestamp_text(count: int, unit: str, *, zoned: bool) -> str:
    """`2013-01-31T05:07:00`, with `Z` behind it if `zoned`. Raises `ValueError` outside the years 0001 to 9999."""
    days, rest = divmod(count, _DAY_S * UNITS_PER_SECOND[unit])
    return f"{days_text(days)}T{time_text(rest, unit)}{'Z' if zoned else ''}"
