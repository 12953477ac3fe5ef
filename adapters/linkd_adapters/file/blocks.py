"""A stream of text as blocks of whole records, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from linkd.errors import BadRow
from linkd.limits import CSV_BLOCK_BYTES, CSV_ROW_MAX_BYTES, MIB
from linkd_adapters.file.records import Grammar, line_count


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, the first of them at the very beginning; `offset` is that of the block in the content, `line` the number of its
    first, `lines` how many lines end in it."""

    text: bytes
    line: int
    offset: int
    grammar: Grammar
    lines: int

    @classmethod
    def of(cls, text: bytes, line: int, offset: int, grammar: Grammar) -> Block:
        """The block with this text, its lines counted."""
        return cls(text, line, offset, grammar, line_count(text))

    @property
    def end_line(self) -> int:
        """The number of the line that begins behind the block."""
        return self.line + self.lines

    @property
    def end_offset(self) -> int:
        return self.offset + len(self.text)

    def split(self, index: int, record_count: int | None = None) -> tuple[Block, Block]:
        """The block before record `index` (from 0), and from it on."""
        place, lines = self.grammar.place_of_record(self.text, index, record_count)
        return (
            Block(self.text[:place], self.line, self.offset, self.grammar, lines),
            Block(self.text[place:], self.line + lines, self.offset + place, self.grammar, self.lines - lines),
        )


def blocks(
    read: Callable[[int], bytes],
    grammar: Grammar,
    shown: str,
    line: int,
    offset: int,
    *,
    growing: bool = False,
    block_bytes: int = CSV_BLOCK_BYTES,
    row_max_bytes: int = CSV_ROW_MAX_BYTES,
) -> Iterator[Block]:
    """The blocks of what is left of a content, which stands at `offset`, the beginning of line `line`.

    `read` gives as many bytes as it is asked for, fewer only at the end. A block has about `block_bytes`, more only for a long row. Of a
    content that is `growing` the last row is left alone while it has no end.
    Raises `BadRow` for a row above `row_max_bytes` and for a quote that is left open: where such a row would end nobody can tell.
    """
    pending = b""
    at_end = False
    while not at_end:
        # A row of many megabytes is met by reads that double, so that looking for its end stays linear.
        wanted = min(max(block_bytes, len(pending)), row_max_bytes + 1 - len(pending))
        part = read(wanted)
        at_end = len(part) < wanted
        is_over = at_end and not growing
        pending += part
        if is_over and pending and not pending.endswith(b"\n"):
            pending += b"\n"
        skipped = grammar.empty_lines_length(pending)
        if skipped == len(pending) and pending.endswith(b"\r") and not is_over:
            skipped -= 1  # it may be half of an EOL
        line, offset, pending = line + line_count(pending[:skipped]), offset + skipped, pending[skipped:]
        end = grammar.whole_records_end(pending)
        if end:
            block = Block.of(pending[:end], line, offset, grammar)
            yield block
            line, offset, pending = block.end_line, offset + end, pending[end:]
        if pending and (is_over or len(pending) > row_max_bytes):
            raise _endless_row(shown, line, grammar, None if is_over else row_max_bytes)


def joined(ahead: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """`read` with bytes before it that have been read already, no more than the first call asks for."""
    waiting = [ahead]

    def read_joined(size_bytes: int) -> bytes:
        first = waiting.pop() if waiting else b""
        return first + read(size_bytes - len(first))

    return read_joined


def _endless_row(shown: str, line: int, grammar: Grammar, limit_bytes: int | None) -> BadRow:
    end = "never ends" if limit_bytes is None else f"is longer than {limit_bytes // MIB} MiB"
    cause = f"is a quote left open at line {line}?" if grammar.quote else "is this a text of lines?"
    return BadRow(f"{shown}:{line}: the row that begins here {end}; {cause}")
