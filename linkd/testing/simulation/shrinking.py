"""Makes a history that breaks something shorter, for people to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shortest(steps: Sequence[T], breaks: Callable[[Sequence[T]], bool], tries: int = 200) -> list[T]:
    """A part of `steps`, in their order, that still `breaks` and of which no single step can be left out, if `tries` suffice to find it.

    It leaves out halves, then quarters, and so on down to single steps, as long as that helps.
    """
    left = list(steps)
    size = max(len(left) // 2, 1)
    while tries > 0:
        at, shrunk = 0, False
        while at < len(left) and tries > 0:
            candidate = left[:at] + left[at + size :]
            tries -= 1
            if breaks(candidate):
                left, shrunk = candidate, True
            else:
                at += size
        if size == 1 and not shrunk:
            break
        size = max(size // 2, 1)
    return left
