"""The hash slots of stored values, for `order: key`."""

from __future__ import annotations

import asyncio

from linkd.home.home import Home
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES
from linkd.model.values import Envelope, Place
from linkd.wire.arrow_ipc import prefix


async def slots_of(home: Home, envelope: Envelope, place: Place, key: str) -> frozenset[int]:
    """The slots of the value's rows. Raises InvalidArgument if it has no such column, StateDamaged."""
    schema = home.ledger.schema_of(envelope)
    taken_bytes = 2 * envelope.size_bytes  # as it is stored, and in one piece
    await home.memory.take(taken_bytes)
    try:
        metadata, body = await home.store.read_payload(envelope, place)
        payload = b"".join((prefix(len(metadata)), metadata, body))
        if len(payload) > INLINE_PAYLOAD_MAX_BYTES:
            return await asyncio.to_thread(_slots, schema, payload, key, envelope.name)
        return _slots(schema, payload, key, envelope.name)
    finally:
        home.memory.give(taken_bytes)


def _slots(schema: bytes, payload: bytes, key: str, name: str) -> frozenset[int]:
    from linkd.core.key_slots import slots_in
    from linkd.core.payload import from_payload

    return slots_in(from_payload(schema, payload, validate=True), key, name=name)
