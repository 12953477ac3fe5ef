"""JSON lines, read: one object per line, its keys the columns.

Without a declared `schema:` the types come from all rows of all files (`jsonl_inference`), the columns in the order in which they first
appear. A key that a row has not is null. Lists and objects stay what they are, as DuckDB has them; a column declared `string` has the JSON
of whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from linkd.errors import DataFault
from linkd.plugin.column_types import declared_types, type_text
from linkd.plugin.contract import STOP, LinkOptions
from linkd_adapters.file.blocks import Block
from linkd_adapters.file.columns import FileColumns
from linkd_adapters.file.conversion import reject_text
from linkd_adapters.file.jsonl_inference import JsonTypes
from linkd_adapters.file.jsonl_rows import inferred, is_plain, json_records, typed_json_rows
from linkd_adapters.file.reader import Found, Kept, Place
from linkd_adapters.file.records import Grammar
from linkd_adapters.file.rejects import Reject, bad_row
from linkd_adapters.file.rows import Rows
from linkd_adapters.file.stored import ContentReader, StoredFile
from linkd_adapters.file.text_reader import Start, TextReader

_BLANKS = b" \t"


class JsonlReader(TextReader):
    """See the module."""

    def __init__(self, options: LinkOptions) -> None:
        super().__init__(Grammar(separator=b"", quote=b"", blanks=_BLANKS), growing=options.growing)
        self._options = options

    def surveyor(self) -> JsonlSurveyor:
        return JsonlSurveyor(self._options, self)

    def begin(self, content: ContentReader, shown: str) -> tuple[Start, Iterator[Block]]:
        following = self._opened(content, shown)
        first = next(following, None)
        if first is None:
            return Start((), Place(0, 0, 1)), iter(())
        if first.text.startswith(b"["):
            remedy = "make one row per line of it with: jq -c '.[]'"
            raise DataFault(f"{shown} is one JSON document, a list, and linkd reads JSON lines; {remedy}")
        return Start((), Place(0, first.offset, first.line)), _with_first(first, following)

    def rows(self, block: Block, start: Start, schema: pa.Schema) -> Rows:  # every line names its columns
        return typed_json_rows(block, schema)


def _with_first(first: Block, following: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from following


class JsonlSurveyor:
    """What a survey learns of the columns."""

    def __init__(self, options: LinkOptions, reader: JsonlReader) -> None:
        self._options = options
        self._reader = reader
        self._declared = declared_types(options)
        self._types = JsonTypes()
        self._columns = FileColumns()
        self._rows = 0
        self._shown = ""

    def look(self, stored: StoredFile) -> Iterator[None]:
        self._shown = stored.location.shown
        _, following = self._reader.begin(self._reader.content(stored), self._shown)
        if self._declared is not None:
            return
        names: dict[str, None] = {}
        for block in following:
            self._take(block, names)
            yield
        if names:
            self._columns.take(tuple(names), self._shown)

    def _take(self, block: Block, names: dict[str, None]) -> None:
        found = inferred(block) if is_plain(block) else None
        if found is not None and self._types.take_types(found):
            self._rows += block.lines
            names |= dict.fromkeys(found.names)
            return
        for record in json_records(block):
            self._rows += 1
            if isinstance(record.value, str):
                self._refuse(Reject(record.row, record.line, "", record.value, reject_text(record.raw)))
            else:
                self._types.take(record.value, record.line, self._shown)
                names |= dict.fromkeys(record.value)

    def _refuse(self, reject: Reject) -> None:
        if self._options.on_bad_row == STOP:
            raise bad_row(self._shown, self._options.link, reject)

    def kept(self) -> tuple[Kept, ...]:
        return ()

    def found(self) -> Found:
        if self._declared is not None:
            return Found(pa.schema(list(self._declared.items())), None, ())
        types = self._types.settled()
        if not types:
            raise DataFault(f"{self._shown} has no row with a key, so it has no columns; declare schema:, or leave it out")
        notes = [note for name, kind in types.items() if (note := self._note(name, kind)) is not None]
        return Found(pa.schema(list(types.items())), self._rows, (*notes, *self._columns.notes))

    def _note(self, name: str, kind: pa.DataType) -> str | None:
        if name in self._types.reasons:
            line, shown, why = self._types.reasons[name]
            of_file = "" if self._columns.is_one_file else f" of {shown}"
            return f"column {name} is string because of line {line:,}{of_file}: {why}"
        if pa.types.is_nested(kind):
            return f"column {name} is {type_text(kind)}, as the file has it; to have it as JSON text, declare it string"
        return None
