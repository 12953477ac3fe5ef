"""What is staged for commits: at most a window of it unacknowledged. It is gone with its stream, and so is the work it belongs to."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.exchange import Exchange, Flight, Window
from linkd.client.payloads import Publish
from linkd.errors import ConnectionFailed, ConnectionFault, Error
from linkd.limits import CLIENT_CLOSE_TIMEOUT_S


class PublishStream:
    """Opened by the first `send`, and again by the next one after it ended."""

    def __init__(self, connection: Connection, background: Background, name: str) -> None:
        self._connection = connection
        self._background = background
        self._name = name
        self._window = Window(max_bytes=connection.publish_window_bytes)
        self._flights: deque[Flight] = deque()
        self._exchange: Exchange | None = None

    async def send(self, publish: Publish) -> asyncio.Future[Any]:
        """Waits for room in the window, and gives the future of the answer (a `PublishResponse`).

        The future raises what linkd refused it with; ConnectionFailed if the connection broke, or if an earlier publish of the snapshot was
        refused.
        """
        await self._window.enter(publish)
        flight = Flight.of(publish)
        self._put(flight)
        return flight.answer

    def _put(self, flight: Flight) -> None:
        """Sends it, if there is a connection."""
        try:
            exchange = self._exchange or Exchange(self._connection, self._background, self._name, self._answered, self._ended)
        except ConnectionFault as error:
            self._window.leave(flight.publish)
            flight.fail(error)
            return
        self._exchange = exchange
        self._flights.append(flight)
        exchange.put(flight)

    async def close(self) -> None:
        """Ends the stream."""
        if self._exchange is not None:
            self._exchange.cancel()
            await asyncio.wait([self._exchange.reader], timeout=CLIENT_CLOSE_TIMEOUT_S)

    def _answered(self, flight: Flight, response: Any) -> None:
        self._flights.popleft()
        self._window.leave(flight.publish)
        flight.succeed(response)

    def _ended(self, failure: Error) -> None:
        self._exchange = None
        flights, self._flights = self._flights, deque()
        refused = None if isinstance(failure, ConnectionFault) or not flights else flights.popleft()
        if refused is not None:
            self._window.leave(refused.publish)
            refused.fail(failure)
            failure = ConnectionFailed("an earlier publish of the snapshot was refused")
        for flight in flights:
            if refused is not None and flight.publish.snapshot_id != refused.publish.snapshot_id:
                self._put(flight)  # over another stream: this refusal does not concern it
                continue
            self._window.leave(flight.publish)
            flight.fail(ConnectionFailed(f"{flight.publish.link}: not staged: {failure}"))
