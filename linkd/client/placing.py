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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linkd.client.lane_files import LaneFiles, Mapped
from linkd.client.payloads import Payload, Publish
from linkd.errors import ConnectionFailed
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, LAID_AFTER_BYTES, PLACED_AT_ONCE_BYTES
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2 as value_pb

if TYPE_CHECKING:
    import pyarrow as pa

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
    is_fresh: bool
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
        room = _Room(payload.schema, mapped, said.fresh, said.start, said.end, said.head_bytes)
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
    begin, schema_bytes = _begin(room, payload), len(payload.schema)
    mapping, out = room.mapped.writable, room.mapped.out
    if mapping is None or out is None or out.closed:
        raise ConnectionFailed("the connection to linkd is closed: connect again")
    target = memoryview(mapping)[begin : begin + schema_bytes + payload.size_bytes]
    written = _write_through(out.fileno(), begin, payload.batch) if room.is_fresh else _store(target, payload.batch)
    room.metadata_bytes = int.from_bytes(target[schema_bytes + 4 : schema_bytes + _PREFIX_BYTES], "little")
    body = schema_bytes + _PREFIX_BYTES + room.metadata_bytes
    room.next = begin + written
    metadata = bytes(target[schema_bytes + _PREFIX_BYTES : body])
    xxh3 = _xxh3(target[schema_bytes:written])
    return value_pb.Placed(file=room.mapped.file, offset=begin + body, body_bytes=written - body, metadata=metadata, xxh3=xxh3)


def _store(target: memoryview, batch: pa.RecordBatch) -> int:
    """Writes a stream with the batch through the mapping, without an end mark; how many bytes it takes."""
    import pyarrow as pa

    with pa.FixedSizeBufferWriter(pa.py_buffer(target)) as sink:
        writer = pa.ipc.new_stream(sink, batch.schema)
        writer.write_batch(batch)
        return int(sink.tell())


def _write_through(descriptor: int, begin: int, batch: pa.RecordBatch) -> int:
    """The same by one write of all its buffers: pages that are not there yet come with their content, which is twice as fast as zeros first."""
    from linkd.core.payload import stream_parts

    end, rest = begin, stream_parts(batch)
    while rest:
        end, rest = _pwritev(descriptor, rest, end)
    return end - begin


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
