"""Payloads: the messages of a value, what a hostile one meets, and how large values are cut."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.payload import payload_parts, stream_parts
from linkd.core.schema import OPAQUE_SCHEMA, from_payload, is_opaque, opaque_batch, payload, split
from linkd.errors import InvalidArgument, ValueTooLarge

BATCH = pa.record_batch({"a": list(range(1000)), "s": ["x" * (row % 50) for row in range(1000)]})


def test_a_batch_comes_back_from_its_two_messages() -> None:
    schema_message, batch_message = payload(BATCH)
    assert from_payload(schema_message, batch_message, validate=True).equals(BATCH)
    assert from_payload(schema_message, bytes(batch_message)).equals(BATCH)


def test_the_messages_of_a_slice_hold_the_slice_only() -> None:
    _schema_message, batch_message = payload(BATCH.slice(10, 5))
    assert len(batch_message) < 1000


def test_a_link_of_bytes_has_one_row_per_value() -> None:
    batch = opaque_batch(b"\x00\xff")
    assert is_opaque(batch.schema)
    assert batch.schema.equals(OPAQUE_SCHEMA)
    assert batch.to_pydict() == {"bytes": [b"\x00\xff"]}


def test_compressed_batches_are_refused_before_they_are_decompressed() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, BATCH.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(BATCH)
    _schema, message = pa.ipc.MessageReader.open_stream(sink.getvalue())
    with pytest.raises(InvalidArgument, match="the record batch is compressed"):
        from_payload(BATCH.schema.serialize().to_pybytes(), message.serialize().to_pybytes())


@pytest.mark.parametrize("message", [b"", b"\xff" * 7, b"\xff\xff\xff\xff\x10\0\0\0", BATCH.schema.serialize().to_pybytes()])
def test_what_is_no_record_batch_message_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidArgument, match="the payload is"):
        from_payload(BATCH.schema.serialize().to_pybytes(), message)


@given(st.data())
def test_damaged_metadata_is_refused_or_read_but_never_crashes(data: st.DataObject) -> None:
    schema_message, batch_message = payload(BATCH.slice(0, 3))
    damaged = bytearray(batch_message)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        batch = from_payload(schema_message, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]), validate=True)
    except InvalidArgument:
        return
    assert len(batch.to_pylist()) == batch.num_rows


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60))
def test_a_cut_batch_has_all_rows_in_order_and_no_piece_over_the_limit(sizes: list[int]) -> None:
    batch = pa.record_batch({"s": ["x" * size for size in sizes]})
    pieces = split(batch, 4096)
    assert pa.Table.from_batches(pieces).equals(pa.Table.from_batches([batch]))
    assert all(len(payload(piece)[1]) <= 4096 for piece in pieces)


def test_a_batch_within_the_limit_is_one_piece_even_if_it_is_empty() -> None:
    assert split(BATCH) == [BATCH]
    assert split(BATCH.slice(0, 0)) == [BATCH.slice(0, 0)]


def test_a_row_that_is_too_large_by_itself_is_named() -> None:
    batch = pa.record_batch({"s": ["x", "y", "z" * 10_000, "w"]})
    with pytest.raises(ValueTooLarge, match="docs: row 3 has 10,"):
        split(batch, 4096, link="docs")


@pytest.mark.parametrize(
    "batch",
    [
        pa.record_batch({"n": pa.array([1, None, 3]), "s": pa.array(["x", None, "zz"])}),
        pa.record_batch({"n": pa.array([], pa.int64())}),
        pa.record_batch({"n": pa.array(range(1_000)), "l": pa.array([[i] for i in range(1_000)])}).slice(77, 500),
        pa.record_batch({"nothing": pa.nulls(5), "n": pa.array([0] * 5)}),
    ],
)
def test_a_payload_in_parts_is_the_same_and_its_body_the_memory_of_the_batch(batch: pa.RecordBatch) -> None:
    schema_message, message = payload(batch)
    assert b"".join(stream_parts(batch)) == schema_message + bytes(message)
    parts = payload_parts(batch)
    assert b"".join(parts) == bytes(message)
    own = {buffer.address for column in batch.columns for buffer in column.buffers() if buffer is not None}
    if batch.num_rows and not batch.column(0).offset:
        assert own & {pa.py_buffer(part).address for part in parts}
