"""Publishing by outsiders: one value at a time with its ack, or a flow of rows that is durable when its block is left."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.encoding import encode
from linkd.client.numbered_stream import NumberedStream
from linkd.client.payloads import Payload, Publish
from linkd.client.process import FORK_GUARD
from linkd.errors import Error, InternalFault, InvalidArgument, LinkNotFound, SchemaMismatch
from linkd.limits import PUBLISH_WINDOW_BYTES, ROWS_PER_VALUE
from linkd.model.values import Durability, Position
from linkd.model.values import Producer as Numbers
from linkd.wire.messages import durability_of, position_of
from linkd.wire.methods import DESCRIBE
from linkd.wire.v1 import links_pb2 as pb


@dataclass(frozen=True, slots=True)
class Ack:
    """What linkd promises about a publish: which positions it took, how durable they are (`fsync`: power loss too), and where (`home`).

    `repeated` says that an earlier answer got lost on its way, and that this is it.
    """

    link: str
    first: Position
    last: Position
    durability: Durability
    place: str
    rows: int
    generation: int
    dropped: bool = False
    """The link was full and drops what is newest: nothing was stored, and the positions hold no value."""
    repeated: bool = False

    @property
    def position(self) -> Position:
        """Of the last value."""
        return self.last

    @property
    def name(self) -> str:
        """The last value's name that people use: `flown@42`."""
        return f"{self.link}@{self.last.sequence}"

    @staticmethod
    def of(response: Any) -> Ack:
        return Ack(
            response.link,
            position_of(response.first),
            position_of(response.last),
            durability_of(response.durability),
            response.place,
            response.rows,
            response.generation,
            response.dropped,
            response.repeated,
        )


@dataclass(frozen=True, slots=True)
class KnownSchema:
    """The schema message of a link, empty while it has none; a declared one never changes."""

    schema: bytes = b""
    declared: bool = False


