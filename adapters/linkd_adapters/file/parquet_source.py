"""Parquet files as a source: typed already, read by row groups.

Columns come in the plain form that links keep (no dictionaries, no large or view layouts). With a declared `schema:` they are cast to it; a
row with a value that does not fit stops the run or is rejected, named by its number from 1. A batch has the same number of rows throughout
a file: `ROWS_PER_VALUE`, or fewer if its metadata says that so many would exceed `SOURCE_BATCH_MAX_BYTES`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from linkd.errors import DataFault, SourceChanged
from linkd.limits import ROWS_PER_VALUE, SOURCE_BATCH_MAX_BYTES
from linkd.plugin.column_types import declared_types, plain_schema
from linkd.plugin.contract import STOP, LinkOptions, Source, SourceBatch, Survey
from linkd_adapters.file.columns import declared_schema, require_column_names
from linkd_adapters.file.conversion import fitting_rows, reject_row_text
from linkd_adapters.file.location import FileLocation, reading_failed
from linkd_adapters.file.position import FilePosition, position_in
from linkd_adapters.file.rejects import Reject, bad_row, reject_batch
from linkd_adapters.file.steps import in_thread, steps
from linkd_adapters.file.stored import StoredFile


class ParquetSource(Source):
    """See the module."""

    def __init__(self, options: LinkOptions, location: FileLocation) -> None:
        self._options = options
        self._location = location

    async def survey(self) -> Survey:
        return await in_thread(self._survey)

    def read(self, survey: Survey, position: bytes | None) -> AsyncGenerator[SourceBatch, None]:
        return steps(self._batches(survey, position))

    def _survey(self) -> Survey:
        with StoredFile.open(self._location) as stored:
            file = self._opened(stored)
            names = tuple(file.schema_arrow.names)
            require_column_names(names, self._location.shown)
            declared = declared_types(self._options)
            schema = declared_schema(declared, names, self._location.shown) if declared else plain_schema(file.schema_arrow)
            return Survey(stored.digest(), schema, file.metadata.num_rows, (), stored.stat)

    def _opened(self, stored: StoredFile) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(stored.raw)
        except pa.ArrowException as error:
            raise DataFault(f"{self._location.shown} is no Parquet file, or is damaged: {error}; write it anew") from error
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> Exception:
        """pyarrow raises a plain OSError without a number for damaged data too."""
        if error.errno is None:
            return DataFault(f"{self._location.shown} is damaged: {error}; write it anew")
        return reading_failed(self._location, error)

    def _batches(self, survey: Survey, position: bytes | None) -> Generator[SourceBatch, None, None]:
        shown = self._location.shown
        with StoredFile.open(self._location) as stored:
            stored.require_unchanged_so_far(survey)
            before = FilePosition(survey.digest, 0, 0) if position is None else position_in(shown, survey.digest, position)
            file = self._opened(stored)
            try:
                for batch in _recut(self._stored_batches(file, before.row), rows_per_batch(file.metadata), file.schema_arrow):
                    final = before.row + batch.num_rows >= file.metadata.num_rows
                    if final:
                        stored.require_unchanged(survey)
                    made, before = self._source_batch(batch, survey.schema, before, final)
                    yield made
            except SourceChanged:
                raise
            except DataFault:
                # A file that changed under us looks damaged; what the person needs to know is that it changed.
                stored.require_unchanged(survey)
                raise

    def _stored_batches(self, file: pq.ParquetFile, skipped_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows from `skipped_rows` on, beginning at their row group."""
        group = 0
        while group < file.num_row_groups and skipped_rows >= file.metadata.row_group(group).num_rows:
            skipped_rows -= file.metadata.row_group(group).num_rows
            group += 1
        groups = list(range(group, file.num_row_groups))
        try:
            for batch in file.iter_batches(batch_size=rows_per_batch(file.metadata), row_groups=groups, use_threads=False):
                if skipped_rows < batch.num_rows:
                    yield batch.slice(skipped_rows)
                skipped_rows = max(0, skipped_rows - batch.num_rows)
        except pa.ArrowException as error:
            raise DataFault(f"{self._location.shown} is damaged: {error}; write it anew") from error
        except OSError as error:
            raise self._refused(error) from error

    def _source_batch(
        self, batch: pa.RecordBatch, schema: pa.Schema, before: FilePosition, final: bool
    ) -> tuple[SourceBatch, FilePosition]:
        data, reasons = fitting_rows(batch, schema)
        rejects = _rejected(batch, reasons, before.row + 1)
        if rejects and self._options.on_bad_row == STOP:
            raise bad_row(self._location.shown, self._options.link, rejects[0])
        after = FilePosition(before.digest, before.row + batch.num_rows, before.rejected + len(rejects))
        attributes = {"file": self._location.shown}
        if batch.num_rows:
            attributes |= {"first_row": str(before.row + 1), "last_row": str(after.row)}
        made = SourceBatch(
            data=data,
            rejects=reject_batch(rejects, self._location.shown) if rejects else None,
            position=after.encode(),
            rows_read=after.row,
            rows_rejected=after.rejected,
            final=final,
            attributes=attributes,
        )
        return made, after


def rows_per_batch(metadata: pq.FileMetaData) -> int:
    """How many rows a batch of this file has, from the widest rows that its metadata tells of."""
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size // group.num_rows for group in groups if group.num_rows), default=0)
    return max(1, min(ROWS_PER_VALUE, SOURCE_BATCH_MAX_BYTES // max(1, widest)))


def _recut(batches: Iterator[pa.RecordBatch], rows: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of `rows`, the last one shorter; one batch of none if there are none."""
    waiting: list[pa.RecordBatch] = []
    held = cut = 0
    for some in batches:
        rest = some
        while held + rest.num_rows >= rows:
            yield pa.concat_batches([*waiting, rest.slice(0, rows - held)])
            rest, waiting, held, cut = rest.slice(rows - held), [], 0, cut + 1
        if rest.num_rows:
            waiting.append(rest)
            held += rest.num_rows
    if waiting:
        yield pa.concat_batches(waiting)
    elif not cut:
        yield pa.RecordBatch.from_pylist([], schema=schema)


def _rejected(batch: pa.RecordBatch, reasons: dict[int, tuple[str, str]], first_row: int) -> list[Reject]:
    """The rows of `batch` that `reasons` names by index, numbered from `first_row`."""
    return [
        Reject(index, first_row + index, *reasons[index], reject_row_text(batch.slice(index, 1).to_pylist()[0]))
        for index in sorted(reasons)
    ]
