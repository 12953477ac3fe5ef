"""Formats in which rows may stand behind other rows: CSV, JSON lines, Arrow streams. A batch as the bytes that follow those of another."""

from __future__ import annotations

import gzip
from typing import Protocol

import pyarrow as pa

from linkd.errors import DataFault
from linkd.plugin.column_types import type_text
from linkd.plugin.contract import LinkOptions
from linkd_adapters.file.csv_reader import CsvReader
from linkd_adapters.file.csv_text import header_text, rows_text
from linkd_adapters.file.dialect import byte_order_mark, encoded
from linkd_adapters.file.jsonl_text import JsonlEncoding
from linkd_adapters.file.location import FileFormat, FileLocation
from linkd_adapters.file.stored import StoredFile

GZIP_LEVEL = 6


class Encoding(Protocol):
    """One of these formats, for one file. `head` is what stands before the first row."""

    def head(self, schema: pa.Schema) -> bytes: ...

    def rows(self, batch: pa.RecordBatch) -> bytes: ...


def encoding_of(options: LinkOptions, location: FileLocation) -> Encoding:
    """The encoding of the location's format, which must be one of these."""
    match location.format:
        case FileFormat.ARROW:
            return ArrowStreamEncoding()
        case FileFormat.JSONL:
            return JsonlEncoding(location.shown)
    return CsvEncoding(options)


def common_columns(options: LinkOptions, location: FileLocation, schema: pa.Schema) -> list[str]:
    """What the rows of one file must have in common: names, for Arrow types too; nothing where each row says it, or none does."""
    if location.format is FileFormat.ARROW:
        return columns_text(_plain(schema)).split(", ")
    return list(schema.names) if location.format is FileFormat.CSV and options.dialect.header else []


def columns_there(options: LinkOptions, location: FileLocation) -> list[str]:
    """The same, of the rows that a file has already. Raises `DataFault` if it is of another format."""
    if location.format is FileFormat.ARROW:
        try:
            with pa.OSFile(str(location.path)) as file, pa.ipc.open_stream(file) as stream:
                return common_columns(options, location, stream.schema)
        except pa.ArrowInvalid as error:
            raise DataFault(f"{location.shown} is no Arrow stream ({error}); move it away") from error
    reader = CsvReader(options)
    with StoredFile.open(location) as stored:
        start, _ = reader.begin(reader.content(stored), location.shown)
    return list(start.names)


def packed(text: bytes) -> bytes:
    """One member of a gzip file: members may follow one another."""
    return gzip.compress(text, GZIP_LEVEL, mtime=0)


def columns_text(schema: pa.Schema) -> str:
    """`n: int64, name: string`."""
    return ", ".join(f"{field.name}: {type_text(field.type)}" for field in schema)


class CsvEncoding:
    """CSV: the header, then lines."""

    def __init__(self, options: LinkOptions) -> None:
        self._dialect = options.dialect
        self._shown = options.location

    def head(self, schema: pa.Schema) -> bytes:
        return byte_order_mark(self._dialect.encoding) + self._encoded(header_text(schema.names, self._dialect))

    def rows(self, batch: pa.RecordBatch) -> bytes:
        return self._encoded(rows_text(batch, self._dialect))

    def _encoded(self, text: bytes) -> bytes:
        return encoded(text, self._dialect.encoding, self._shown)


class ArrowStreamEncoding:
    """Messages one behind the other, without the mark of the end: Arrow takes the end of the file for it."""

    def head(self, schema: pa.Schema) -> bytes:
        return _plain(schema).serialize().to_pybytes()  # type: ignore[no-any-return]  # pyarrow has no types

    def rows(self, batch: pa.RecordBatch) -> bytes:
        return batch.cast(_plain(batch.schema)).serialize().to_pybytes() if batch.num_rows else b""


def _plain(schema: pa.Schema) -> pa.Schema:
    """Dictionary columns as their values: a dictionary would be a message of its own."""
    fields = [pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type) for field in schema]
    return pa.schema(fields)
