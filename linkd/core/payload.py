"""The payload of a value: its rows as one Arrow IPC message.

Format, of the payload on the wire and on disk: one encapsulated IPC message (https://arrow.apache.org/docs/format/Columnar.html)

    0xFFFFFFFF   uint32   continuation mark
    size         int32    bytes of what follows up to the body, padded to 8
    metadata     size     flatbuffer `Message` with header `RecordBatch`
    body         ...      the buffers, uncompressed

that is complete together with the schema message (same framing, header `Schema`, no body) kept once for the link. No dictionary messages:
types are plain (`arrow_types`). A link of opaque bytes is an ordinary link with the schema `{bytes: binary}`; a value of it
has one row, or those that a publisher gathered.
"""

from __future__ import annotations

import struct

import pyarrow as pa

from linkd import limits
from linkd.core.plain_columns import plain_column
from linkd.core.sound_columns import check_columns
from linkd.errors import InvalidArgument, ValueTooLarge

OPAQUE_COLUMN = "bytes"
OPAQUE_SCHEMA = pa.schema([pa.field(OPAQUE_COLUMN, pa.binary())])

_CONTINUATION = 0xFFFFFFFF
_MESSAGE_HEADER_TYPE, _MESSAGE_HEADER = 1, 2
_RECORD_BATCH_HEADER = 3
_RECORD_BATCH_COMPRESSION = 3


def is_opaque(schema: pa.Schema) -> bool:
    """Whether a link of this schema carries opaque bytes."""
    return bool(schema.equals(OPAQUE_SCHEMA))


def opaque_batch(content: bytes | memoryview) -> pa.RecordBatch:
    """The value that carries `content`."""
    return pa.RecordBatch.from_arrays([plain_column([bytes(content)])], schema=OPAQUE_SCHEMA)


def payload(batch: pa.RecordBatch) -> tuple[bytes, memoryview]:
    """The schema message and the record batch message of a batch of plain types. The second may be sliced freely; it owns its memory."""
    return batch.schema.serialize().to_pybytes(), memoryview(batch.serialize())


def stream_parts(batch: pa.RecordBatch) -> list[memoryview]:
    """Both messages of `payload`, in parts one behind the other, of which the body's are the memory of the batch itself."""
    written = _Written()
    with pa.PythonFile(written, mode="w") as file:
        pa.ipc.new_stream(file, batch.schema, options=pa.ipc.IpcWriteOptions()).write_batch(batch)
    return written.parts


def payload_parts(batch: pa.RecordBatch) -> list[memoryview]:
    """The second message of `payload`, in such parts."""
    parts = stream_parts(batch)
    schema_bytes = len(batch.schema.serialize())
    while schema_bytes >= len(parts[0]):
        schema_bytes -= len(parts.pop(0))
    parts[0] = parts[0][schema_bytes:]
    return parts


def from_payload(schema_message: bytes | memoryview, batch_message: bytes | memoryview, *, validate: bool = False) -> pa.RecordBatch:
    """The batch of two messages made by `payload`, sharing the memory of `batch_message`.

    `validate` checks every offset and every character, which is due once for what a stranger made: a wrong offset is a crash later on.
    Raises `InvalidArgument` for anything that is not such a message, compressed ones included (a few bytes of those can fill a machine).
    """
    if _is_compressed(memoryview(batch_message)):
        raise InvalidArgument("the record batch is compressed: write Arrow IPC without compression")
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(schema_message))
        batch = pa.ipc.read_record_batch(pa.py_buffer(batch_message), schema)
        check_columns(batch) if validate else batch.validate()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidArgument(f"the payload is not an Arrow record batch of the schema ({type(error).__name__})") from None
    return batch


def from_parts(schema_message: bytes, prefix: bytes, metadata: bytes, body: memoryview, *, validate: bool = False) -> pa.RecordBatch:
    """As `from_payload`, of a message whose parts lie in different places: the batch shares the memory of `body`, and keeps it."""
    if _is_compressed(memoryview(prefix + metadata)):
        raise InvalidArgument("the record batch is compressed: write Arrow IPC without compression")
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(schema_message))
        message = pa.ipc.read_message(pa.PythonFile(_Parts([prefix, metadata, body]), mode="r"))
        batch = pa.ipc.read_record_batch(message, schema)
        check_columns(batch) if validate else batch.validate()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidArgument(f"the payload is not an Arrow record batch of the schema ({type(error).__name__})") from None
    return batch


