"""Batches cut from rows of text, at places that depend on the file alone.

A batch ends behind `ROWS_PER_VALUE` rows of the file, rejected ones too, or before the row with which its bytes in the file would exceed
`SOURCE_BATCH_MAX_BYTES`. So reading on behind any batch cuts as reading through would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from linkd.limits import ROWS_PER_VALUE, SOURCE_BATCH_MAX_BYTES
from linkd_adapters.file.conversion import empty_batch
from linkd_adapters.file.reader import FileBatch, Place
from linkd_adapters.file.rows import Rows


def cut(
    rows: Iterable[Rows], *, rows_max: int = ROWS_PER_VALUE, size_max_bytes: int = SOURCE_BATCH_MAX_BYTES
) -> Iterator[tuple[list[Rows], bool]]:
    """The rows of each batch, and whether it is the last. A file without rows gives one batch of none."""
    batch: list[Rows] = []
    for some in rows:
        left = some
        while left.count:
            room = _room(batch, left, rows_max, size_max_bytes)
            if room >= left.count:
                batch.append(left)
                break
            taken, left = left.split(room) if room else (None, left)
            yield ([*batch, taken] if taken is not None else batch), False
            batch = []
    yield batch, True


def _room(batch: list[Rows], rows: Rows, rows_max: int, size_max_bytes: int) -> int:
    """How many of `rows` the batch takes; at least one if it is empty."""
    room = min(rows_max - sum(part.count for part in batch), rows.count)
    start = batch[0].block.offset if batch else rows.block.offset
    bytes_left = start + size_max_bytes - rows.block.offset
    if len(rows.block.text) > bytes_left:
        room = min(room, rows.block.grammar.records_within(rows.block.text, bytes_left, rows.count))
    return room if batch else max(room, 1)


def file_batch(batch: list[Rows], is_last: bool, schema: pa.Schema, before: Place) -> FileBatch:
    """The batch of these rows, which follow `before`."""
    count = sum(part.count for part in batch)
    end = batch[-1].block if batch else None
    attributes = {"first_line": str(batch[0].block.line), "last_line": str(batch[-1].last_line)} if batch else {}
    return FileBatch(
        data=_joined([part.data for part in batch], schema),
        rejects=tuple(reject for part in batch for reject in part.rejects),
        rows=count,
        after=Place(before.row + count, end.end_offset, end.end_line) if end else before,
        is_last=is_last,
        attributes=attributes,
    )


def _joined(parts: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    table = pa.Table.from_batches(parts, schema=schema).combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else empty_batch(schema)
