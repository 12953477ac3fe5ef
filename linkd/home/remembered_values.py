"""The values of an outcome, on their way into the memo and back: which of them lie there, and where the others are found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from linkd.core.memo import REMEMBERED, Outcome, RememberedValue
from linkd.errors import LinkNotFound
from linkd.limits import MEMO_INLINED_MAX_BYTES, STREAM_FRAME_MAX_BYTES
from linkd.model.values import Envelope, Place, PlaceKind

if TYPE_CHECKING:
    import pyarrow as pa

    from linkd.home.home import Home


async def remembered(home: Home, task: str, content: bytes, made: Sequence[Envelope]) -> Outcome:
    """These durable values, as the memo has them: with their payloads, if they are small together. Raises LinkNotFound, StateDamaged."""
    is_small = sum(envelope.size_bytes for envelope in made) <= MEMO_INLINED_MAX_BYTES
    values = []
    for envelope in made:
        value = RememberedValue(
            link=envelope.link,
            schema_id=envelope.schema_id,
            schema=home.ledger.schema_of(envelope),
            attributes={name: text for name, text in envelope.attributes.items() if name != REMEMBERED},
            rows=envelope.rows,
            size_bytes=envelope.size_bytes,
            payload_xxh3=envelope.payload_xxh3,
            position=envelope.position,
            value_id=envelope.id,
            made_as=envelope.attributes.get(REMEMBERED, envelope.name),
            payload=b"".join(await _pieces(home, *_of_position(home, envelope))) if is_small else None,
        )
        values.append(value)
    return Outcome(task, content, tuple(values))


async def payload_of(home: Home, value: RememberedValue) -> tuple[bytes, ...]:
    """The payload in pieces. Raises LinkNotFound if it is not kept any more, StateDamaged."""
    if value.payload is not None:
        return (value.payload,)
    position = value.position
    for envelope, place in home.store.values(value.link, position.sequence, position.sequence, incarnation=position.incarnation):
        if (envelope.id, envelope.payload_xxh3, envelope.size_bytes) == (value.value_id, value.payload_xxh3, value.size_bytes):
            return await _pieces(home, envelope, place)
    raise LinkNotFound(f"{value.link}@{position.sequence} is not what it was when it was remembered: it was dropped")


def _of_position(home: Home, envelope: Envelope) -> tuple[Envelope, Place]:
    sequence = envelope.position.sequence
    for found in home.store.values(envelope.link, sequence, sequence, incarnation=envelope.position.incarnation):
        return found
    raise LinkNotFound(f"{envelope.name} is not kept any more")


async def _pieces(home: Home, envelope: Envelope, place: Place) -> tuple[bytes, ...]:
    if place.kind is PlaceKind.DROPPED:
        raise LinkNotFound(f"{envelope.name} is not kept any more")
    async with aclosing(home.store.read_chunks(envelope, place, STREAM_FRAME_MAX_BYTES)) as chunks:
        return tuple([chunk async for chunk in chunks])


async def with_other_rows(home: Home, before: Outcome, after: Outcome, links: Sequence[str]) -> list[str]:
    """Those of `links` whose rows differ, however they are cut into values and laid out. Raises as `payload_of`."""
    return [link for link in links if not await _same_rows(home, _of_link(before, link), _of_link(after, link))]


def _of_link(outcome: Outcome, link: str) -> Iterator[RememberedValue]:
    return (value for value in outcome.values if value.link == link)


async def _same_rows(home: Home, before: Iterator[RememberedValue], after: Iterator[RememberedValue]) -> bool:
    async with aclosing(_batches(home, before)) as left, aclosing(_batches(home, after)) as right:
        mine, theirs = await anext(left, None), await anext(right, None)
        while mine is not None and theirs is not None:
            rows = min(mine.num_rows, theirs.num_rows)
            if not await asyncio.to_thread(_equal, mine.slice(0, rows), theirs.slice(0, rows)):
                return False
            mine = mine.slice(rows) if rows < mine.num_rows else await anext(left, None)
            theirs = theirs.slice(rows) if rows < theirs.num_rows else await anext(right, None)
        return mine is None and theirs is None


async def _batches(home: Home, values: Iterator[RememberedValue]) -> AsyncGenerator[pa.RecordBatch, None]:
    """Their rows, one value after the other; those without rows are nothing."""
    for value in values:
        await home.memory.take(value.size_bytes)
        try:
            pieces = await payload_of(home, value)
            if value.rows:
                yield await asyncio.to_thread(_batch, value.schema, b"".join(pieces))
        finally:
            home.memory.give(value.size_bytes)


def _batch(schema: bytes, payload: bytes) -> pa.RecordBatch:
    from linkd.core.payload import from_payload

    return from_payload(schema, payload, validate=True)


def _equal(mine: pa.RecordBatch, theirs: pa.RecordBatch) -> bool:
    """By their bytes where they are not equal: what is no number equals nothing."""
    from linkd.core.payload import payload

    return bool(mine.equals(theirs)) or payload(mine) == payload(theirs)
