"""What DuckDB says, as errors of linkd: its own words with the place in the text, without its internals and without anybody's data."""

from __future__ import annotations

import re

import duckdb

from linkd.errors import Error, InternalFault, QueryInvalid, StorageFailed

_KIND = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_SUGGESTION = re.compile(r"\n?Did you mean \"[^\"]*\"\??")
_SETTING_HINT = re.compile(r' Use "SET [^"]*"[^.]*\.')
_QUOTED_VALUE = re.compile(r"(string|value|field value out of range:|date|timestamp|input) (?:'(?:[^']|'')*'|\"[^\"]*\")")
_OPERANDS = re.compile(r" \([^()\n]*\)!?")
_VALUE_OF_TYPE = re.compile(r"with value \S+ ")
_PLACE = re.compile(r"^LINE ([0-9]+): (.*)\n( *)(\^+)$", re.MULTILINE)
_STREAMED: dict[str, type[duckdb.Error]] = {
    "interrupt": duckdb.InterruptException,
    "out of memory": duckdb.OutOfMemoryException,
    "io": duckdb.IOException,
    "internal": duckdb.InternalException,
    "fatal": duckdb.FatalException,
}
"""By what their messages begin with. Others are about somebody's data."""
OUT_OF_MEMORY_HINT = "it needs more memory and temporary disk than queries have; filter earlier, or aggregate in two steps"
_DATA_ERRORS = (duckdb.DataError, duckdb.InvalidInputException)
_TEXT_SHOWN_CHARS = 120


def pointed_at(fault: str, sql: str, location: int, length: int) -> str:
    """`fault`, and below it the line of the text it speaks of with carets. `location` counts the bytes of the UTF-8 text."""
    content = sql.encode()
    if not 0 <= location < len(content):
        return fault
    before = content[:location].decode(errors="replace")
    line_number = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1)
    line = sql.split("\n")[line_number - 1]
    start = max(0, column - _TEXT_SHOWN_CHARS // 2)
    shown = line[start : start + _TEXT_SHOWN_CHARS].replace("\t", " ")
    carets = "^" * max(1, min(length, len(shown) - (column - start)))
    prefix = f"LINE {line_number}: "
    return f"{fault}\n\n{prefix}{shown}\n{' ' * (len(prefix) + column - start)}{carets}"


def parse_error(error: duckdb.Error) -> QueryInvalid:
    """A text that DuckDB cannot parse, in its words."""
    return QueryInvalid(_SETTING_HINT.sub("", _KIND.sub("", str(error), count=1)))


def streamed_error(error: OSError) -> duckdb.Error | None:
    """What DuckDB raised while Arrow took rows from it, which leaves nothing of it but its words; None for an error of somebody else's."""
    kind = _KIND.match(str(error))
    if kind is None:
        return None
    return _STREAMED.get(kind[0].removesuffix(" Error: ").lower(), duckdb.DataError)(str(error))


def run_error(error: duckdb.Error, sql: str) -> Error:
    """What went wrong while the query `sql` was bound or run."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryInvalid(f"the query is too large: {OUT_OF_MEMORY_HINT}")
    if isinstance(error, (duckdb.InternalException, duckdb.FatalException)):
        return InternalFault(f"DuckDB failed while running a query ({type(error).__name__}): please report it")
    if isinstance(error, duckdb.IOException):
        return StorageFailed("the query could not write its temporary files: is the disk full?")
    text = _SUGGESTION.sub("", _KIND.sub("", str(error), count=1))
    if isinstance(error, _DATA_ERRORS):
        text = _without_values(text)
    return QueryInvalid(_relocated(text.strip("\n"), sql))


def _without_values(text: str) -> str:
    """The message about a value without the value: rows are nobody's business in a log. The LINE part quotes the query and stays."""
    message, separator, place = text.partition("\n\nLINE ")
    message = _QUOTED_VALUE.sub(r"a \1", message.split("\n")[0])
    message = _VALUE_OF_TYPE.sub("", _OPERANDS.sub("", message))
    return f"{message}{separator}{place}"


def _relocated(text: str, sql: str) -> str:
    """The LINE part with the line number of the query as it was written: DuckDB counts the lines that ordering wraps around it."""
    place = _PLACE.search(text)
    if place is None:
        return text
    shown = place[2].strip(". ")
    number = next((number for number, line in enumerate(sql.split("\n"), 1) if shown in line), None)
    if number is None:
        return text[: place.start()].rstrip("\n")
    indent = len(place[3]) - len(place[1]) + len(str(number))
    return f"{text[: place.start()]}LINE {number}: {place[2]}\n{' ' * indent}{place[4]}{text[place.end() :]}"
