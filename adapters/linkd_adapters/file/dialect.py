"""What a dialect means, what is wrong with one, and text in other encodings than UTF-8, both ways.

Everything is read as UTF-8: other encodings are recoded on the way in. Bytes that the encoding does not have stay as they are in the
recoded text, where they are no UTF-8, so that the row they stand in is the one that is refused.
"""

from __future__ import annotations

import codecs
import difflib
import io
import sys
from collections.abc import Iterator
from typing import Protocol

from linkd.errors import DataFault
from linkd.plugin.contract import CsvDialect, LinkOptions, Role

_UTF_8 = frozenset({"utf-8", "utf-8-sig"})
_ENCODINGS = ("utf-8", "utf-16", "utf-32", "latin-1", "cp1252", "cp1250", "cp1251", "cp437", "shift_jis", "gb18030", "big5", "euc-kr")
_WRITTEN = {"\\t": "\t"}
_NATIVE = "le" if sys.byteorder == "little" else "be"
_WITHOUT_MARK = {"utf-16": f"utf-16-{_NATIVE}", "utf-32": f"utf-32-{_NATIVE}", "utf-8-sig": "utf-8"}
"""Encodings whose texts begin with a byte order mark: what the rest of them is written in."""
_RECODED_BYTES = 1 << 16


def separator_of(dialect: CsvDialect) -> str:
    """The separator itself, where the file says `\\t` for a tab."""
    return _WRITTEN.get(dialect.separator, dialect.separator)


def is_utf_8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in _UTF_8


def foreign_key(dialect: CsvDialect) -> str | None:
    """The first key that says something else than the default, for formats that have no dialect."""
    default = CsvDialect()
    keys = ("header", "separator", "quote", "encoding", "decimal")
    return next((key for key in keys if getattr(dialect, key) != getattr(default, key)), None)


def dialect_problems(options: LinkOptions, role: Role) -> Iterator[str]:
    """What cannot be in the dialect of a CSV file, each with its remedy."""
    dialect, link = options.dialect, f"links.{options.link}"
    separator, quote = separator_of(dialect), dialect.quote
    if not _is_mark(separator):
        yield f'{link}.separator: {separator!r} is not one character of ASCII; write one, such as ";", "|" or "\\t"'
    elif separator == quote:
        yield f"{link}.separator: {separator!r} is the quote too; change one of them"
    elif separator == dialect.decimal:
        yield f'{link}.decimal: {separator!r} separates the fields too; say separator: ";"'
    if quote and not _is_mark(quote):
        yield f'{link}.quote: {quote!r} is not one character of ASCII; write one, or "" for none'
    if dialect.decimal not in (".", ","):
        yield f'{link}.decimal: {dialect.decimal!r} is neither "." nor ","'
    if (problem := _encoding_problem(dialect.encoding)) is not None:
        yield f"{link}.encoding: {problem}"
    if role is Role.SOURCE and not dialect.header and options.schema is None:
        remedy = "declare schema: with a name and a type for each, in the order of the file"
        yield f"{link}.header: a file without a header does not name its columns; {remedy}"


def _is_mark(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in "\r\n\0"


def _encoding_problem(encoding: str) -> str | None:
    try:
        "".encode(encoding)
        codecs.getincrementaldecoder(encoding)
    except (LookupError, UnicodeError, ValueError):
        near = difflib.get_close_matches(encoding.lower(), _ENCODINGS, n=1)
        meant = f"did you mean `{near[0]}`?" if near else "common ones are utf-8, utf-16, latin-1 and cp1252"
        return f"`{encoding}` is no encoding of text; {meant}"
    return None


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Recoded:
    """A stream in an encoding, as UTF-8. A read gives some bytes, none only at the end. Raises `DataFault` where nothing can be decoded."""

    def __init__(self, stream: _Readable, encoding: str, shown: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._shown = shown
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._ready = io.BytesIO()
        self._lines = 0
        self._is_at_end = False

    def read(self, size: int, /) -> bytes:
        while True:
            data = self._ready.read(size)
            if data or self._is_at_end:
                return data
            self._ready = io.BytesIO(self._more())

    def _more(self) -> bytes:
        raw = self._stream.read(_RECODED_BYTES)
        self._is_at_end = not raw
        try:
            text = self._decoder.decode(raw, self._is_at_end)
        except UnicodeError as error:
            reason = getattr(error, "reason", str(error))
            where = f"behind line {self._lines:,}" if self._lines else "from its start"
            raise DataFault(f"{self._shown}: the text is not {self._encoding} {where} ({reason}); say with encoding: what it is") from error
        self._lines += text.count("\n")
        return text.encode("utf-8", "surrogateescape")


def byte_order_mark(encoding: str) -> bytes:
    """What stands at the very beginning of a file in this encoding."""
    name = codecs.lookup(encoding).name
    return "".encode(name) if name in _WITHOUT_MARK else b""


def encoded(text: bytes, encoding: str, shown: str) -> bytes:
    """UTF-8 in the encoding, without a mark, so that pieces may follow one another. Raises `DataFault` for a character that it has not."""
    name = codecs.lookup(encoding).name
    if name in _UTF_8:
        return text
    try:
        return text.decode().encode(_WITHOUT_MARK.get(name, name))
    except UnicodeEncodeError as error:
        char = error.object[error.start]
        raise DataFault(f"{shown}: {char!r} cannot be written in {encoding}; say encoding: utf-8") from error
