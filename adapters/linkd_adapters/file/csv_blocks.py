"""A stream of CSV content as blocks of whole records, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from linkd.errors import BadRow, DataFault
from linkd.limits import CSV_BLOCK_BYTES, CSV_ROW_MAX_BYTES, MIB
from linkd_adapters.file.columns import require_column_names
from linkd_adapters.file.csv_records import (
    empty_lines_length,
    fields,
    line_count,
    place_of_record,
    records,
    unquoted,
    whole_records_end,
)
from linkd_adapters.file.stored import ContentReader

RECODE = "convert the file to UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8"
"""What to do about bytes that are not UTF-8."""
_BOM = b"\xef\xbb\xbf"
_UTF_16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, the first of them at the very beginning; `offset` is that of the block in the content, `line` the number of its
    first."""

    text: bytes
    line: int
    offset: int

    @property
    def end_line(self) -> int:
        """The number of the line that begins behind the block."""
        return self.line + line_count(self.text)

    def split(self, index: int, record_count: int | None = None) -> tuple[Block, Block]:
        """The block before record `index` (from 0), and from it on."""
        place, lines = place_of_record(self.text, index, record_count)
        return Block(self.text[:place], self.line, self.offset), Block(self.text[place:], self.line + lines, self.offset + place)


@dataclass(frozen=True, slots=True)
class Header:
    """The column names, and where the first record may begin."""

    names: tuple[str, ...]
    line: int
    offset: int


def blocks(
    read: Callable[[int], bytes],
    shown: str,
    line: int,
    offset: int,
    *,
    block_bytes: int = CSV_BLOCK_BYTES,
    row_max_bytes: int = CSV_ROW_MAX_BYTES,
) -> Iterator[Block]:
    """The blocks of what is left of a content, which stands at `offset`, the beginning of line `line`.

    `read` gives as many bytes as it is asked for, fewer only at the end. A block has about `block_bytes`, more only for a long row.
    Raises `BadRow` for a row above `row_max_bytes` and for a quote that is left open: where such a row would end nobody can tell.
    """
    pending = b""
    at_end = False
    while not at_end:
        # A row of many megabytes is met by reads that double, so that looking for its end stays linear.
        wanted = min(max(block_bytes, len(pending)), row_max_bytes + 1 - len(pending))
        part = read(wanted)
        at_end = len(part) < wanted
        pending += part
        if at_end and pending and not pending.endswith(b"\n"):
            pending += b"\n"
        skipped = empty_lines_length(pending)
        if skipped == len(pending) and pending.endswith(b"\r") and not at_end:
            skipped -= 1  # it may be half of an EOL
        line, offset, pending = line + line_count(pending[:skipped]), offset + skipped, pending[skipped:]
        end = whole_records_end(pending)
        if end:
            block = Block(pending[:end], line, offset)
            yield block
            line, offset, pending = block.end_line, offset + end, pending[end:]
        if pending and (at_end or len(pending) > row_max_bytes):
            raise _endless_row(shown, line, None if at_end else row_max_bytes)


def _endless_row(shown: str, line: int, limit_bytes: int | None) -> BadRow:
    if limit_bytes is None:
        return BadRow(f"{shown}:{line}: the row that begins here never ends; is a quote left open at line {line}?")
    return BadRow(f"{shown}:{line}: the row that begins here is longer than {limit_bytes // MIB} MiB; is a quote left open at line {line}?")


def read_header(content: ContentReader, shown: str) -> tuple[Header, Iterator[Block]]:
    """The header of a CSV content, and the blocks behind it.

    Raises `DataFault` if there is none, if it is no text, or if it names a column twice or not at all.
    """
    start = content.read(len(_BOM))
    if start[:2] in _UTF_16_BOMS:
        raise DataFault(f"{shown} is UTF-16; linkd reads UTF-8, so convert it, for example with: iconv -f UTF-16 -t UTF-8")
    ahead = b"" if start == _BOM else start
    following = blocks(_joined(ahead, content.read), shown, 1, len(start) - len(ahead))
    first = next(following, None)
    if first is None:
        raise DataFault(f"{shown} has no header; its first line must name the columns")
    record = next(records(first.text))
    names = _column_names(first.text[record.start : record.end], shown, first.line)
    _, after = first.split(1)
    return Header(names, after.line, after.offset), _chain(after, following)


def _joined(ahead: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """`read` with bytes before it that have been read already, no more than the first call asks for."""
    waiting = [ahead]

    def joined(size_bytes: int) -> bytes:
        first = waiting.pop() if waiting else b""
        return first + read(size_bytes - len(first))

    return joined


def _chain(first: Block, following: Iterator[Block]) -> Iterator[Block]:
    if first.text:
        yield first
    yield from following


def _column_names(record: bytes, shown: str, line: int) -> tuple[str, ...]:
    try:
        names = tuple(unquoted(field).decode() for field in fields(record))
    except UnicodeDecodeError as error:
        raise DataFault(f"{shown}:{line}: the header is not UTF-8 (byte 0x{error.object[error.start]:02x}); {RECODE}") from error
    if b"\0" in record:
        raise DataFault(f"{shown}:{line}: the header holds a NUL byte; {RECODE}")
    require_column_names(names, shown)
    return names
