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
_SYNC_FILE_RANGE_WRITE = 2
"""sync_file_range(2): begin to write what is dirty, and do not wait for it."""

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


def begin_sync(descriptor: int, start: int, size_bytes: int) -> None:
    """Has the system write out these bytes of an open file from now on, so that less is left for `sync_data`. Nothing is durable by it, and what goes
    wrong the sync tells. Systems but Linux have no such call, and do nothing."""
    import ctypes  # Python has no name for it; who writes nothing large does without

    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        call(ctypes.c_int(descriptor), ctypes.c_int64(start), ctypes.c_int64(size_bytes), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))


def sync_directory(directory: Path) -> None:
    """Makes durable what was made, renamed and removed in `directory`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        (_FULL or os.fsync)(descriptor)
    finally:
        os.close(descriptor)