class _Parts:
    """A file of parts that are never copied: pyarrow asks for the prefix, the metadata and the body, each by one read."""

    closed = False

    def __init__(self, parts: list[bytes | memoryview]) -> None:
        self._parts = parts

    def read(self, size: int = -1) -> bytes | memoryview:
        part = self._parts[0] if self._parts else b""
        taken = part[:size]
        self._parts[:1] = [part[size:]] if len(taken) < len(part) else []
        return taken

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        return


class _Written:
    """A file of the parts that pyarrow writes, which are never copied."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[memoryview] = []

    def write(self, data: bytes | pa.Buffer) -> int:
        part = memoryview(data).cast("B")
        if part:
            self.parts.append(part)
        return len(part)

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        return

    def close(self) -> None:
        self.closed = True


def _is_compressed(message: memoryview) -> bool:
    """Whether the body is compressed, read before Arrow would decompress it. Raises `InvalidArgument` if this is no batch."""
    try:
        mark, size = struct.unpack_from("<Ii", message, 0)
        if mark != _CONTINUATION or not 0 < size <= len(message) - 8:
            raise InvalidArgument("the payload is not an encapsulated Arrow IPC message")
        metadata = message[8 : 8 + size]
        table = struct.unpack_from("<I", metadata, 0)[0]
        kind = _field_offset(metadata, table, _MESSAGE_HEADER_TYPE)
        header = _field_offset(metadata, table, _MESSAGE_HEADER)
        if not kind or not header or metadata[kind] != _RECORD_BATCH_HEADER:
            raise InvalidArgument("the payload is an Arrow IPC message, but not a record batch")
        record_batch = header + struct.unpack_from("<I", metadata, header)[0]
        return _field_offset(metadata, record_batch, _RECORD_BATCH_COMPRESSION) != 0
    except (struct.error, IndexError):
        raise InvalidArgument("the payload is not an Arrow IPC message: its metadata is cut or damaged") from None


def _field_offset(metadata: memoryview, table: int, field: int) -> int:
    """Where a field of a flatbuffer table lies in `metadata`, 0 if it is absent (https://flatbuffers.dev/internals)."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    if vtable < 0:
        raise InvalidArgument("the payload is not an Arrow IPC message: its metadata is damaged")
    entry = 4 + 2 * field
    if entry + 2 > struct.unpack_from("<H", metadata, vtable)[0]:
        return 0
    offset = struct.unpack_from("<H", metadata, vtable + entry)[0]
    return table + offset if offset else 0


def split(batch: pa.RecordBatch, max_bytes: int = limits.VALUE_SIZE_MAX_BYTES, *, link: str = "") -> list[pa.RecordBatch]:
    """The batch cut by rows into batches whose messages have at most `max_bytes`; sizes are those of the message, not of shared parents.

    Equal batches are cut equally. Raises `ValueTooLarge` naming the row (from 1) that is too large by itself.
    """
    done: list[pa.RecordBatch] = []
    waiting = [(0, batch)]
    while waiting:
        first_row, piece = waiting.pop()
        size_bytes = pa.ipc.get_record_batch_size(piece)
        if size_bytes <= max_bytes:
            done.append(piece)
            continue
        if piece.num_rows <= 1:
            raise ValueTooLarge(
                f"{link + ': ' if link else ''}row {first_row + 1} has {size_bytes:,} bytes, and a value at most {max_bytes:,}: "
                "publish a reference to large content (a path, a URL), or cut it into several rows"
            )
        rows = -(-piece.num_rows // min(piece.num_rows, -(-size_bytes // max_bytes)))
        parts = [(first_row + start, piece.slice(start, rows)) for start in range(0, piece.num_rows, rows)]
        waiting.extend(reversed(parts))
    return done
