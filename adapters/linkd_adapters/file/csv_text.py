"""Rows as CSV text (RFC 4180, with LF).

    header          the column names; then one line per row, no index
    null            nothing; as `""` where a row has one column, for an empty line would be no row
    empty string    `""`
    string          as it is; in quotes, inner ones doubled, only if it holds a quote, a comma, CR or LF
    bool            true, false
    integer         decimal digits
    float           the shortest digits that read back as the same number, always with a point or an exponent: 1.0, 0.1, 1e+20, nan, inf
    decimal         all digits of its scale
    date, time      2013-01-01, 10:00:00.000000
    timestamp       2013-01-01T10:00:00 with the fraction of its unit; with a zone: in UTC, with Z

Types that are none of these are refused. Everything is made column by column, never row by row.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from linkd.errors import SchemaMismatch
from linkd.plugin.column_types import type_text

_NEEDS_QUOTES = r'[",\r\n]|^$'


def require_writable_types(schema: pa.Schema, shown: str) -> None:
    """Raise `SchemaMismatch` naming the first column that CSV cannot hold, or if there is none at all."""
    if not len(schema):
        raise SchemaMismatch(f"{shown}: the rows have no columns, and CSV needs one; publish at least one column")
    for field in schema:
        if not _is_writable(field.type):
            remedy = "select what is inside it into columns of its own, or write Parquet"
            raise SchemaMismatch(f"{shown}: column {field.name} is {type_text(field.type)}, which CSV cannot hold; {remedy}")


def _is_writable(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _is_writable(kind.value_type)
    known = (types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_date, types.is_time)
    return any(is_known(kind) for is_known in (*known, types.is_timestamp)) or _is_string(kind)


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def header_text(names: list[str]) -> bytes:
    """The first line."""
    return rows_text(pa.RecordBatch.from_arrays([pa.array([name], pa.string()) for name in names], names=names))


def rows_text(batch: pa.RecordBatch) -> bytes:
    """The lines of these rows."""
    if not batch.num_rows:
        return b""
    columns = [_field_texts(column) for column in batch.columns]
    null = '""' if len(columns) == 1 else ""
    lines = pc.binary_join_element_wise(*columns, _large(","), null_handling="replace", null_replacement=null)
    ended = pc.binary_join_element_wise(lines, _large(""), _large("\n"))
    # The texts of an Arrow string array lie behind one another: they are the file.
    text: bytes = ended.buffers()[2].slice(0, pc.sum(pc.binary_length(ended)).as_py()).to_pybytes()
    return text


def _field_texts(column: pa.Array) -> pa.Array:
    """A column as large strings, quoted where needed."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _field_texts(column.cast(kind.value_type))
    if _is_string(kind):
        return _quoted(column.cast(pa.large_string()))
    if pa.types.is_floating(kind):
        texts = column.cast(pa.float32() if pa.types.is_float16(kind) else kind).cast(pa.large_string())
        whole = pc.match_substring_regex(texts, "^-?[0-9]+$")
        return pc.if_else(whole, pc.binary_join_element_wise(texts, _large(".0"), _large("")), texts)
    if pa.types.is_timestamp(kind):
        moment = column.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz else column
        return pc.replace_substring(moment.cast(pa.large_string()), " ", "T", max_replacements=1)
    if pa.types.is_date64(kind):
        return column.cast(pa.date32()).cast(pa.large_string())
    return column.cast(pa.large_string())


def _quoted(texts: pa.Array) -> pa.Array:
    needed = pc.match_substring_regex(texts, _NEEDS_QUOTES)
    if not pc.any(needed).as_py():
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise(_large('"'), doubled, _large('"'), _large("")), texts)


def _large(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())
