"""Numbers, sizes, moments and ranges as people read them. Pure."""

from __future__ import annotations

from decimal import Decimal

from linkd.core.iso8601 import timestamp_text

_NS_PER_MS = 1_000_000


def number_text(value: float | Decimal) -> str:
    """A number with thousands separators, in the shortest form that reads back."""
    return f"{value:,}"


def size_text(size_bytes: int) -> str:
    """`734 B`, `1.2 kB`, `45 MB`: about three digits."""
    size: float = size_bytes
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def counted(number: int, what: str) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def moment_text(time_ns: int) -> str:
    """`2026-11-22T10:00:00.123Z`, from nanoseconds since 1970."""
    return timestamp_text(time_ns // _NS_PER_MS, "ms", zoned=True)


def age_text(seconds: float) -> str:
    """`now`, `42 s`, `5 min`, `3 h`, `12 d`: how long ago, in one unit."""
    if seconds < 1:
        return "now"
    for unit, size_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size_s or (unit != "min" and seconds >= size_s):
            return f"{seconds / size_s:,.0f} {unit}"
    return f"{seconds:.0f} s"


def rate_text(per_s: float) -> str:
    """`1,234`, `12`, `0.5`: of something a second."""
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.1f}"


def sequence_text(link: str, first: int, last: int) -> str:
    """`flown@3`, or `flown@1..6` of several values."""
    return f"{link}@{first}" if first == last else f"{link}@{first}..{last}"
