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


def sequence_text(link: str, first: int, last: int) -> str:
    """`flown@3`, or `flown@1..6` of several values."""
    return f"{link}@{first}" if first == last else f"{link}@{first}..{last}"
