"""One Publish stream, for as long as it lasts: publishes go out in order, and each answer is that of the first one that has none.

Who waits for a publish may be cancelled at any moment, so the stream is written and read by tasks of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.payloads import Publish, publish_messages
from linkd.client.placing import Placer
from linkd.errors import ConnectionFailed, Error, InternalFault
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, PUBLISH_WINDOW_BYTES, PUBLISH_WINDOW_VALUES
from linkd.wire.methods import PUBLISH


class Window:
    """Values and bytes in flight, bounded. One publish always goes, however large. First come, first served.

    Who waits goes on when half of it is free: publishes go out, and are acked, several at a time, not one for each that is acked.
    """

    def __init__(self, max_values: int = PUBLISH_WINDOW_VALUES, max_bytes: int = PUBLISH_WINDOW_BYTES) -> None:
        self._max_values = max_values
        self._max_bytes = max_bytes
        self._values = 0
        self._bytes = 0
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()

    async def enter(self, publish: Publish) -> None:
        """Waits for room and takes it."""
        values, size_bytes = len(publish.payloads), publish.size_bytes
        if not self._turn.locked() and self._has_room(values, size_bytes):
            self._values += values
            self._bytes += size_bytes
            return
        async with self._turn:
            while not self._has_room(values, size_bytes):
                self._left.clear()
                await self._left.wait()
            self._values += values
            self._bytes += size_bytes

    def _has_room(self, values: int, size_bytes: int) -> bool:
        return not self._values or (self._values + values <= self._max_values and self._bytes + size_bytes <= self._max_bytes)

    def leave(self, publish: Publish) -> None:
        self._values -= len(publish.payloads)
        self._bytes -= publish.size_bytes
        if 2 * self._values <= self._max_values and 2 * self._bytes <= self._max_bytes:
            self._left.set()


@dataclass(slots=True, eq=False)
class Flight:
    """A publish on its way, and the future of its answer (a `PublishResponse`).

    `sent` once its last message was written: before that it cannot have happened.
    """

    publish: Publish
    answer: asyncio.Future[Any]
    sent: bool = False

    @staticmethod
    def of(publish: Publish) -> Flight:
        flight = Flight(publish, asyncio.get_running_loop().create_future())
        flight.answer.add_done_callback(_retrieved)
        return flight

    def succeed(self, response: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(response)

    def fail(self, error: Error) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Exchange:
    """A stream that was opened. `on_answer` is called with each flight that is answered, `on_end` once, with what the stream ended with."""

    def __init__(
        self,
        connection: Connection,
        background: Background,
        name: str,
        on_answer: Callable[[Flight, Any], None],
        on_end: Callable[[Error], None],
    ) -> None:
        stream = self._stream = connection.stream(PUBLISH)
        self._placer = Placer(connection.files, stream.write) if connection.files is not None else None
        self._on_answer = on_answer
        self._on_end = on_end
        self._out: asyncio.Queue[Flight] = asyncio.Queue()
        self._writing = True
        self._schemas_sent: dict[str, bytes] = {}
        self._unanswered: deque[tuple[int, Flight]] = deque()
        self._values = 0
        writer = background.spawn(f"{name} writer", self._write())
        self.reader = background.spawn(f"{name} reader", self._read(writer))

    def put(self, flight: Flight) -> None:
        """Sends it behind those before it: at once if there are none, and it is one small message."""
        payloads = flight.publish.payloads
        self._values += len(payloads)
        self._unanswered.append((self._values, flight))
        is_alone = not self._writing and self._out.empty()
        if is_alone and len(payloads) == 1 and payloads[0].size_bytes <= INLINE_PAYLOAD_MAX_BYTES and self._stream.is_ready:
            [message] = publish_messages(flight.publish, self._schemas_sent)
            self._stream.write_now(message)
            flight.sent = True
        else:
            self._out.put_nowait(flight)

    def cancel(self) -> None:
        """Ends the stream; `on_end` is called all the same."""
        self._stream.cancel()

    async def _write(self) -> None:
        try:
            while True:
                self._writing = False
                flight = await self._out.get()
                self._writing = True
                placed = [await self._placer.place(flight.publish, one) for one in flight.publish.payloads] if self._placer else []
                messages = publish_messages(flight.publish, self._schemas_sent, placed)
                if not await self._sent(messages, more=any(one is not None for one in placed) and not self._out.empty()):
                    return
                flight.sent = True
        except BaseException as error:
            self._stream.cancel()
            if not isinstance(error, Error):
                raise

    async def _sent(self, messages: Iterator[Any], *, more: bool) -> bool:
        """What was placed and has `more` behind it is told with that: whoever is told of values one by one is woken for each.

        False if the stream has ended: why, the reader learns, and tells everybody; a cancelled stream would not say it any more."""
        try:
            for message in messages:
                await self._stream.write(message, more=more)
        except Error:
            return False
        return True

    async def _read(self, writer: asyncio.Task[None]) -> None:
        failure: Error = ConnectionFailed("linkd ended the stream")
        try:
            await self._stream.hand_to(self._came)
            while (response := await self._stream.read()) is not None:
                self._came(response)
        except Error as error:
            failure = error
        finally:
            self._stream.cancel()
            writer.cancel()
            self._on_end(failure)

    def _came(self, response: Any) -> None:
        if self._placer is not None and response.HasField("granted"):
            self._placer.granted(response.granted)
        else:
            self._answered(response)

    def _answered(self, response: Any) -> None:
        if not self._unanswered or self._unanswered[0][0] != response.acked:
            raise InternalFault(f"linkd acked {response.acked} values of a stream that holds others")
        _, flight = self._unanswered.popleft()
        self._on_answer(flight, response)


def _retrieved(future: asyncio.Future[Any]) -> None:
    """A publish whose program was cancelled is nobody's to ask for; asyncio need not complain about its error."""
    if not future.cancelled():
        future.exception()
