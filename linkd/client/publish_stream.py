"""One Publish stream: values go out in order, at most a window of them unacknowledged, and each publish learns what became of it.

Who waits for a publish may be cancelled at any moment, so the stream is written and read by tasks of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from linkd.client.background import Background
from linkd.client.calls import Connection, Stream
from linkd.client.payloads import Publish, publish_messages
from linkd.errors import ConnectionFailed, ConnectionFault, Error, InternalFault, OutcomeUnknown
from linkd.limits import CLIENT_CLOSE_TIMEOUT_S, PUBLISH_WINDOW_BYTES, PUBLISH_WINDOW_VALUES
from linkd.wire.methods import PUBLISH


class Window:
    """Values and bytes in flight, bounded. One publish always goes, however large. First come, first served."""

    def __init__(self, max_values: int = PUBLISH_WINDOW_VALUES, max_bytes: int = PUBLISH_WINDOW_BYTES) -> None:
        self._max_values = max_values
        self._max_bytes = max_bytes
        self._values = 0
        self._bytes = 0
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()

    async def enter(self, values: int, size_bytes: int) -> None:
        """Waits for room and takes it."""
        async with self._turn:
            while self._values and (self._values + values > self._max_values or self._bytes + size_bytes > self._max_bytes):
                self._left.clear()
                await self._left.wait()
            self._values += values
            self._bytes += size_bytes

    def leave(self, values: int, size_bytes: int) -> None:
        self._values -= values
        self._bytes -= size_bytes
        self._left.set()


@dataclass(slots=True, eq=False)
class _Flight:
    """A publish on its way. `sent` once its last message was written: before that it cannot have happened."""

    publish: Publish
    acked: asyncio.Future[Any]
    acked_until: int = 0
    sent: bool = False


class PublishStream:
    """Opened by the first `send`, and again by the next one after it ended."""

    def __init__(self, connection: Connection, background: Background, name: str) -> None:
        self._connection = connection
        self._background = background
        self._name = name
        self._window = Window()
        self._flights: deque[_Flight] = deque()
        self._waiting: asyncio.Queue[_Flight] = asyncio.Queue()
        self._count = 0
        self._stream: Stream | None = None
        self._reader: asyncio.Task[None] | None = None

    async def send(self, publish: Publish) -> asyncio.Future[Any]:
        """Waits for room in the window, and gives the future of the answer (a `PublishResponse`).

        The future raises what linkd refused it with; OutcomeUnknown if the connection broke behind the last message; ConnectionFailed if it
        broke before, or if an earlier publish on the stream was refused: then it has not happened and may be sent again.
        """
        await self._window.enter(len(publish.payloads), publish.size_bytes)
        try:
            stream = self._stream or self._open()
        except Error:
            self._window.leave(len(publish.payloads), publish.size_bytes)
            raise
        self._stream = stream
        self._count += len(publish.payloads)
        flight = _Flight(publish, asyncio.get_running_loop().create_future(), self._count)
        flight.acked.add_done_callback(_retrieved)
        self._flights.append(flight)
        self._waiting.put_nowait(flight)
        return flight.acked

    async def close(self) -> None:
        """Ends the stream. What was not acked by then is void or unknown: flush first."""
        if self._stream is not None:
            self._stream.cancel()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=CLIENT_CLOSE_TIMEOUT_S)

    def _open(self) -> Stream:
        stream = self._connection.stream(PUBLISH)
        self._count = 0
        self._waiting = asyncio.Queue()
        writer = self._background.spawn(f"{self._name} writer", self._write(stream, self._waiting))
        self._reader = self._background.spawn(f"{self._name} reader", self._read(stream, writer))
        return stream

    async def _write(self, stream: Stream, waiting: asyncio.Queue[_Flight]) -> None:
        schemas_sent: dict[str, bytes] = {}
        try:
            while True:
                flight = await waiting.get()
                for message in publish_messages(flight.publish, schemas_sent):
                    await stream.write(message)
                flight.sent = True
        except Error:
            return  # the reader learns the same, and tells everybody
        finally:
            stream.cancel()

    async def _read(self, stream: Stream, writer: asyncio.Task[None]) -> None:
        failure: Error = ConnectionFailed("linkd ended the stream")
        try:
            while (response := await stream.read()) is not None:
                self._acked(response)
        except Error as error:
            failure = error
        finally:
            stream.cancel()
            writer.cancel()
            self._stream = None
            self._fail(failure)

    def _acked(self, response: Any) -> None:
        if not self._flights or self._flights[0].acked_until != response.acked:
            raise InternalFault(f"linkd acked {response.acked} values of a stream that holds others")
        flight = self._flights.popleft()
        self._leave(flight)
        if not flight.acked.done():
            flight.acked.set_result(response)

    def _fail(self, failure: Error) -> None:
        refused = not isinstance(failure, ConnectionFault)
        for number, flight in enumerate(self._flights):
            self._leave(flight)
            if flight.acked.done():
                continue
            flight.acked.set_exception(_fate(flight, failure, first=number == 0) if refused else _lost(flight, failure))
        self._flights.clear()

    def _leave(self, flight: _Flight) -> None:
        self._window.leave(len(flight.publish.payloads), flight.publish.size_bytes)


def _fate(flight: _Flight, refusal: Error, *, first: bool) -> Error:
    if first:
        return refusal
    return ConnectionFailed(f"{flight.publish.link}: not published, for an earlier publish on the same stream was refused")


def _lost(flight: _Flight, failure: Error) -> Error:
    link = flight.publish.link
    if not flight.sent:
        return ConnectionFailed(f"{link}: not published: {failure}")
    return OutcomeUnknown(
        f"{link}: linkd went away before it acked {flight.publish.rows:,} rows, which may or may not be durable; "
        f"look at the end of the link (`linkd tail {link}`) before publishing them again"
    )


def _retrieved(future: asyncio.Future[Any]) -> None:
    """A publish whose program was cancelled is nobody's to ask for; asyncio need not complain about its error."""
    if not future.cancelled():
        future.exception()
