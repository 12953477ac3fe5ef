"""Written bytes made durable: the one place that knows what a system has for it.

    macOS       F_FULLFSYNC, for its fsync leaves the bytes in the drive's own cache; network volumes, which have no such call, get fsync
    Linux       fdatasync: the bytes and the length, not the times
    elsewhere   fsync

Which one it is follows from the names that Python has here. What the operating system refuses passes through as OSError.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

_NO_SUCH_CALL = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)

Sync = Callable[[int], None]


def full_sync(command: int) -> Sync:
    """A sync by fcntl's `command`, which reaches the disk itself; fsync on volumes that do not know it."""

    def sync(descriptor: int) -> None:
        try:
            fcntl.fcntl(descriptor, command)
        except OSError as problem:
            if problem.errno not in _NO_SUCH_CALL:
                raise
            os.fsync(descriptor)

    return sync


_FULL: Sync | None = full_sync(fcntl.F_FULLFSYNC) if hasattr(fcntl, "F_FULLFSYNC") else None
_DATA: Sync = getattr(os, "fdatasync", os.fsync)


def sync_data(descriptor: int) -> None:
    """Makes durable what was written to an open file, and its length. After a failure nothing is known of what was written since the last."""
    (_FULL or _DATA)(descriptor)


def sync_directory(directory: Path) -> None:
    """Makes durable what was made, renamed and removed in `directory`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        (_FULL or os.fsync)(descriptor)
    finally:
        os.close(descriptor)
