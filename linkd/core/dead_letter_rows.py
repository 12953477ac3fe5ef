"""The row of a dead letter: see `core.dead_letters` for what its columns say. By way of pyarrow."""

from __future__ import annotations

import pyarrow as pa

from linkd.core.dead_letters import Letter

_NS_PER_US = 1_000

SCHEMA = pa.schema(
    [
        pa.field("link", pa.string()),
        pa.field("incarnation", pa.int64()),
        pa.field("sequence", pa.int64()),
        pa.field("last_sequence", pa.int64()),
        pa.field("first_row", pa.int64()),
        pa.field("end_row", pa.int64()),
        pa.field("consumer", pa.string()),
        pa.field("attempts", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("failed_at", pa.timestamp("us", "UTC")),
        pa.field("payload", pa.binary()),
    ]
)


def letter_row(letter: Letter, payload: bytes | None) -> pa.RecordBatch:
    """The one row of `letter`. `payload` are the values as an Arrow IPC stream, if they are told."""
    portion = letter.portion
    values = (
        portion.link,
        portion.incarnation,
        portion.first_sequence,
        portion.last_sequence,
        portion.first_row,
        portion.end_row,
        letter.consumer,
        letter.attempts,
        letter.reason,
        letter.failed_at_ns // _NS_PER_US,
        payload,
    )
    columns = [pa.array([value], field.type) for value, field in zip(values, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
