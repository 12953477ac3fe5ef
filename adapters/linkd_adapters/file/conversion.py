"""Columns brought to a type, exactly or not at all, and which of their values do not fit.

Texts become values as Arrow reads them (`5`, `-1.5e3`, `true`, `2013-01-01`, `2013-01-01T10:00:00Z`, `10:00:00`), with blanks around them
allowed for everything but strings. Numbers that would overflow do not fit.
"""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pyarrow.compute as pc

from linkd.limits import MESSAGE_TEXT_MAX_CHARS, REJECT_TEXT_MAX_BYTES
from linkd.plugin.column_types import type_text

_INFINITY = r"^[+-]?[iI][nN][fF]([iI][nN][iI][tT][yY])?$"
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")


def converted(column: pa.Array, kind: pa.DataType, decimal: str = ".") -> pa.Array:
    """The column as `kind`; `decimal` stands in texts before the fraction. Raises `pa.ArrowInvalid` if a value does not fit."""
    if column.type == kind:
        return column
    if not pa.types.is_string(column.type):
        return _cast(column, kind)
    if decimal != "." and (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        column = with_points(column)
    try:
        return _from_text(column, kind)
    except pa.ArrowInvalid:
        if pa.types.is_binary(kind):
            raise
        return _from_text(pc.utf8_trim_whitespace(column), kind)


def with_points(texts: pa.Array) -> pa.Array:
    """Texts with `,` and `.` exchanged: `1,5` is read as a number, and `1.5` is not."""
    return pc.replace_substring(pc.replace_substring(pc.replace_substring(texts, ".", "\0"), ",", "."), "\0", ",")


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return column.cast(kind)
    except pa.ArrowNotImplementedError as error:
        if column.null_count == len(column):
            return pa.nulls(len(column), kind)
        raise pa.ArrowInvalid(str(error)) from error


def _from_text(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_time64(kind):
        return _times(texts, kind)
    values = texts.cast(kind)
    if pa.types.is_floating(kind):
        infinite = pc.is_inf(values)
        if pc.any(infinite).as_py():
            said = pc.match_substring_regex(texts.filter(infinite), _INFINITY)
            if not pc.all(said).as_py():
                raise pa.ArrowInvalid("a number is beyond the range of the type")
    return values


def _times(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Arrow reads no times of day from text, so each is read as that time on the first day of its calendar."""
    fitting = pc.match_substring_regex(texts, f"^{_TIME.pattern}$")
    if not pc.all(fitting, min_count=0).as_py():
        raise pa.ArrowInvalid("not a time of day")
    moments = pc.binary_join_element_wise("1970-01-01", texts, "T").cast(pa.timestamp("us"))
    return moments.cast(pa.time64("us")).cast(kind)


def misfits(column: pa.Array, kind: pa.DataType, decimal: str = ".") -> list[int]:
    """The indexes of the values that do not fit, found by halving: few misfits cost few conversions."""
    found: list[int] = []
    waiting = [(0, len(column))]
    while waiting:
        start, end = waiting.pop()
        try:
            converted(column.slice(start, end - start), kind, decimal)
        except pa.ArrowInvalid:
            if end - start == 1:
                found.append(start)
            else:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
    return found


def fitting_rows(batch: pa.RecordBatch, schema: pa.Schema, decimal: str = ".") -> tuple[pa.RecordBatch, dict[int, tuple[str, str]]]:
    """The rows of `batch` whose values all fit, as `schema`; and of the others, by index, the leftmost column that does not and why."""
    columns: list[pa.Array] = []
    reasons: dict[int, tuple[str, str]] = {}
    for place, field in enumerate(schema):
        column = batch.column(place)
        try:
            columns.append(converted(column, field.type, decimal))
        except pa.ArrowInvalid:
            for index in misfits(column, field.type, decimal):
                reasons.setdefault(index, (field.name, misfit_reason(column[index], field.type)))
    if reasons:
        batch = batch.filter(pa.array([index not in reasons for index in range(batch.num_rows)]))
        columns = [converted(batch.column(place), field.type, decimal) for place, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema), reasons


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """No rows of these columns."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def misfit_reason(value: pa.Scalar, kind: pa.DataType) -> str:
    """`'abc' is not int64`."""
    return f"{shown_value(value.as_py())} is not {type_text(kind)}"


def shown_value(value: object) -> str:
    """A value as messages show it: quoted if it is text, and short."""
    if isinstance(value, str):
        return repr(value if len(value) <= MESSAGE_TEXT_MAX_CHARS else value[: MESSAGE_TEXT_MAX_CHARS - 1] + "…")
    text = str(value)
    return text if len(text) <= MESSAGE_TEXT_MAX_CHARS else text[: MESSAGE_TEXT_MAX_CHARS - 1] + "…"


def reject_text(raw: bytes) -> str:
    """A row's bytes as text that any reader takes: what is no text is written `\\xNN`; cut to `REJECT_TEXT_MAX_BYTES` of the row."""
    return raw[:REJECT_TEXT_MAX_BYTES].decode(errors="backslashreplace").replace("\0", "\\x00")


def reject_row_text(row: dict[str, object]) -> str:
    """A row that never was text, as JSON."""
    return reject_text(json.dumps(row, default=str, ensure_ascii=False).encode(errors="backslashreplace"))
