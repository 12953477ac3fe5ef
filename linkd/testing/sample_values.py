"""Values for tests of stores: real Arrow messages with envelopes that fit them. Needs pyarrow."""

from __future__ import annotations

import functools
import io

import pyarrow as pa
import xxhash

from linkd.model.frozen import frozen
from linkd.model.records import SchemaKept, ValueStored
from linkd.model.values import Envelope, Place, PlaceKind, Position
from linkd.wire import arrow_ipc

_PROVISIONAL = Place(PlaceKind.JOURNAL, 0, 0, 0)
_KEPT = 1_000
"""Values made once, for seeded histories ask for the same small ones again and again."""


@frozen()
class SampleValue:
    """One value: what a home would append for it."""

    envelope: Envelope
    payload: bytes
    schema: bytes

    @property
    def stored(self) -> ValueStored:
        return ValueStored(self.envelope, _PROVISIONAL)

    @property
    def schema_kept(self) -> SchemaKept:
        return SchemaKept(self.envelope.link, self.envelope.schema_id, self.schema)


@functools.lru_cache(maxsize=_KEPT)
def sample_value(link: str, sequence: int, rows: int = 3, *, generation: int = 1, column: str = "n", incarnation: int = 1) -> SampleValue:
    """Value `link@sequence`: `rows` rows of one int64 column, in which every row says the sequence. 8 bytes a row and about 200 more.

    Asked for again it is the same object."""
    batch = pa.RecordBatch.from_pydict({column: pa.array([sequence] * rows, pa.int64())})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    schema, (message,) = arrow_ipc.read_stream(sink.getvalue())
    payload = bytes(message.message)
    envelope = Envelope(
        id=xxhash.xxh3_128_digest(f"{link}@{incarnation}.{sequence}".encode()),
        link=link,
        position=Position(incarnation, sequence),
        generation=generation,
        rows=rows,
        size_bytes=len(payload),
        schema_id=arrow_ipc.schema_id(schema),
        payload_xxh3=xxhash.xxh3_64_intdigest(payload),
        created_at_ns=1_000 * sequence,
        task="clean",
        attributes={"sample": "yes"},
    )
    return SampleValue(envelope, payload, schema)
