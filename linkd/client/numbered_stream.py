"""Publishes of one producer, each of which happens once: they are numbered, and sent again over new connections until they are answered.

The numbers are those of proto/linkd/v1/links.proto (`PublishValue.producer`). linkd takes the publishes of a stream in order and stops at the
first that it refuses, so when a stream ends nothing behind the first one without an answer can have happened without that one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from dataclasses import replace
from typing import Any

from linkd.client.background import Background
from linkd.client.calls import NO_ROOM, Connection, Patience
from linkd.client.exchange import Exchange, Flight, Window
from linkd.client.payloads import Publish
from linkd.errors import (
    ConnectionFailed,
    ConnectionFault,
    Error,
    OutcomeUnknown,
    ProducerFenced,
    ProducerForgotten,
    ProducerSetBack,
    SessionFenced,
)
from linkd.limits import CLIENT_CLOSE_TIMEOUT_S, PRODUCERS_ANEW_MAX
from linkd.model.values import Producer

_ID_BYTES = 12
"""Of chance in the id that a client makes up for itself: two of them are never the same."""
_FENCED = (ProducerFenced, SessionFenced)


def anonymous() -> Producer:
    """A producer that nobody else is, which has published nothing yet."""
    return Producer("~" + secrets.token_hex(_ID_BYTES), 1, 0)


class NumberedStream:
    """Opened by the first `send`; lasts until `close`, or until the producer is fenced.

    `producer` has the number of the last publish that it made; without one the stream is a producer of its own. `timeout_s` is how long linkd
    may be away. With `stop_at_refusal` what was sent behind a publish that is refused fails with it, else only that one does.
    """

    def __init__(
        self,
        connection: Connection,
        background: Background,
        name: str,
        *,
        producer: Producer | None = None,
        timeout_s: float,
        stop_at_refusal: bool = False,
    ) -> None:
        self._connection = connection
        self._background = background
        self._name = name
        self._is_named = producer is not None
        self._producer = producer or anonymous()
        self._timeout_s = timeout_s
        self._stop_at_refusal = stop_at_refusal
        self._window = Window(max_bytes=connection.publish_window_bytes)
        self._flights: deque[Flight] = deque()
        self._exchange: Exchange | None = None
        self._seen = 0
        self._resuming: asyncio.Task[None] | None = None
        self._patience: Patience | None = None
        self._doubtful: set[Flight] = set()
        self._over: Error | None = None
        self._anew = 0
        self.last_sequence = self._producer.sequence
        """Of the last publish that was answered."""

    async def send(self, publish: Publish) -> asyncio.Future[Any]:
        """Waits for room in the window, and gives the future of the answer (a `PublishResponse`).

        The future raises what linkd refused it with. Where linkd stayed away for too long it raises ConnectionFailed if the publish cannot
        have happened, OutcomeUnknown if it may have. Cancelling it takes nothing back. Raises what ended the producer.
        """
        await self._window.enter(publish)
        if self._over is not None:
            self._window.leave(publish)
            raise self._over
        flight = Flight.of(self._numbered(publish))
        self._flights.append(flight)
        if self._exchange is not None:
            self._exchange.put(flight)
        elif self._resuming is None:
            self._open()
        return flight.answer

    async def close(self) -> None:
        """Ends the stream. What was not answered by then may or may not have happened: flush first."""
        self._over = self._over or ConnectionFailed("this client is closed: connect again")
        if self._resuming is not None:
            self._resuming.cancel()
        if self._exchange is not None:
            self._exchange.cancel()
            await asyncio.wait([self._exchange.reader], timeout=CLIENT_CLOSE_TIMEOUT_S)
        self._doubtful.update(flight for flight in self._flights if flight.sent)
        self._give_up(self._over)

    def _numbered(self, publish: Publish) -> Publish:
        before = self._producer
        self._producer = Producer(before.id, before.epoch, before.sequence + 1)
        return publish.numbered(self._producer)

    # -- streams, one behind the other ----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """A new stream, over which everything that has no answer is sent, again or for the first time."""
        self._seen = self._connection.epoch
        try:
            self._exchange = Exchange(self._connection, self._background, self._name, self._answered, self._ended)
        except ConnectionFault as error:
            self._resume(error)
            return
        for flight in self._flights:
            flight.sent = False
            self._exchange.put(flight)

    def _answered(self, flight: Flight, response: Any) -> None:
        self._flights.popleft()
        self._doubtful.discard(flight)
        self._window.leave(flight.publish)
        self._patience = None
        self._anew = 0
        self._connection.has_room()
        self.last_sequence = flight.publish.producer.sequence
        flight.succeed(response)

    def _ended(self, failure: Error) -> None:
        """The stream is over. Whatever it ended with, what comes next depends on what has no answer."""
        self._exchange = None
        if self._over is not None or not self._flights:
            return
        if isinstance(failure, ConnectionFault):
            self._doubtful.update(flight for flight in self._flights if flight.sent)
            self._resume(failure)
        elif isinstance(failure, NO_ROOM):
            self._resuming = self._background.spawn(f"{self._name} room", self._wait_for_room(failure))
        elif isinstance(failure, ProducerForgotten) and not self._is_named and self._anew < PRODUCERS_ANEW_MAX:
            self._anew += 1
            self._begin_anew(failure)
        elif isinstance(failure, _FENCED):
            self._over = failure
            self._give_up(failure)
        else:
            self._refused(failure)

    def _resume(self, failure: Error) -> None:
        self._resuming = self._background.spawn(f"{self._name} reconnect", self._reconnect(failure))

    async def _reconnect(self, failure: Error) -> None:
        """Waits for another connection, for as long as the producer's patience lasts, and goes on over it."""
        self._patience = self._patience or Patience(self._timeout_s)
        try:
            await self._connection.recover(self._patience, self._seen, failure)
        except Error as error:
            self._resuming = self._patience = None
            self._give_up(error)
        else:
            self._resuming = None
            self._open()

    async def _wait_for_room(self, failure: Error) -> None:
        """Nothing without an answer has happened, for there is no room: it is sent again, as often as it takes."""
        await self._connection.room(failure)
        self._resuming = None
        self._open()

    # -- what is not answered in the end ----------------------------------------------------------------------------------------------------

    def _refused(self, failure: Error) -> None:
        """The first one without an answer was refused, so none behind it has happened: those get its number and the next ones."""
        self._take_first().fail(failure)
        while self._stop_at_refusal and self._flights:
            flight = self._take_first()
            flight.fail(ConnectionFailed(f"{flight.publish.link}: not published, for an earlier publish of the same flow was refused"))
        self._renumber(replace(self._producer, sequence=self.last_sequence))
        if self._flights:
            self._open()

    def _begin_anew(self, failure: ProducerForgotten) -> None:
        """linkd has forgotten this producer: what cannot have happened is published by another. Of the rest nobody knows, unless publishes
        before it are lost: then it is, too."""
        while self._flights and self._flights[0] in self._doubtful and not isinstance(failure, ProducerSetBack):
            flight = self._take_first()
            flight.fail(_unknown(flight, "it has forgotten this client"))
        self._renumber(anonymous())
        if self._flights:
            self._open()

    def _renumber(self, producer: Producer) -> None:
        """Numbers everything that has no answer behind `producer.sequence`."""
        self._producer = producer
        self.last_sequence = producer.sequence
        self._doubtful.clear()
        for flight in self._flights:
            flight.publish = self._numbered(flight.publish)

    def _give_up(self, error: Error) -> None:
        """Nothing more is sent of what has no answer. Where some of it may have happened, nobody knows what the next number would be."""
        in_doubt = False
        while self._flights:
            flight = self._take_first()
            if flight in self._doubtful:
                in_doubt = True
                flight.fail(_unknown(flight, str(error)))
            elif isinstance(error, ConnectionFault):
                flight.fail(ConnectionFailed(f"{flight.publish.link}: not published: {error}"))
            else:
                flight.fail(error)
        if not in_doubt:
            self._renumber(replace(self._producer, sequence=self.last_sequence))
        elif not self._is_named:
            self._renumber(anonymous())
        elif self._over is None:
            self._over = ConnectionFailed(
                f"producer {self._producer.id}: linkd was away for too long, and some of its publishes may have happened: "
                "open it again; its `last_sequence` says how many did"
            )

    def _take_first(self) -> Flight:
        flight = self._flights.popleft()
        self._window.leave(flight.publish)
        return flight


def _unknown(flight: Flight, why: str) -> OutcomeUnknown:
    link = flight.publish.link
    return OutcomeUnknown(
        f"{link}: linkd went away before it acked {flight.publish.rows:,} rows, which may or may not be durable ({why}); "
        f"look at the end of the link (`linkd tail {link}`) before publishing them again"
    )
