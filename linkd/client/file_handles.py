"""Files that links are read from and written to as bytes: made before they are read, and published when they are closed."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class MadeFile(io.RawIOBase):
    """A file to read, by a descriptor that it owns. Unlike a file of Python's own it does not mind being forgotten: many libraries do that."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: os.fstat(self._descriptor).st_size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = os.pread(self._descriptor, len(view), self._place)
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)


class ByteCount(io.RawIOBase):
    """Where bytes go that only have to be counted."""

    def __init__(self) -> None:
        super().__init__()
        self.size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        size_bytes = memoryview(data).nbytes
        self.size_bytes += size_bytes
        return size_bytes

    def tell(self) -> int:
        return self.size_bytes


class WrittenFile(io.RawIOBase):
    """A file whose bytes become values when it is closed: all of them, or none. It has a private directory as long as it is open."""

    def __init__(self, shown: str, publish: Callable[[Path], None], *, autocommit: bool) -> None:
        super().__init__()
        self._publish = publish
        self._autocommit = autocommit
        self._within = sys.exc_info()[1]
        self._directory = tempfile.TemporaryDirectory(prefix="linkd-fsspec-")
        self._path = Path(self._directory.name, shown.rpartition("/")[2])
        self._file = self._path.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """Publishes, unless an exception is on its way out that was not there when the file was opened."""
        if self.closed:
            return
        super().close()
        self._file.close()
        is_failing = sys.exc_info()[1] is not self._within
        if is_failing:
            self.discard()
        elif self._autocommit:
            self.commit()

    def commit(self) -> None:
        """Of a transaction of fsspec: publishes what was written to a file that is closed."""
        try:
            self._publish(self._path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Forgets what was written."""
        self._file.close()
        self._directory.cleanup()

    def __del__(self) -> None:
        if not self.closed:
            super().close()
            self.discard()
