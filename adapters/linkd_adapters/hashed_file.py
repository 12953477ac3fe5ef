"""What files of both kinds have in common that rows are written to: their size and digest are known when they are complete."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class HashedFile(io.RawIOBase):
    """A writable file in front of `put`, which takes all that it is given. What is written once `end` was called goes nowhere."""

    def __init__(self, put: Callable[[memoryview], object]) -> None:
        super().__init__()
        self._put = put
        self._hash = blake3()
        self._is_ended = False
        self.size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        view = memoryview(data).cast("B")
        if self._is_ended:
            return len(view)  # writers of packed formats write their end when they are collected
        self._put(view)
        self._hash.update(view)
        self.size_bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size_bytes

    @property
    def digest(self) -> str:
        """BLAKE3 of what was written, in hexadecimal."""
        return str(self._hash.hexdigest())

    def end(self) -> None:
        """Take no more."""
        self._is_ended = True
