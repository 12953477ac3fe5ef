"""Entries of the index that are in memory only: committed, and not written to its file yet. Usable from several threads."""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Iterable, Sequence

from linkd.store.catalog_file import CatalogEntry


class CatalogTail:
    """In the order of their frames. All frames up to `durable_lsn` are durable; what waits of later ones is served, but not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[CatalogEntry] = deque()
        self._by_link: dict[str, deque[CatalogEntry]] = {}
        self._durable_lsn = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def durable_lsn(self) -> int:
        with self._lock:
            return self._durable_lsn

    def durable(self, lsn: int) -> None:
        """All frames up to this one are durable, and their values were added."""
        with self._lock:
            self._durable_lsn = lsn

    def add(self, entries: Iterable[CatalogEntry]) -> None:
        """These values are committed."""
        with self._lock:
            for entry in entries:
                self._entries.append(entry)
                self._by_link.setdefault(entry.envelope.link, deque()).append(entry)

    def batch(self, most: int) -> tuple[list[CatalogEntry], int]:
        """The first entries of durable frames, at most so many, and the last frame of which the file has all when these are in it.

        (The file must not know of frames that the journal may lose.)
        """
        with self._lock:
            durable = itertools.takewhile(lambda entry: entry.lsn <= self._durable_lsn, self._entries)
            batch = list(itertools.islice(durable, most))
            rest = len(batch) < len(self._entries) and self._entries[len(batch)].lsn <= self._durable_lsn
            return batch, batch[-1].lsn - 1 if batch and rest else self._durable_lsn

    def forget(self, count: int) -> None:
        """So many from the beginning are in the file."""
        with self._lock:
            for _ in range(count):
                link = self._entries.popleft().envelope.link
                of_link = self._by_link[link]
                of_link.popleft()
                if not of_link:
                    del self._by_link[link]

    def clear(self) -> None:
        """The index is to be made again."""
        with self._lock:
            self._entries.clear()
            self._by_link.clear()

    def of_link(self, link: str, first: int, last: int) -> list[CatalogEntry]:
        """Entries of the link, among them all of this range: for a short range in one step, for it is asked often."""
        with self._lock:
            of_link = self._by_link.get(link)
            if of_link is None:
                return []
            front, back = of_link[0].envelope.position, of_link[-1].envelope.position
            gapless = front.incarnation == back.incarnation and back.sequence - front.sequence == len(of_link) - 1
            if not gapless:
                return list(of_link)
            start, stop = max(first - front.sequence, 0), min(last, back.sequence) - front.sequence + 1
            return list(itertools.islice(of_link, start, max(start, stop)))

    def all(self) -> Sequence[CatalogEntry]:
        """As they are now."""
        with self._lock:
            return tuple(self._entries)

    def first_lsn(self) -> float:
        """The frame of the first; infinity if none waits."""
        with self._lock:
            return self._entries[0].lsn if self._entries else math.inf
