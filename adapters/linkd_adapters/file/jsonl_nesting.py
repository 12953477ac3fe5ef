"""How deep lists and objects lie in one another: pyarrow, which reads whole blocks, goes down as far as its stack, and ends the process there."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

from linkd.limits import JSONL_NESTING_MAX

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_OPEN = b"[{"
_CLOSE = b"]}"
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(_OPEN + _CLOSE))
_ALL_BUT_OPEN = bytes(set(range(256)) - set(_OPEN + b"\n"))


def has_deep_line(text: bytes, nesting_max: int = JSONL_NESTING_MAX) -> bool:
    """Whether a line of JSON nests more than `nesting_max` deep."""
    counts = [len(opened) for opened in text.translate(None, _ALL_BUT_OPEN).split(b"\n")]
    if max(counts) <= nesting_max:
        return False
    lines = zip(text.split(b"\n"), counts, strict=True)
    return any(_depth(line) > nesting_max for line, count in lines if count > nesting_max)


def is_deep(value: Any) -> bool:
    """Whether a value of a line is so deep that the line has more than `JSONL_NESTING_MAX` levels."""
    level = [value]
    for _ in range(JSONL_NESTING_MAX - 1):  # the row is one
        level = [inner for outer in level if isinstance(outer, list | dict) for inner in _inside(outer)]
        if not level:
            return False
    return any(isinstance(inner, list | dict) for inner in level)


def _inside(outer: list[Any] | dict[str, Any]) -> list[Any]:
    return outer if isinstance(outer, list) else list(outer.values())


def _depth(line: bytes) -> int:
    brackets = _STRING.sub(b"", line).translate(None, _ALL_BUT_BRACKETS)
    return max(accumulate(1 if bracket in _OPEN else -1 for bracket in brackets))
