"""Files as sinks: CSV, CSV under gzip, Parquet, put in the place of what was there when all is written.

gzip is written without name and time, so equal rows make equal bytes. Parquet gets row groups of at least `ROWS_PER_VALUE` rows (the last
one excepted), however small the values of the link are.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from linkd.errors import InternalFault, InvalidArgument, SchemaMismatch
from linkd.limits import ROWS_PER_VALUE, SOURCE_BATCH_MAX_BYTES
from linkd.plugin.column_types import type_text
from linkd.plugin.contract import Sink, SinkResult
from linkd_adapters.file.csv_text import header_text, require_writable_types, rows_text
from linkd_adapters.file.location import FileFormat, FileLocation, writing_failed, writing_problem
from linkd_adapters.file.replacement import Replacement
from linkd_adapters.file.steps import in_thread

_GZIP_LEVEL = 6


class RowWriter(Protocol):
    """Turns batches into the bytes of a format; `end` writes what is left, and does not close the file below."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def end(self) -> None: ...


class FileSink(Sink):
    """See the module. One writer at a time."""

    def __init__(self, location: FileLocation) -> None:
        self._location = location
        self._open: _OpenSink | None = None

    async def begin(self, schema: pa.Schema) -> None:
        await self.abort()
        self._open = await in_thread(lambda: _OpenSink.begin(self._location, schema))

    async def write(self, batch: pa.RecordBatch) -> None:
        begun = self._begun()
        await in_thread(lambda: begun.write(batch))

    async def finish(self) -> SinkResult:
        begun = self._begun()
        result = await in_thread(begun.finish)
        self._open = None
        return result

    async def abort(self) -> None:
        begun, self._open = self._open, None
        if begun is not None:
            await in_thread(begun.abort)

    def _begun(self) -> _OpenSink:
        if self._open is None:
            raise InternalFault(f"{self._location.shown}: a sink must begin before it is written to")
        return self._open


class _OpenSink:
    """A sink between begin and end: the blocking side."""

    def __init__(self, location: FileLocation, schema: pa.Schema, file: Replacement, writer: RowWriter) -> None:
        self._location = location
        self._schema = schema
        self._file = file
        self._writer = writer
        self._rows = 0

    @classmethod
    def begin(cls, location: FileLocation, schema: pa.Schema) -> _OpenSink:
        if location.format is FileFormat.CSV:
            require_writable_types(schema, location.shown)
        problem = writing_problem(location)
        if problem is not None:
            raise InvalidArgument(problem)
        with _translated(location):
            file = Replacement.open(location.path)
            try:
                writer = _writer(location, schema, file)
            except BaseException:
                file.discard()
                raise
        return cls(location, schema, file, writer)

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.schema.equals(self._schema):
            raise SchemaMismatch(f"{self._location.shown}: rows have {_columns(batch.schema)}, the file {_columns(self._schema)}")
        with _translated(self._location):
            self._writer.write(batch)
        self._rows += batch.num_rows

    def finish(self) -> SinkResult:
        with _translated(self._location):
            self._writer.end()
            self._file.commit()
        return SinkResult(str(self._file.target), self._rows, self._file.size_bytes, self._file.digest)

    def abort(self) -> None:
        with _translated(self._location):
            self._file.discard()


def _writer(location: FileLocation, schema: pa.Schema, file: Replacement) -> RowWriter:
    """The writer for the location, its header written."""
    if location.format is FileFormat.PARQUET:
        try:
            return _ParquetWriter(pq.ParquetWriter(file, schema, compression="zstd"), schema)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise SchemaMismatch(f"{location.shown}: Parquet cannot hold {_columns(schema)}: {error}") from error
    if location.packing == ".gz":
        packed = gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=file, mtime=0)
        packed.write(header_text(schema.names))
        return _CsvWriter(packed, packed)
    file.write(header_text(schema.names))
    return _CsvWriter(file, None)


class _CsvWriter:
    def __init__(self, file: Replacement | gzip.GzipFile, packed: gzip.GzipFile | None) -> None:
        self._file = file
        self._packed = packed

    def write(self, batch: pa.RecordBatch) -> None:
        for start in range(0, batch.num_rows, ROWS_PER_VALUE):
            self._file.write(rows_text(batch.slice(start, ROWS_PER_VALUE)))

    def end(self) -> None:
        if self._packed is not None:
            self._packed.close()


class _ParquetWriter:
    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        rows = sum(waiting.num_rows for waiting in self._waiting)
        if rows >= ROWS_PER_VALUE or sum(waiting.nbytes for waiting in self._waiting) >= SOURCE_BATCH_MAX_BYTES:
            self._write_group()

    def end(self) -> None:
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        table = pa.Table.from_batches(self._waiting, schema=self._schema)
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._waiting = []


@contextmanager
def _translated(location: FileLocation) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise writing_failed(location, error) from error


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {type_text(field.type)}" for field in schema)
