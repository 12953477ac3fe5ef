"""Frames of the lane (proto/linkd/v1/lane.proto), put together and taken apart. Pure; knows no socket."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator

from linkd.errors import InvalidArgument
from linkd.limits import GRPC_MESSAGE_MAX_BYTES, LANE_READ_BYTES

SOCKET_SUFFIX = ".lane"
"""Behind the path of the home's gRPC socket: that of its lane."""
HEAD = struct.Struct("<IBxxx")
_TAKEN = struct.Struct("<Q")
Content = bytes | memoryview
"""Of a frame."""


class FrameKind(enum.IntEnum):
    CALL = 1
    MESSAGE = 2
    DONE = 3
    STATUS = 4
    TAKEN = 5


_KINDS = {int(kind): kind for kind in FrameKind}


def head(kind: FrameKind, length: int) -> bytes:
    """What goes before content of this length."""
    return HEAD.pack(length, kind)


def frame(kind: FrameKind, content: bytes = b"") -> bytes:
    """A whole frame, for content that is small."""
    return HEAD.pack(len(content), kind) + content


def taken_frame(size_bytes: int) -> bytes:
    """So many bytes more that came by place are with the program."""
    return frame(FrameKind.TAKEN, _TAKEN.pack(size_bytes))


def taken_bytes(content: Content) -> int:
    """What such a frame says. Raises `InvalidArgument`."""
    if len(content) != _TAKEN.size:
        raise InvalidArgument(f"a client said what it has taken in {len(content)} bytes")
    return int(_TAKEN.unpack(content)[0])


class FrameReader:
    """Takes bytes as they come and gives the frames that are whole.

    A socket reads into `room` and says how much by `filled`: so a frame that is larger than what is kept for small ones goes straight into
    memory of its own. Who has bytes already gives them to `feed`.
    """

    def __init__(self) -> None:
        self._kept = memoryview(bytearray(LANE_READ_BYTES))
        self._large: memoryview | None = None
        self._kind = FrameKind.MESSAGE
        self._have_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """Of a frame that is not whole yet."""
        return self._have_bytes + (0 if self._large is None else HEAD.size)

    def room(self) -> memoryview:
        """Where the next bytes go; never empty. Good until `filled`."""
        return (self._kept if self._large is None else self._large)[self._have_bytes :]

    def filled(self, size_bytes: int) -> Iterator[tuple[FrameKind, Content]]:
        """The frames that are whole with so many bytes of `room`; to be read to its end. Raises `InvalidArgument` at one that is none.

        Content that is large is a view, of memory that nothing else refers to.
        """
        self._have_bytes += size_bytes
        if self._large is None:
            yield from self._whole()
        elif self._have_bytes == len(self._large):
            content, self._large, self._have_bytes = self._large, None, 0
            yield self._kind, content

    def feed(self, data: bytes) -> Iterator[tuple[FrameKind, Content]]:
        """As `filled`, with bytes that lie elsewhere."""
        rest = memoryview(data)
        while rest:
            room = self.room()
            part = rest[: len(room)]
            room[: len(part)] = part
            yield from self.filled(len(part))
            rest = rest[len(part) :]

    def _whole(self) -> Iterator[tuple[FrameKind, Content]]:
        """The frames in what is kept. Of the last one, if it is not whole, what there is moves to where the rest of it will come."""
        kept, at, end = self._kept, 0, self._have_bytes
        while end - at >= HEAD.size:
            length, kind = _head_in(kept, at)
            start, stop = at + HEAD.size, at + HEAD.size + length
            if stop > end:
                if HEAD.size + length > len(kept):
                    self._kind, self._large, self._have_bytes = kind, memoryview(bytearray(length)), end - start
                    self._large[: end - start] = kept[start:end]
                    return
                break
            yield kind, bytes(kept[start:stop])
            at = stop
        kept[: end - at] = kept[at:end]
        self._have_bytes = end - at


def _head_in(data: memoryview, at: int) -> tuple[int, FrameKind]:
    length, number = HEAD.unpack_from(data, at)
    kind = _KINDS.get(number)
    if kind is None or any(data[at + 5 : at + HEAD.size]):
        raise InvalidArgument("what came over the lane is no frame of it: both ends must be linkd, of versions that know each other")
    if length > GRPC_MESSAGE_MAX_BYTES:
        raise InvalidArgument(f"a frame of the lane says that it has {length:,} bytes; at most {GRPC_MESSAGE_MAX_BYTES:,} are taken")
    return length, kind
