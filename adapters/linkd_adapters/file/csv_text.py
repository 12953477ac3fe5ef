"""Rows as CSV text (RFC 4180, with LF), as UTF-8.

    header          the column names; then one line per row, no index
    null            nothing; as `""` where a row has one column, for an empty line would be no row
    empty string    `""`
    string          as it is; in quotes, inner ones doubled, only if it holds a quote, a separator, CR or LF
    bool            true, false
    integer         decimal digits
    float           the shortest digits that read back as the same number, always with a point or an exponent: 1.0, 0.1, 1e+20, nan, inf
    decimal         all digits of its scale
    date, time      2013-01-01, 10:00:00.000000
    timestamp       2013-01-01T10:00:00 with the fraction of its unit; with a zone: in UTC, with Z

The dialect may say another separator, another quote or none, no header, and a comma before fractions of floats and decimals. Types that are
none of these are refused. Everything is made column by column, never row by row.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from linkd.errors import SchemaMismatch
from linkd.plugin.column_types import type_text
from linkd.plugin.contract import CsvDialect
from linkd_adapters.file.dialect import separator_of

_PLAIN_BELOW = 1e9
"""Whole floats below it are written by Arrow as digits alone; from 1e10 on, with an exponent."""


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


def header_text(names: list[str], dialect: CsvDialect) -> bytes:
    """The first line; nothing if the dialect has none."""
    if not dialect.header:
        return b""
    separator = separator_of(dialect)
    return f"{separator.join(_header_field(name, separator, dialect.quote) for name in names)}\n".encode()


def _header_field(name: str, separator: str, quote: str) -> str:
    """A name as `_quoted` has texts: they are few, and to make Arrow's of them imports pandas where that is installed."""
    if not any(special in name for special in (separator, "\r", "\n", *quote)) and (name or not quote):
        return name
    if not quote:
        raise _needs_quotes(name)
    return f"{quote}{name.replace(quote, quote * 2)}{quote}"


def rows_text(batch: pa.RecordBatch, dialect: CsvDialect) -> bytes:
    """The lines of these rows. Raises `SchemaMismatch` naming a column with a text that needs quotes where the dialect has none."""
    if not batch.num_rows:
        return b""
    texts = [_dialect_texts(column, dialect) for column in batch.columns]
    if dialect.quote == '"' and (plain := _plain_lines(texts, separator_of(dialect))) is not None:
        return plain
    columns = [_field_texts(field, column, dialect) for field, column in zip(batch.schema, texts, strict=True)]
    null = dialect.quote * 2 if len(columns) == 1 else ""
    if not null and len(columns) == 1 and columns[0].null_count:
        raise SchemaMismatch(f'column {batch.schema.names[0]} is all there is, and null in a row: an empty line is none; say quote: "\\""')
    lines = pc.binary_join_element_wise(*columns, _large(separator_of(dialect)), null_handling="replace", null_replacement=null)
    ended = pc.binary_join_element_wise(lines, _large(""), _large("\n"))
    # The texts of an Arrow string array lie behind one another: they are the file.
    text: bytes = ended.buffers()[2].slice(0, pc.sum(pc.binary_length(ended)).as_py()).to_pybytes()
    return text


def _plain_lines(texts: list[pa.Array], separator: str) -> bytes | None:
    """The lines of fields of which none needs quotes, in a third of the time that it takes to join them; None if one does."""
    if len(texts) == 1 and texts[0].null_count:
        return None
    if any(pc.min(pc.binary_length(column)).as_py() == 0 for column in texts):
        return None
    options = pa_csv.WriteOptions(include_header=False, batch_size=len(texts[0]), delimiter=separator, quoting_style="none")
    written = pa.BufferOutputStream()
    try:
        pa_csv.write_csv(pa.RecordBatch.from_arrays(texts, names=[str(place) for place in range(len(texts))]), written, options)
    except pa.ArrowInvalid:  # a text with a quote, a separator or a line end
        return None
    lines: bytes = written.getvalue().to_pybytes()
    return lines


def _dialect_texts(column: pa.Array, dialect: CsvDialect) -> pa.Array:
    """A column as large strings, as the dialect has them, not quoted."""
    texts = _plain_texts(column)
    if dialect.decimal != "." and (pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        return pc.replace_substring(texts, ".", dialect.decimal)
    return texts


def _field_texts(field: pa.Field, texts: pa.Array, dialect: CsvDialect) -> pa.Array:
    """The texts of a column, quoted where needed."""
    return texts if _is_never_quoted(field.type, dialect) else _quoted(field.name, texts, dialect)


def _is_never_quoted(kind: pa.DataType, dialect: CsvDialect) -> bool:
    return dialect.separator == "," and dialect.quote == '"' and not _is_string(kind) and not pa.types.is_dictionary(kind)


def _plain_texts(column: pa.Array) -> pa.Array:
    """A column as large strings, as they are."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain_texts(column.cast(kind.value_type))
    if pa.types.is_floating(kind):
        numbers = column.cast(pa.float32()) if pa.types.is_float16(kind) else column
        texts = numbers.cast(pa.large_string())
        points = pc.if_else(_is_digits(numbers, texts), _large(".0"), _large(""))
        return pc.binary_join_element_wise(texts, points, _large(""))
    if pa.types.is_timestamp(kind):
        moment = column.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz else column
        return pc.replace_substring(moment.cast(pa.large_string()), " ", "T", max_replacements=1)
    if pa.types.is_date64(kind):
        return column.cast(pa.date32()).cast(pa.large_string())
    return column.cast(pa.large_string())


def _is_digits(numbers: pa.Array, texts: pa.Array) -> pa.Array:
    """Which of these floats are digits alone as texts."""
    largest = pc.max(pc.abs(numbers)).as_py()
    if largest is None or largest < _PLAIN_BELOW:
        return pc.equal(pc.floor(numbers), numbers)
    return pc.match_substring_regex(texts, "^-?[0-9]+$")


def _quoted(name: str, texts: pa.Array, dialect: CsvDialect) -> pa.Array:
    quote = dialect.quote
    special = re.escape(separator_of(dialect)) + re.escape(quote)
    needed = pc.match_substring_regex(texts, rf"[{special}\r\n]" + ("|^$" if quote else ""))
    if not pc.any(needed).as_py():
        return texts
    if not quote:
        raise _needs_quotes(name)
    doubled = pc.replace_substring(texts, quote, quote * 2)
    return pc.if_else(needed, pc.binary_join_element_wise(_large(quote), doubled, _large(quote), _large("")), texts)


def _needs_quotes(name: str) -> SchemaMismatch:
    return SchemaMismatch(f'column {name} has a text with the separator or a line end in it, which needs quotes; say quote: """')


def _large(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())
