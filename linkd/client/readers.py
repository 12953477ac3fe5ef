"""Rows as they come, for the synchronous face: `pyarrow.RecordBatchReader`s that wait for each piece in the thread that reads."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

from linkd.client.extras import need
from linkd.client.loop_thread import LOOP_THREAD

if TYPE_CHECKING:
    import pyarrow as pa

    from linkd.client.reading import Reading, Result
    from linkd.client.row_stream import RowStream


def reader_of_link(reading: Reading) -> pa.RecordBatchReader:
    """The rows of a link as they come. Raises as `RowStream.open` does."""
    arrow = need("pyarrow", ".to_reader()")
    stream = LOOP_THREAD.run(reading.to_reader)
    return arrow.RecordBatchReader.from_batches(stream.schema, _batches(stream))


def reader_of_query(result: Result) -> pa.RecordBatchReader:
    """The rows of a query as they come. Raises QueryInvalid, NotAllowed."""
    arrow = need("pyarrow", ".to_reader() of a query")
    return arrow.ipc.open_stream(io.BufferedReader(_Pieces(result.pieces())))


def _batches(stream: RowStream) -> Iterator[pa.RecordBatch]:
    try:
        while True:
            try:
                yield LOOP_THREAD.run(stream.__anext__)
            except StopAsyncIteration:
                return
    finally:
        if LOOP_THREAD.can_wait:  # else the interpreter is ending, and the call has ended with its client
            LOOP_THREAD.run(stream.aclose)


END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
"""The last bytes of an Arrow IPC stream: who reads one stops here, and asks for nothing more."""


class _Pieces(io.RawIOBase):
    """An Arrow IPC stream in pieces of bytes, as a file to read. Closing it ends the call, politely if all of it was read."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._tail = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # the buffers that BufferedReader gives
        if not self._rest:
            piece = LOOP_THREAD.run(_next_piece, self._pieces)
            self._rest, self._tail = memoryview(piece), (self._tail + piece[-len(END_OF_STREAM) :])[-len(END_OF_STREAM) :]
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed and LOOP_THREAD.can_wait:
            if self._tail == END_OF_STREAM:
                LOOP_THREAD.run(_next_piece, self._pieces)  # the call's own end: a cancelled one would look like a reader that left early
            LOOP_THREAD.run(self._pieces.aclose)
        super().close()


async def _next_piece(pieces: AsyncGenerator[bytes, None]) -> bytes:
    """The next one that is not empty; empty at the end."""
    async for piece in pieces:
        if piece:
            return piece
    return b""
