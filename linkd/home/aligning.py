"""Values in one schema: of a generation whose schema has grown since its first values came (`core.evolution`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from linkd.home.home import Home
from linkd.home.outgoing import Out
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES
from linkd.store.staging import Piece


async def aligned(home: Home, out: Out, own: bytes, schema: bytes) -> list[Piece]:
    """The pieces of the value's message, brought from the schema message `own`, which it has, to another one.

    Within the memory there is. Raises StateDamaged, and SchemaMismatch where the one does not go into the other.
    """
    if own == schema:
        return await _all(out)
    if out.size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
        return [_conformed(out, own, schema, await _all(out))]
    taken_bytes = 2 * out.size_bytes
    await home.memory.take(taken_bytes)
    try:
        pieces = await _all(out)
        return [await asyncio.to_thread(_conformed, out, own, schema, pieces)]
    finally:
        home.memory.give(taken_bytes)


async def _all(out: Out) -> list[Piece]:
    async with aclosing(out.chunks):
        return [piece async for piece in out.chunks]


def _conformed(out: Out, own: bytes, schema: bytes, pieces: Sequence[Piece]) -> bytes:
    import pyarrow as pa

    from linkd.core import schema as schemas

    batch = schemas.from_payload(own, b"".join(pieces), validate=True)
    wanted = pa.ipc.read_schema(pa.py_buffer(schema))
    return bytes(schemas.payload(schemas.in_schema(batch, wanted, link=out.envelope.link))[1])
