"""Payloads over a stream: gathered from chunks on the way in, cut into chunks on the way out (see proto/linkd/v1/value.proto)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.home.home import Home
from linkd.home.intake import ARROW, BYTES, ROWS, Incoming
from linkd.home.outgoing import Out
from linkd.home.publishing import SourceStep
from linkd.limits import GRPC_MESSAGE_MAX_BYTES, SCHEMA_MAX_BYTES, VALUE_SIZE_MAX_BYTES
from linkd.model.values import Producer
from linkd.wire.messages import envelope_message
from linkd.wire.v1 import links_pb2, value_pb2

FORMS = {value_pb2.ARROW: ARROW, value_pb2.ROWS: ROWS, value_pb2.BYTES: BYTES}
FORMATS = {form: number for number, form in FORMS.items()}


def form_of(number: int) -> str:
    """The form that a Format asks for; ARROW if unspecified."""
    if number == value_pb2.FORMAT_UNSPECIFIED:
        return ARROW
    form = FORMS.get(number)  # type: ignore[call-overload]
    if form is None:
        raise InvalidArgument(f"format {number} is not known to this version of linkd")
    return str(form)


@dataclass(frozen=True, slots=True)
class Received:
    """One complete value of a publish stream. Its `size_bytes` of memory are to be given back to the home's budget."""

    incoming: Incoming
    more: bool
    snapshot: tuple[bytes, int] | None
    source: SourceStep | None
    size_bytes: int


@dataclass(slots=True)
class Gatherer:
    """Puts the values of one publish stream together. Schemas are sent once for each link and remembered."""

    home: Home
    _schemas: dict[str, bytes] = field(default_factory=dict)

    async def values(self, requests: AsyncIterator[links_pb2.PublishRequest]) -> AsyncGenerator[Received, None]:
        """Takes memory for each value before its bytes arrive; whoever is handed the value gives it back.

        Raises InvalidArgument for a stream out of order, ValueTooLarge.
        """
        async for request in requests:
            if request.WhichOneof("message") != "value":
                raise InvalidArgument("a publish stream sent a chunk that belongs to no value")
            header = request.value
            size_bytes = header.payload_bytes
            if size_bytes > VALUE_SIZE_MAX_BYTES + SCHEMA_MAX_BYTES:
                raise ValueTooLarge(
                    f"{header.link}: a value of {size_bytes:,} bytes; at most {VALUE_SIZE_MAX_BYTES:,}: publish it in pieces"
                )
            await self.home.memory.take(size_bytes)
            try:
                received = self._received(header, await self._payload(header, requests))
            except BaseException:
                self.home.memory.give(size_bytes)
                raise
            yield received

    async def _payload(self, header: links_pb2.PublishValue, requests: AsyncIterator[links_pb2.PublishRequest]) -> bytes:
        parts = [header.data]
        have = len(header.data)
        while have < header.payload_bytes:
            request = await anext(requests, None)
            if request is None or request.WhichOneof("message") != "chunk":
                raise InvalidArgument(f"{header.link}: {have} of {header.payload_bytes} bytes of a value came, then something else")
            parts.append(request.chunk)
            have += len(request.chunk)
        if have > header.payload_bytes:
            raise InvalidArgument(f"{header.link}: more bytes came than the {header.payload_bytes} that the value announced")
        return b"".join(parts) if len(parts) > 1 else parts[0]

    def _received(self, header: links_pb2.PublishValue, payload: bytes) -> Received:
        if header.schema:
            self._schemas[header.link] = header.schema
        producer = Producer(header.producer.id, header.producer.epoch, header.producer.sequence)
        form = form_of(header.format)
        schema = self._schemas.get(header.link, b"") if form == ARROW else b""
        incoming = Incoming(header.link, form, payload, schema, dict(header.attributes), producer)
        snapshot = (header.stage.snapshot_id, header.stage.token) if header.HasField("stage") else None
        source = None
        if header.HasField("source"):
            said = header.source
            source = SourceStep(said.position, said.digest, said.rows_read, said.rows_rejected, said.final)
        return Received(incoming, header.more, snapshot, source, header.payload_bytes)


async def send_value(out: Out, write: Callable[[Any], Awaitable[None]], wrap: Callable[..., Any]) -> None:
    """Writes one value: its header with the first piece, then the others. `wrap` makes the stream's message of a `value=` or `chunk=`."""
    header = value_pb2.Value(
        envelope=envelope_message(out.envelope),
        format=FORMATS[out.form],
        payload_bytes=out.size_bytes,
        schema=out.schema,
        input=out.input,
        token=out.token,
        attempt=out.attempt,
    )
    first = True
    async for piece in out.chunks:
        if first:
            if len(piece) + len(out.schema) < GRPC_MESSAGE_MAX_BYTES // 2:
                header.data = piece
                await write(wrap(value=header))
            else:
                await write(wrap(value=header))
                await write(wrap(chunk=piece))
            first = False
        else:
            await write(wrap(chunk=piece))
    if first:
        await write(wrap(value=header))
