"""Memory that a pipe is read into, used again when nothing refers any more to what was made of it.

The system clears each page that it gives to a process, and where that is a guest it may have to ask its host for it: that takes longer than to
read into the page. So there is never more of it than was in use at one time.
"""

from __future__ import annotations

from collections import deque

import pyarrow as pa


class Rooms:
    """Rooms of one size. Their memory goes with the last of them."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._free: deque[bytearray] = deque()

    def take(self) -> Room:
        """A room with anything in it."""
        try:
            return Room(self._free, self._free.pop())
        except IndexError:
            return Room(self._free, bytearray(self._size_bytes))


class Room:
    """Some memory, and whoever refers to a `buffer` of it. It is free when it is gone, in whatever thread that is."""

    __slots__ = ("_content", "_free")

    def __init__(self, free: deque[bytearray], content: bytearray) -> None:
        self._free = free
        self._content = content

    @property
    def memory(self) -> memoryview:
        """All of it, to be written."""
        return memoryview(self._content)

    def buffer(self, size_bytes: int) -> pa.Buffer:
        """The beginning of it, which keeps the room."""
        return pa.foreign_buffer(pa.py_buffer(self._content).address, size_bytes, base=self)

    def __del__(self) -> None:
        self._free.append(self._content)
