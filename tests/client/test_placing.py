"""What a client writes where it stays."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.client.placing import _IOV_MAX, _front, _pwritev, _write_through
from linkd.core.payload import payload, stream_parts
from linkd.errors import ConnectionFailed

BATCHES = {
    "numbers": pa.record_batch({"n": range(10_000), "x": [0.5] * 10_000}),
    "texts and nulls": pa.record_batch({"t": ["a", None, "ünïcode"] * 3_000, "b": [None, b"", b"\x00"] * 3_000}),
    "nested": pa.record_batch({"l": [[1, None], None, []] * 2_000, "s": [{"a": 1}, None, {"a": None}] * 2_000}),
    "a slice": pa.record_batch({"n": range(9_001), "t": ["abc"] * 9_001}).slice(1_003, 5_001),
    "no rows": pa.record_batch({"n": pa.array([], pa.int64())}),
    "many columns": pa.record_batch({f"c{number}": [number] for number in range(_IOV_MAX)}),
}
BEGIN = 4_096


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_a_batch_is_written_as_arrow_writes_it_and_told_apart_from_what_comes_before_it(tmp_path: Path, batch: pa.RecordBatch) -> None:
    schema, message = payload(batch)
    parts = stream_parts(batch)
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    end = _write_through(descriptor, BEGIN, parts)
    written = os.pread(descriptor, end, BEGIN)
    os.close(descriptor)
    assert written == schema + bytes(message)
    assert pa.ipc.open_stream(written).read_next_batch().equals(batch)
    metadata_bytes = int.from_bytes(message[4:8], "little")
    assert _front(parts, len(schema)) == schema + bytes(message[: 8 + metadata_bytes])


def test_a_file_that_cannot_be_written_to_is_an_error_of_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    descriptor = os.open(path, os.O_RDONLY)
    with pytest.raises(ConnectionFailed, match="cannot be written to"):
        _write_through(descriptor, BEGIN, stream_parts(BATCHES["numbers"]))
    os.close(descriptor)


def test_what_one_call_did_not_write_is_left_for_the_next(tmp_path: Path) -> None:
    parts = [memoryview(bytes([number % 256]) * (number % 5)) for number in range(3 * _IOV_MAX)]
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    offset, rest, calls = 0, parts, 0
    while rest:
        offset, rest = _pwritev(descriptor, rest, offset)
        calls += 1
    assert calls == 3
    assert os.pread(descriptor, offset + 1, 0) == b"".join(parts)
    os.close(descriptor)
