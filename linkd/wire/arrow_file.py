"""The messages of an Arrow IPC file or stream as somebody wrote it, dictionaries and compression included: what each would take in memory.

A stream is as `arrow_ipc` describes it. A file is `ARROW1 00 00`, a stream, and a footer (flatbuffer, int32 length, `ARROW1`), which only
repeats where the messages lie. In a compressed record batch each buffer that is not empty begins with the int64 length of what it holds,
-1 if it is not compressed after all (Message.fbs, BodyCompression); so a bomb tells of itself before it goes off.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen
from linkd.wire.arrow_ipc import PREFIX_BYTES, message_view, metadata_length

FILE_MAGIC = b"ARROW1"
STREAM_AT = 8
"""Where the stream begins in a file."""

_SCHEMA, _DICTIONARY_BATCH, _RECORD_BATCH = 1, 2, 3
_TRAILER_BYTES = 10

ReadAt = Callable[[int, int], bytes]
"""The bytes from an offset on, so many, fewer only at the end."""


@frozen()
class StoredMessage:
    """A message: rows of a record batch (0 for the others), and bytes of its body once unpacked."""

    rows: int
    unpacked_bytes: int


def stream_extent(read_at: ReadAt, size_bytes: int) -> tuple[int, int]:
    """From where to where the stream goes in a file or stream of this size. Raises `InvalidArgument` for a file that is cut short."""
    if read_at(0, len(FILE_MAGIC)) != FILE_MAGIC:
        return 0, size_bytes
    trailer = read_at(max(0, size_bytes - _TRAILER_BYTES), _TRAILER_BYTES)
    footer_bytes = int.from_bytes(trailer[:4], "little", signed=True)
    end = size_bytes - _TRAILER_BYTES - footer_bytes
    if trailer[4:] != FILE_MAGIC or footer_bytes <= 0 or end < STREAM_AT:
        raise InvalidArgument("the file has no end: it is cut short, or still being written")
    return STREAM_AT, end


def stored_messages(read_at: ReadAt, start: int, end: int) -> Iterator[StoredMessage]:
    """The messages in [start, end) behind the schema, up to the end mark if there is one. Raises `InvalidArgument`."""
    at = start
    while at < end:
        length = metadata_length(read_at(at, PREFIX_BYTES))
        if length == 0:
            return
        body_at = at + PREFIX_BYTES + length
        view = message_view(read_at(at + PREFIX_BYTES, length))
        behind = body_at + view.body_bytes
        if behind > end:
            raise InvalidArgument(f"the last message lacks {behind - end:,} bytes: it is cut short, or still being written")
        if (view.header_type == _SCHEMA) is not (at == start):
            raise InvalidArgument("an Arrow stream has one schema, at its start")
        if view.header_type in (_DICTIONARY_BATCH, _RECORD_BATCH):
            batch = view.header if view.header_type == _RECORD_BATCH else view.header.table(1)
            if batch is None:
                raise InvalidArgument("a dictionary batch has no values")
            is_compressed = batch.table(3) is not None
            unpacked = _unpacked_bytes(read_at, body_at, view.body_bytes, batch.structs(2, 16)) if is_compressed else view.body_bytes
            yield StoredMessage(batch.int64(0, 0) if view.header_type == _RECORD_BATCH else 0, unpacked)
        at = behind


def _unpacked_bytes(read_at: ReadAt, body_at: int, body_bytes: int, buffers: memoryview) -> int:
    total = 0
    for offset, length in struct.iter_unpack("<qq", buffers):
        if offset < 0 or length < 0 or offset + length > body_bytes:
            raise InvalidArgument(f"a buffer [{offset}, +{length}) is outside its body of {body_bytes} bytes")
        if length:
            unpacked = int.from_bytes(read_at(body_at + offset, 8), "little", signed=True)
            if unpacked < -1 or length < 8:
                raise InvalidArgument("a compressed buffer has no length")
            total += length - 8 if unpacked == -1 else unpacked
    return total
