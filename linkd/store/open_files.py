"""Read descriptors, kept open for a while: opening a file costs more than reading a small payload from it.

Usable from several threads. A file that is being read is never closed under its reader; it is closed when the last one
has left.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from linkd.store.files import File, Files


@dataclass(slots=True)
class _Entry:
    file: File
    readers: int = 0
    evicted: bool = False


class Reading:
    """A file that stays open as long as a `with` block of it runs; for one block. (A generator for this would cost as much as the reading.)"""

    __slots__ = ("_entry", "_files", "_path")

    def __init__(self, files: OpenFiles, path: Path) -> None:
        self._files = files
        self._path = path

    def __enter__(self) -> File:
        self._entry = self._files._enter(self._path)
        return self._entry.file

    def __exit__(self, *error: object) -> None:
        self._files._leave(self._entry)


class OpenFiles:
    """At most `most` files that nobody reads at the moment stay open; the least recently used is closed first."""

    def __init__(self, files: Files, most: int) -> None:
        self._files = files
        self._most = most
        self._lock = threading.Lock()
        self._entries: OrderedDict[Path, _Entry] = OrderedDict()

    def reading(self, path: Path) -> Reading:
        """The file, open for reading; entering raises as `Files.open` does."""
        return Reading(self, path)

    def forget(self, path: Path) -> None:
        """The file was deleted: close it, or let its last reader do so."""
        with self._lock:
            entry = self._entries.pop(path, None)
            if entry is not None:
                self._evict(entry)

    def close(self) -> None:
        """Close all; those in use when their readers leave."""
        with self._lock:
            while self._entries:
                self._evict(self._entries.popitem()[1])

    def _enter(self, path: Path) -> _Entry:
        with self._lock:
            entry = self._entries.get(path)
            if entry is None:
                entry = self._entries[path] = _Entry(self._files.open(path))
            entry.readers += 1
            self._entries.move_to_end(path)
            while len(self._entries) > self._most:
                self._evict(self._entries.popitem(last=False)[1])
            return entry

    def _leave(self, entry: _Entry) -> None:
        with self._lock:
            entry.readers -= 1
            if entry.evicted and not entry.readers:
                entry.file.close()

    def _evict(self, entry: _Entry) -> None:
        entry.evicted = True
        if not entry.readers:
            entry.file.close()
