"""The file system, as small as the store needs it: one interface, and its real implementation.

Every durability decision of the store is a call of this interface, in an order that `linkd.testing.faulty_files` cuts
at any point. What a call promises is POSIX and no more: written bytes are durable after `datasync` of their file, names
after `sync_directory` of the directory that holds them. Blocking calls; whoever is on the event loop keeps them small.

Errors: a write, sync or change of names that fails is `StorageFailed`, one that found no room `StorageFull` (of a sync that fails this is not
asked: whatever the reason, it is `StorageFailed`), a file that ought to be there and is not is `StateDamaged`; all name the file and the
system's reason.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from linkd.durability import begin_sync, sync_data, sync_directory
from linkd.errors import StateDamaged, StorageFailed, StorageFull

Bytes = bytes | bytearray | memoryview

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_IOV_MAX = 1024
"""Buffers of one pwritev, as Linux and macOS have it."""
_ZEROS_BYTES = 1024 * 1024
"""Of one write that reserves room, where the system has no call for it (macOS)."""


class File(Protocol):
    """An open file. Offsets and lengths are bytes; there is no current position, so threads may share it."""

    def pread(self, length: int, offset: int) -> bytes:
        """`length` bytes from `offset`, fewer only where the file ends."""
        ...

    def pwrite(self, data: Bytes, offset: int) -> None:
        """Write all of `data`."""
        ...

    def pwritev(self, parts: Sequence[Bytes], offset: int) -> None:
        """Write all parts one behind the other."""
        ...

    def reserve(self, size_bytes: int) -> None:
        """Make the file so long, with room on the medium for all of it: what lies behind its end reads as zeros, and writing there finds room."""
        ...

    def begin_sync(self, start: int, size_bytes: int) -> None:
        """Written bytes that `datasync` will be asked for may go to the medium from now on. Promises nothing, and never fails."""
        ...

    def datasync(self) -> None:
        """Make written bytes and the length durable. After a failure nothing is known of what was written since the last success."""
        ...

    def truncate(self, length: int) -> None: ...

    def size(self) -> int: ...

    def close(self) -> None: ...


class Files(Protocol):
    """A file system."""

    def make_directory(self, path: Path) -> None:
        """Create `path` if it is not there; its parent must be."""
        ...

    def list(self, path: Path) -> list[str]:
        """Names in a directory, sorted; none if it is not there."""
        ...

    def create(self, path: Path) -> File:
        """A new empty file, open for reading and writing. `StorageFailed` if the name is taken."""
        ...

    def open(self, path: Path, *, writable: bool = False) -> File: ...

    def size(self, path: Path) -> int: ...

    def rename(self, source: Path, target: Path) -> None:
        """Give `source` the name `target`, replacing what had it."""
        ...

    def unlink(self, path: Path) -> None: ...

    def sync_directory(self, path: Path) -> None:
        """Make the names in `path` durable."""
        ...


class LocalFile:
    """A file of the operating system."""

    __slots__ = ("_fd", "_path")

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self._path = path

    def pread(self, length: int, offset: int) -> bytes:
        with _refusals("read", self._path):
            data = os.pread(self._fd, length, offset)
            if len(data) == length or not data:
                return data
            parts = [data]
            missing = length - len(data)
            while missing and (data := os.pread(self._fd, missing, offset + length - missing)):
                parts.append(data)
                missing -= len(data)
            return b"".join(parts)

    def pwrite(self, data: Bytes, offset: int) -> None:
        with _refusals("write", self._path):
            self._write_rest(data, offset)

    def pwritev(self, parts: Sequence[Bytes], offset: int) -> None:
        with _refusals("write", self._path):
            for start in range(0, len(parts), _IOV_MAX):
                offset = self._write_parts(parts[start : start + _IOV_MAX], offset)

    def _write_parts(self, parts: Sequence[Bytes], offset: int) -> int:
        """Write at most `_IOV_MAX` parts; returns the offset behind them."""
        written = os.pwritev(self._fd, parts, offset) if hasattr(os, "pwritev") else 0
        for part in parts:
            skip = min(written, len(part))
            written -= skip
            if skip < len(part):
                self._write_rest(memoryview(part)[skip:], offset + skip)
            offset += len(part)
        return offset

    def _write_rest(self, data: Bytes, offset: int) -> None:
        rest = memoryview(data)
        while rest:
            count = os.pwrite(self._fd, rest, offset)
            rest, offset = rest[count:], offset + count

    def reserve(self, size_bytes: int) -> None:
        with _refusals("write", self._path):
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._fd, 0, size_bytes)
                return
            zeros = bytes(_ZEROS_BYTES)
            for at in range(os.fstat(self._fd).st_size, size_bytes, len(zeros)):
                self._write_rest(memoryview(zeros)[: size_bytes - at], at)

    def begin_sync(self, start: int, size_bytes: int) -> None:
        begin_sync(self._fd, start, size_bytes)

    def datasync(self) -> None:
        with _refusals("sync", self._path):
            sync_data(self._fd)

    def truncate(self, length: int) -> None:
        with _refusals("truncate", self._path):
            os.ftruncate(self._fd, length)

    def size(self) -> int:
        with _refusals("look at", self._path):
            return os.fstat(self._fd).st_size

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class LocalFiles:
    """The operating system's file system. Files are made for their owner alone."""

    def make_directory(self, path: Path) -> None:
        with _refusals("create", path):
            path.mkdir(mode=0o700, exist_ok=True)

    def list(self, path: Path) -> list[str]:
        with _refusals("list", path):
            try:
                return sorted(os.listdir(path))  # noqa: PTH208 - names only, and a missing directory must raise before the first
            except FileNotFoundError:
                return []

    def create(self, path: Path) -> File:
        with _refusals("create", path):
            return LocalFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path)

    def open(self, path: Path, *, writable: bool = False) -> File:
        with _refusals("open", path):
            return LocalFile(os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC), path)

    def size(self, path: Path) -> int:
        with _refusals("look at", path):
            return path.stat().st_size

    def rename(self, source: Path, target: Path) -> None:
        with _refusals("rename", source):
            source.replace(target)

    def unlink(self, path: Path) -> None:
        with _refusals("delete", path):
            path.unlink()

    def sync_directory(self, path: Path) -> None:
        with _refusals("sync", path):
            sync_directory(path)


def open_descriptor(path: Path, *, writable: bool) -> int:
    """A descriptor of the operating system's, to be given to another process. Raises FileNotFoundError, `StorageFailed`."""
    try:
        return os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as problem:
        raise StorageFailed(f"cannot open {path}: {problem.strerror or problem}.{_remedy(problem)}") from problem


@contextmanager
def _refusals(action: str, path: Path) -> Iterator[None]:
    """Say what the operating system refused, in linkd's words."""
    try:
        yield
    except FileNotFoundError as problem:
        raise StateDamaged(f"cannot {action} {path}: it is not there. Restore it from a backup, or start with a new directory") from problem
    except OSError as problem:
        full = problem.errno in _NO_ROOM and action != "sync"
        kind = StorageFull if full else StorageFailed
        raise kind(f"cannot {action} {path}: {problem.strerror or problem}.{_remedy(problem)}") from problem


def _remedy(problem: OSError) -> str:
    if problem.errno in _NO_ROOM:
        return " Free some space on that volume"
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return " linkd must be able to write there"
    if problem.errno == errno.EIO:
        return " The device reports an error; check it before starting linkd again"
    return ""
