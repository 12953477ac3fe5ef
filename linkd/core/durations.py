"""Spans of time as people write them in a pipeline file: a number and a unit, `500ms`, `10s`, `1.5h`, `2d`."""

from __future__ import annotations

import re

_PER_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_PATTERN = r"[0-9]{1,9}(?:\.[0-9]{1,3})?(?:ms|s|m|h|d)"
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")


def parse_duration(text: str) -> float | None:
    """Seconds, or None if `text` is no span of time."""
    found = _DURATION.fullmatch(text.strip())
    return round(float(found[1]) * _PER_UNIT_S[found[2]], 6) if found else None


def duration_text(seconds: float) -> str:
    """The shortest way to write it: in the largest unit that takes a whole number of it."""
    for unit in ("d", "h", "m", "s"):
        count = seconds / _PER_UNIT_S[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"
