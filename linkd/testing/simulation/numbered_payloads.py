"""Payloads that cost nothing to make: one message of Arrow for each number of rows, in which every row says the number of the value."""

from __future__ import annotations

import functools
import io

import numpy as np  # pyarrow loads pandas when it is given anything else
import pyarrow as pa
import xxhash

from linkd.core.publishing import Draft
from linkd.wire import arrow_ipc

ROWS = (1, 4, 60)
"""How many rows values have: a small one, and one that is too large for the journal under the simulation's limits."""


@functools.cache
def _template(rows: int) -> tuple[bytes, bytes, bytes]:
    """The schema message, and a value's message up to its column."""
    batch = pa.RecordBatch.from_pydict({"n": pa.array(np.zeros(rows, np.int64))})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    schema, (message,) = arrow_ipc.read_stream(sink.getvalue())
    whole = bytes(message.message)
    body_at = arrow_ipc.PREFIX_BYTES + arrow_ipc.metadata_length(whole[: arrow_ipc.PREFIX_BYTES])
    return bytes(schema), whole[:body_at], whole[body_at + 8 * rows :]


@functools.cache
def schema_of_all() -> tuple[bytes, bytes]:
    """(id, schema message): all payloads have this one."""
    schema = _template(1)[0]
    return arrow_ipc.schema_id(schema), schema


def numbered(link: str, number: int, rows: int) -> tuple[Draft, bytes]:
    """Value `number`: its draft and its payload."""
    _, head, tail = _template(rows)
    payload = head + number.to_bytes(8, "little") * rows + tail
    schema_id, schema = schema_of_all()
    return Draft(link, rows, len(payload), schema_id, schema, xxhash.xxh3_64_intdigest(payload)), payload


def number_of(body: bytes | memoryview) -> int:
    """The number that the body of a payload says."""
    return int.from_bytes(body[:8], "little")
