"""Where the records of a CSV text begin and end: pure functions over bytes, one exact grammar.

    text    = *( record EOL / EOL )                         an empty line is no record
    record  = field *( "," field )
    field   = quoted / plain
    quoted  = DQUOTE *( not-DQUOTE / DQUOTE DQUOTE ) DQUOTE *rest
    plain   = [ first *rest ]       first: any byte but DQUOTE "," CR LF     rest: any byte but "," CR LF
    EOL     = CR LF / LF / CR

This is RFC 4180 with what real files add, read as pyarrow and Python's csv module read it: a quote inside a plain field stands for itself,
and text behind a closing quote belongs to the field. A *line* is what an editor numbers: every EOL ends one, inside quotes too.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_QUOTE_OPENS = rb'"(?<![^,\r\n]")'
_QUOTED_REST = rb'[^"]*(?:""[^"]*)*(?:"(?!")|\Z)'
_QUOTED_RUN = re.compile(_QUOTE_OPENS + _QUOTED_REST + rb'(?:,"' + _QUOTED_REST + rb")*")
"""Quoted fields that follow one another, the last one up to the end of the text if its quote is left open. Searching for it jumps from
quote to quote, so that a text costs by its quotes, not by its bytes."""
_FIELD = re.compile(rb'"[^"]*(?:""[^"]*)*"(?!")[^,\r\n]*|[^",\r\n][^,\r\n]*|')
_RECORD = re.compile(rb"(?:%s)(?:,(?:%s))*(?P<eol>\r\n|\n|\r)" % (_FIELD.pattern, _FIELD.pattern))
_LINE_FEED = re.compile(rb"\n")
_RUNS_TRIED_FIRST = 1_024


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes [start, end) of a text; behind their EOL is `behind`. `lines_before` counts the lines of the text that end before it."""

    start: int
    end: int
    behind: int
    lines_before: int


def whole_records_end(text: bytes) -> int:
    """How many leading bytes of `text`, which begins with a record, are whole records with their EOL.

    A CR at the very end is not taken for an EOL: an LF may follow.
    """
    if b'"' not in text:
        return _last_line_end(text, 0, len(text))
    for kept in (_RUNS_TRIED_FIRST, None):
        runs = deque(_QUOTED_RUN.finditer(text), maxlen=kept)
        end = len(text)
        for run in reversed(runs):
            if found := _last_line_end(text, run.end(), end):
                return found
            end = run.start()
        if len(runs) != kept:
            return _last_line_end(text, 0, end)
    return 0


def _last_line_end(text: bytes, start: int, end: int) -> int:
    """The place behind the last EOL in [start, end), 0 if there is none there."""
    line_feed = text.rfind(b"\n", start, end)
    carriage_return = text.rfind(b"\r", start, min(end, len(text) - 1))
    return max(line_feed, carriage_return) + 1


def line_count(text: bytes) -> int:
    """How many lines end in `text`."""
    count = text.count(b"\n")
    if b"\r" in text:
        count += text.count(b"\r") - text.count(b"\r\n")
    return count


def empty_lines_length(text: bytes) -> int:
    """How many leading bytes of `text` are empty lines."""
    return len(text) - len(text.lstrip(b"\r\n"))


def records(text: bytes) -> Iterator[Record]:
    """The records of a text that consists of whole records and empty lines."""
    place, lines = 0, 0
    while place < len(text):
        match = _RECORD.match(text, place)
        if match is None:
            raise ValueError(f"no record begins at byte {place}")
        end = match.start("eol")
        if end > place:
            yield Record(place, end, match.end(), lines)
        lines += line_count(text[place : match.end()])
        place = match.end()


def field_count(record: bytes) -> int:
    """How many fields a record without its EOL has."""
    return sum(1 for _ in fields(record))


def fields(record: bytes) -> Iterator[bytes]:
    """The fields of a record without its EOL, as they stand, quotes included."""
    place = 0
    while True:
        match = _FIELD.match(record, place)
        if match is None:
            raise ValueError(f"no field begins at byte {place}")
        yield match[0]
        place = match.end()
        if place >= len(record):
            return
        place += 1


def unquoted(field: bytes) -> bytes:
    """What a field says."""
    if not field.startswith(b'"'):
        return field
    # Behind the closing quote no quote is special; before it quotes are doubled. The first undoubled one closes.
    inside, place = [], 1
    while True:
        quote = field.index(b'"', place)
        if field[quote : quote + 2] != b'""':
            inside.append(field[place:quote])
            return b'"'.join(inside) + field[quote + 1 :]
        inside.append(field[place:quote])
        place = quote + 2


def place_of_record(text: bytes, index: int, record_count: int | None = None) -> tuple[int, int]:
    """Where record `index` (from 0) of a text begins, in bytes and in lines; where the text ends if it has no such record.

    Knowing how many records there are makes it fast where every line is one.
    """
    if index and text and _is_record_per_line(text, record_count):
        index = min(index, text.count(b"\n"))
        return next(islice(_LINE_FEED.finditer(text), index - 1, None)).end(), index
    found = next(islice(records(text), index, None), None)
    return (found.start, found.lines_before) if found else (len(text), line_count(text))


def records_within(text: bytes, size_bytes: int, record_count: int) -> int:
    """How many leading records of the text end, with their EOL, within its first `size_bytes` bytes."""
    if _is_record_per_line(text, record_count):
        return text.count(b"\n", 0, max(0, size_bytes))
    return sum(1 for record in records(text) if record.behind <= size_bytes)


def _is_record_per_line(text: bytes, record_count: int | None) -> bool:
    """Whether every line is known to be one record and to end with an LF. Every record ends at least one line, so counting is enough."""
    return record_count is not None and text.count(b"\n") == record_count == line_count(text)
