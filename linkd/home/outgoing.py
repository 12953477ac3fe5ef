"""Values on their way out: envelope, form and bytes, whatever road they take.

What is converted is held in memory only as long as that takes, within the home's budget. If it is more than one message it waits on disk for
its reader, who may take it as slowly as he likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from linkd.errors import InvalidArgument
from linkd.home.home import Home
from linkd.home.intake import ARROW, BYTES, ROWS
from linkd.home.slicing import RowSlicer
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, JSON_BYTES_PER_PAYLOAD_BYTE, STREAM_FRAME_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Place
from linkd.store.staging import Piece, Spool
from linkd.wire.arrow_ipc import prefix
from linkd.wire.opaque import OPAQUE_SCHEMA_MESSAGE, opaque_rows


@frozen()
class Out:
    """A value as it goes to one consumer.

    `size_bytes` is that of the bytes that follow in `chunks`, in the form asked for. `schema` is set when the consumer has not got it yet.
    `rows` are those that go out (the first, and the one behind the last), None for all of them. Whoever sends it closes `chunks`, also where it did
    not come to their end: they hold a file.
    """

    envelope: Envelope
    form: str
    size_bytes: int
    schema: bytes
    chunks: AsyncGenerator[Piece, None]
    input: str = ""
    token: int = 0
    attempt: int = 1
    rows: tuple[int, int] | None = None
    place: Place | None = None
    """Where it lies, of a value that goes out as it is stored."""


@dataclass(slots=True)
class Outgoing:
    """Makes what goes out on one stream; remembers which schema of which link was sent. `close` it.

    One that `goes_along` with its links is sent what comes, as it comes.
    """

    home: Home
    form: str = ARROW
    goes_along: bool = True
    _sent: dict[str, bytes] = field(default_factory=dict)
    _along: set[str] = field(default_factory=set)
    _slicer: RowSlicer = field(init=False)

    def __post_init__(self) -> None:
        self._slicer = RowSlicer(self.home, self.form)

    async def value(
        self,
        envelope: Envelope,
        place: Place,
        *,
        input_name: str = "",
        token: int = 0,
        attempt: int = 1,
        empty: bool = False,
        rows: tuple[int, int] | None = None,
    ) -> Out:
        """One value, or these rows of it. `empty` sends its envelope only. Raises StateDamaged if what is stored is not what was published."""
        schema = self.home.ledger.schema_of(envelope)
        fresh = b"" if self._sent.get(envelope.link) == schema or self.form != ARROW else schema
        if not empty:
            self._sent[envelope.link] = schema
        if empty:
            return Out(envelope, self.form, 0, schema if fresh else b"", _nothing(), input_name, token, attempt)
        if rows is not None and rows != (0, envelope.rows):
            size_bytes, chunks = await self._made(envelope, lambda: self._slicer.cut(envelope, place, rows))
            return Out(envelope, self.form, size_bytes, fresh, chunks, input_name, token, attempt, rows)
        self._slicer.forget(envelope.link)
        if self.form == ARROW:
            is_recent = self.goes_along and envelope.size_bytes > STREAM_FRAME_MAX_BYTES
            message: AsyncGenerator[Piece, None] = self._recent(envelope, place) if is_recent else self._stored(envelope, place)
            return Out(envelope, ARROW, envelope.size_bytes, fresh, message, input_name, token, attempt, place=place)
        size_bytes, chunks = await self._made(envelope, lambda: self._converted(schema, envelope, place))
        return Out(envelope, self.form, size_bytes, b"", chunks, input_name, token, attempt)

    def close(self) -> None:
        """The stream is gone."""
        self._slicer.close()
        while self._along:
            self.home.kept.recent.leave(self._along.pop())

    def _stored(self, envelope: Envelope, place: Place) -> AsyncGenerator[bytes, None]:
        return self.home.store.read_chunks(envelope, place, STREAM_FRAME_MAX_BYTES)

    async def _recent(self, envelope: Envelope, place: Place) -> AsyncGenerator[Piece, None]:
        """A large message: from memory if it came just now, else, or the rest of it, from its file."""
        recent, link = self.home.kept.recent, envelope.link
        if link not in self._along:
            self._along.add(link)
            recent.join(link)
        sent = sent_bytes = 0
        with recent.given(link, place) as kept:
            while kept is not None and sent < len(kept.pieces):
                piece = kept.pieces[sent]
                sent, sent_bytes = sent + 1, sent_bytes + len(piece)
                yield piece
        if sent_bytes == envelope.size_bytes:
            return
        async with aclosing(self._stored(envelope, place)) as chunks:
            async for chunk in chunks:
                skipped = min(sent_bytes, len(chunk))
                sent_bytes -= skipped
                if skipped < len(chunk):
                    yield memoryview(chunk)[skipped:] if skipped else chunk

    async def _made(self, envelope: Envelope, make: Callable[[], Awaitable[bytes]]) -> tuple[int, AsyncGenerator[bytes, None]]:
        """What `make` makes of a value, within the memory there is: its size, and its pieces."""
        if envelope.size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
            content = await make()
            return len(content), _pieces(content)
        taken_bytes = envelope.size_bytes * (1 + (JSON_BYTES_PER_PAYLOAD_BYTE if self.form == ROWS else 1))
        await self.home.memory.take(taken_bytes)
        try:
            content = await make()
            if len(content) <= STREAM_FRAME_MAX_BYTES:
                return len(content), _pieces(content)
            spool = self.home.store.spool()
            await asyncio.to_thread(spool.write, content)
            spool.count(len(content))
            return len(content), _spooled(spool, len(content))
        finally:
            self.home.memory.give(taken_bytes)

    async def _converted(self, schema: bytes, envelope: Envelope, place: Place) -> bytes:
        metadata, body = await self.home.store.read_payload(envelope, place)
        payload = b"".join((prefix(len(metadata)), metadata, body))
        if len(payload) > INLINE_PAYLOAD_MAX_BYTES:
            return await asyncio.to_thread(_convert, self.form, schema, payload, envelope)
        return _convert(self.form, schema, payload, envelope)


def _convert(form: str, schema: bytes, payload: bytes, envelope: Envelope) -> bytes:
    if form == BYTES and schema == OPAQUE_SCHEMA_MESSAGE and (contents := opaque_rows(payload)) is not None:
        return _only(contents, envelope)
    from linkd.core import rows as json_rows
    from linkd.core import schema as schemas

    batch = schemas.from_payload(schema, payload, validate=True)
    if form == ROWS:
        return json_rows.batch_to_rows(batch)
    if form == BYTES and schemas.is_opaque(batch.schema):
        return _only([content or b"" for content in batch.column(0).to_pylist()], envelope)
    raise InvalidArgument(f"{envelope.name} has columns, not opaque bytes: ask for it as ARROW or ROWS")


def _only(contents: Sequence[bytes], envelope: Envelope) -> bytes:
    """The content of a value of opaque bytes."""
    if len(contents) > 1:
        raise InvalidArgument(
            f"{envelope.name} has {len(contents):,} rows of opaque bytes, gathered by a publisher: ask for it as ARROW or ROWS"
        )
    return contents[0] if contents else b""


async def _pieces(content: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), STREAM_FRAME_MAX_BYTES):
        yield content[start : start + STREAM_FRAME_MAX_BYTES]


async def _spooled(spool: Spool, size_bytes: int) -> AsyncGenerator[bytes, None]:
    try:
        for start in range(0, size_bytes, STREAM_FRAME_MAX_BYTES):
            yield await asyncio.to_thread(spool.read, start, min(STREAM_FRAME_MAX_BYTES, size_bytes - start))
    finally:
        spool.close()


async def _nothing() -> AsyncGenerator[bytes, None]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece
