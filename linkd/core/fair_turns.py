"""Whose turn it is, of those who wait: equal shares, counted in bytes. Pure.

Start-time fair queueing. Every party has a clock that runs on by the bytes of its turns; the next turn is that of the party whose clock is
furthest behind. Who comes, or comes back, begins at the clock of whoever had the last turn: pauses are not saved up. So of parties that wait
all the time none gets ahead of another by more than their two largest turns, and one that asks now and then waits for one turn of each other.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairTurns(Generic[T]):
    """Turns that are waited for, and the clocks of those who wait or had one lately."""

    def __init__(self) -> None:
        self._now_bytes = 0
        self._clocks: dict[Hashable, int] = {}
        self._waiting: list[tuple[int, int, T]] = []
        self._asked = 0
        self._looked = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def ask(self, party: Hashable, size_bytes: int, turn: T) -> None:
        """`turn` is one of this party's, worth so many bytes. It waits for `next`."""
        starts = max(self._now_bytes, self._clocks.get(party, 0))
        self._clocks[party] = starts + size_bytes
        self._asked += 1
        heapq.heappush(self._waiting, (starts, self._asked, turn))

    def next(self) -> T | None:
        """The turn that is due; None if nobody waits."""
        if not self._waiting:
            self._now_bytes = 0
            self._clocks.clear()
            return None
        self._now_bytes, _, turn = heapq.heappop(self._waiting)
        self._looked += 1
        if self._looked > len(self._clocks):  # those who are gone are forgotten: a clock that is not ahead says nothing
            self._looked = 0
            self._clocks = {party: clock for party, clock in self._clocks.items() if clock > self._now_bytes}
        return turn
