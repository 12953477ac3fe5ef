"""Time and chance, as one small interface: the only place where the home meets either."""

from __future__ import annotations

import os
import time
from typing import Protocol


class Clock(Protocol):
    """`now_ns` dates things and never orders them; `monotonic_s` measures; `entropy` gives random bytes."""

    def now_ns(self) -> int: ...

    def monotonic_s(self) -> float: ...

    def entropy(self, size_bytes: int) -> bytes: ...


class SystemClock:
    """The machine's own."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def entropy(self, size_bytes: int) -> bytes:
        return os.urandom(size_bytes)
