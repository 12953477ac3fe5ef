"""Where the records of a text begin and end: pure functions over bytes, one exact grammar.

    text    = *( record EOL / EOL )                         an empty line is no record
    record  = field *( separator field )
    field   = quoted / plain
    quoted  = quote *( not-quote / quote quote ) quote *rest
    plain   = [ first *rest ]       first: any byte but quote, separator, CR, LF     rest: any byte but separator, CR, LF
    EOL     = CR LF / LF / CR

With `,` and `"` this is RFC 4180 with what real files add, read as pyarrow and Python's csv module read it: a quote inside a plain field
stands for itself, and text behind a closing quote belongs to the field. Without a quote every line is a record; so it is for JSON lines,
where a line of blanks is no record either. A *line* is what an editor numbers: every EOL ends one, inside quotes too.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_LINE_FEED = re.compile(rb"\n")
_LINE = re.compile(rb"[^\r\n]*(?P<eol>\r\n|\n|\r)")
_RUNS_TRIED_FIRST = 1_024


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes [start, end) of a text; behind their EOL is `behind`. `lines_before` counts the lines of the text that end before it."""

    start: int
    end: int
    behind: int
    lines_before: int


def line_count(text: bytes) -> int:
    """How many lines end in `text`."""
    count = text.count(b"\n")
    if b"\r" in text:
        count += text.count(b"\r") - text.count(b"\r\n")
    return count


class Grammar:
    """The grammar for one separator and quote, one byte each (b"": none); of `blanks`, a line of nothing else is no record."""

    def __init__(self, separator: bytes = b",", quote: bytes = b'"', blanks: bytes = b"") -> None:
        self.separator = separator
        self.quote = quote
        self._skipped = blanks + b"\r\n"
        self._blanks = blanks
        self._record = _LINE
        if quote:
            self._compile(re.escape(separator), re.escape(quote))

    def _compile(self, s: bytes, q: bytes) -> None:
        opens = rb"%s(?<![^%s\r\n]%s)" % (q, s, q)
        rest = rb"[^%s]*(?:%s%s[^%s]*)*(?:%s(?!%s)|\Z)" % (q, q, q, q, q, q)
        # Quoted fields that follow one another, the last one up to the end of the text if its quote is left open. Searching for it jumps
        # from quote to quote, so that a text costs by its quotes, not by its bytes.
        self._quoted_run = re.compile(opens + rest + rb"(?:%s%s%s)*" % (s, q, rest))
        field = rb"%s[^%s]*(?:%s%s[^%s]*)*%s(?!%s)[^%s\r\n]*|[^%s%s\r\n][^%s\r\n]*|" % (q, q, q, q, q, q, q, s, q, s, s)
        self._field = re.compile(field)
        self._record = re.compile(rb"(?:%s)(?:%s(?:%s))*(?P<eol>\r\n|\n|\r)" % (field, s, field))

    def whole_records_end(self, text: bytes) -> int:
        """How many leading bytes of `text`, which begins with a record, are whole records with their EOL.

        A CR at the very end is not taken for an EOL: an LF may follow.
        """
        if not self.quote or self.quote not in text:
            return _last_line_end(text, 0, len(text))
        for kept in (_RUNS_TRIED_FIRST, None):
            runs = deque(self._quoted_run.finditer(text), maxlen=kept)
            end = len(text)
            for run in reversed(runs):
                if found := _last_line_end(text, run.end(), end):
                    return found
                end = run.start()
            if len(runs) != kept:
                return _last_line_end(text, 0, end)
        return 0

    def empty_lines_length(self, text: bytes) -> int:
        """How many leading bytes of `text` are no part of a record."""
        return len(text) - len(text.lstrip(self._skipped))

    def records(self, text: bytes) -> Iterator[Record]:
        """The records of a text that consists of whole records and empty lines."""
        place, lines = 0, 0
        while place < len(text):
            match = self._record.match(text, place)
            if match is None:
                raise ValueError(f"no record begins at byte {place}")
            end = match.start("eol")
            if text[place:end].strip(self._blanks) if self._blanks else end > place:
                yield Record(place, end, match.end(), lines)
            lines += line_count(text[place : match.end()])
            place = match.end()

    def field_count(self, record: bytes) -> int:
        """How many fields a record without its EOL has."""
        return sum(1 for _ in self.fields(record))

    def fields(self, record: bytes) -> Iterator[bytes]:
        """The fields of a record without its EOL, as they stand, quotes included."""
        if not self.quote:
            yield from record.split(self.separator)
            return
        place = 0
        while True:
            match = self._field.match(record, place)
            if match is None:
                raise ValueError(f"no field begins at byte {place}")
            yield match[0]
            place = match.end()
            if place >= len(record):
                return
            place += 1

    def unquoted(self, field: bytes) -> bytes:
        """What a field says."""
        quote = self.quote
        if not quote or not field.startswith(quote):
            return field
        # Behind the closing quote no quote is special; before it quotes are doubled. The first undoubled one closes.
        inside, place = [], 1
        while True:
            found = field.index(quote, place)
            inside.append(field[place:found])
            if field[found : found + 2] != quote * 2:
                return quote.join(inside) + field[found + 1 :]
            place = found + 2

    def place_of_record(self, text: bytes, index: int, record_count: int | None = None) -> tuple[int, int]:
        """Where record `index` (from 0) of a text begins, in bytes and in lines; where the text ends if it has no such record.

        Knowing how many records there are makes it fast where every line is one.
        """
        if index and text and _is_record_per_line(text, record_count):
            index = min(index, text.count(b"\n"))
            return next(islice(_LINE_FEED.finditer(text), index - 1, None)).end(), index
        found = next(islice(self.records(text), index, None), None)
        return (found.start, found.lines_before) if found else (len(text), line_count(text))

    def records_within(self, text: bytes, size_bytes: int, record_count: int) -> int:
        """How many leading records of the text end, with their EOL, within its first `size_bytes` bytes."""
        if _is_record_per_line(text, record_count):
            return text.count(b"\n", 0, max(0, size_bytes))
        return sum(1 for record in self.records(text) if record.behind <= size_bytes)


def _last_line_end(text: bytes, start: int, end: int) -> int:
    """The place behind the last EOL in [start, end), 0 if there is none there."""
    line_feed = text.rfind(b"\n", start, end)
    carriage_return = text.rfind(b"\r", max(start, line_feed), min(end, len(text) - 1))
    return max(line_feed, carriage_return) + 1


def _is_record_per_line(text: bytes, record_count: int | None) -> bool:
    """Whether every line is known to be one record and to end with an LF. Every record ends at least one line, so counting is enough."""
    return record_count is not None and text.count(b"\n") == record_count == line_count(text)
