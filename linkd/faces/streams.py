"""Payloads over a stream: gathered from chunks on the way in, cut into chunks on the way out (see proto/linkd/v1/value.proto)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.faces.lane_session import LaneSession
from linkd.home.budget import Taken
from linkd.home.home import Home
from linkd.home.intake import ARROW, BYTES, ROWS, Incoming
from linkd.home.outgoing import Out
from linkd.home.publishing import SourceStep
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, JSON_ROWS_BYTES_PER_BYTE, SCHEMA_MAX_BYTES, STREAM_FRAME_MAX_BYTES, VALUE_SIZE_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.model.values import Producer
from linkd.store.shared_files import PlacedPayload
from linkd.store.staging import Piece
from linkd.wire.chunks import ChunkMessage
from linkd.wire.messages import envelope_message
from linkd.wire.v1 import links_pb2, value_pb2

FORMS = {value_pb2.ARROW: ARROW, value_pb2.ROWS: ROWS, value_pb2.BYTES: BYTES}
NO_ATTRIBUTES: Mapping[str, str] = {}
FORMATS = {form: number for number, form in FORMS.items()}


def form_of(number: int) -> str:
    """The form that a Format asks for; ARROW if unspecified."""
    if number == value_pb2.FORMAT_UNSPECIFIED:
        return ARROW
    form = FORMS.get(number)  # type: ignore[call-overload]
    if form is None:
        raise InvalidArgument(f"format {number} is not known to this version of linkd")
    return str(form)


@frozen()
class Received:
    """One complete value of a publish stream, and the memory it takes, to be given back."""

    incoming: Incoming
    more: bool
    snapshot: tuple[bytes, int] | None
    source: SourceStep | None
    memory: Taken
    is_position: bool = False
    """A source's position without a value."""


@dataclass(slots=True)
class Gatherer:
    """Puts the values of one publish stream together. Schemas are sent once for each link and remembered.

    `session` is that of a client of the lane, which may place values itself: `reserve` answers when it asks where.
    """

    home: Home
    session: Callable[[], LaneSession | None]
    reserve: Callable[[links_pb2.Reserve], Awaitable[None]]
    _schemas: dict[str, bytes] = field(default_factory=dict)

    def small(self, request: links_pb2.PublishRequest) -> Incoming | None:
        """A small value that this message has all of, and nothing beside it: to be looked at before the next await, so nobody counts its memory.

        None for anything else, and that is no refusal: `received` knows what to do.
        """
        if request.WhichOneof("message") != "value":
            return None
        header = request.value
        data = header.data
        is_plain = not (header.more or header.schema or header.attributes or header.HasField("stage") or header.HasField("source"))
        form = FORMS.get(header.format)
        if not data or len(data) > INLINE_PAYLOAD_MAX_BYTES or len(data) != header.payload_bytes or not is_plain or form is None:
            return None
        link, said = header.link, header.producer
        schema = self._schemas.get(link, b"") if form == ARROW else b""
        return Incoming(link, form, (data,), schema, NO_ATTRIBUTES, Producer(said.id, said.epoch, said.sequence))

    def placed(self, request: links_pb2.PublishRequest) -> tuple[Incoming, Callable[[], PlacedPayload]] | None:
        """A value that lies where its client, which has hashed it, has placed it, with nothing beside it, and what takes note of that place.

        None for anything else, as `small`.
        """
        if request.WhichOneof("message") != "value":
            return None
        header = request.value
        is_plain = not (header.more or header.schema or header.attributes or header.HasField("stage") or header.HasField("source"))
        session = self.session() if is_plain and header.HasField("placed") and header.placed.HasField("xxh3") else None
        if session is None or header.format != value_pb2.ARROW or header.payload_bytes:
            return None
        link, said = header.link, header.producer
        incoming = Incoming(link, ARROW, (), self._schemas.get(link, b""), NO_ATTRIBUTES, Producer(said.id, said.epoch, said.sequence))
        return incoming, partial(session.placed_at_once, link, header.placed)

    async def received(self, request: links_pb2.PublishRequest, requests: AsyncIterator[links_pb2.PublishRequest]) -> Received | None:
        """The value that begins with this message; None for a message that is none, and was answered.

        Takes memory for the value before its bytes arrive; whoever is handed it gives it back. Raises InvalidArgument for a stream out of order,
        ValueTooLarge.
        """
        kind = request.WhichOneof("message")
        if kind == "reserve":
            await self.reserve(request.reserve)
            return None
        if kind != "value":
            raise InvalidArgument("a publish stream sent a chunk that belongs to no value")
        header = request.value
        size_bytes = header.payload_bytes
        if size_bytes > VALUE_SIZE_MAX_BYTES + SCHEMA_MAX_BYTES:
            raise ValueTooLarge(f"{header.link}: a value of {size_bytes:,} bytes; at most {VALUE_SIZE_MAX_BYTES:,}: publish it in pieces")
        memory_bytes = size_bytes * (JSON_ROWS_BYTES_PER_BYTE if header.format == value_pb2.ROWS else 1)
        await self.home.memory.take(memory_bytes)
        memory = Taken(self.home.memory, memory_bytes)
        try:
            parts = await self._payload(header, requests)
            placed = await self._placed(header) if header.HasField("placed") else None  # last: it is the value's to discard
            return self._received(header, parts, memory, placed)
        except BaseException:
            memory.give()
            raise

    async def _placed(self, header: links_pb2.PublishValue) -> PlacedPayload:
        session = self.session()
        if session is None or header.format != value_pb2.ARROW or header.payload_bytes:
            raise InvalidArgument(f"{header.link}: a value by place is Arrow, has no bytes beside, and needs a session of the lane")
        return await session.placed(header.link, header.placed)

    async def _payload(self, header: links_pb2.PublishValue, requests: AsyncIterator[Any]) -> tuple[Piece, ...]:
        parts: list[Piece] = [header.data]
        have = len(parts[0])
        while have < header.payload_bytes:
            request = await anext(requests, None)
            if request is None or request.WhichOneof("message") != "chunk":
                raise InvalidArgument(f"{header.link}: {have} of {header.payload_bytes} bytes of a value came, then something else")
            parts.append(request.chunk)
            have += len(parts[-1])
        if have > header.payload_bytes:
            raise InvalidArgument(f"{header.link}: more bytes came than the {header.payload_bytes} that the value announced")
        return tuple(parts)

    def _received(self, header: links_pb2.PublishValue, parts: tuple[Piece, ...], memory: Taken, placed: PlacedPayload | None) -> Received:
        if header.schema:
            self._schemas[header.link] = header.schema
        producer = Producer(header.producer.id, header.producer.epoch, header.producer.sequence)
        form = form_of(header.format)
        schema = self._schemas.get(header.link, b"") if form == ARROW else b""
        incoming = Incoming(header.link, form, parts, schema, dict(header.attributes), producer, placed)
        snapshot = (header.stage.snapshot_id, header.stage.token) if header.HasField("stage") else None
        source = None
        if header.HasField("source"):
            said = header.source
            source = SourceStep(said.position, said.digest, said.rows_read, said.rows_rejected, said.final)
        is_position = source is not None and header.format == value_pb2.FORMAT_UNSPECIFIED and not header.payload_bytes and placed is None
        return Received(incoming, header.more, snapshot, source, memory, is_position)


