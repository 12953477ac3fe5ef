"""Raw files: the bytes of opaque values, one behind the other, without anything between them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pyarrow as pa

from linkd.core.schema import opaque_batch
from linkd.limits import PAGE_BYTES, VALUE_SIZE_MAX_BYTES

RAW_VALUE_MAX_BYTES = VALUE_SIZE_MAX_BYTES - PAGE_BYTES
"""Of the bytes of one value: with what Arrow puts around them it is as large as a value may be."""
_OFFSET = struct.Struct("<i")


def raw_bytes(batch: pa.RecordBatch) -> memoryview:
    """The bytes of all rows of opaque values, where they lie."""
    column = batch.column(0)
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return memoryview(b"")
    ends = memoryview(offsets)
    first, last = (_OFFSET.unpack_from(ends, _OFFSET.size * (column.offset + place))[0] for place in (0, len(column)))
    return memoryview(data)[first:last]


def raw_values(read: Callable[[int], bytes]) -> Iterator[pa.RecordBatch]:
    """What `read` gives until it gives nothing, as values: one, or several where it is too large for one; none of no bytes."""
    while content := read(RAW_VALUE_MAX_BYTES):
        yield opaque_batch(content)
