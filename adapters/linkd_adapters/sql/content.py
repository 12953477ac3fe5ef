"""Rows as content: cut into batches at places that depend on the rows alone, and what identifies them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pyarrow as pa
from blake3 import blake3

from linkd.limits import SOURCE_BATCH_MAX_BYTES


def cut(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, rows_max: int, size_max_bytes: int = SOURCE_BATCH_MAX_BYTES
) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """The rows in batches of `rows_max`, or fewer where they are large, and whether each is the last. No rows give one batch of none."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        rest = batch
        while rest.num_rows:
            room = _room(waiting, rest, rows_max, size_max_bytes)
            if room < rest.num_rows:
                if room:
                    waiting.append(rest.slice(0, room))
                yield _joined(waiting, schema), False
                waiting, rest = [], rest.slice(room)
            else:
                waiting.append(rest)
                break
    yield _joined(waiting, schema), True


def _room(waiting: list[pa.RecordBatch], batch: pa.RecordBatch, rows_max: int, size_max_bytes: int) -> int:
    """How many rows of a batch go with those that wait; at least one if none do."""
    room: int = min(rows_max - sum(one.num_rows for one in waiting), batch.num_rows)
    left = size_max_bytes - sum(one.nbytes for one in waiting)
    if batch.slice(0, room).nbytes <= left:
        return room
    low = 0 if waiting else 1
    while low < room:
        middle = (low + room + 1) // 2
        low, room = (middle, room) if batch.slice(0, middle).nbytes <= left else (low, middle - 1)
    return low


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=schema)
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


class ContentDigest:
    """BLAKE3 of rows, and how many bytes they have, in Arrow's form; equal for equal batches."""

    def __init__(self, schema: pa.Schema) -> None:
        self._hash = blake3(schema.serialize().to_pybytes())
        self.size_bytes = 0

    def take(self, batch: pa.RecordBatch) -> None:
        content = batch.serialize()
        self._hash.update(memoryview(content))
        self.size_bytes += content.size

    @property
    def text(self) -> str:
        return str(self._hash.hexdigest())


def digest_of(batch: pa.RecordBatch) -> ContentDigest:
    """Of one batch."""
    digest = ContentDigest(batch.schema)
    digest.take(batch)
    return digest


def name_digest(*parts: object) -> str:
    """BLAKE3 of what is said in words, in hexadecimal."""
    return str(blake3(json.dumps(parts, default=str).encode()).hexdigest())