async def send_value(out: Out, write: Callable[..., Awaitable[None]], wrap: type[Any], session: LaneSession | None = None) -> None:
    """Writes one value: its header with all of it, or before its pieces, or with where it lies for a client of the lane.

    `wrap` is the class of the stream's messages. `write` takes one, and of a client with a session how many bytes lie where it says.
    """
    header = value_pb2.Value(
        envelope=envelope_message(out.envelope),
        format=FORMATS[out.form],
        payload_bytes=out.size_bytes,
        schema=out.schema,
        input=out.input,
        token=out.token,
        attempt=out.attempt,
        first_row=out.rows[0] if out.rows is not None else 0,
        end_row=out.rows[1] if out.rows is not None else 0,
    )
    if session is not None and out.place is not None and out.size_bytes > INLINE_PAYLOAD_MAX_BYTES:
        placed = session.by_place(out.envelope, out.place)
        if placed is not None:
            header.placed.CopyFrom(placed)
            await write(wrap(value=header), placed.body_bytes)
            return
    async with aclosing(out.chunks):
        if out.size_bytes > STREAM_FRAME_MAX_BYTES:
            await _send_pieces(out, write, wrap, header)
            return
        header.data = b"".join([piece async for piece in out.chunks])
    await write(wrap(value=header))


async def _send_pieces(out: Out, write: Callable[..., Awaitable[None]], wrap: type[Any], header: value_pb2.Value) -> None:
    """The header, with the first piece if that is a small one, and the others behind it."""
    first = await anext(out.chunks)
    if len(first) <= INLINE_PAYLOAD_MAX_BYTES:
        header.data = bytes(first)
    await write(wrap(value=header))
    if not header.data:
        await write(ChunkMessage(wrap, (first,)))
    async for piece in out.chunks:
        await write(ChunkMessage(wrap, (piece,)))
