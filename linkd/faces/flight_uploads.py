"""What a client brings by DoPut: a descriptor, a schema, record batches, each checked before anybody looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from linkd.errors import Draining, InvalidArgument, ValueTooLarge
from linkd.faces.flight_dictionaries import Dictionaries
from linkd.home.budget import Taken
from linkd.home.home import Home
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, SCHEMA_MAX_BYTES, VALUE_SIZE_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.store.staging import Piece
from linkd.wire.arrow_ipc import PREFIX_BYTES, check_batch, check_dictionary, check_schema, is_schema
from linkd.wire.flight import FlightMessage, cut
from linkd.wire.flight_tickets import descriptor_in
from linkd.wire.v1 import flight_pb2 as pb


@frozen()
class UploadedBatch:
    """A record batch: its encapsulated message in pieces, of which every buffer is inside; what they hold nobody has looked at.

    `memory` is what it takes of the home's, given back when the next one is asked for, or before.
    """

    parts: tuple[Piece, ...]
    rows: int
    size_bytes: int
    app_metadata: bytes
    memory: Taken


@dataclass(slots=True)
class Upload:
    """One DoPut. `schema` is its encapsulated schema message, b"" until one has come.

    For gRPC's server the requests of a client that goes away end like those of one that is done. Where that makes a difference, `confirm` sends
    something behind the last of them: the call of a client that is not there any more is cancelled before that is through.
    """

    home: Home
    requests: AsyncIterator[bytes]
    descriptor: pb.FlightDescriptor = field(default_factory=pb.FlightDescriptor)
    schema: bytes = b""
    confirm: Callable[[], Awaitable[None]] | None = None
    _first: FlightMessage | None = None
    _waits: asyncio.Timeout | None = None
    _drained: bool = False
    _dictionaries: Dictionaries | None = None

    async def begin(self) -> None:
        """Reads the first message, for its descriptor. Raises InvalidArgument, Draining."""
        data = await self._next()
        if data is None:
            raise InvalidArgument(
                "a DoPut sent nothing: it begins with a descriptor and a schema. ADBC leaves both away for a table without a batch: skip it, or give "
                "it one batch without rows"
            )
        first = cut(data)
        self.descriptor = descriptor_in(first.descriptor)
        if not self._take_schema(first):
            self._first = first

    async def end_by_drain(self) -> None:
        """An upload on which nothing comes must not hold up the home: when that drains, there is no next message, but Draining."""
        with self.home.changes.watch("drain") as watch:
            if not self.home.draining:
                await watch.wait()
        self._drained = True
        if self._waits is not None:
            self._waits.reschedule(asyncio.get_running_loop().time())

    async def batches(self) -> AsyncGenerator[UploadedBatch, None]:
        """The batches as they come; what has no header is passed over. Raises InvalidArgument, ValueTooLarge, Draining."""
        async with aclosing(self._messages()) as messages:
            async for message in messages:
                if not message.header or self._take_schema(message):
                    continue
                if not self.schema:
                    raise InvalidArgument("a DoPut sent a record batch before its schema")
                if self._take_dictionary(message):
                    continue
                memory = await self._room(message)
                try:
                    yield await self._decoded(message, memory) if self._dictionaries is not None else self._batch(message, memory)
                finally:
                    memory.give()

    async def _messages(self) -> AsyncGenerator[FlightMessage, None]:
        first, self._first = self._first, None
        if first is not None:
            yield first
        while (data := await self._next()) is not None:
            yield cut(data)
        if self.confirm is not None:
            await self.confirm()

    async def _next(self) -> bytes | None:
        try:
            async with asyncio.timeout(0 if self._drained else None) as self._waits:
                return await anext(self.requests, None)
        except TimeoutError:
            raise Draining("linkd is shutting down; connect again") from None
        finally:
            self._waits = None

    def _take_schema(self, message: FlightMessage) -> bool:
        """Whether the message is the schema. Raises InvalidArgument for one that is not taken, or a second one."""
        if not message.header or not is_schema(message.header):
            return False
        if self.schema:
            raise InvalidArgument("a DoPut sent a second schema: all of its batches have the one it began with")
        if len(message.header) > SCHEMA_MAX_BYTES:
            raise ValueTooLarge(f"a schema of {len(message.header):,} bytes; at most {SCHEMA_MAX_BYTES:,}")
        check_schema(message.header)
        self.schema = message.parts()[0]
        return True

    def _take_dictionary(self, message: FlightMessage) -> bool:
        """Whether the message is one. Raises InvalidArgument, ValueTooLarge."""
        number = check_dictionary(message.header, len(message.body))
        if number is None:
            return False
        if self._dictionaries is None:
            self._dictionaries = Dictionaries(self.schema)
        self._dictionaries.take(number, message.header, message.body)
        return True

    async def _decoded(self, message: FlightMessage, memory: Taken) -> UploadedBatch:
        """A batch of dictionary-encoded columns as one of plain ones. Raises InvalidArgument, ValueTooLarge."""
        assert self._dictionaries is not None
        info = check_batch(message.header, len(message.body))
        self.schema, content = await asyncio.to_thread(self._dictionaries.decoded, message.header, message.body)
        return UploadedBatch((content,), info.rows, len(content), message.app_metadata, memory)

    async def _room(self, message: FlightMessage) -> Taken:
        size_bytes = PREFIX_BYTES + len(message.header) + len(message.body)
        if size_bytes > VALUE_SIZE_MAX_BYTES:
            raise ValueTooLarge(
                f"a record batch of {size_bytes:,} bytes; at most {VALUE_SIZE_MAX_BYTES:,}: send batches of fewer rows "
                "(in pyarrow: writer.write_table(table, max_chunksize=65_536))"
            )
        await self.home.memory.take(size_bytes)
        return Taken(self.home.memory, size_bytes)

    def _batch(self, message: FlightMessage, memory: Taken) -> UploadedBatch:
        info = check_batch(message.header, len(message.body))
        parts: tuple[Piece, ...] = message.parts()
        size_bytes = sum(map(len, parts))
        if size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
            parts = (b"".join(parts),)  # as a small value comes by every other road
        return UploadedBatch(parts, info.rows, size_bytes, message.app_metadata, memory)
