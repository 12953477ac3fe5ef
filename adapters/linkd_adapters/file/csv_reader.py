"""CSV, read.

Empty fields, quoted or not, are null, and so is every text in `nulls:`, in columns of any type. A byte order mark is skipped, empty lines
are no rows. Without a declared `schema:` the types come from all rows of all files. With one, the survey only looks at the headers and
hashes: whether rows fit shows when they are read. Columns go by the names in the header, so files may have them in different orders, and
some not at all: their rows have null there. Without a header they go by the order of `schema:`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import pyarrow as pa

from linkd.errors import DataFault
from linkd.limits import SURVEY_KEPT_MAX_BYTES
from linkd.plugin.column_types import declared_types
from linkd.plugin.contract import STOP, LinkOptions
from linkd_adapters.file.blocks import Block
from linkd_adapters.file.columns import FileColumns, require_column_names
from linkd_adapters.file.csv_inference import Guess, Kind, breaker, widened
from linkd_adapters.file.csv_rows import RENAME, Layout, fitted_texts, text_rows, typed_rows
from linkd_adapters.file.dialect import separator_of
from linkd_adapters.file.reader import Found, Kept, Place
from linkd_adapters.file.records import Grammar
from linkd_adapters.file.rejects import bad_row
from linkd_adapters.file.rows import Rows
from linkd_adapters.file.stored import ContentReader, StoredFile
from linkd_adapters.file.text_reader import Start, TextReader, behind_first_record


class CsvReader(TextReader):
    """See the module."""

    def __init__(self, options: LinkOptions) -> None:
        dialect = options.dialect
        super().__init__(Grammar(separator_of(dialect).encode(), dialect.quote.encode()), dialect.encoding, growing=options.growing)
        self._options = options

    def surveyor(self) -> CsvSurveyor:
        return CsvSurveyor(self._options, self)

    def begin(self, content: ContentReader, shown: str) -> tuple[Start, Iterator[Block]]:
        following = self._opened(content, shown)
        first = next(following, None)
        if not self._options.dialect.header:
            names = tuple(self._options.schema or ())
            return Start(names, Place(0, first.offset if first else 0, first.line if first else 1)), _with_first(first, following)
        if first is None:
            raise DataFault(f"{shown} has no header; its first line must name the columns")
        record = next(self.grammar.records(first.text))
        names = self._names(first.text[record.start : record.end], shown, first.line)
        place, rest = behind_first_record(following, first)
        return Start(names, place), rest

    def rows(self, block: Block, start: Start, schema: pa.Schema) -> Rows:
        return typed_rows(block, self.layout(start), schema)

    def kept_rows(self, kept: Kept, schema: pa.Schema) -> tuple[Start, Iterator[Rows]]:
        if not isinstance(kept, KeptTexts):
            return super().kept_rows(kept, schema)
        return kept.start, (fitted_texts(rows, schema, self._options.dialect) for rows in kept.taken())

    def layout(self, start: Start) -> Layout:
        """How the rows behind this start are to be read."""
        return Layout(start.names, self._options.nulls, self._options.dialect)

    def _names(self, record: bytes, shown: str, line: int) -> tuple[str, ...]:
        try:
            names = tuple(self.grammar.unquoted(field).decode() for field in self.grammar.fields(record))
        except UnicodeDecodeError as error:
            encoding = "UTF-8" if self._encoding == "utf-8" else self._encoding
            raise DataFault(f"{shown}:{line}: the header is not {encoding} (byte 0x{error.object[error.start]:02x}); {RENAME}") from error
        if b"\0" in record:
            raise DataFault(f"{shown}:{line}: the header holds a NUL byte; {RENAME}")
        require_column_names(names, shown)
        return names


def _with_first(first: Block | None, following: Iterator[Block]) -> Iterator[Block]:
    if first is not None:
        yield first
        yield from following


class KeptTexts:
    """The rows of a file with every field as text, as far as they were read."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.size_bytes = 0
        self._rows: deque[Rows] = deque()

    def add(self, rows: Rows) -> None:
        self._rows.append(rows)
        self.size_bytes += rows.data.nbytes + len(rows.block.text)

    def taken(self) -> Iterator[Rows]:
        """All rows, each let go of when the next is asked for."""
        while self._rows:
            yield self._rows.popleft()


class CsvSurveyor:
    """What a survey learns of the columns."""

    def __init__(self, options: LinkOptions, reader: CsvReader) -> None:
        self._options = options
        self._reader = reader
        self._declared = declared_types(options)
        self._columns = FileColumns()
        self._guesses: dict[str, Guess] = {}
        self._reasons: dict[str, tuple[int, str, str]] = {}
        self._rows = 0
        self._kept: list[KeptTexts] = []
        self._is_kept = self._declared is None

    def look(self, stored: StoredFile) -> Iterator[None]:
        shown = stored.location.shown
        start, following = self._reader.begin(self._reader.content(stored), shown)
        self._columns.take(start.names, shown)
        if self._declared is not None:
            return
        layout, kept = self._reader.layout(start), KeptTexts(start)
        self._kept.append(kept)
        for block in following:
            rows = text_rows(block, layout)
            if rows.rejects and self._options.on_bad_row == STOP:
                raise bad_row(shown, self._options.link, rows.rejects[0])
            self._widen(rows, shown)
            self._keep(kept, rows)
            yield

    def _keep(self, kept: KeptTexts, rows: Rows) -> None:
        if not self._is_kept:
            return
        kept.add(rows)
        if sum(of_file.size_bytes for of_file in self._kept) > SURVEY_KEPT_MAX_BYTES:
            self._is_kept = False
            self._kept.clear()

    def kept(self) -> Sequence[Kept]:
        return self._kept if self._is_kept else ()

    def found(self) -> Found:
        if self._declared is not None:
            return Found(self._columns.declared(self._declared), None, self._columns.notes)
        schema = pa.schema([pa.field(name, self._guess(name).type) for name in self._columns.names])
        said = [self._note(name) for name in self._columns.names]
        return Found(schema, self._rows, (*(note for note in said if note), *self._columns.notes))

    def _guess(self, name: str) -> Guess:
        return self._guesses.get(name, Guess())

    def _widen(self, rows: Rows, shown: str) -> None:
        self._rows += rows.count
        decimal = self._options.dialect.decimal
        for name, texts in zip(rows.data.schema.names, rows.data.columns, strict=True):
            guess = self._guess(name)
            wider = widened(guess, texts, decimal)
            if wider is guess:
                continue
            self._guesses[name] = wider
            if wider.kind is Kind.STRING and (found := breaker(guess, texts, decimal)) is not None:
                self._reasons[name] = (rows.line_of(found.index), shown, found.reason)

    def _note(self, name: str) -> str | None:
        guess = self._guess(name)
        if guess.kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_UTC) and not guess.is_time_held:
            return f"column {name} is string: its times need nanoseconds, which end in 1677 and 2262, and one lies beyond"
        if name not in self._reasons:
            return None
        line, shown, reason = self._reasons[name]
        of_file = "" if self._columns.is_one_file else f" of {shown}"
        return f"column {name} is string because of line {line:,}{of_file}: {reason}"
