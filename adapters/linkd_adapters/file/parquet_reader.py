"""Parquet files, read by row groups.

A batch has the same number of rows throughout a file: `ROWS_PER_VALUE`, or fewer if its metadata says that so many would exceed
`SOURCE_BATCH_MAX_BYTES`; and fewer still where rows are larger unpacked than the metadata says. Every batch is validated: Arrow does not ask
whether the texts of a Parquet file are UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from linkd.errors import DataFault
from linkd.limits import TYPED_ROWS_AT_ONCE
from linkd.plugin.contract import LinkOptions
from linkd_adapters.file.location import reading_failed
from linkd_adapters.file.reader import FileBatch, Found, Kept, Place
from linkd_adapters.file.stored import StoredFile
from linkd_adapters.file.typed_files import TypedColumns, rows_per_batch, typed_batches


class ParquetReader:
    """See the module."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options

    def surveyor(self) -> ParquetSurveyor:
        return ParquetSurveyor(self._options)

    def batches(self, stored: StoredFile, schema: pa.Schema, before: Place, kept: Kept | None = None) -> Iterator[FileBatch]:
        file = _opened(stored)
        rows = rows_per_batch(widest_row_bytes(file.metadata))
        return typed_batches(
            _stored_batches(stored, file, min(rows, TYPED_ROWS_AT_ONCE), before.row), rows, schema, before, stored.location.shown
        )


class ParquetSurveyor:
    """Looks at the metadata only."""

    def __init__(self, options: LinkOptions) -> None:
        self._columns = TypedColumns(options)

    def look(self, stored: StoredFile) -> Iterator[None]:
        file = _opened(stored)
        self._columns.take(file.schema_arrow, file.metadata.num_rows, stored.location.shown)
        yield

    def kept(self) -> tuple[Kept, ...]:
        return ()

    def found(self) -> Found:
        return self._columns.found()


def _opened(stored: StoredFile) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(stored.raw)
    except pa.ArrowException as error:
        raise DataFault(f"{stored.location.shown} is no Parquet file, or is damaged: {error}; write it anew") from error
    except OSError as error:
        raise _refused(stored, error) from error


def _refused(stored: StoredFile, error: OSError) -> Exception:
    """pyarrow raises a plain OSError without a number for damaged data too."""
    if error.errno is None:
        return DataFault(f"{stored.location.shown} is damaged: {error}; write it anew")
    return reading_failed(stored.location, error)


def _stored_batches(stored: StoredFile, file: pq.ParquetFile, rows: int, skipped_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows from `skipped_rows` on, beginning at their row group."""
    group = 0
    while group < file.num_row_groups and skipped_rows >= file.metadata.row_group(group).num_rows:
        skipped_rows -= file.metadata.row_group(group).num_rows
        group += 1
    groups = list(range(group, file.num_row_groups))
    try:
        for batch in file.iter_batches(batch_size=rows, row_groups=groups, use_threads=False):
            if skipped_rows < batch.num_rows:
                batch.validate(full=True)
                yield batch.slice(skipped_rows)
            skipped_rows = max(0, skipped_rows - batch.num_rows)
    except pa.ArrowException as error:
        raise DataFault(f"{stored.location.shown} is damaged: {error}; write it anew") from error
    except OSError as error:
        raise _refused(stored, error) from error


def widest_row_bytes(metadata: pq.FileMetaData) -> int:
    """Of the row groups' average rows, from what the metadata tells."""
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    return max((group.total_byte_size // group.num_rows for group in groups if group.num_rows), default=0)
