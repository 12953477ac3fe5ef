"""The rows of a block of CSV: its fields as texts, or at once as values of the schema, and the rows that are neither.

pyarrow reads whole blocks at once; only a block it refuses, or one with bytes that are no text, is gone through row by row to say which
rows are to blame and why.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from linkd.errors import InternalFault
from linkd.plugin.contract import CsvDialect
from linkd_adapters.file.blocks import Block
from linkd_adapters.file.conversion import reject_text
from linkd_adapters.file.dialect import is_utf_8, separator_of
from linkd_adapters.file.rejects import Reject
from linkd_adapters.file.rows import Rows, arranged, fitted, is_text

RENAME = "name the encoding of the file, for example encoding: cp1252"
"""What to do about bytes that are not UTF-8."""
DEFAULT_DIALECT = CsvDialect()


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a file are to be read: its columns, the texts that stand for no value (the empty one always does), the dialect."""

    names: tuple[str, ...]
    nulls: tuple[str, ...]
    dialect: CsvDialect = DEFAULT_DIALECT


def text_rows(block: Block, layout: Layout) -> Rows:
    """The rows of a block with every field as text or null; rows that are no text or have too few or too many fields are rejects."""
    if b"\0" not in block.text and is_text(block.text):
        try:
            batch = _parsed(block.text, layout, _texts(layout))
        except pa.ArrowInvalid:
            pass  # a row with another number of fields: found below
        else:
            return Rows(block, batch, (), batch.num_rows)
    return _row_by_row(block, layout)


def typed_rows(block: Block, layout: Layout, schema: pa.Schema) -> Rows:
    """The rows of a block as values of `schema`, whose columns the file may have in another order, or not have; and those that do not fit."""
    if b"\0" not in block.text and is_text(block.text):
        direct = {field.name: field.type for field in schema if _is_read_directly(field.type)}
        types = pa.schema([pa.field(name, direct.get(name, pa.string())) for name in layout.names])
        try:
            batch = _parsed(block.text, layout, types)
        except pa.ArrowInvalid:
            pass  # a row that does not fit: found below
        else:
            # pyarrow reads a number beyond the range of its type as infinite; whether a text says so is seen below.
            if not any(pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py() for column in batch.columns):
                return fitted(Rows(block, arranged(batch, schema.names), (), batch.num_rows), schema, layout.dialect.decimal)
    return fitted_texts(text_rows(block, layout), schema, layout.dialect)


def fitted_texts(rows: Rows, schema: pa.Schema, dialect: CsvDialect) -> Rows:
    """The rows that `text_rows` gave as values of `schema`, as `typed_rows` would have given them."""
    return fitted(Rows(rows.block, arranged(rows.data, schema.names), rows.rejects, rows.count), schema, dialect.decimal)


def _is_read_directly(kind: pa.DataType) -> bool:
    """Whether pyarrow's CSV reader reads no text as this type that `conversion.converted` would not read as the same value."""
    types = pa.types
    return any(
        is_kind(kind)
        for is_kind in (types.is_integer, types.is_float64, types.is_float32, types.is_boolean, types.is_date32, types.is_timestamp)
    )


def _row_by_row(block: Block, layout: Layout) -> Rows:
    good: list[bytes] = []
    rejects: list[Reject] = []
    count = 0
    for row, record in enumerate(block.grammar.records(block.text)):
        count += 1
        raw = block.text[record.start : record.end]
        reason = _row_problem(raw, layout, block)
        if reason is None:
            good.append(raw + b"\n")
        else:
            rejects.append(Reject(row, block.line + record.lines_before, "", reason, reject_text(raw)))
    batch = _parsed(b"".join(good), layout, _texts(layout))
    if batch.num_rows != len(good):
        raise InternalFault(f"line {block.line}: {len(good)} rows were cut and {batch.num_rows} were read; please report this")
    return Rows(block, batch, tuple(rejects), count)


def _row_problem(raw: bytes, layout: Layout, block: Block) -> str | None:
    """Why a row cannot be read, whatever the types."""
    if (nul := raw.find(b"\0")) >= 0:
        return f"byte {nul + 1} of the row is NUL, which no text has; remove it, or {RENAME}"
    if not is_text(raw):
        return no_text_reason(raw, layout.dialect.encoding)
    count = block.grammar.field_count(raw)
    if count != len(layout.names):
        known = "the header" if layout.dialect.header else "schema:"
        return f"{count} {'field' if count == 1 else 'fields'} where {known} has {len(layout.names)}"
    return None


def no_text_reason(raw: bytes, encoding: str) -> str:
    """Where and why bytes are not of the encoding."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        if is_utf_8(encoding):
            return f"byte {error.start + 1} of the row, 0x{byte:02x}, is not UTF-8; {RENAME}"
        return f"the row holds the byte 0x{byte:02x}, which {encoding} has not; {RENAME}"
    raise ValueError("these bytes are text")


def _texts(layout: Layout) -> pa.Schema:
    return pa.schema([pa.field(name, pa.string()) for name in layout.names])


def _parsed(text: bytes, layout: Layout, schema: pa.Schema) -> pa.RecordBatch:
    """Whole rows, known to be UTF-8, as a batch of `schema`. Raises `pa.ArrowInvalid` if one has another number of fields or a misfit."""
    if not text:
        return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
    dialect = layout.dialect
    table = pa_csv.read_csv(
        pa.BufferReader(text),
        # One block holds it all, so that nothing depends on where pyarrow would cut.
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=list(layout.names)),
        parse_options=pa_csv.ParseOptions(
            delimiter=separator_of(dialect), quote_char=dialect.quote or False, newlines_in_values=bool(dialect.quote)
        ),
        convert_options=pa_csv.ConvertOptions(
            check_utf8=False,
            column_types=schema,
            null_values=["", *layout.nulls],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            decimal_point=dialect.decimal,
        ),
    )
    return table.combine_chunks().to_batches()[0]
