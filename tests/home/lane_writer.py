"""A publisher over the lane that does by hand what a client's placer does, or what none would: every request and every byte is the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raw_client import arrow_message

from linkd.client.lane import LaneChannel, LaneStream
from linkd.client.lane_files import LaneFiles, Mapped
from linkd.core.layout import OPEN
from linkd.limits import MIB
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import arrow_ipc
from linkd.wire.lane import SOCKET_SUFFIX, FrameKind, frame
from linkd.wire.methods import PUBLISH
from linkd.wire.v1 import lane_pb2, value_pb2
from linkd.wire.v1 import links_pb2 as pb

DEADLINE_S = 10.0
ROWS = 20_000
"""Of one int64 column: 160 KB, far more than what goes into the journal."""


DISK_BYTES = 64 * MIB
"""Files of 2 MiB."""


def numbers(first: int, rows: int = ROWS) -> dict[str, Any]:
    return {"n": list(range(first, first + rows))}


@asynccontextmanager
async def small_home(directory: Path, **arguments: Any) -> AsyncIterator[InProcessHome]:
    """A home under `--open` with so little disk that the files it grants are small."""
    told = {"layout": OPEN, "supervised": False, "disk_budget_bytes": DISK_BYTES, **arguments}
    async with running_home(directory, **told) as home:
        yield home


@asynccontextmanager
async def lane_of(home: InProcessHome, token: str = "") -> AsyncIterator[LaneChannel]:
    """A channel of the lane, with a session of its own."""
    channel = LaneChannel(f"{home.socket}{SOCKET_SUFFIX}", token)
    try:
        await channel.reach(DEADLINE_S)
        yield channel
    finally:
        await channel.close()


def files_of(channel: LaneChannel) -> LaneFiles:
    assert channel.files is not None
    return channel.files


def say_released(channel: LaneChannel, file: int, count: int) -> None:
    """Tells linkd so, whatever is true."""
    own = files_of(channel)._socket
    assert own is not None
    own.send(frame(FrameKind.MESSAGE, lane_pb2.FilesRequest(file=file, released=count).SerializeToString()))


@dataclass(slots=True)
class LaneWriter:
    """One publish stream of one link. `end` is behind what was laid last."""

    channel: LaneChannel
    link: str
    token: str = ""
    schema: bytes = b""
    granted: Any = None
    mapped: Mapped | None = None
    end: int = 0
    _stream: LaneStream = field(init=False)

    def __post_init__(self) -> None:
        self._stream = self.channel.open(PUBLISH, token=self.token, traceparent="")

    @property
    def file(self) -> Any:
        """The file, as its writer has it mapped."""
        assert self.mapped is not None
        return self.mapped.mapping

    async def reserve(self, columns: dict[str, Any], *, size_bytes: int = 500_000) -> Any:
        """Asks for room for values like this one."""
        self.schema, _ = arrow_message(columns)
        await self.write(pb.PublishRequest(reserve=pb.Reserve(link=self.link, schema=self.schema, size_bytes=size_bytes)))
        self.granted = (await self._stream.read()).granted
        if self.granted.file:
            self.mapped = await files_of(self.channel).mapped(self.granted.file)
            self.end = self.granted.start
        return self.granted

    def lay(self, columns: dict[str, Any], at: int = 0) -> value_pb2.Placed:
        """Writes the body of a value behind the one before it, or somewhere else, and tells where."""
        _, message = arrow_message(columns)
        batch = arrow_ipc.read_message(message)
        offset = at or -(-(self.end + 8 + self.granted.head_bytes + len(batch.metadata)) // 64) * 64
        self.file[offset : offset + len(batch.body)] = bytes(batch.body)
        self.end = offset + len(batch.body)
        return value_pb2.Placed(file=self.granted.file, offset=offset, body_bytes=len(batch.body), metadata=batch.metadata)

    async def publish(self, placed: value_pb2.Placed, **arguments: Any) -> Any:
        """Says that a value lies there; its ack. Raises what linkd refuses it with."""
        told = {"link": self.link, "format": value_pb2.ARROW, "schema": self.schema, "placed": placed, **arguments}
        await self.write(pb.PublishRequest(value=pb.PublishValue(**told)))
        return await self._stream.read()

    async def put(self, columns: dict[str, Any]) -> Any:
        """One value, as it should be."""
        return await self.publish(self.lay(columns))

    async def write(self, request: pb.PublishRequest) -> None:
        await self._stream.write(request)

    async def finish(self) -> None:
        """Says that nothing follows, and reads to the end. Raises what linkd refused it with."""
        await self._stream.done_writing()
        while await self._stream.read() is not None:
            pass

    async def again(self, columns: dict[str, Any]) -> None:
        """Another stream, for what comes behind a refusal, with room of its own."""
        self._stream = self.channel.open(PUBLISH, token=self.token, traceparent="")
        await self.reserve(columns)
