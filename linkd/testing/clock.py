"""A clock that stands still until it is told to go on, and chance that is the same every time."""

from __future__ import annotations

import random


class FakeClock:
    """A `home.clock.Clock`: both clocks begin at a fixed time and move together by `advance`; `entropy` comes from `seed`."""

    def __init__(self, *, now_ns: int = 1_800_000_000_000_000_000, seed: int = 0) -> None:
        self._now_ns = now_ns
        self._monotonic_s = 1_000.0
        self._random = random.Random(seed)

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def entropy(self, size_bytes: int) -> bytes:
        return self._random.randbytes(size_bytes)

    def advance(self, seconds: float) -> None:
        """Goes on by so much. Who sleeps on the event loop is not woken by it: announce something that they watch."""
        self._now_ns += round(seconds * 1e9)
        self._monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock on the wall by so much; no time has passed."""
        self._now_ns += round(seconds * 1e9)
