"""Frames of the lane (proto/linkd/v1/lane.proto), put together and taken apart. Pure; knows no socket."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from linkd.errors import InvalidArgument
from linkd.limits import GRPC_MESSAGE_MAX_BYTES

SOCKET_SUFFIX = ".lane"
"""Behind the path of the home's gRPC socket: that of its lane."""
HEAD = struct.Struct("<IBxxx")


class FrameKind(enum.IntEnum):
    CALL = 1
    MESSAGE = 2
    DONE = 3
    STATUS = 4


_KINDS = {int(kind): kind for kind in FrameKind}


def head(kind: FrameKind, length: int) -> bytes:
    """What goes before content of this length."""
    return HEAD.pack(length, kind)


def frame(kind: FrameKind, content: bytes = b"") -> bytes:
    """A whole frame, for content that is small."""
    return HEAD.pack(len(content), kind) + content


@dataclass(slots=True)
class FrameReader:
    """Takes bytes as they come (`feed`) and gives the frames that are whole.

    Content is a piece of one `bytes` object where it came in one piece, so that whoever wants it whole need not copy it.
    """

    _waiting: bytearray

    def __init__(self) -> None:
        self._waiting = bytearray()

    @property
    def waiting_bytes(self) -> int:
        """Of a frame that is not whole yet."""
        return len(self._waiting)

    def feed(self, data: bytes) -> Iterator[tuple[FrameKind, bytes]]:
        """The frames that are whole with `data`. To be read to its end. Raises `InvalidArgument` at the first that is none."""
        if self._waiting:
            self._waiting += data
            if len(self._waiting) < HEAD.size:
                return
            length, _ = _head_in(self._waiting, 0)
            if len(self._waiting) < HEAD.size + length:
                return
            data = bytes(self._waiting)
            self._waiting.clear()
        at, end = 0, len(data)
        while end - at >= HEAD.size:
            length, kind = _head_in(data, at)
            stop = at + HEAD.size + length
            if stop > end:
                break
            yield kind, data[at + HEAD.size : stop]
            at = stop
        self._waiting += memoryview(data)[at:]


def _head_in(data: bytes | bytearray, at: int) -> tuple[int, FrameKind]:
    length, number = HEAD.unpack_from(data, at)
    kind = _KINDS.get(number)
    if kind is None or any(data[at + 5 : at + HEAD.size]):
        raise InvalidArgument("what came over the lane is no frame of it: both ends must be linkd, of versions that know each other")
    if length > GRPC_MESSAGE_MAX_BYTES:
        raise InvalidArgument(f"a frame of the lane says that it has {length:,} bytes; at most {GRPC_MESSAGE_MAX_BYTES:,} are taken")
    return length, kind
