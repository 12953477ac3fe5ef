"""Batches as the bytes of a format, written into a file that somebody else opens and closes.

gzip is written without name and time, so equal rows make equal bytes. Parquet gets row groups of at least `ROWS_PER_VALUE` rows (the last
one excepted), however small the values of the link are.
"""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq

from linkd.errors import SchemaMismatch
from linkd.limits import ROWS_PER_VALUE, SOURCE_BATCH_MAX_BYTES
from linkd.plugin.contract import LinkOptions, RowWriter
from linkd_adapters.file.arrow_writer import ArrowWriter
from linkd_adapters.file.csv_text import require_writable_types
from linkd_adapters.file.encodings import GZIP_LEVEL, Encoding, columns_text, encoding_of
from linkd_adapters.file.jsonl_text import require_json_types
from linkd_adapters.file.location import FileFormat, FileLocation


def require_writable(location: FileLocation, schema: pa.Schema) -> None:
    """Raise `SchemaMismatch` if the format cannot hold such columns, as far as it can be told before anything is opened."""
    if location.format is FileFormat.CSV:
        require_writable_types(schema, location.shown)
    if location.format is FileFormat.JSONL:
        require_json_types(schema, location.shown)


def row_writer(options: LinkOptions, location: FileLocation, schema: pa.Schema, file: io.RawIOBase) -> RowWriter:
    """The writer for the location, what stands before the rows written. Raises `SchemaMismatch` as `require_writable` does."""
    match location.format:
        case FileFormat.PARQUET:
            return _ParquetWriter(location, schema, file)
        case FileFormat.ARROW:
            return ArrowWriter(schema, file, is_stream=is_arrow_stream(location))
    return _EncodedWriter(encoding_of(options, location), schema, file, is_packed=location.packing == ".gz")


def is_arrow_stream(location: FileLocation) -> bool:
    """Of the two forms of Arrow IPC, the one that has no end."""
    return location.path.suffix.lower() == ".arrows"


class _EncodedWriter(RowWriter):
    def __init__(self, encoding: Encoding, schema: pa.Schema, file: io.RawIOBase, *, is_packed: bool) -> None:
        self._encoding = encoding
        self._packed = gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=file, mtime=0) if is_packed else None
        self._file = self._packed or file
        self._file.write(encoding.head(schema))

    def write(self, batch: pa.RecordBatch) -> None:
        for start in range(0, batch.num_rows, ROWS_PER_VALUE):
            self._file.write(self._encoding.rows(batch.slice(start, ROWS_PER_VALUE)))

    def end(self) -> None:
        if self._packed is not None:
            self._packed.close()


class _ParquetWriter(RowWriter):
    def __init__(self, location: FileLocation, schema: pa.Schema, file: io.RawIOBase) -> None:
        try:
            self._writer = pq.ParquetWriter(file, schema, compression="zstd")
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise SchemaMismatch(f"{location.shown}: Parquet cannot hold {columns_text(schema)}: {error}") from error
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
