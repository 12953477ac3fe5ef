"""Arrow IPC messages without pyarrow: taken apart, checked, and stamped with metadata of our own.

The encapsulated message (Apache Arrow columnar format, "Encapsulated message format"), little-endian:

    0            4   continuation mark FF FF FF FF
    4            4   n: length of the metadata, int32, a multiple of 8, padding included
    8            n   metadata: a flatbuffer with root table Message
    8 + n        m   body: the buffers of a record batch; m is Message.bodyLength, a multiple of 8

A stream is a schema message, then record batch messages, then the end mark FF FF FF FF 00 00 00 00. Fields of the
tables read here (Message.fbs and Schema.fbs), by index: Message 0 version, 1 header type, 2 header, 3 bodyLength, 4
custom_metadata; RecordBatch 0 length, 1 nodes, 2 buffers, 3 compression; Schema 0 endianness; KeyValue 0 key, 1 value.

A flatbuffer from a stranger is a web of offsets. Every read goes through `Flatbuffer`, which checks that it lies
inside the bytes; nothing follows an offset backwards except to a vtable, so reading ends. Whatever is wrong is
`InvalidArgument`.

Words: *metadata* is the flatbuffer with its padding, without the 8 bytes before it; *message* is all of it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from linkd import limits
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen
from linkd.wire.flatbuffers import Flatbuffer, Table

CONTINUATION = b"\xff\xff\xff\xff"
EOS = CONTINUATION + b"\x00\x00\x00\x00"
PREFIX_BYTES = 8

Bytes = bytes | bytearray | memoryview

_SCHEMA, _DICTIONARY_BATCH, _RECORD_BATCH = 1, 2, 3
_VERSIONS = (3, 4)
"""MetadataVersion V4 (Arrow 0.8 to 0.17) and V5 (since 1.0)."""


@frozen()
class BatchInfo:
    """What the metadata of a record batch message says, checked."""

    rows: int
    body_bytes: int


@frozen()
class BatchMessage:
    """A record batch message of a stream. `message` is all of it (what linkd calls the payload); the others are parts of it."""

    message: memoryview
    metadata: bytes
    body: memoryview
    rows: int


def prefix(metadata_bytes: int) -> bytes:
    """The 8 bytes before metadata of this length."""
    return CONTINUATION + metadata_bytes.to_bytes(4, "little")


def metadata_length(head: Bytes) -> int:
    """Length of the metadata behind the 8 bytes `head`; 0 is the end mark. Raises `InvalidArgument`."""
    if len(head) < PREFIX_BYTES or bytes(head[:4]) != CONTINUATION:
        raise InvalidArgument(
            "this is not an Arrow IPC message: it does not begin with FF FF FF FF. "
            "Send the IPC stream format (not the file format) of Arrow 0.15 or later"
        )
    length = int.from_bytes(head[4:PREFIX_BYTES], "little")
    if length > limits.MESSAGE_METADATA_MAX_BYTES:
        raise InvalidArgument(f"an Arrow IPC message has {length} bytes of metadata; at most {limits.MESSAGE_METADATA_MAX_BYTES} are taken")
    if length % 8:
        raise InvalidArgument(f"the metadata of an Arrow IPC message has {length} bytes, which is not a multiple of 8")
    return length


def schema_id(schema_message: Bytes) -> bytes:
    """The 16 bytes that name a schema: XXH3-128 of its encapsulated message."""
    import xxhash  # not among the client's dependencies, and only the home names schemas

    return xxhash.xxh3_128_digest(schema_message)


def is_schema(metadata: Bytes) -> bool:
    """Whether this is the metadata of a schema message. Raises `InvalidArgument` if it is none of any message."""
    return message_view(metadata).header_type == _SCHEMA


def column_count(schema_message: Bytes) -> int:
    """How many columns a schema message has. Raises `InvalidArgument`."""
    return len(message_view(memoryview(schema_message)[PREFIX_BYTES:]).header.tables(1))


def check_schema(metadata: Bytes) -> None:
    """Raises `InvalidArgument` unless this is the metadata of a little-endian schema."""
    message = message_view(metadata)
    if message.header_type != _SCHEMA:
        raise InvalidArgument(f"an Arrow IPC stream begins with its schema, this one with a {_kind(message.header_type)}")
    if message.body_bytes:
        raise InvalidArgument("an Arrow IPC schema message has no body, this one says that it has")
    if message.header.int16(0, 0) != 0:
        raise InvalidArgument("the Arrow data is big-endian; send little-endian data")


def check_batch(metadata: Bytes, body_bytes: int | None = None) -> BatchInfo:
    """Check the metadata of a record batch message; `body_bytes` is how long the body is, if known.

    Every buffer must lie inside the body and start on 8 bytes, row counts must agree, and nothing may be compressed.
    Says nothing of what the buffers hold. Raises `InvalidArgument`.
    """
    message = message_view(metadata)
    if message.header_type == _DICTIONARY_BATCH:
        raise InvalidArgument(
            "the Arrow data has dictionary-encoded columns, but values must stand alone: "
            "send the decoded columns (in pyarrow: column.dictionary_decode())"
        )
    if message.header_type != _RECORD_BATCH:
        raise InvalidArgument(f"expected an Arrow IPC record batch, got a {_kind(message.header_type)}")
    if body_bytes is not None and message.body_bytes != body_bytes:
        raise InvalidArgument(f"an Arrow record batch says that its body has {message.body_bytes} bytes, but it has {body_bytes}")
    return BatchInfo(_checked_rows(message.header, message.body_bytes), message.body_bytes)


def check_dictionary(metadata: Bytes, body_bytes: int) -> int | None:
    """The id of a dictionary batch message, checked as `check_batch` does; None for another message. Raises `InvalidArgument`, also for a delta."""
    message = message_view(metadata)
    if message.header_type != _DICTIONARY_BATCH:
        return None
    values = message.header.table(1)
    if values is None or message.body_bytes != body_bytes:
        raise InvalidArgument("a dictionary of the Arrow data has no values, or another size than it says")
    if message.header.uint8(2, 0):
        raise InvalidArgument("the Arrow data adds to a dictionary that came before (a delta); send whole dictionaries, or decoded columns")
    _checked_rows(values, message.body_bytes)
    return message.header.int64(0, 0)


def _checked_rows(batch: Table, body_bytes: int) -> int:
    if batch.table(3) is not None:
        raise InvalidArgument("the Arrow data is compressed; send it uncompressed (in pyarrow: IpcWriteOptions(compression=None))")
    rows = batch.int64(0, 0)
    if rows < 0:
        raise InvalidArgument(f"an Arrow record batch says that it has {rows} rows")
    _check_nodes(batch.structs(1, 16), rows)
    _check_buffers(batch.structs(2, 16), body_bytes)
    return rows


def read_message(message: Bytes) -> BatchMessage:
    """Take one encapsulated record batch message apart and check it. No bytes of the body are copied. Raises `InvalidArgument`."""
    view = memoryview(message).toreadonly()
    found = _take(view, 0)
    if found is None or found.end != len(view):
        raise InvalidArgument("expected one Arrow IPC record batch message and nothing behind it")
    return found.batch()


def read_stream(data: Bytes) -> tuple[bytes, list[BatchMessage]]:
    """Split an Arrow IPC stream: its encapsulated schema message and its record batches, all checked, none copied.

    The end mark may be missing; nothing may follow it. Raises `InvalidArgument`.
    """
    view = memoryview(data).toreadonly()
    first = _take(view, 0)
    if first is None:
        raise InvalidArgument("the Arrow IPC stream is empty: it has no schema")
    check_schema(first.metadata)
    batches: list[BatchMessage] = []
    at = first.end
    while (taken := _take(view, at)) is not None:
        batches.append(taken.batch())
        at = taken.end
    if at + len(EOS) < len(view):
        raise InvalidArgument(f"{len(view) - at - len(EOS)} bytes follow the end mark of the Arrow IPC stream; send one stream at a time")
    return bytes(view[: first.end]), batches


def custom_metadata(metadata: Bytes) -> dict[str, str]:
    """The message's custom metadata. Raises `InvalidArgument`."""
    return _custom(message_view(metadata), len(metadata))


