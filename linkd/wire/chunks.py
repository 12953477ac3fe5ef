"""Chunk messages without protobuf: payload bytes are copied once on the way out, and not at all on the way in.

A message of a stream whose only field is `bytes chunk` (proto/linkd/v1/links.proto) is, in protobuf's encoding,

    varint   number of the field, shifted left by 3, with 2 in the low bits: length-delimited
    varint   length
    bytes    the chunk

which is all there is to it; whatever else comes is protobuf's. The generated classes would copy every byte of bulk twice in each direction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from linkd.limits import HEADER_PAYLOAD_MAX_BYTES, INLINE_PAYLOAD_MAX_BYTES, STREAM_FRAME_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.wire.varints import field_tag, varint

Bytes = bytes | memoryview

_FIELD = "chunk"
_LENGTH_MAX_BYTES = 5
"""Of the varint of a length below 4 GiB; a gRPC message is smaller by far."""


@frozen()
class ChunkMessage:
    """A message of the class `kind` that holds a chunk, in parts that lie wherever they are: of one that goes it is made when it is sent."""

    kind: Any
    parts: tuple[Bytes, ...]

    @property
    def chunk(self) -> Bytes:
        """All of it: of one that came, where it came."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def WhichOneof(self, group: str) -> str:  # noqa: N802 - protobuf's name
        return _FIELD

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        return b"".join((_tag(self.kind), varint(sum(map(len, self.parts))), *self.parts))


def cut(parts: Sequence[Bytes]) -> Iterator[tuple[Bytes, ...]]:
    """What goes into the header message of a payload, and then its chunks, each in parts of these parts: nothing is copied.

    A small payload goes into the header. Of another one what full chunks leave over does, if that is little: it takes no message then.
    """
    size_bytes = sum(map(len, parts))
    if size_bytes <= HEADER_PAYLOAD_MAX_BYTES:
        yield tuple(parts)
        return
    left_bytes = size_bytes % STREAM_FRAME_MAX_BYTES
    room = left_bytes if left_bytes <= INLINE_PAYLOAD_MAX_BYTES else 0
    piece: list[Bytes] = []
    for part in parts:
        rest = memoryview(part)
        while len(rest) > room:
            yield (*piece, rest[:room])
            rest, room = rest[room:], STREAM_FRAME_MAX_BYTES
            piece = []
        piece.append(rest)
        room -= len(rest)
    yield tuple(piece)


def chunk_in(kind: Any, data: Bytes) -> ChunkMessage | None:
    """The chunk that `data`, a message of the class `kind`, consists of; None if it is another message, or not only a chunk."""
    begins = _tag(kind)
    if not begins or data[: len(begins)] != begins:
        return None
    length, at = 0, len(begins)
    for number, byte in enumerate(data[at : at + _LENGTH_MAX_BYTES]):
        length |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            start = at + number + 1
            return ChunkMessage(kind, (memoryview(data)[start:],)) if len(data) - start == length else None
    return None


@cache
def _tag(kind: Any) -> bytes:
    """How a chunk of this class begins; empty for a class without chunks."""
    field = kind.DESCRIPTOR.fields_by_name.get(_FIELD)
    return b"" if field is None else field_tag(field.number)
