"""Reading a block of CSV at once gives what reading it row by row gives: pyarrow's own conversions against ours."""

from __future__ import annotations

import io

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st
from linkd_adapters.file.blocks import Block, blocks
from linkd_adapters.file.csv_rows import Layout, fitted_texts, text_rows, typed_rows
from linkd_adapters.file.records import Grammar

from linkd.plugin.contract import CsvDialect

KINDS = [
    *(pa.int8(), pa.int64(), pa.uint16(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.binary(), pa.date32()),
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")),
    *(pa.time64("us"), pa.decimal128(6, 2)),
]
POOL = [
    *("0", "5", "-17", "007", "+5", " 12 ", "0x1F", "300", "-0", "9223372036854775808", "18446744073709551615", "1_000", "1.0", "5."),
    *("1.5", "1,5", "-,5", "1.234,5", "1e3", "1e999", "-1e999", "nan", "NaN", "inf", "-Infinity", ".5", "1e-400", "16777217"),
    *("true", "FALSE", "tRue", "1", " true"),
    *("2013-01-01", "2013-02-30", " 2013-01-01", "20130101", "1500-01-01", "2013-1-1"),
    *("2013-01-01T10:00:00", "2013-01-01 10:00:00.25", "2013-01-01T10:00", "2013-01-01T10:00:00Z", "2013-01-01 10:00:00+02:00", "10:00:00"),
    *("NA", " NA", "abc", "é", "'"),
]
fields = st.one_of(st.sampled_from(POOL), st.text(st.sampled_from("0123456789+-., eExTZ:"), max_size=6), st.just(""))
dialects = st.sampled_from(
    [CsvDialect(), CsvDialect(separator=";", decimal=","), CsvDialect(separator="\\t", quote="'"), CsvDialect(separator="|", quote="")]
)


def written(field: str, dialect: CsvDialect, quoted: bool) -> str:
    quote = dialect.quote
    if not quote:
        return field.replace("|", "")
    if not quoted and not any(char in field for char in (quote, ",", ";", "\t")):
        return field
    return quote + field.replace(quote, quote * 2) + quote


@given(st.sampled_from(KINDS), st.lists(st.tuples(fields, st.booleans()), min_size=1, max_size=6), dialects)
@example(pa.float64(), [("1e999", False)], CsvDialect())
@example(pa.timestamp("s"), [("2013-01-01", False), ("2013-01-01T10:00:00", True)], CsvDialect())
def test_typed_rows_are_the_fitted_texts(kind: pa.DataType, column: list[tuple[str, bool]], dialect: CsvDialect) -> None:
    separator = "\t" if dialect.separator == "\\t" else dialect.separator
    text = "".join(f"{row}{separator}{written(field, dialect, quoted)}\n" for row, (field, quoted) in enumerate(column))
    block = next(blocks(io.BytesIO(text.encode()).read, Grammar(separator.encode(), dialect.quote.encode()), "t.csv", 1, 0))
    layout = Layout(("row", "value"), ("NA",), dialect)
    schema = pa.schema([("value", kind), ("row", pa.int64())])
    at_once = typed_rows(block, layout, schema)
    by_texts = fitted_texts(text_rows(block, layout), schema, dialect)
    assert at_once.rejects == by_texts.rejects
    assert at_once.count == by_texts.count == len(column)
    assert repr(at_once.data.to_pylist()) == repr(by_texts.data.to_pylist())


def test_columns_that_a_file_has_not_are_null() -> None:
    block = Block.of(b"1,x\n", 1, 0, Grammar())
    rows = typed_rows(block, Layout(("a", "b"), ()), pa.schema([("b", pa.string()), ("c", pa.date32()), ("a", pa.int64())]))
    assert rows.data.to_pylist() == [{"b": "x", "c": None, "a": 1}]
