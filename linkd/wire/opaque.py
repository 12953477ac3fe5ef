"""Opaque bytes as Arrow, without pyarrow: the schema message of `{bytes: binary}`, and record batch messages of that schema. And that of no columns.

Format: that of `arrow_ipc`. The batch has one column; of its three buffers that of validity is empty, for no row is null:

    metadata      152   the flatbuffer that `_METADATA` lays out
    offsets     4(n+1)  where each row begins, int32, and where the last one ends; padded to 8
    data          ...   the rows one behind the other; padded to 8

Where things lie in the metadata: 0 root offset, 4 vtable and 16 table of Message, 36 vtable and 48 table of RecordBatch, 76 the one node,
100 the three buffers.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

from linkd.errors import InvalidArgument
from linkd.wire.arrow_ipc import PREFIX_BYTES, BatchInfo, Bytes, message_view, metadata_length, prefix

OPAQUE_COLUMN = "bytes"
OPAQUE_SCHEMA_MESSAGE = bytes.fromhex(
    "ffffffff 70000000 10000000 00000a00 0c000600 05000800 0a000000 00010400 0c000000 08000800 00000400 08000000 04000000 01000000"
    "14000000 10001400 08000600 07000c00 00001000 10000000 00000104 10000000 1c000000 04000000 00000000 05000000 62797465 73000000"
    "04000400 04000000"
)  # fmt: skip
"""The very bytes that Arrow's library writes for this schema: schemas are compared by their messages."""
OPAQUE_SCHEMA_ID = bytes.fromhex("ed05d985bcf82b23da397d5945a01a00")
"""Its xxh3-128, by which envelopes name it."""

NO_COLUMNS_SCHEMA_MESSAGE = bytes.fromhex(
    "ffffffff 30000000 10000000 00000a00 0c000600 05000800 0a000000 00010400 0c000000 08000800 00000400 08000000 04000000 00000000"
)
"""The schema without columns, of what has none yet."""

_METADATA = struct.Struct("<I 6H iIqhBx 5H2x iII4xq 4xIqq 4xI6q")
_INT64 = struct.Struct("<q")
_PREFIX = prefix(_METADATA.size)
_HEAD_BYTES = PREFIX_BYTES + _METADATA.size
_ROWS_AT, _DATA_BYTES_AT = PREFIX_BYTES + 80, PREFIX_BYTES + 144
_MESSAGE_VTABLE = (12, 20, 16, 18, 4, 8)
"""Its own length, the table's, and where version, header type, header and bodyLength lie in the table."""
_BATCH_VTABLE = (10, 24, 16, 4, 8)
"""Its own length, the table's, and where length, nodes and buffers lie in the table."""
_V5, _RECORD_BATCH = 4, 3
_ROWS_BYTES_MAX = 2**31 - 1


def opaque_message(rows: Sequence[bytes]) -> bytes:
    """The encapsulated record batch message of these rows. Raises `InvalidArgument` for more bytes than 32-bit offsets reach."""
    return b"".join(opaque_parts(rows))


def opaque_parts(rows: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """The same in parts one behind the other, the rows as they are among them."""
    offsets = list(accumulate(map(len, rows), initial=0))
    data_bytes = offsets[-1]
    if data_bytes > _ROWS_BYTES_MAX:
        raise InvalidArgument(f"{len(rows):,} rows have {data_bytes:,} bytes together; at most {_ROWS_BYTES_MAX:,} go into one value")
    head, _ = _head(len(rows), data_bytes)
    starts = struct.pack(f"<{len(offsets)}i", *offsets)
    return [head, starts, bytes(-len(starts) % 8), *rows, bytes(-data_bytes % 8)]


def opaque_info(message: bytes) -> tuple[BatchInfo | None, int]:
    """What `arrow_ipc.check_batch` says of a message that is laid out as `opaque_message` does it, and how long its metadata is.

    None for any other message: it may be in order all the same.
    """
    if len(message) <= _HEAD_BYTES:
        return None, 0
    rows, data_bytes = _INT64.unpack_from(message, _ROWS_AT)[0], _INT64.unpack_from(message, _DATA_BYTES_AT)[0]
    if not (0 < rows <= len(message) and 0 <= data_bytes <= len(message)):
        return None, 0
    head, body_bytes = _head(rows, data_bytes)
    if not message.startswith(head) or len(message) != len(head) + body_bytes:
        return None, 0
    return BatchInfo(rows, body_bytes), _METADATA.size


def _head(rows: int, data_bytes: int) -> tuple[bytes, int]:
    """Prefix and metadata, and the length of the body."""
    starts_bytes = 4 * (rows + 1)
    data_at = starts_bytes + -starts_bytes % 8
    body_bytes = data_at + data_bytes + -data_bytes % 8
    message = (16, *_MESSAGE_VTABLE, 12, 28, body_bytes, _V5, _RECORD_BATCH)
    batch = (*_BATCH_VTABLE, 12, 24, 44, rows, 1, rows, 0, 3, 0, 0, 0, starts_bytes, data_at, data_bytes)
    return _PREFIX + _METADATA.pack(*message, *batch), body_bytes


def opaque_rows(message: Bytes) -> list[bytes] | None:
    """The rows of an encapsulated record batch message of the opaque schema; None if it is not of the plain kind that has no nulls.

    Raises `InvalidArgument` for one that is damaged.
    """
    view = memoryview(message)
    metadata_bytes = metadata_length(view[:PREFIX_BYTES])
    body = view[PREFIX_BYTES + metadata_bytes :]
    batch = message_view(view[PREFIX_BYTES : PREFIX_BYTES + metadata_bytes]).header
    buffers = list(struct.iter_unpack("<qq", batch.structs(2, 16)))
    nodes = list(struct.iter_unpack("<qq", batch.structs(1, 16)))
    if len(buffers) != 3 or len(nodes) != 1 or nodes[0][1] or batch.table(3) is not None:
        return None
    (offsets_at, offsets_bytes), (data_at, data_bytes) = buffers[1], buffers[2]
    rows = nodes[0][0]
    if not rows:
        return []
    starts, data = _part(body, offsets_at, offsets_bytes), _part(body, data_at, data_bytes)
    offsets = struct.unpack_from(f"<{rows + 1}i", starts) if 0 < rows < len(starts) // 4 else ()
    if not offsets or any(not 0 <= start <= end <= data_bytes for start, end in pairwise(offsets)):
        raise InvalidArgument("the offsets of an Arrow record batch of opaque bytes lead outside its body")
    return [bytes(data[start:end]) for start, end in pairwise(offsets)]


def _part(body: memoryview, at: int, size_bytes: int) -> memoryview:
    if at < 0 or size_bytes < 0 or at + size_bytes > len(body):
        raise InvalidArgument("a buffer of an Arrow record batch of opaque bytes is outside its body")
    return body[at : at + size_bytes]
