"""Reading `_commits`: what was committed, as the values of a link of that name, which nobody writes and nobody follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

import xxhash

from linkd.core.names import COMMITS_LINK
from linkd.core.rights import Identity
from linkd.errors import InvalidArgument
from linkd.home.home import Home
from linkd.home.intake import ARROW, BYTES, ROWS
from linkd.home.outgoing import Out
from linkd.home.reading import ReadCall, ReadOpened
from linkd.limits import STREAM_FRAME_MAX_BYTES
from linkd.model.values import Envelope, Position
from linkd.wire.arrow_ipc import schema_id

if TYPE_CHECKING:
    import pyarrow as pa

_GENERATION = 1


async def read_commits(home: Home, who: Identity, call: ReadCall) -> AsyncGenerator[ReadOpened | Out, None]:
    """As `home.reading.read`, of all that was acked when it is called: a value for some thousand records. Raises NotAllowed, InvalidArgument."""
    with home.audited(who, "read", COMMITS_LINK):
        home.rights.read(who, COMMITS_LINK)
    if call.follow or call.first_sequence or call.last_sequence or call.last_values or call.generation > _GENERATION or call.form == BYTES:
        raise InvalidArgument(f"{COMMITS_LINK} is read whole, as rows: name no values of it, and query what you look for with SQL")
    until_lsn = home.store.written_lsn
    await home.barrier()
    batches = home.store.commit_records(until_lsn).batches()
    schema, _ = await asyncio.to_thread(_empty)
    yield ReadOpened(COMMITS_LINK, _GENERATION, False, schema, 1, 0)
    sequence = 0
    while (made := await asyncio.to_thread(_next, batches, call.form)) is not None:
        sequence += 1
        payload, rows, newest_ns = made
        envelope = Envelope(
            sequence.to_bytes(16, "big"),
            COMMITS_LINK,
            Position(1, sequence),
            _GENERATION,
            rows,
            len(payload),
            schema_id(schema),
            xxhash.xxh3_64_intdigest(payload),
            newest_ns,
        )
        first = schema if sequence == 1 and call.form == ARROW else b""
        if call.envelopes_only:
            yield Out(envelope, call.form, 0, first, _pieces(b""))
        else:
            yield Out(envelope, call.form, len(payload), first, _pieces(payload))


def _empty() -> tuple[bytes, memoryview]:
    import pyarrow as pa

    from linkd.core.payload import payload
    from linkd.store.commit_rows import commit_schema

    return payload(pa.RecordBatch.from_pylist([], schema=commit_schema()))


def _next(batches: Iterator[pa.RecordBatch], form: str) -> tuple[bytes, int, int] | None:
    """The payload of the next batch in this form, how many rows it has, and when the newest of them was committed; None behind the last."""
    from linkd.core.payload import payload
    from linkd.core.rows import batch_to_rows

    batch = next(batches, None)
    if batch is None:
        return None
    newest_ns = max((at_ns for at_ns in batch.column("committed_at").cast("int64").to_pylist() if at_ns is not None), default=0)
    return batch_to_rows(batch) if form == ROWS else bytes(payload(batch)[1]), batch.num_rows, newest_ns


async def _pieces(content: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), STREAM_FRAME_MAX_BYTES):
        yield content[start : start + STREAM_FRAME_MAX_BYTES]
