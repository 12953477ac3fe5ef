"""Rows cut out of values, where a window of rows begins or ends inside one.

Consecutive windows go through a large value one after the other, so of each link the value that was cut last is kept decoded: it is read,
checked and decoded once, not once for each window: as long as the home's memory has room for that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linkd.errors import InvalidArgument
from linkd.home.home import Home
from linkd.home.intake import ARROW, ROWS
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES
from linkd.model.values import Envelope, Place
from linkd.wire.arrow_ipc import prefix

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class RowSlicer:
    """Cuts values of one stream in one form. Holds one decoded value of each link at most; `close` it."""

    home: Home
    form: str
    _kept: dict[str, tuple[bytes, pa.RecordBatch]] = field(default_factory=dict)

    async def cut(self, envelope: Envelope, place: Place, rows: tuple[int, int]) -> bytes:
        """The payload of the rows from `rows[0]` up to but not including `rows[1]`, in the form asked for. Raises as `Outgoing.value`."""
        batch = await self._decoded(envelope, place)
        share_bytes = envelope.size_bytes * (rows[1] - rows[0]) // max(envelope.rows, 1)
        if share_bytes > INLINE_PAYLOAD_MAX_BYTES:
            return await asyncio.to_thread(_encode, self.form, batch, rows, envelope)
        return _encode(self.form, batch, rows, envelope)

    def forget(self, link: str) -> None:
        """The stream has gone past the value of the link that is kept."""
        kept = self._kept.pop(link, None)
        if kept is not None:
            self.home.kept.decoded.give(kept[1].nbytes)

    def close(self) -> None:
        """The stream is gone."""
        for link in list(self._kept):
            self.forget(link)

    async def _decoded(self, envelope: Envelope, place: Place) -> pa.RecordBatch:
        kept = self._kept.get(envelope.link)
        if kept is not None and kept[0] == envelope.id:
            return kept[1]
        metadata, body = await self.home.store.read_payload(envelope, place)
        schema = self.home.ledger.schema_of(envelope)
        payload = b"".join((prefix(len(metadata)), metadata, body))
        large = len(payload) > INLINE_PAYLOAD_MAX_BYTES
        batch = await asyncio.to_thread(_decode, schema, payload) if large else _decode(schema, payload)
        self.forget(envelope.link)
        if self.home.kept.decoded.try_take(batch.nbytes):
            self._kept[envelope.link] = envelope.id, batch
        return batch


def _decode(schema: bytes, payload: bytes) -> pa.RecordBatch:
    from linkd.core import schema as schemas

    return schemas.from_payload(schema, payload, validate=True)


def _encode(form: str, batch: pa.RecordBatch, rows: tuple[int, int], envelope: Envelope) -> bytes:
    from linkd.core import rows as json_rows
    from linkd.core import schema as schemas

    part = batch.slice(rows[0], rows[1] - rows[0])
    if form == ARROW:
        return bytes(schemas.payload(part)[1])
    if form == ROWS:
        return json_rows.batch_to_rows(part)
    raise InvalidArgument(f"{envelope.name} has columns, not opaque bytes: ask for it as ARROW or ROWS")
