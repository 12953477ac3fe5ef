"""Large payloads that the client writes where they will stay: into files that linkd grants (proto/linkd/v1/links.proto, Reserve and Granted).

Where the values lie, behind the end P of the value before:

    P          prefix and metadata of the value: linkd's, at least `head_bytes` and the metadata's own length
    x          what Arrow's stream writer writes: schema message, prefix, metadata; linkd writes over it
    body       on a multiple of 64 where the length of the metadata is known from an earlier value, else of 8
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linkd.client.lane_files import LaneFiles
from linkd.client.payloads import Payload, Publish
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2 as value_pb

if TYPE_CHECKING:
    import pyarrow as pa

_PREFIX_BYTES = 8
_EOS_BYTES = 8
_ALIGNMENT_BYTES = 64


@dataclass(slots=True)
class _Room:
    """What was granted for one link: free from `next` up to `end`. `schema` is what it was granted for."""

    schema: bytes
    writable: Any
    file: int
    next: int
    end: int
    head_bytes: int
    metadata_bytes: int = 0


class Placer:
    """For one publish stream: `ask` sends a request on it, and `granted` is called with the answers, which come in the order of the requests."""

    def __init__(self, files: LaneFiles, ask: Callable[[Any], Awaitable[None]]) -> None:
        self._files = files
        self._ask = ask
        self._rooms: dict[str, _Room] = {}
        self._without: dict[str, bytes] = {}
        self._waiting: asyncio.Future[Any] | None = None

    def granted(self, said: Any) -> None:
        """An answer came."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(said)

    async def place(self, publish: Publish, payload: Payload) -> value_pb.Placed | None:
        """Writes the payload where linkd has room for it; None if it is to be sent as bytes. Raises what ends the stream."""
        if payload.batch is None or payload.size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
            return None
        room = self._rooms.get(publish.link)
        if room is None or room.schema != payload.schema or not _fits(room, payload):
            room = await self._reserved(publish, payload)
        return _write(room, payload) if room is not None and _fits(room, payload) else None

    async def _reserved(self, publish: Publish, payload: Payload) -> _Room | None:
        self._rooms.pop(publish.link, None)
        stage = pb.Stage(snapshot_id=publish.snapshot_id, token=publish.token) if publish.snapshot_id else None
        wanted = payload.size_bytes + len(payload.schema) + _SPARE_BYTES
        self._waiting = asyncio.get_running_loop().create_future()
        await self._ask(pb.PublishRequest(reserve=pb.Reserve(link=publish.link, schema=payload.schema, size_bytes=wanted, stage=stage)))
        said = await self._waiting
        if not said.file:
            return None
        mapped = await self._files.mapped(said.file)
        room = _Room(payload.schema, mapped.writable, said.file, said.start, said.end, said.head_bytes)
        self._rooms[publish.link] = room
        return room


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
    import pyarrow as pa

    begin = _begin(room, payload)
    target = memoryview(room.writable)[begin : begin + len(payload.schema) + payload.size_bytes]
    batch: pa.RecordBatch = payload.batch
    with pa.FixedSizeBufferWriter(pa.py_buffer(target)) as sink:
        writer = pa.ipc.new_stream(sink, batch.schema)
        writer.write_batch(batch)
        written = sink.tell()
    at = len(payload.schema)
    room.metadata_bytes = int.from_bytes(target[at + 4 : at + _PREFIX_BYTES], "little")
    body = at + _PREFIX_BYTES + room.metadata_bytes
    room.next = begin + written
    metadata = bytes(target[at + _PREFIX_BYTES : body])
    return value_pb.Placed(file=room.file, offset=begin + body, body_bytes=written - body, metadata=metadata)
