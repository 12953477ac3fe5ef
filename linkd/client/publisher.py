"""A flow of rows into one link, gathered into values: the way to publish many small rows."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.encoding import encode, encode_bytes, encode_tuples
from linkd.client.gathering import Gathering, Item, Run, row_item
from linkd.client.large_values import encoded
from linkd.client.numbered_stream import NumberedStream
from linkd.client.payloads import Payload, Publish
from linkd.client.process import FORK_GUARD
from linkd.client.publishing import Ack, KnownSchema, LinkSchemas
from linkd.errors import ConnectionFailed, ConnectionFault, Error, InternalFault, InvalidArgument, Overloaded
from linkd.limits import STREAM_FRAME_MAX_BYTES


class Publisher:
    """A flow of rows into one link, gathered into values; leaving its block means that all of it is durable, or it raises.

    A row is a dict, a tuple or list in the order of the columns (the link's, or those that were named), or bytes. Rows that come in one turn of
    the event loop, or while the window of unacknowledged values is full, become one value; do not change them afterwards. While linkd is away
    it waits; what has no ack is sent again, and happens once. What linkd refuses is raised by the next call, by `flush`, or at the end of
    the block; nothing is sent after that. If an exception leaves the block what was sent before may or may not be durable.
    """

    def __init__(
        self, connection: Connection, background: Background, schemas: LinkSchemas, link: str, columns: Sequence[str] | None = None
    ) -> None:
        self._link = link
        self._columns = _checked(link, columns)
        self._connection = connection
        self._schemas = schemas
        self._background = background
        self._stream = NumberedStream(
            connection, background, f"linkd publisher of {link}", timeout_s=connection.flow_timeout_s, stop_at_refusal=True
        )
        self.gathering = Gathering(link, self._wake)
        """For the synchronous face: its threads put into it, and have what it wakes called in the event loop."""
        self._woken = asyncio.Event()
        self._left = asyncio.Event()
        self._newest: asyncio.Future[Any] | None = None
        self._pump: asyncio.Task[None] | None = None

    async def send(self, data: object) -> None:
        """Takes a row, or many at once (a list of dicts or tuples, a frame, an Arrow table). Waits for room, not for durability."""
        while not self.gathering.put(data):
            await self.room()

    def send_nowait(self, row: object) -> None:
        """As `send`, at once: the cheapest way. Raises Overloaded where so much is gathered that `send` would wait: await `room()`."""
        if not self.gathering.put(row):
            raise self._overloaded()

    def submit(self, row: object) -> asyncio.Future[Ack]:
        """Takes a row at once. The future is done when it is durable, with the ack of the value that it went into; many may be under way.

        Cancelling it takes nothing back. Raises Overloaded as `send_nowait`.
        """
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        if not self.gathering.put_item(row_item(row, future)):
            raise self._overloaded()
        return future

    async def room(self) -> None:
        """Waits until less is gathered. Raises what an earlier call met."""
        while self.gathering.full and self.gathering.error is None:
            self._left.clear()
            await self._left.wait()
        self.gathering.check()

    async def flush(self) -> None:
        """Returns when everything sent so far is durable. Raises what an earlier call met."""
        mark: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        while not self.gathering.put_item(Item(future=mark)):
            await self.room()
        await asyncio.wait([mark])
        self.gathering.check()

    async def close(self) -> None:
        """Ends without waiting: what is not acked by now may or may not become durable."""
        closed = InvalidArgument(f"the publisher of {self._link} is closed: send inside its `with` block")
        self._stop(closed, ConnectionFailed(f"{self._link}: not published: the publisher was closed; flush it first"))
        await self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            await self.close()

    # -- what is gathered is sent ---------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """In the event loop: has what is gathered sent in its next turn."""
        self._woken.set()
        if self._pump is None:
            self._pump = self._background.spawn(f"linkd publisher of {self._link}", self._send_gathered())

    async def _send_gathered(self) -> None:
        while True:
            run = self.gathering.take()
            if not self.gathering.half_full:
                self._left.set()
            if run is None:
                await self._woken.wait()
                self._woken.clear()
                continue
            try:
                await self._send(run)
            except Error as error:
                self._failed(error)
                _fail(run.futures, error)
                return
            except BaseException as error:
                defect = InternalFault(f"{self._link}: the publisher met a defect of linkd ({type(error).__name__})")
                ended = ConnectionFailed(f"{self._link}: not published: the publisher has ended")
                _fail(run.futures, ended if isinstance(error, asyncio.CancelledError) else defect)
                if isinstance(error, Exception):
                    self._failed(defect)
                raise

    async def _send(self, run: Run) -> None:
        if run.data is None:
            if self._newest is None:
                _succeed(run.futures, None)
            else:  # one that is done may not have told what it was refused with yet: this is told behind it
                self._newest.add_done_callback(partial(self._acked, run.futures))
            return
        known = await self._schemas.get(self._link)

        async def encode_run(data: Any) -> tuple[Payload, ...]:
            return self._encoded(replace(run, data=data), known)

        payloads, attributes = await encoded(self._connection, run.data, None, encode_run)
        if run.kind is not None:
            payloads = tuple(map(_sent_as_bytes, payloads))
        self._schemas.learned(self._link, payloads)
        self._newest = await self._stream.send(Publish(self._link, payloads, attributes))
        self._newest.add_done_callback(partial(self._acked, run.futures))

    def _encoded(self, run: Run, known: KnownSchema) -> tuple[Payload, ...]:
        if run.kind is bytes:
            return encode_bytes(self._link, run.data, schema=known.schema, declared=known.declared)
        if run.kind is tuple:
            return encode_tuples(self._link, run.data, self._columns, schema=known.schema, declared=known.declared)
        return encode(self._link, run.data, schema=known.schema, declared=known.declared, inputs=())

    def _acked(self, futures: Sequence[Any], answer: asyncio.Future[Any]) -> None:
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, Error):
            self._failed(error)
            _fail(futures, error)
        elif futures:
            _succeed(futures, Ack.of(answer.result()))

    def _failed(self, error: Error) -> None:
        """Nothing is sent behind what was refused, not even what waits for room on its way."""
        self._schemas.forget(self._link)
        if self.gathering.error is None:
            refused = ConnectionFailed(f"{self._link}: not published, for an earlier publish of the same flow was refused")
            self._stop(error, error if isinstance(error, ConnectionFault) else refused)

    def _stop(self, error: Error, unsent: Error) -> None:
        _fail(self.gathering.stop(error), unsent)
        self._left.set()
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()

    def _overloaded(self) -> Overloaded:
        return Overloaded(
            f"{self._link}: as much is gathered as may be, faster than linkd takes it: await the publisher's room() before the next row, or "
            "use send(), which waits"
        )

    def __repr__(self) -> str:
        return f"<Publisher of {self._link}>"


def _checked(link: str, columns: Sequence[str] | None) -> tuple[str, ...]:
    FORK_GUARD.check()
    names = tuple(columns or ())
    if isinstance(columns, str) or not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        raise InvalidArgument(f"the columns of the publisher of {link} are a list of different names, in the order of the rows' values")
    return names


def _sent_as_bytes(payload: Payload) -> Payload:
    """A payload of gathered rows: to have a file made ready for them to be placed in takes longer than to send them, where they are small."""
    return replace(payload, batch=None) if payload.size_bytes <= STREAM_FRAME_MAX_BYTES else payload


def _succeed(futures: Iterable[Any], ack: Ack | None) -> None:
    for future in futures:
        try:
            future.set_result(ack)
        except (asyncio.InvalidStateError, concurrent.futures.InvalidStateError):
            continue  # cancelled: nobody waits for it


def _fail(futures: Iterable[Any], error: Error) -> None:
    for future in futures:
        try:
            future.set_exception(error)
        except (asyncio.InvalidStateError, concurrent.futures.InvalidStateError):
            continue
        future.exception()  # the next call and `flush` raise it too: one that nobody looks at is not forgotten
