"""Putting artifacts over a stream: many small ones on one, without waiting for each; a large one on its own, which goes on where it stood when the
connection breaks. To put content again is harmless, so whatever had no answer is put again.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from linkd.client.artifact_sources import Source, first_error
from linkd.client.background import Background
from linkd.client.calls import NO_ROOM, Connection, Patience, Stream
from linkd.errors import ConnectionFailed, ConnectionFault, Draining, Error
from linkd.limits import ARTIFACT_PUT_WINDOW, ARTIFACT_PUT_WINDOW_BYTES, STREAM_FRAME_MAX_BYTES
from linkd.wire.chunks import ChunkMessage
from linkd.wire.methods import PUT_ARTIFACT
from linkd.wire.v1 import artifacts_pb2 as pb

_UPLOAD_ID_BYTES = 16


@dataclass(slots=True, eq=False)
class _Flight:
    """A small artifact that has no answer yet."""

    begin: Any
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def size_bytes(self) -> int:
        return len(self.begin.data)


class SmallPuts:
    """Artifacts of one message each. A stream is open while any of them is under way. Belongs to one event loop."""

    def __init__(self, connection: Connection, background: Background) -> None:
        self._connection = connection
        self._background = background
        self._flights: deque[_Flight] = deque()
        self._unsent: deque[_Flight] = deque()
        self._size_bytes = 0
        self._running = False
        self._has_more = asyncio.Event()
        self._has_left = asyncio.Event()

    async def put(self, content: bytes, *, directory: bool = False) -> Any:
        """The `Artifact` message of it. Raises what linkd refuses it with, ConnectionFailed."""
        while len(self._flights) >= ARTIFACT_PUT_WINDOW or self._size_bytes > ARTIFACT_PUT_WINDOW_BYTES:
            self._has_left.clear()
            await self._has_left.wait()
        flight = _Flight(pb.PutBegin(size_bytes=len(content), data=content, directory=directory))
        self._flights.append(flight)
        self._unsent.append(flight)
        self._size_bytes += flight.size_bytes
        self._has_more.set()
        if not self._running:
            self._running = True
            self._background.spawn("linkd put artifacts", self._run())
        return await flight.answer

    async def _run(self) -> None:
        """As long as there is any; over other connections while linkd is away."""
        patience = Patience(self._connection.timeout_s)
        try:
            while self._flights:
                seen, before = self._connection.epoch, len(self._flights)
                try:
                    await self._over_one_stream()
                except (ConnectionFailed, Draining) as error:
                    if len(self._flights) < before:
                        patience = Patience(self._connection.timeout_s)
                    await self._connection.recover(patience, seen, error)
                except NO_ROOM as error:
                    await self._connection.room(error)
                except Error as error:
                    self._fail(self._flights[0], error)
        except Error as error:
            for flight in list(self._flights):
                self._fail(flight, type(error)(str(error)))
        finally:
            self._running = False
            for flight in list(self._flights):
                self._fail(flight, ConnectionFailed("this client is closed: connect again"))

    async def _over_one_stream(self) -> None:
        self._unsent = deque(self._flights)
        stream = self._connection.stream(PUT_ARTIFACT)
        writing = asyncio.create_task(self._write(stream), name="linkd put artifacts: write")
        try:
            while self._flights:
                response = await stream.read()
                if response is None:
                    raise ConnectionFailed("linkd ended the stream")
                self._connection.has_room()
                flight = self._leave(self._flights[0])
                if not flight.answer.done():
                    flight.answer.set_result(response.kept)
        finally:
            writing.cancel()
            await asyncio.wait([writing])
            stream.cancel()

    async def _write(self, stream: Stream) -> None:
        """What ends the stream its reader is told."""
        try:
            while True:
                while self._unsent:
                    await stream.write(pb.PutArtifactRequest(begin=self._unsent.popleft().begin))
                self._has_more.clear()
                await self._has_more.wait()
        except Error:
            return

    def _fail(self, flight: _Flight, error: Error) -> None:
        answer = self._leave(flight).answer
        if not answer.done():
            answer.set_exception(error)

    def _leave(self, flight: _Flight) -> _Flight:
        self._flights.remove(flight)
        if flight in self._unsent:
            self._unsent.remove(flight)
        self._size_bytes -= flight.size_bytes
        self._has_left.set()
        return flight


async def put_large(connection: Connection, source: Source) -> Any:
    """The `Artifact` message of it. Raises what linkd refuses it with; ConnectionFailed where it stays away, or the source cannot be read again."""
    patience, upload_id, at = Patience(connection.timeout_s), os.urandom(_UPLOAD_ID_BYTES), 0
    begun = False
    while True:
        seen = connection.epoch
        try:
            kept = await _attempt(connection, source, upload_id, resume=begun)
        except (ConnectionFailed, Draining) as error:
            begun = True
            if source.can_go_back or not source.position:
                if source.position > at:
                    patience = Patience(connection.timeout_s)
                at = source.position
                await connection.recover(patience, seen, error)
            else:
                raise
        except NO_ROOM as error:
            await connection.room(error)
            await source.go_to(0)
        else:
            connection.has_room()
            return kept


async def _attempt(connection: Connection, source: Source, upload_id: bytes, *, resume: bool) -> Any:
    stream = connection.stream(PUT_ARTIFACT)
    begin = pb.PutBegin(size_bytes=source.size_bytes or 0, unsized=source.size_bytes is None, upload_id=upload_id, resume=resume)
    try:
        await stream.write(pb.PutArtifactRequest(begin=begin))
        if resume:
            await source.go_to((await _answer(stream)).held)
        async with asyncio.TaskGroup() as group:  # a refusal comes while there is much to write, which nobody takes any more
            answering = group.create_task(_answer(stream), name="linkd put artifact: answer")
            writing = group.create_task(_write_all(stream, source), name="linkd put artifact: write")
            answering.add_done_callback(lambda _: writing.cancel())
        return answering.result().kept
    except ExceptionGroup as group:
        raise first_error(group) from None
    finally:
        stream.cancel()


async def _write_all(stream: Stream, source: Source) -> None:
    try:
        while data := await source.read(STREAM_FRAME_MAX_BYTES):
            await stream.write(ChunkMessage(pb.PutArtifactRequest, (data,)))
        source.check_complete()
        if source.size_bytes is None:
            await stream.write(pb.PutArtifactRequest(end=pb.PutEnd()))
    except ConnectionFault:
        return  # who waits for the answer is told why


async def _answer(stream: Stream) -> Any:
    response = await stream.read()
    if response is None:
        raise ConnectionFailed("linkd ended the stream")
    return response
