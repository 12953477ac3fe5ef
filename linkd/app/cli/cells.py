"""What the cells of a printed table say, by Arrow type. Pure; importing this module imports pyarrow.

Everything else that a terminal could obey (escape sequences, control characters, direction marks) is shown as a blot, and a line break as
`↵`: data does not draw on the screen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from linkd.app.cli.tables import Column
from linkd.app.wording import number_text
from linkd.core.json_values import has_json_form, storage_type, writer

_LINE_BREAKS = str.maketrans({"\n": "↵", "\r": "", "\t": " "})
_TEXT_LOOKED_AT_CHARS = 1_000
"""Of a text in a cell: far more than is shown, far less than a document."""
_SEPARATED_FROM = 10_000


def columns_of(table: pa.Table) -> list[Column]:
    """The columns of a table as text; every row of it, so give it no more than is to be shown."""
    return [_column(field, array) for field, array in zip(table.schema, table.columns, strict=True)]


def printable(text: str) -> str:
    """`text` as it may appear on a terminal, on one line."""
    shown = text[:_TEXT_LOOKED_AT_CHARS].translate(_LINE_BREAKS)
    if shown.isprintable():
        return shown
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown)


def _column(field: pa.Field, array: pa.ChunkedArray) -> Column:
    types = pa.types
    is_number = types.is_integer(field.type) or types.is_floating(field.type) or types.is_decimal(field.type)
    values = _plain_values(field.type, array)
    say = _number_sayer(values) if is_number else _sayer(field.type)
    cells = [None if value is None else say(value) for value in values]
    return Column(printable(field.name), cells, is_number, rigid=types.is_temporal(field.type))


def _number_sayer(values: Sequence[Any]) -> Callable[[Any], str]:
    """With thousands separators, but not where no number of the column has five digits before the point: 2013 may be a year."""
    if any(value is not None and abs(value) >= _SEPARATED_FROM for value in values):
        return number_text
    return str


def _plain_values(kind: pa.DataType, array: pa.ChunkedArray) -> Sequence[Any]:
    if pa.types.is_floating(kind) and kind.bit_width < 64:
        # By way of text: 0.1 of float32 is not the double 0.10000000149011612 to the person who wrote it.
        texts: list[str | None] = array.cast(pa.float32()).cast(pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    if has_json_form(kind):
        array = array.cast(storage_type(kind))
    values: list[Any] = array.to_pylist()
    return values


def _sayer(kind: pa.DataType) -> Callable[[Any], str]:
    types = pa.types
    if types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return lambda value: f"<{len(value):,} bytes>"
    if not has_json_form(kind) or types.is_string(kind):
        return lambda value: printable(str(value))
    return _json_sayer(kind)


def _json_sayer(kind: pa.DataType) -> Callable[[Any], str]:
    """Times as ISO 8601, nested values as JSON."""
    write = writer(kind)

    def say(value: Any) -> str:
        try:
            written = write(value)
        except ValueError as error:
            return f"<{error}>"
        text = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
        return printable(text)

    return say
