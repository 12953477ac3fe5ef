"""A file system that counts how many bytes of it are held: `Files` around another one.

Every file below the directory counts with its length, preallocated zeros included; so does one that was deleted and is still open here for
writing (what is staged has no name). The count is set by one look at the directory (`count`), and follows every change that goes through here.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from linkd.store.files import Bytes, File, Files


class CountedFiles:
    """Usable from several threads, as the file system below is. `written_bytes` only grows: by it one sees that much has happened."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._open: dict[Path, _CountedFile] = {}
        self.held_bytes = 0
        self.written_bytes = 0

    def count(self, directory: Path, but: Collection[str] = ()) -> None:
        """Counts what is there, at any depth, but for what has one of these names."""
        for name in self._files.list(directory):
            path = directory / name
            if name in but:
                continue
            if path.is_dir():
                self.count(path)
            else:
                self._add(self._files.size(path))

    # -- Files ----------------------------------------------------------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        self._files.make_directory(path)

    def list(self, path: Path) -> list[str]:
        return self._files.list(path)

    def create(self, path: Path) -> File:
        file = _CountedFile(self, path, self._files.create(path), 0)
        with self._lock:
            self._open[path] = file
        return file

    def open(self, path: Path, *, writable: bool = False) -> File:
        file = self._files.open(path, writable=writable)
        return _CountedFile(self, path, file, file.size()) if writable else file

    def size(self, path: Path) -> int:
        return self._files.size(path)

    def rename(self, source: Path, target: Path) -> None:
        replaced_bytes = self._files.size(target) if target.name in self._files.list(target.parent) else 0
        self._files.rename(source, target)
        with self._lock:
            moved = self._open.pop(source, None)
            if moved is not None:
                self._open[target] = moved
        self._add(-replaced_bytes)

    def unlink(self, path: Path) -> None:
        with self._lock:
            file = self._open.pop(path, None)
        size_bytes = self._files.size(path) if file is None else 0
        self._files.unlink(path)
        if file is not None:
            file.has_name = False
        self._add(-size_bytes)

    def sync_directory(self, path: Path) -> None:
        self._files.sync_directory(path)

    # -- for the files --------------------------------------------------------------------------------------------------------------------

    def wrote(self, more_bytes: int, size_bytes: int) -> None:
        """A write of so many bytes made a file longer by `more_bytes`."""
        with self._lock:
            self.held_bytes += more_bytes
            self.written_bytes += size_bytes

    def closed(self, path: Path, file: _CountedFile) -> None:
        """A file that may have lost its name is closed."""
        with self._lock:
            if self._open.get(path) is file:
                del self._open[path]
        if not file.has_name:
            self._add(-file.length)

    def _add(self, size_bytes: int) -> None:
        with self._lock:
            self.held_bytes += size_bytes


class _CountedFile:
    """One file that is open for writing. One handle at a time makes a file longer, as the store has it."""

    def __init__(self, files: CountedFiles, path: Path, file: File, length: int) -> None:
        self._files = files
        self._path = path
        self._file = file
        self._is_open = True
        self.length = length
        self.has_name = True

    def pread(self, length: int, offset: int) -> bytes:
        return self._file.pread(length, offset)

    def pwrite(self, data: Bytes, offset: int) -> None:
        self._file.pwrite(data, offset)
        self._reached(offset + len(data), len(data))

    def pwritev(self, parts: Sequence[Bytes], offset: int) -> None:
        self._file.pwritev(parts, offset)
        size_bytes = sum(map(len, parts))
        self._reached(offset + size_bytes, size_bytes)

    def datasync(self) -> None:
        self._file.datasync()

    def truncate(self, length: int) -> None:
        self._file.truncate(length)
        self._files.wrote(length - self.length, 0)
        self.length = length

    def size(self) -> int:
        return self._file.size()

    def close(self) -> None:
        self._file.close()
        if self._is_open:
            self._is_open = False
            self._files.closed(self._path, self)

    def _reached(self, end: int, size_bytes: int) -> None:
        more_bytes = max(end - self.length, 0)
        self.length += more_bytes
        self._files.wrote(more_bytes, size_bytes)