class LinkSchemas:
    """What the client knows of links' schemas: asked once for each link, then as its own publishes made them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, KnownSchema] = {}

    async def get(self, link: str) -> KnownSchema:
        known = self._known.get(link)
        if known is None:
            known = self._known[link] = await self._ask(link)
        return known

    def learned(self, link: str, payloads: Sequence[Payload]) -> None:
        """A publish of these was acked."""
        if payloads[-1].schema:
            self._known[link] = KnownSchema(payloads[-1].schema, self._known.get(link, KnownSchema()).declared)

    def forget(self, link: str) -> None:
        self._known.pop(link, None)

    async def _ask(self, link: str) -> KnownSchema:
        request = pb.DescribeRequest(link=link)
        try:
            answer = await self._connection.retry(lambda: self._connection.call(DESCRIBE, request))
        except LinkNotFound:
            return KnownSchema()  # under `--open` publishing makes the link; elsewhere the publish itself is refused, with the reason
        known = next((info for info in answer.links if info.name == link), None)
        if known is None or not (known.open or answer.open):
            return KnownSchema()  # not to be appended to: linkd's refusal is the answer, not a mismatch of what is refused anyway
        return KnownSchema(known.schema, known.declared)


class Outlet:
    """Publishes that each wait for their ack; all go over one stream, numbered, so that each happens once."""

    def __init__(self, connection: Connection, background: Background, schemas: LinkSchemas, *, producer: Numbers | None = None) -> None:
        self._schemas = schemas
        name = f"linkd producer {producer.id}" if producer is not None else "linkd publish"
        self._stream = NumberedStream(connection, background, name, producer=producer, timeout_s=connection.timeout_s)

    @property
    def last_sequence(self) -> int:
        """The number of the last publish that was acked."""
        return self._stream.last_sequence

    async def publish(self, link: str, data: object, attributes: Mapping[str, str] | None) -> Ack:
        """Publishes `data` and waits for its ack; see `Client.publish`."""
        payloads = await self._encoded(link, data)
        try:
            return await self._sent(link, payloads, attributes)
        except SchemaMismatch:
            # Somebody else may have given the link a schema since it was asked for; what was refused was not stored.
            self._schemas.forget(link)
            again = await self._encoded(link, data)
            if [payload.schema for payload in again] == [payload.schema for payload in payloads]:
                raise
            return await self._sent(link, again, attributes)

    async def close(self) -> None:
        await self._stream.close()

    async def _encoded(self, link: str, data: object) -> tuple[Payload, ...]:
        known = await self._schemas.get(link)
        return encode(link, data, schema=known.schema, declared=known.declared, inputs=())

    async def _sent(self, link: str, payloads: tuple[Payload, ...], attributes: Mapping[str, str] | None) -> Ack:
        response = await (await self._stream.send(Publish(link, payloads, dict(attributes or {}))))
        self._schemas.learned(link, payloads)
        return Ack.of(response)


class Producer:
    """A producer with a name, whose publishes linkd counts: each happens once, and a program that begins again knows where it stands.

    Opening it fences whoever opened it before: the next publish of that one raises ProducerFenced.
    """

    def __init__(self, outlet: Outlet, name: str, epoch: int) -> None:
        self._outlet = outlet
        self._name = name
        self._epoch = epoch

    @property
    def name(self) -> str:
        return self._name

    @property
    def epoch(self) -> int:
        """How often the name has been opened, this time included."""
        return self._epoch

    @property
    def last_sequence(self) -> int:
        """How many publishes of this name linkd has acked, over all links and all programs that opened it."""
        return self._outlet.last_sequence

    async def publish(self, link: str, data: object, *, attributes: Mapping[str, str] | None = None) -> Ack:
        """As `Client.publish`. Raises ProducerFenced where another program has opened the name."""
        return await self._outlet.publish(link, data, attributes)

    def __repr__(self) -> str:
        return f"<Producer {self._name}: {self.last_sequence:,} publishes>"


@dataclass(slots=True)
class _Gathered:
    """What waits to become one publish: rows that came one by one, or one piece of anything else."""

    data: Any
    rows: int
    size_bytes: int
    is_rows: bool


class Publisher:
    """A flow of rows into one link, gathered into values; leaving its block means that all of it is durable, or it raises.

    Rows that come in one turn of the event loop, or while the window of unacknowledged values is full, become one value. While linkd is away
    it waits; what has no ack is sent again, and happens once. What linkd refuses is raised by the next `send`, by `flush`, or at the end of
    the block; nothing is sent after that. If an exception leaves the block what was sent before may or may not be durable. `put` and `full`
    may be used from any thread.
    """

    def __init__(self, connection: Connection, background: Background, schemas: LinkSchemas, link: str) -> None:
        self._link = link
        self._schemas = schemas
        self._background = background
        self._stream = NumberedStream(
            connection, background, f"linkd publisher of {link}", timeout_s=connection.flow_timeout_s, stop_at_refusal=True
        )
        self._gathered: deque[_Gathered] = deque()
        self._gathered_bytes = 0
        self._lock = threading.Lock()
        self._pumping = False
        self._in_flight = 0
        self._error: Error | None = None
        self._changed = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    async def send(self, data: object) -> None:
        """Takes a row (a dict), rows (a list of dicts, a frame, an Arrow table), or bytes. Waits while too much is unacknowledged."""
        if self.put(data):
            self.wake()
        if self.full:
            await self.room()

    async def flush(self) -> None:
        """Returns when everything sent so far is durable. Raises what an earlier send met."""
        while not self._error and (self._pumping or self._in_flight):
            self._changed.clear()
            await self._changed.wait()
        self._raise()

    def put(self, data: object) -> bool:
        """Takes `data` without waiting; whoever is told True calls `wake` in the event loop. Raises what an earlier send met."""
        if self._closed:
            raise InvalidArgument(f"the publisher of {self._link} is closed: send inside its `with` block")
        FORK_GUARD.check()
        self._raise()
        item = _gathered(data)
        with self._lock:
            self._gathered_bytes += item.size_bytes
            last = self._gathered[-1] if self._gathered else None
            if last is not None and last.is_rows and item.is_rows and last.rows + item.rows <= ROWS_PER_VALUE:
                last.data.extend(item.data)
                last.rows += item.rows
                last.size_bytes += item.size_bytes
            else:
                self._gathered.append(item)
            asleep, self._pumping = not self._pumping, True
        return asleep

    @property
    def full(self) -> bool:
        """Whether so much is gathered that the program should wait for `room`."""
        return self._gathered_bytes >= PUBLISH_WINDOW_BYTES or len(self._gathered) > 1

    def wake(self) -> None:
        """Has what is gathered sent in the next turn of the loop."""
        self._pump = self._background.spawn(f"linkd publisher of {self._link}", self._send_gathered())

    async def room(self) -> None:
        """Waits until less is gathered. Raises what an earlier send met."""
        while self.full and not self._error:
            self._changed.clear()
            await self._changed.wait()
        self._raise()

    async def close(self) -> None:
        """Ends without waiting: what is not acked by now may or may not become durable."""
        self._closed = True
        if self._pump is not None:
            self._pump.cancel()
        await self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            await self.close()

    async def _send_gathered(self) -> None:
        try:
            while (item := self._next()) is not None:
                known = await self._schemas.get(self._link)
                payloads = encode(self._link, item.data, schema=known.schema, declared=known.declared, inputs=())
                self._schemas.learned(self._link, payloads)
                acked = await self._stream.send(Publish(self._link, payloads))
                self._in_flight += 1
                acked.add_done_callback(self._acked)
        except Error as error:
            self._failed(error)
        except Exception as error:
            self._failed(InternalFault(f"{self._link}: the publisher met a defect of linkd ({type(error).__name__})"))
            raise

    def _next(self) -> _Gathered | None:
        with self._lock:
            self._pumping = bool(self._gathered) and self._error is None
            item = self._gathered.popleft() if self._pumping else None
            self._gathered_bytes -= item.size_bytes if item else 0
        self._changed.set()
        return item

    def _acked(self, answer: asyncio.Future[Any]) -> None:
        self._in_flight -= 1
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, Error):
            self._failed(error)
        self._changed.set()

    def _failed(self, error: Error) -> None:
        self._error = self._error or error
        self._schemas.forget(self._link)
        self._changed.set()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __repr__(self) -> str:
        return f"<Publisher of {self._link}>"


def _gathered(data: object) -> _Gathered:
    if isinstance(data, Mapping):
        return _Gathered([data], 1, _row_bytes(data), is_rows=True)
    if isinstance(data, list):
        for number, row in enumerate(data, 1):
            if not isinstance(row, Mapping):
                raise InvalidArgument(f"row {number} is {type(row).__name__}: in a list of rows each is a dict")
        return _Gathered(list(data), len(data), sum(map(_row_bytes, data)), is_rows=True)
    size_bytes = getattr(data, "nbytes", None)
    if not isinstance(size_bytes, int):
        size_bytes = len(data) if isinstance(data, bytes | bytearray) else 0
    return _Gathered(data, 0, size_bytes, is_rows=False)


def _row_bytes(row: Mapping[Any, Any]) -> int:
    """About what a row takes; enough to bound what is gathered."""
    return 16 * len(row) + sum(len(item) for item in row.values() if isinstance(item, str | bytes))
