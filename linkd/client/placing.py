"""Large payloads that the client writes where they will stay: into files that linkd grants (proto/linkd/v1/links.proto, Reserve and Granted).

Where the values lie, behind the end P of the value before:

    P          prefix and metadata of the value: linkd's, at least `head_bytes` and the metadata's own length
    x          what Arrow's stream writer writes: schema message, prefix, metadata; linkd writes over it
    body       on a multiple of 64 where the length of the metadata is known from an earlier value, else of 8
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from linkd.client.lane_files import LaneFiles, Mapped
from linkd.client.payloads import Payload, Publish
from linkd.errors import ConnectionFailed
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, LAID_AFTER_BYTES, PLACED_AT_ONCE_BYTES
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2 as value_pb

_PREFIX_BYTES = 8
_EOS_BYTES = 8
_ALIGNMENT_BYTES = 64
_IOV_MAX = 1024
"""Buffers of one pwritev, as Linux and macOS have it."""


@dataclass(slots=True)
class _Room:
    """What was granted for one link: free from `next` up to `end`. `schema` is what it was granted for."""

    schema: bytes
    mapped: Mapped
    next: int
    end: int
    head_bytes: int
    metadata_bytes: int = 0

    @property
    def is_half_full(self) -> bool:
        return 2 * self.next > self.end


class Placer:
    """For one publish stream: `ask` sends a request on it, and `granted` is called with the answers, which come in the order of the requests."""

    def __init__(self, files: LaneFiles, ask: Callable[[Any], Awaitable[None]]) -> None:
        self._files = files
        self._ask = ask
        self._rooms: dict[str, _Room] = {}
        self._next: dict[str, tuple[bytes, asyncio.Future[Any]]] = {}
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._sent_bytes: dict[str, int] = {}

    def granted(self, said: Any) -> None:
        """An answer came."""
        if self._asked:
            asked = self._asked.popleft()
            if not asked.done():
                asked.set_result(said)

    async def place(self, publish: Publish, payload: Payload) -> value_pb.Placed | None:
        """Writes the payload where linkd has room for it; None if it is to be sent as bytes. Raises what ends the stream."""
        if payload.batch is None or not self._is_worth_it(publish.link, payload.size_bytes):
            return None
        room = self._rooms.get(publish.link)
        if room is None or room.schema != payload.schema or not _fits(room, payload):
            room = await self._reserved(publish, payload)
        if room is None or not _fits(room, payload):
            return None
        placed = _write(room, payload)
        if room.is_half_full and publish.link not in self._next:  # the next file is made while this one is filled
            self._next[publish.link] = payload.schema, await self._reserve(publish, payload)
        return placed

    def _is_worth_it(self, link: str, size_bytes: int) -> bool:
        """Whether it is large, or one of many: a file of its own takes room for more than a few values of ordinary size."""
        if size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
            return False
        self._sent_bytes[link] = self._sent_bytes.get(link, 0) + size_bytes
        return size_bytes >= PLACED_AT_ONCE_BYTES or self._sent_bytes[link] > LAID_AFTER_BYTES

    async def _reserved(self, publish: Publish, payload: Payload) -> _Room | None:
        """Another room, for values like this one: the one that was asked for ahead, if it is for such."""
        self._rooms.pop(publish.link, None)
        schema, asked = self._next.pop(publish.link, (b"", None))
        if asked is None or schema != payload.schema:
            asked = await self._reserve(publish, payload)
        said = await asked
        if not said.file:
            return None
        mapped = await self._files.mapped(said.file)
        room = _Room(payload.schema, mapped, said.start, said.end, said.head_bytes)
        self._rooms[publish.link] = room
        return room

    async def _reserve(self, publish: Publish, payload: Payload) -> asyncio.Future[Any]:
        """Asks for a room; the future is that of the answer (a `Granted`)."""
        stage = pb.Stage(snapshot_id=publish.snapshot_id, token=publish.token) if publish.snapshot_id else None
        wanted = payload.size_bytes + len(payload.schema) + _SPARE_BYTES
        asked = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        await self._ask(pb.PublishRequest(reserve=pb.Reserve(link=publish.link, schema=payload.schema, size_bytes=wanted, stage=stage)))
        return asked


_SPARE_BYTES = 64 * 1024
"""More than head room and metadata take, in what is asked for: the answer is a whole file anyhow."""


def _begin(room: _Room, payload: Payload) -> int:
    """Where the stream writer begins."""
    schema_bytes, metadata_bytes = len(payload.schema), room.metadata_bytes
    head_bytes = max(room.head_bytes, schema_bytes + _PREFIX_BYTES)
    body = room.next + _PREFIX_BYTES + head_bytes + metadata_bytes
    before = schema_bytes + _PREFIX_BYTES + metadata_bytes
    if metadata_bytes:
        body += -body % _ALIGNMENT_BYTES
        return body - before
    return body - before + -(body - before) % 8


def _fits(room: _Room, payload: Payload) -> bool:
    # Of the first value the metadata's length is not known, but it is part of the payload's, which is counted beside it.
    return _begin(room, payload) + len(payload.schema) + payload.size_bytes + _EOS_BYTES <= room.end


def _write(room: _Room, payload: Payload) -> value_pb.Placed:
    """Writes a stream with the batch, without an end mark.

    By `pwritev`: a first store into each page of a mapping is a fault, which costs more than to copy the page. What was written is hashed, not what
    it was made of, which the program may have changed in between.
    """
    from linkd.core.payload import stream_parts

    out = room.mapped.out
    if out is None or out.closed:
        raise ConnectionFailed("the connection to linkd is closed: connect again")
    begin, schema_bytes = _begin(room, payload), len(payload.schema)
    parts = stream_parts(payload.batch)
    front = _front(parts, schema_bytes)
    metadata = front[schema_bytes + _PREFIX_BYTES :]
    body, end = begin + len(front), _write_through(out.fileno(), begin, parts)
    room.metadata_bytes, room.next = len(metadata), end
    xxh3 = _xxh3(memoryview(room.mapped.mapping)[begin + schema_bytes : end])
    return value_pb.Placed(file=room.mapped.file, offset=body, body_bytes=end - body, metadata=metadata, xxh3=xxh3)


def _front(parts: Sequence[memoryview], schema_bytes: int) -> bytes:
    """The beginning of a stream up to the body: the schema message, prefix and metadata of the batch."""
    prefix = _first(parts, schema_bytes + _PREFIX_BYTES)
    return _first(parts, len(prefix) + int.from_bytes(prefix[schema_bytes + 4 :], "little"))


def _first(parts: Sequence[memoryview], size_bytes: int) -> bytes:
    taken = b""
    for part in parts:
        if len(taken) == size_bytes:
            break
        taken += part[: size_bytes - len(taken)]
    return taken


def _write_through(descriptor: int, begin: int, parts: list[memoryview]) -> int:
    """Writes all of it; the offset behind it. Raises ConnectionFailed: what was granted may be gone with the linkd that granted it."""
    end = begin
    try:
        while parts:
            end, parts = _pwritev(descriptor, parts, end)
    except OSError as error:
        raise ConnectionFailed(f"the file that linkd gave this client cannot be written to ({error.strerror or error})") from None
    return end


def _pwritev(descriptor: int, parts: list[memoryview], offset: int) -> tuple[int, list[memoryview]]:
    """One call: the offset behind what was written, and what is left."""
    written = os.pwritev(descriptor, parts[:_IOV_MAX], offset)
    offset += written
    while parts and written >= len(parts[0]):
        written -= len(parts[0])
        parts = parts[1:]
    return offset, [parts[0][written:], *parts[1:]] if parts else []


def _xxh3(message: memoryview) -> int | None:
    """The hash of the message, where there is a library for it: it comes with pyarrow (`linkd[arrow]`), or linkd reads it all again."""
    try:
        import xxhash
    except ImportError:
        return None
    return int(xxhash.xxh3_64_intdigest(message))
