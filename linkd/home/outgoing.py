"""Values on their way out: envelope, form and bytes, whatever road they take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from linkd.errors import InvalidArgument
from linkd.home.home import Home
from linkd.home.intake import ARROW, BYTES, ROWS
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, STREAM_FRAME_MAX_BYTES
from linkd.model.values import Envelope, Place
from linkd.wire.arrow_ipc import prefix


@dataclass(frozen=True, slots=True)
class Out:
    """A value as it goes to one consumer.

    `size_bytes` is that of the bytes that follow in `chunks`, in the form asked for. `schema` is set when the consumer has not got it yet.
    """

    envelope: Envelope
    form: str
    size_bytes: int
    schema: bytes
    chunks: AsyncIterator[bytes]
    input: str = ""
    token: int = 0
    attempt: int = 1


@dataclass(slots=True)
class Outgoing:
    """Makes what goes out on one stream; remembers which schema of which link was sent."""

    home: Home
    form: str = ARROW
    _sent: dict[str, bytes] = field(default_factory=dict)

    async def value(
        self, envelope: Envelope, place: Place, *, input_name: str = "", token: int = 0, attempt: int = 1, empty: bool = False
    ) -> Out:
        """One value. `empty` sends its envelope only. Raises StateDamaged if what is stored is not what was published."""
        schema = self.home.ledger.schemas[envelope.schema_id]
        fresh = b"" if self._sent.get(envelope.link) == schema or self.form != ARROW else schema
        if not empty:
            self._sent[envelope.link] = schema
        if empty:
            return Out(envelope, self.form, 0, schema if fresh else b"", _nothing(), input_name, token, attempt)
        if self.form == ARROW:
            chunks = self.home.store.read_chunks(envelope, place, STREAM_FRAME_MAX_BYTES)
            return Out(envelope, ARROW, envelope.size_bytes, fresh, chunks, input_name, token, attempt)
        metadata, body = await self.home.store.read_payload(envelope, place)
        payload = b"".join((prefix(len(metadata)), metadata, body))
        if len(payload) > INLINE_PAYLOAD_MAX_BYTES:
            converted = await asyncio.to_thread(_convert, self.form, schema, payload, envelope)
        else:
            converted = _convert(self.form, schema, payload, envelope)
        return Out(envelope, self.form, len(converted), b"", _pieces(converted), input_name, token, attempt)


def _convert(form: str, schema: bytes, payload: bytes, envelope: Envelope) -> bytes:
    from linkd.core import rows as json_rows
    from linkd.core import schema as schemas

    batch = schemas.from_payload(schema, payload, validate=True)
    if form == ROWS:
        return json_rows.batch_to_rows(batch)
    if form == BYTES and schemas.is_opaque(batch.schema):
        content = batch.column(0)[0].as_py() if batch.num_rows else b""
        return bytes(content or b"")
    raise InvalidArgument(f"{envelope.name} has columns, not opaque bytes: ask for it as ARROW or ROWS")


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), STREAM_FRAME_MAX_BYTES):
        yield content[start : start + STREAM_FRAME_MAX_BYTES]


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece
