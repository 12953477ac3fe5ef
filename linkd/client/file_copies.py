"""Content from one open file to another, by the kernel where it does that, and hashed in another thread while the next part is copied.

The kernel copies in about the time that hashing takes; on two cores both take no longer than the slower one. Hashed is what the target reads as, when
its pages were just written: what the disk makes of them later is the reader's to find. On file systems that share blocks nothing is copied at all.
"""

from __future__ import annotations

import errno
import os
import threading

from linkd.errors import StorageFailed, StorageFull
from linkd.limits import ARTIFACT_CHUNK_BYTES, ARTIFACT_HASHED_BYTES

_CANNOT_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def copied(source: int, target: int, at: int, size_bytes: int) -> int:
    """Copies bytes from `at` on, the same place in both files, and says how many: 0 where the source ends. Raises StorageFull, StorageFailed."""
    done_bytes = _by_kernel(source, target, at, size_bytes)
    if done_bytes is None:
        data = memoryview(_read(source, min(size_bytes, ARTIFACT_CHUNK_BYTES), at))
        done_bytes = 0
        while done_bytes < len(data):
            done_bytes += _written(target, data[done_bytes:], at + done_bytes)
    return done_bytes


class HashedBehind:
    """The BLAKE3 of a file that somebody is writing, from its beginning to what was said to be `reached`. A context; its thread ends with it."""

    def __init__(self, file: int) -> None:
        from blake3 import blake3  # a program that gets nothing does without

        self._file = file
        self._hash = blake3()
        self._change = threading.Condition()
        self._end = 0
        self._is_complete = False
        self._problem: StorageFailed | None = None
        self._thread = threading.Thread(target=self._run, name="linkd hash artifact", daemon=True)

    def __enter__(self) -> HashedBehind:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._complete()

    def reached(self, end: int) -> None:
        """So far the file is what it will be."""
        with self._change:
            self._end = end
            self._change.notify()

    def digest(self) -> bytes:
        """Of all that was reached; nothing more comes. Raises StorageFailed if the file could not be read."""
        self._complete()
        if self._problem is not None:
            raise self._problem
        found: bytes = self._hash.digest()
        return found

    def _complete(self) -> None:
        with self._change:
            self._is_complete = True
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        at = 0
        try:
            while (end := self._next_end(at)) > at:
                piece = _read(self._file, min(ARTIFACT_HASHED_BYTES, end - at), at)
                if not piece:
                    return  # somebody has cut it off: its digest says so
                self._hash.update(piece)
                at += len(piece)
        except StorageFailed as problem:
            self._problem = problem

    def _next_end(self, at: int) -> int:
        """How far to hash: not beyond `at` if nothing comes any more."""
        with self._change:
            self._change.wait_for(lambda: self._end > at or self._is_complete)
            return self._end


def _by_kernel(source: int, target: int, at: int, size_bytes: int) -> int | None:
    """None where the kernel does not copy between these two files; that is seen at once."""
    if not hasattr(os, "copy_file_range"):
        return None
    try:
        return os.copy_file_range(source, target, size_bytes, at, at)
    except OSError as problem:
        if problem.errno in _CANNOT_COPY:
            return None
        raise _failed(problem) from None


def _read(source: int, size_bytes: int, at: int) -> bytes:
    try:
        return os.pread(source, size_bytes, at)
    except OSError as problem:
        raise _failed(problem) from None


def _written(target: int, data: memoryview, at: int) -> int:
    try:
        return os.pwrite(target, data, at)
    except OSError as problem:
        raise _failed(problem) from None


def _failed(problem: OSError) -> StorageFailed:
    kind = StorageFull if problem.errno in _NO_ROOM else StorageFailed
    return kind(f"an artifact cannot be copied: {problem.strerror or problem}")
