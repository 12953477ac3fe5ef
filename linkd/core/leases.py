"""When leases end: a book of deadlines by the monotonic clock. Pure: the time is told, and whoever holds the book acts on what is due.

The heap has one entry for each lease, dated with a deadline that it had once. A renewal changes the deadline alone; an entry that comes up
early is dated anew then. So a renewal costs nothing, and the heap grows with what is held, not with how often it was renewed.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from linkd.limits import LEASE_MAX_S

K = TypeVar("K", bound=Hashable)

_STALE_ENTRIES_MAX = 64
"""Entries of leases that are over, beside as many as there are leases: then the heap is made anew."""


@dataclass(slots=True)
class _Held:
    since_s: float
    lease_s: float
    entry: int

    @property
    def deadline_s(self) -> float:
        return self.since_s + self.lease_s


@dataclass(slots=True)
class Leases(Generic[K]):
    """The leases that have a deadline, by key."""

    _held: dict[K, _Held] = field(default_factory=dict)
    _heap: list[tuple[float, int, K]] = field(default_factory=list)
    _entries: count[int] = field(default_factory=count)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: K) -> bool:
        return key in self._held

    def hold(self, key: K, now_s: float, lease_s: float) -> None:
        """The lease of `key` begins (anew) and ends in `lease_s` unless it is renewed."""
        self._held[key] = held = _Held(now_s, lease_s, next(self._entries))
        heapq.heappush(self._heap, (held.deadline_s, held.entry, key))
        self._compact()

    def renew(self, key: K, now_s: float) -> bool:
        """The lease of `key` ends as long after now as it lasts. False, and nothing, if it is over."""
        held = self._held.get(key)
        if held is None:
            return False
        held.since_s = max(held.since_s, now_s)
        return True

    def double(self, key: K) -> None:
        """The lease of `key`, if it is held, lasts twice as long as before, from its last renewal on; a day at most."""
        held = self._held.get(key)
        if held is not None:
            self.lengthen(key, min(held.lease_s * 2, LEASE_MAX_S))

    def lengthen(self, key: K, lease_s: float) -> None:
        """The lease of `key`, if it is held, lasts at least so long, from its last renewal on."""
        held = self._held.get(key)
        if held is not None:
            held.lease_s = max(held.lease_s, lease_s)

    def drop(self, key: K) -> None:
        """The lease of `key` is over; nothing if it was."""
        if self._held.pop(key, None) is not None:
            self._compact()

    def due(self, now_s: float) -> list[K]:
        """The keys whose deadline has come, the earliest first. Their leases are over with this answer."""
        found: list[K] = []
        while (key := self._next()) is not None and self._held[key].deadline_s <= now_s:
            heapq.heappop(self._heap)
            del self._held[key]
            found.append(key)
        return found

    def next_s(self) -> float | None:
        """The earliest deadline; None without any."""
        key = self._next()
        return None if key is None else self._held[key].deadline_s

    def _next(self) -> K | None:
        """The key of the earliest deadline, whose entry is on top of the heap then."""
        while self._heap:
            dated_s, entry, key = self._heap[0]
            held = self._held.get(key)
            if held is None or held.entry != entry:
                heapq.heappop(self._heap)
            elif held.deadline_s > dated_s:
                heapq.heapreplace(self._heap, (held.deadline_s, entry, key))
            else:
                return key
        return None

    def _compact(self) -> None:
        if len(self._heap) > 2 * len(self._held) + _STALE_ENTRIES_MAX:
            self._heap = [(held.deadline_s, held.entry, key) for key, held in self._held.items()]
            heapq.heapify(self._heap)
