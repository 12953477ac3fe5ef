"""Where the content of an artifact comes from: bytes, a file that is named, or whatever can be read."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar, cast

from linkd.errors import ConnectionFailed, InvalidArgument, SourceChanged

T = TypeVar("T")
Content = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO


class Source(Protocol):
    """Content, read in order. `size_bytes` is None where only its end will tell."""

    @property
    def size_bytes(self) -> int | None: ...

    @property
    def position(self) -> int:
        """So much was read."""
        ...

    @property
    def can_go_back(self) -> bool: ...

    async def read(self, size_bytes: int) -> bytes | memoryview:
        """The next bytes; none at the end."""
        ...

    async def go_to(self, position: int) -> None:
        """Reads on from here. Raises ConnectionFailed where it cannot go back."""
        ...

    def check_complete(self) -> None:
        """Raises SourceChanged if it has less than it had at first."""
        ...


class BytesSource:
    """What is in memory."""

    can_go_back = True

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        self._content = memoryview(content).cast("B")
        self.size_bytes = len(self._content)
        self.position = 0

    async def read(self, size_bytes: int) -> memoryview:
        piece = self._content[self.position : self.position + size_bytes]
        self.position += len(piece)
        return piece

    async def go_to(self, position: int) -> None:
        self.position = position

    def check_complete(self) -> None:
        """What is in memory stays."""


class FileSource:
    """An open file: of one with a size that can be sought all behind where it stands, of another (a pipe) what comes until it ends."""

    def __init__(self, file: BinaryIO, name: str = "") -> None:
        self._file = file
        self._name = name or str(getattr(file, "name", "the file"))
        self.can_go_back = file.seekable()
        self._start = file.tell() if self.can_go_back else 0
        end = file.seek(0, io.SEEK_END) if self.can_go_back else None
        if end is not None:
            file.seek(self._start)
        self.size_bytes = max(end - self._start, 0) if end is not None else None
        self.position = 0

    async def read(self, size_bytes: int) -> bytes:
        wanted = size_bytes if self.size_bytes is None else min(size_bytes, self.size_bytes - self.position)
        data = await in_thread(partial(self._file.read, wanted)) if wanted else b""
        if not isinstance(data, bytes):
            raise InvalidArgument(f"{self._name} gives {type(data).__name__}, not bytes: open it in binary mode")
        self.position += len(data)
        return data

    async def go_to(self, position: int) -> None:
        if self.can_go_back:
            await in_thread(partial(self._file.seek, self._start + position))
        elif position != self.position:
            raise ConnectionFailed(f"linkd went away while {self._name} was put, which cannot be read again: put it again")
        self.position = position

    def check_complete(self) -> None:
        if self.size_bytes is not None and self.position < self.size_bytes:
            raise SourceChanged(
                f"{self._name} had {self.size_bytes:,} bytes, and {self.position:,} when it was read: somebody has written to it meanwhile. "
                "Put it when it is complete"
            )


async def in_thread(work: Callable[[], T], abort: Callable[[], None] | None = None) -> T:
    """Runs it in a thread. When it is cancelled that is told (`abort`), and waited for: it uses a file of ours."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if abort is not None:
            abort()
        await asyncio.wait([running])
        raise


def first_error(group: ExceptionGroup[Exception]) -> Exception:
    """What went wrong first of what was done at once."""
    error = group.exceptions[0]
    return first_error(error) if isinstance(error, ExceptionGroup) else error


def source_of(content: Content) -> Source:
    """Raises InvalidArgument for what has no bytes. A file that is named is opened by whoever calls."""
    if isinstance(content, bytes | bytearray | memoryview):
        return BytesSource(content)
    if hasattr(content, "read"):
        return FileSource(cast(BinaryIO, content))
    raise InvalidArgument(f"an artifact is made of bytes, a path or a binary file, not of {type(content).__name__}")


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, for reading. Raises InvalidArgument saying what is wrong with it."""
    try:
        return Path(path).open("rb")
    except OSError as problem:
        raise InvalidArgument(f"{os.fspath(path)} cannot be read: {problem.strerror or problem}") from None
