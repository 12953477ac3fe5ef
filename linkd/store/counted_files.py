"""A file system that counts how many bytes of it are held: `Files` around another one.

Every file below the directory counts with its length, preallocated zeros included; so does one that was deleted and is still open here, by whoever
wrote it or reads it (what is staged has no name). The count is set by one look at the directory (`count`), and follows every change that goes
through here, and no other: who else has a descriptor of a file may stretch it or cut it off.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from linkd.errors import StateDamaged
from linkd.store.files import Bytes, File, Files

_BLOCK_BYTES = 512
"""What `st_blocks` counts (stat(2))."""


@dataclass(slots=True)
class _Node:
    """A file: how many have it open, and how long it was made here."""

    length: int
    handles: int = 0
    has_name: bool = True


class CountedFiles:
    """Usable from several threads, as the file system below is. `written_bytes` only grows: by it one sees that much has happened."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._named: dict[Path, _Node] = {}
        self.held_bytes = 0
        self.written_bytes = 0

    def count(self, directory: Path, but: Collection[str] = ()) -> None:
        """Counts what is there, at any depth, but for what has one of these names. Symbolic links count with what they are, wherever they lead."""
        for name in self._files.list(directory):
            path = directory / name
            if name in but:
                continue
            if path.is_dir() and not path.is_symlink():
                self.count(path)
            else:
                found = path.lstat()
                node = self._named[path] = _Node(
                    min(found.st_size, found.st_blocks * _BLOCK_BYTES)
                )  # of one that was stretched, what it has
                self._add(node.length)

    # -- Files ----------------------------------------------------------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        self._files.make_directory(path)

    def list(self, path: Path) -> list[str]:
        return self._files.list(path)

    def create(self, path: Path) -> File:
        return self._counted(path, self._files.create(path))

    def open(self, path: Path, *, writable: bool = False) -> File:
        return self._counted(path, self._files.open(path, writable=writable))

    def size(self, path: Path) -> int:
        return self._files.size(path)

    def rename(self, source: Path, target: Path) -> None:
        try:
            replaced_bytes = self._files.size(target)
        except StateDamaged:  # nothing has that name
            replaced_bytes = 0
        self._files.rename(source, target)
        with self._lock:
            self._lose_name(target, replaced_bytes)
            moved = self._named.pop(source, None)
            if moved is not None:
                self._named[target] = moved

    def unlink(self, path: Path) -> None:
        size_bytes = self._files.size(path)
        self._files.unlink(path)
        with self._lock:
            self._lose_name(path, size_bytes)

    def sync_directory(self, path: Path) -> None:
        self._files.sync_directory(path)

    # -- for the files --------------------------------------------------------------------------------------------------------------------

    def wrote(self, node: _Node, end: int, size_bytes: int) -> None:
        """So many bytes were written to a file, up to `end`."""
        with self._lock:
            more_bytes = max(end - node.length, 0)
            node.length += more_bytes
            self.held_bytes += more_bytes
            self.written_bytes += size_bytes

    def truncated(self, node: _Node, length: int) -> None:
        with self._lock:
            self.held_bytes += length - node.length
            node.length = length

    def closed(self, node: _Node) -> None:
        """One of those who had it open does not any more."""
        with self._lock:
            node.handles -= 1
            if not node.handles and not node.has_name:
                self.held_bytes -= node.length

    def _counted(self, path: Path, file: File) -> File:
        length = file.size()
        with self._lock:
            node = self._named.setdefault(path, _Node(length))
            node.handles += 1
        return _CountedFile(self, file, node)

    def _lose_name(self, path: Path, size_bytes: int) -> None:
        """A file has no name any more: it is held as long as it is open. Of one that was never counted this is the length."""
        node = self._named.pop(path, None)
        if node is None:
            self.held_bytes -= size_bytes
        elif node.handles:
            node.has_name = False
        else:
            self.held_bytes -= node.length

    def _add(self, size_bytes: int) -> None:
        with self._lock:
            self.held_bytes += size_bytes


class _CountedFile:
    """One file that is open."""

    def __init__(self, files: CountedFiles, file: File, node: _Node) -> None:
        self._files = files
        self._file = file
        self._node = node
        self._is_open = True

    def pread(self, length: int, offset: int) -> bytes:
        return self._file.pread(length, offset)

    def pwrite(self, data: Bytes, offset: int) -> None:
        self._file.pwrite(data, offset)
        self._files.wrote(self._node, offset + len(data), len(data))

    def pwritev(self, parts: Sequence[Bytes], offset: int) -> None:
        self._file.pwritev(parts, offset)
        size_bytes = sum(map(len, parts))
        self._files.wrote(self._node, offset + size_bytes, size_bytes)

    def reserve(self, size_bytes: int) -> None:
        self._file.reserve(size_bytes)
        self._files.wrote(self._node, size_bytes, 0)

    def begin_sync(self, start: int, size_bytes: int) -> None:
        self._file.begin_sync(start, size_bytes)

    def datasync(self) -> None:
        self._file.datasync()

    def truncate(self, length: int) -> None:
        self._file.truncate(length)
        self._files.truncated(self._node, length)

    def size(self) -> int:
        return self._file.size()

    def close(self) -> None:
        self._file.close()
        if self._is_open:
            self._is_open = False
            self._files.closed(self._node)
