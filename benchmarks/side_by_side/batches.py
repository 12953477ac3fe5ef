"""Bulk as it is measured everywhere: Arrow batches of 4 MiB, every one of them different, made before the clock runs.

64 Ki rows of an int64, a timestamp, four doubles and a string of 12 letters. No batch is sent twice and together they are larger than any
cache, so nothing gets fast by having been there already. Reading means the sum of every word of every column, and sums are compared: who
delivers something else, or not all of it, is found out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

ROWS = 65_536
LETTERS = 12
MEASURES = 4
BATCH_BYTES = ROWS * (8 + 8 + 8 * MEASURES + 4 + LETTERS)
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("at", pa.timestamp("us")),
        *((f"measure_{number}", pa.float64()) for number in range(MEASURES)),
        ("name", pa.string()),
    ]
)
_MASK = (1 << 64) - 1


def make_batches(count: int, seed: int) -> list[pa.RecordBatch]:
    """So many batches that are the same for nobody else with another seed."""
    random = np.random.default_rng(seed)
    ids = np.arange(ROWS, dtype=np.int64)
    measures = random.random((MEASURES, ROWS))
    letters = random.integers(ord("a"), ord("z") + 1, ROWS * LETTERS, dtype=np.uint8)
    offsets = np.arange(0, (ROWS + 1) * LETTERS, LETTERS, dtype=np.int32)
    return [_batch(seed + number, ids, measures, letters, offsets) for number in range(count)]


def _batch(number: int, ids: np.ndarray, measures: np.ndarray, letters: np.ndarray, offsets: np.ndarray) -> pa.RecordBatch:
    """Another one for each number: counted on, moved on, turned round. Its memory is its own."""
    first = number * ROWS
    instants = pa.array((ids + first) * 1_000, pa.int64()).cast(pa.timestamp("us"))
    values = [pa.array(column) for column in measures + number]
    text = pa.StringArray.from_buffers(ROWS, pa.py_buffer(offsets.copy()), pa.py_buffer(np.roll(letters, number % letters.size)))
    return pa.RecordBatch.from_arrays([pa.array(ids + first), instants, *values, text], schema=SCHEMA)


def read_batch(batch: pa.RecordBatch) -> int:
    """Reads all of it: the sum of its words, modulo 2^64."""
    total, rows = 0, batch.num_rows
    for column in batch.columns:
        _, *buffers = column.buffers()
        sizes_bytes = (8 * rows,) if len(buffers) == 1 else (4 * rows, LETTERS * rows)  # of offsets but the last, which the others imply
        for buffer, size_bytes in zip(buffers, sizes_bytes, strict=True):
            total += int(np.frombuffer(buffer, np.uint64, size_bytes // 8).sum(dtype=np.uint64))
    return total & _MASK


def read_all(batches: Iterable[pa.RecordBatch]) -> int:
    """The sum of several."""
    return sum(map(read_batch, batches)) & _MASK
