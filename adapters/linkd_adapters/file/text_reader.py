"""What formats of lines have in common: blocks of whole records, read one after the other, and cut into batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from linkd.errors import DataFault, InternalFault
from linkd_adapters.file.blocks import Block, blocks, joined
from linkd_adapters.file.dialect import Recoded, is_utf_8
from linkd_adapters.file.location import FileLocation
from linkd_adapters.file.reader import FileBatch, Kept, Place, Surveyor
from linkd_adapters.file.records import Grammar
from linkd_adapters.file.rows import Rows
from linkd_adapters.file.stored import ContentReader, StoredFile
from linkd_adapters.file.text_batches import cut, file_batch

_BOM = b"\xef\xbb\xbf"
_UTF_16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_DISGUISES = {
    b"PAR1": "a Parquet file by its content; say format: parquet",
    b"ARRO": "an Arrow file by its content; say format: arrow",
    b"\xff\xff\xff\xff": "an Arrow stream by its content; say format: arrow",
    b"\x28\xb5\x2f\xfd": "packed with zstd; linkd unpacks gzip and zip, so pack it anew with one of them",
    b"BZh9": "packed with bzip2; linkd unpacks gzip and zip, so pack it anew with one of them",
    b"\xfd7zX": "packed with xz; linkd unpacks gzip and zip, so pack it anew with one of them",
    b"SQLi": "a database by its content; export the table you mean as CSV or Parquet",
}


@dataclass(frozen=True, slots=True)
class Start:
    """How a text begins: its columns where it names them, and the place of its first row."""

    names: tuple[str, ...]
    place: Place


class TextReader(ABC):
    """A `FormatReader` for lines. `begin`, `blocks_at` and `rows` are for whoever reads a file while it grows, too."""

    def __init__(self, grammar: Grammar, encoding: str = "utf-8", *, growing: bool = False) -> None:
        self.grammar = grammar
        self._growing = growing
        self._encoding = encoding

    @abstractmethod
    def surveyor(self) -> Surveyor: ...

    @abstractmethod
    def begin(self, content: ContentReader, shown: str) -> tuple[Start, Iterator[Block]]:
        """How a content at its start begins, and the blocks behind that. Raises `DataFault` if it cannot be of this format."""

    @abstractmethod
    def rows(self, block: Block, start: Start, schema: pa.Schema) -> Rows:
        """The rows of a block of a file that began like this, as `schema`; those that do not fit as rejects."""

    def content(self, stored: StoredFile) -> ContentReader:
        """The content from its start, unpacked, as UTF-8."""
        return self.recoded(stored.content(), stored.location)

    def recoded(self, content: ContentReader, location: FileLocation) -> ContentReader:
        """A content as UTF-8."""
        if is_utf_8(self._encoding):
            return content
        return ContentReader(location, Recoded(content, self._encoding, location.shown))

    def batches_of(self, following: Iterator[Block], start: Start, schema: pa.Schema) -> Iterator[FileBatch]:
        """The batches of a content that began like this, from its first row on."""
        return _file_batches((self.rows(block, start, schema) for block in following), schema, start.place)

    def blocks_at(self, content: ContentReader, shown: str, place: Place) -> Iterator[Block]:
        """The blocks of a content that stands at this place."""
        return blocks(content.read, self.grammar, shown, place.line, place.offset, growing=self._growing)

    def kept_rows(self, kept: Kept, schema: pa.Schema) -> tuple[Start, Iterator[Rows]]:
        """What `rows` would give for the blocks of a file of which the survey kept this."""
        raise InternalFault(f"{type(self).__name__} keeps nothing of a survey; please report this")

    def batches(self, stored: StoredFile, schema: pa.Schema, before: Place, kept: Kept | None = None) -> Iterator[FileBatch]:
        if kept is not None and before == Place():
            start, rows = self.kept_rows(kept, schema)
            return _file_batches(rows, schema, start.place)
        return self._read_batches(stored, schema, before)

    def _read_batches(self, stored: StoredFile, schema: pa.Schema, before: Place) -> Iterator[FileBatch]:
        shown = stored.location.shown
        start, following = self.begin(self.content(stored), shown)
        if before == Place():
            before = start.place
        else:
            content = self.content(stored)
            content.skip(before.offset)
            following = self.blocks_at(content, shown, before)
        yield from _file_batches((self.rows(block, start, schema) for block in following), schema, before)

    def _opened(self, content: ContentReader, shown: str) -> Iterator[Block]:
        """The blocks of a content from its start, behind a byte order mark. Raises `DataFault` for what is no text."""
        start = content.read(len(_BOM) + 1)
        if is_utf_8(self._encoding) and start[:2] in _UTF_16_BOMS and start[:4] not in _DISGUISES:
            raise DataFault(f"{shown} is UTF-16; say encoding: utf-16")
        if start in _DISGUISES:
            raise DataFault(f"{shown} is {_DISGUISES[start]}")
        skipped = len(_BOM) if start.startswith(_BOM) else 0
        return blocks(joined(start[skipped:], content.read), self.grammar, shown, 1, skipped, growing=self._growing)


def _file_batches(rows: Iterator[Rows], schema: pa.Schema, before: Place) -> Iterator[FileBatch]:
    for parts, is_last in cut(rows):
        batch = file_batch(parts, is_last, schema, before)
        before = batch.after
        yield batch


def behind_first_record(following: Iterator[Block], first: Block) -> tuple[Place, Iterator[Block]]:
    """The place behind the first record of `first`, and the blocks from there on; `following` come behind `first`."""
    _, after = first.split(1)
    return Place(0, after.offset, after.line), _chain(after, following)


def _chain(first: Block, following: Iterator[Block]) -> Iterator[Block]:
    if first.text:
        yield first
    yield from following