def _custom(message: MessageView, room: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in message.root.tables(4):
        key, value = entry.string(0), entry.string(1)
        room -= len(key) + len(value)
        if room < 0:  # many entries that share one long string would make gigabytes of a megabyte
            raise InvalidArgument("the custom metadata of an Arrow IPC message overlaps itself")
        try:
            found[key.decode()] = value.decode()
        except UnicodeDecodeError as problem:
            raise InvalidArgument("the custom metadata of an Arrow IPC message is not UTF-8") from problem
    return found


def stamp(metadata: bytes, custom: Mapping[str, str], padded_to: int | None = None) -> bytes:
    """Message metadata with `custom` added to its custom metadata; the body stays as it is.

    A new root table is put before the old flatbuffer, and its `header` points into it; so the old bytes are the tail of
    the result, unchanged (`unstamp`). What the message had of its own is kept, except keys that `custom` has too. With
    `padded_to` the result has exactly that length (a multiple of 8). Raises `InvalidArgument`.
    """
    old = message_view(metadata)
    if len(metadata) % 8:
        raise InvalidArgument(f"metadata of {len(metadata)} bytes is not a multiple of 8")
    entries = {**_custom(old, len(metadata)), **custom}
    front = _front(old, entries, padded_to - len(metadata) if padded_to is not None else None)
    return front + metadata


def filler(metadata: bytes, custom: Mapping[str, str], size_bytes: int, padded_to: int | None = None) -> bytes:
    """All but the body of a message of `size_bytes` (a multiple of 8) that every reader passes over: prefix and metadata, zeros follow.

    `metadata` is that of a record batch without rows, of the schema of the stream; with `padded_to` that of the message has exactly that length.
    Raises `InvalidArgument` if there is no room for it.
    """
    old = message_view(metadata)
    room = padded_to - len(metadata) if padded_to is not None else None
    length = len(_front(old, custom, room)) + len(metadata)
    body_bytes = size_bytes - PREFIX_BYTES - length
    if size_bytes % 8 or body_bytes < old.body_bytes:
        raise InvalidArgument(f"a message without rows needs {PREFIX_BYTES + length + old.body_bytes} bytes, {size_bytes} are there for it")
    return prefix(length) + _front(replace(old, body_bytes=body_bytes), custom, room) + metadata


def without_rows(metadata: bytes) -> bytes:
    """The metadata of a record batch without rows and body, made of that of one of the same schema. Raises `InvalidArgument`."""
    message = message_view(metadata)
    batch, made = message.header, bytearray(metadata)
    for table, index in ((message.root, 3), (batch, 0)):
        at = table.scalar_at(index)
        if at is not None:
            _ZERO.pack_into(made, at, 0)
    for index in (1, 2):
        start, count = batch.structs_at(index, 16)
        made[start : start + 16 * count] = bytes(16 * count)
    empty = bytes(made)
    if check_batch(empty, 0).rows:  # it was no flatbuffer of an ordinary kind: one thing in it was two
        raise InvalidArgument("the metadata of an Arrow record batch overlaps itself")
    return empty


def body_length(metadata: Bytes) -> int:
    """The length of the body, as the metadata says it. Raises `InvalidArgument`."""
    return message_view(metadata).body_bytes


def unstamp(stamped: Bytes, metadata_bytes: int) -> bytes:
    """The metadata of this length that `stamp` was given."""
    if not 0 < metadata_bytes <= len(stamped):
        raise InvalidArgument(f"stamped metadata of {len(stamped)} bytes cannot hold {metadata_bytes}")
    return bytes(stamped[len(stamped) - metadata_bytes :])


_ZERO = struct.Struct("<q")
_VTABLE = struct.Struct("<7H")
"""Its own length, the table's length, and where each of the 5 fields lies in the table."""
_LENGTH = struct.Struct("<I")
_KEY_VALUE = struct.Struct("<4HiII")
"""Its vtable (own length, the table's, where key and value lie in it), and the table: vtable distance, key, value."""
_TABLE = struct.Struct("<iIqIhBx")
"""vtable distance, header, bodyLength, custom_metadata, version, header type, pad: 24 bytes, bodyLength on 8."""


def _front(old: MessageView, entries: Mapping[str, str], length: int | None) -> bytes:
    """The bytes before the old flatbuffer: root offset, vtable, Message table, vector of KeyValue tables, their strings.

    Where things lie: 0 root offset, 8 vtable, 24 table (its bodyLength at 32), 48 vector.
    """
    table_at, vtable_at, vector_at = 24, 8, 48
    vector = _key_values(entries)
    size = -(-(vector_at + len(vector)) // 8) * 8
    if length is not None:
        if length % 8 or length < size:
            raise InvalidArgument(f"the stamp needs {size} bytes and a multiple of 8, {length} are there for it")
        size = length
    front = bytearray(size)
    struct.pack_into("<I", front, 0, table_at)
    # Field i of the table lies at the i-th of these distances from its start: version, header type, header, bodyLength,
    # custom_metadata.
    _VTABLE.pack_into(front, vtable_at, _VTABLE.size, _TABLE.size, 20, 22, 4, 8, 16)
    _TABLE.pack_into(
        front,
        table_at,
        table_at - vtable_at,
        size + old.header.at - (table_at + 4),
        old.body_bytes,
        vector_at - (table_at + 16),
        old.version,
        old.header_type,
    )
    front[vector_at : vector_at + len(vector)] = vector
    return bytes(front)


def _key_values(entries: Mapping[str, str]) -> bytes:
    """A vector of KeyValue tables, each behind its vtable and before its two strings, all on 4 bytes; for a place on 8 bytes."""
    count = len(entries)
    offsets, pieces, at = [count], [], 4 + 4 * count
    for index, (key, value) in enumerate(sorted(entries.items())):
        strings = [text.encode() for text in (key, value)]
        padded = [_LENGTH.pack(len(data)) + data + bytes(4 - len(data) % 4) for data in strings]
        offsets.append(at + 8 - (4 + 4 * index))
        # The table lies 8 bytes behind `at`, its fields 4 and 8 behind that, and its strings behind all 20.
        pieces += [_KEY_VALUE.pack(8, 12, 4, 8, 8, 20 - 12, 20 + len(padded[0]) - 16), *padded]
        at += 20 + len(padded[0]) + len(padded[1])
    return struct.pack(f"<{count + 1}I", *offsets) + b"".join(pieces)


@frozen()
class _Taken:
    """A message cut out of a stream: [start, end) of `view`."""

    view: memoryview
    start: int
    end: int
    metadata: bytes
    body_at: int

    def batch(self) -> BatchMessage:
        body = self.view[self.body_at : self.end]
        info = check_batch(self.metadata, len(body))
        return BatchMessage(self.view[self.start : self.end], self.metadata, body, info.rows)


def _take(view: memoryview, at: int) -> _Taken | None:
    """The message at `at`, or `None` at the end mark or the end of the bytes."""
    if at == len(view):
        return None
    length = metadata_length(view[at : at + PREFIX_BYTES])
    if length == 0:
        return None
    body_at = at + PREFIX_BYTES + length
    if body_at > len(view):
        raise InvalidArgument(f"the Arrow IPC stream ends inside a message: {body_at - len(view)} bytes of metadata are missing")
    metadata = bytes(view[at + PREFIX_BYTES : body_at])
    end = body_at + message_view(metadata).body_bytes
    if end > len(view):
        raise InvalidArgument(f"the Arrow IPC stream ends inside a message: {end - len(view)} bytes of its body are missing")
    return _Taken(view, at, end, metadata, body_at)


def _check_nodes(nodes: memoryview, rows: int) -> None:
    first = True
    for length, nulls in struct.iter_unpack("<qq", nodes):
        if not 0 <= nulls <= length:
            raise InvalidArgument(f"a column of an Arrow record batch says that {nulls} of {length} rows are null")
        if first and length != rows:
            raise InvalidArgument(f"an Arrow record batch of {rows} rows has a column of {length}")
        first = False


def _check_buffers(buffers: memoryview, body_bytes: int) -> None:
    for offset, length in struct.iter_unpack("<qq", buffers):
        # Python's integers do not overflow, so the sum is the sum.
        if offset < 0 or length < 0 or offset + length > body_bytes:
            raise InvalidArgument(f"a buffer of an Arrow record batch [{offset}, +{length}) is outside its body of {body_bytes} bytes")
        if offset % 8:
            raise InvalidArgument(f"a buffer of an Arrow record batch starts at {offset}, which is not a multiple of 8")


def _kind(header_type: int) -> str:
    names = ("message without content", "schema", "dictionary batch", "record batch", "tensor", "sparse tensor")
    return names[header_type] if header_type < len(names) else f"message of kind {header_type}"


@frozen()
class MessageView:
    """The root table of a message and what every reader of it wants."""

    root: Table
    header: Table
    header_type: int
    version: int
    body_bytes: int


def message_view(metadata: Bytes) -> MessageView:
    """The root of a message's metadata. Raises `InvalidArgument`."""
    data = Flatbuffer(memoryview(metadata))
    root = Table(data, data.uint32(0))
    version, header_type = root.int16(0, 0), root.uint8(1, 0)
    header, body_bytes = root.table(2), root.int64(3, 0)
    if version not in _VERSIONS:
        raise InvalidArgument(f"the Arrow IPC metadata version is V{version + 1}; linkd reads V4 and V5")
    if header is None:
        raise InvalidArgument("an Arrow IPC message has no header")
    if body_bytes < 0 or body_bytes % 8:
        raise InvalidArgument(f"an Arrow IPC message says that its body has {body_bytes} bytes")
    return MessageView(root, header, header_type, version, body_bytes)
