"""What an Arrow program sees of a link by itself: pyarrow and polars open the segment files, with nothing of linkd's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa


def batches_in_segments(directory: Path, link: str) -> list[pa.RecordBatch]:
    """The batches with rows, file by file; `directory` is that of the state. AssertionError if the two programs do not see the same rows."""
    found: list[pa.RecordBatch] = []
    for path in sorted((directory / "segments" / link).iterdir()):
        content = path.read_bytes()
        batches = [batch for batch in pa.ipc.open_stream(content) if batch.num_rows]
        rows = [row for batch in batches for row in batch.to_pylist()]
        assert polars.read_ipc_stream(io.BytesIO(content)).to_dicts() == rows, path
        found += batches
    return found


def rows_in_segments(directory: Path, link: str) -> list[dict[str, Any]]:
    """The rows of all of them."""
    return [row for batch in batches_in_segments(directory, link) for row in batch.to_pylist()]
