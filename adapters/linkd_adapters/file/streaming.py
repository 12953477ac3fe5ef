"""CSV and JSON lines as streams of bytes, with the same grammar, types and rejects as files have: see `csv_reader` and `jsonl_reader`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from linkd.errors import BadRow, InvalidArgument, SchemaMismatch
from linkd.limits import CSV_ROW_MAX_BYTES, MIB, ROWS_PER_VALUE
from linkd.plugin.contract import LinkOptions
from linkd.plugin.streaming import Inferred, Read, RowDecoder, RowEncoder
from linkd_adapters.file.blocks import Block
from linkd_adapters.file.columns import require_column_names
from linkd_adapters.file.csv_reader import CsvReader
from linkd_adapters.file.csv_rows import RENAME
from linkd_adapters.file.csv_text import require_writable_types
from linkd_adapters.file.encodings import CsvEncoding, Encoding
from linkd_adapters.file.jsonl_reader import JsonlReader
from linkd_adapters.file.jsonl_text import JsonlEncoding, require_json_types
from linkd_adapters.file.location import FileFormat, FileLocation
from linkd_adapters.file.reader import Place
from linkd_adapters.file.rejects import Reject
from linkd_adapters.file.stored import ContentReader, StoredFile
from linkd_adapters.file.text_reader import Start, TextReader

_WRITE_UTF_8 = "let the program write UTF-8"
"""What to do about bytes that are not: a task has no `encoding:`."""


def stream_encoder(options: LinkOptions, schema: pa.Schema) -> TextEncoder:
    """Raises `InvalidArgument` for a format without streams, `SchemaMismatch` for columns that the format cannot hold."""
    if options.format == FileFormat.CSV:
        require_writable_types(schema, options.shown)
        return TextEncoder(CsvEncoding(options), schema)
    if options.format == FileFormat.JSONL:
        require_json_types(schema, options.shown)
        return TextEncoder(JsonlEncoding(options.shown), schema)
    raise InvalidArgument(f"{options.shown}: {options.format} has no streams; say format: csv or jsonl")


def stream_decoder(options: LinkOptions) -> TextDecoder:
    """Raises `InvalidArgument` for a format without streams."""
    if options.format == FileFormat.CSV:
        return TextDecoder(options, CsvReader(options), FileFormat.CSV)
    if options.format == FileFormat.JSONL:
        return TextDecoder(options, JsonlReader(options), FileFormat.JSONL)
    raise InvalidArgument(f"{options.shown}: {options.format} has no streams; say format: csv or jsonl")


class TextEncoder(RowEncoder):
    """See the module."""

    def __init__(self, encoding: Encoding, schema: pa.Schema) -> None:
        self._encoding = encoding
        self._schema = schema

    def head(self) -> bytes:
        return self._encoding.head(self._schema)

    def rows(self, batch: pa.RecordBatch) -> bytes:
        if batch.num_rows <= ROWS_PER_VALUE:
            return self._encoding.rows(batch)
        starts = range(0, batch.num_rows, ROWS_PER_VALUE)
        return b"".join(self._encoding.rows(batch.slice(start, ROWS_PER_VALUE)) for start in starts)


@dataclass(frozen=True, slots=True)
class _Stream:
    """What a `ContentReader` reads."""

    read: Read


class TextDecoder(RowDecoder):
    """See the module."""

    def __init__(self, options: LinkOptions, reader: TextReader, kind: FileFormat) -> None:
        self._options = options
        self._reader = reader
        self._location = FileLocation(options.shown, options.base, Path(options.base, options.location), kind)
        self._start: Start | None = None
        self._pending = b""
        self._line = 1

    @property
    def _has_header(self) -> bool:
        return self._location.format is FileFormat.CSV and self._options.dialect.header

    def typed(self, read: Read, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        start, following = self._reader.begin(self._content(read), self._location.shown)
        self._require_columns(start, schema)
        for batch in self._reader.batches_of(following, start, schema):
            self._require_fit(batch.rejects)
            yield batch.data

    def inferred(self, spooled: Path) -> Inferred:
        surveyor = self._reader.surveyor()
        location = FileLocation(self._location.shown, spooled.parent, spooled, self._location.format)
        with StoredFile.open(location) as stored:
            for _ in surveyor.look(stored):
                pass
        found = surveyor.found()
        return Inferred(found.schema, found.notes, self._surveyed(location, found.schema))

    def _surveyed(self, location: FileLocation, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with StoredFile.open(location) as stored:
            for batch in self._reader.batches(stored, schema, Place()):
                self._require_fit(batch.rejects)
                yield batch.data

    def fed(self, text: bytes, schema: pa.Schema) -> list[pa.RecordBatch]:
        self._pending += text
        end = self._reader.grammar.whole_records_end(self._pending)
        if not end and len(self._pending) > CSV_ROW_MAX_BYTES:
            raise BadRow(f"{self._location.shown}:{self._line}: the row that begins here is longer than {CSV_ROW_MAX_BYTES // MIB} MiB")
        whole, self._pending = self._pending[:end], self._pending[end:]
        return self._taken(whole, schema)

    def fed_all(self, schema: pa.Schema) -> list[pa.RecordBatch]:
        last, self._pending = self._pending, b""
        if last.strip(b"\r\n"):
            last += b"\n"
        if self._reader.grammar.whole_records_end(last) != len(last):
            raise BadRow(f"{self._location.shown}:{self._line}: the row that begins here never ends; is a quote left open?")
        if self._start is None and self._has_header and not last:
            self._reader.begin(self._content(io.BytesIO().read), self._location.shown)  # it says what is missing
        return self._taken(last, schema)

    def _taken(self, text: bytes, schema: pa.Schema) -> list[pa.RecordBatch]:
        """The rows of whole records."""
        skipped = self._reader.grammar.empty_lines_length(text)
        if skipped == len(text):
            self._line += text.count(b"\n")
            return []
        block = Block.of(text, self._line, 0, self._reader.grammar)
        self._line = block.end_line
        if self._start is None:
            self._start, following = self._reader.begin(self._content(io.BytesIO(text).read), self._location.shown)
            self._require_columns(self._start, schema)
            blocks = list(following)
        else:
            blocks = [block]
        made = [self._reader.rows(one, self._start, schema) for one in blocks]
        for rows in made:
            self._require_fit(rows.rejects)
        return [rows.data for rows in made if rows.data.num_rows]

    def _content(self, read: Read) -> ContentReader:
        return self._reader.recoded(ContentReader(self._location, _Stream(read)), self._location)

    def _require_columns(self, start: Start, schema: pa.Schema) -> None:
        """Raises `SchemaMismatch` for a header that does not name the columns of the link."""
        if not self._has_header:
            return
        require_column_names(start.names, self._location.shown)
        missing = [name for name in schema.names if name not in start.names]
        extra = [name for name in start.names if name not in schema.names]
        if missing or extra:
            faults = [f"lacks {', '.join(missing)}"] if missing else []
            faults += [f"has {', '.join(extra)}, which the link has not"] if extra else []
            both = f"its header is {', '.join(start.names)}, and {self._options.link} has {', '.join(schema.names)}"
            raise SchemaMismatch(f"{self._location.shown} {' and '.join(faults)}: {both}")

    def _require_fit(self, rejects: Sequence[Reject]) -> None:
        if rejects:
            first = rejects[0]
            column = f"column {first.column}: " if first.column else ""
            raise BadRow(f"{self._location.shown}:{first.line}: {column}{first.reason.replace(RENAME, _WRITE_UTF_8)}")
