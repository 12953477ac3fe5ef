"""Seeing what happens in directories by looking at them, where the system does not tell.

A look compares name, inode, size and time of change to the nanosecond: what grows twice within a second has changed twice.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from linkd.limits import FOLLOW_SCAN_INTERVAL_S, FOLLOW_SCAN_SHARE

_Entry = tuple[str, int, int, int]


class Scan:
    """Of some directories, and with `recursive` of all below them, from now on. `FileNotFoundError` if one of them is not there."""

    def __init__(self, directories: Iterable[str], *, recursive: bool, interval_s: float = FOLLOW_SCAN_INTERVAL_S) -> None:
        self._directories = list(directories)
        self._recursive = recursive
        self._interval_s = interval_s
        for directory in self._directories:
            os.scandir(directory).close()
        self._pause_s = interval_s
        self._seen = self._look()

    def wait(self, over: threading.Event) -> bool:
        """Blocks until something is not as it was at the last look; or until `over` is set, and then returns False."""
        while not over.wait(self._pause_s):
            before, self._seen = self._seen, self._look()
            if before != self._seen:
                return True
        return False

    def close(self) -> None:
        """Forgets what it saw."""
        self._seen = frozenset()

    def _look(self) -> frozenset[_Entry]:
        began_s = time.monotonic()
        seen = frozenset(entry for directory in self._directories for entry in self._entries(directory))
        self._pause_s = max(self._interval_s, (time.monotonic() - began_s) / FOLLOW_SCAN_SHARE)
        return seen

    def _entries(self, directory: str) -> Iterator[_Entry]:
        with suppress(OSError), os.scandir(directory) as found:  # gone meanwhile, or not ours to look at: whoever opens it is told
            for entry in found:
                with suppress(OSError):  # so may be what a symbolic link names
                    stat = entry.stat()
                    yield entry.path, stat.st_ino, stat.st_size, stat.st_mtime_ns
                if self._recursive and entry.is_dir(follow_symlinks=False):
                    yield from self._entries(entry.path)
