"""What a client writes where it stays: the same bytes whether it stores them through a mapping or writes them."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.client.placing import _IOV_MAX, _pwritev, _store, _write_through

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
def test_a_batch_is_the_same_written_or_stored(tmp_path: Path, batch: pa.RecordBatch) -> None:
    sizes_bytes, contents = [], []
    for write in (False, True):
        path = tmp_path / str(write)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        os.truncate(descriptor, 4 * 1024 * 1024)
        if write:
            sizes_bytes.append(_write_through(descriptor, BEGIN, batch))
        else:
            with mmap.mmap(descriptor, 0) as mapping:
                sizes_bytes.append(_store(memoryview(mapping)[BEGIN:], batch))
        os.close(descriptor)
        contents.append(path.read_bytes())
    assert sizes_bytes[0] == sizes_bytes[1]
    assert contents[0] == contents[1]
    assert pa.ipc.open_stream(contents[1][BEGIN:]).read_next_batch().equals(batch)


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
