"""CSV as it is written elsewhere: separators, quotes, encodings, decimal commas, no header; read and written."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from linkd_adapters.file import ADAPTER

from linkd.errors import BadRow, DataFault, InvalidArgument, SchemaMismatch
from linkd.limits import ROWS_PER_VALUE
from linkd.plugin.contract import CsvDialect, LinkOptions, Role
from linkd.testing.adapter_conformance import read_all, summary

if TYPE_CHECKING:
    from conftest import Desk


async def test_a_german_file_has_numbers_with_a_comma(desk: Desk) -> None:
    desk.file("f.csv", 'stadt;wert;preis;tag\nKöln;1,5;"-2,25";2013-01-01\n"a;b";3;1,0;2013-01-02\n'.encode("latin-1"))
    options = desk.options("f.csv", dialect=CsvDialect(separator=";", decimal=",", encoding="latin-1"))
    survey = await desk.survey(options)
    assert survey.schema.types == [pa.string(), pa.float64(), pa.float64(), pa.date32()]
    assert await desk.rows(options) == [
        {"stadt": "Köln", "wert": 1.5, "preis": -2.25, "tag": datetime.date(2013, 1, 1)},
        {"stadt": "a;b", "wert": 3.0, "preis": 1.0, "tag": datetime.date(2013, 1, 2)},
    ]


async def test_a_point_in_a_number_is_none_where_the_comma_is(desk: Desk) -> None:
    desk.file("f.csv", "a;b\n1,5;1,5\n1.5;x\n")
    options = desk.options("f.csv", dialect=CsvDialect(separator=";", decimal=","))
    survey = await desk.survey(options)
    assert survey.schema.types == [pa.string(), pa.string()]
    assert survey.notes[0] == "column a is string because of line 3: '1.5' is not a number"
    declared = desk.options("f.csv", schema={"a": "decimal(4, 2)", "b": "string"}, dialect=options.dialect, on_bad_row="reject")
    assert [(str(row["a"]), row["b"]) for row in await desk.rows(declared)] == [("1.50", "1,5")]
    assert [row["reason"] for row in await desk.rejects(declared)] == ["'1.5' is not decimal(4, 2)"]


async def test_without_a_header_columns_go_by_the_order_of_the_schema(desk: Desk) -> None:
    desk.file("f.csv", "\ufeff1\tx\n2\ty\tz\n3\t'\n")
    dialect = CsvDialect(header=False, separator="\\t", quote="")
    options = desk.options("f.csv", schema={"n": "int64", "s": "string"}, dialect=dialect, on_bad_row="reject")
    assert await desk.rows(options) == [{"n": 1, "s": "x"}, {"n": 3, "s": "'"}]
    (reject,) = await desk.rejects(options)
    assert (reject["line"], reject["reason"], reject["text"]) == (2, "3 fields where schema: has 2", "2\ty\tz")
    (batch,) = await desk.batches(options)
    assert batch.attributes == {"file": "f.csv", "first_line": "1", "last_line": "3"}


async def test_reading_goes_on_without_a_header_too(desk: Desk) -> None:
    desk.file("f.csv", "".join(f"{row}\n" for row in range(ROWS_PER_VALUE + 5)))
    options = desk.options("f.csv", schema={"n": "int64"}, dialect=CsvDialect(header=False))
    source = desk.source(options)
    survey = await source.survey()
    batches = await read_all(source, survey)
    assert [batch.data.num_rows for batch in batches] == [ROWS_PER_VALUE, 5]
    assert [summary(batch) for batch in await read_all(source, survey, batches[0].position)] == [summary(batches[1])]


async def test_a_quote_of_another_kind_holds_separators_and_lines(desk: Desk) -> None:
    desk.file("f.csv", "a|b\n'x|y'|'it''s\ntwo'\n\"|2\n")
    assert await desk.rows(desk.options("f.csv", dialect=CsvDialect(separator="|", quote="'"))) == [
        {"a": "x|y", "b": "it's\ntwo"},
        {"a": '"', "b": "2"},
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp1252", "shift_jis", "gb18030"])
async def test_text_of_every_encoding_is_read_and_goes_on_where_it_was(desk: Desk, encoding: str) -> None:
    word = "日本" if encoding in ("shift_jis", "gb18030") else "café"
    text = "n,s\n" + "".join(f"{row},{word}\n" for row in range(ROWS_PER_VALUE + 3))
    desk.file("f.csv", text.encode(encoding))
    source = desk.source(desk.options("f.csv", dialect=CsvDialect(encoding=encoding)))
    survey = await source.survey()
    batches = await read_all(source, survey)
    assert [batch.data.num_rows for batch in batches] == [ROWS_PER_VALUE, 3]
    assert batches[1].data.to_pylist()[-1] == {"n": ROWS_PER_VALUE + 2, "s": word}
    assert batches[1].attributes["last_line"] == str(ROWS_PER_VALUE + 4)
    assert [summary(batch) for batch in await read_all(source, survey, batches[0].position)] == [summary(batches[1])]


async def test_bytes_that_an_encoding_has_not_make_bad_rows(desk: Desk) -> None:
    desk.file("f.csv", b"a,b\n1,caf\xe9\n2,\x81\n")
    options = desk.options("f.csv", dialect=CsvDialect(encoding="cp1252"))
    with pytest.raises(BadRow) as raised:
        await desk.survey(options)
    assert str(raised.value) == (
        "f.csv:3: the row holds the byte 0x81, which cp1252 has not; name the encoding of the file, for example encoding: cp1252 "
        "(on_bad_row: reject sends such rows to flights.rejects)"
    )
    rejecting = desk.options("f.csv", dialect=options.dialect, on_bad_row="reject")
    assert await desk.rows(rejecting) == [{"a": 1, "b": "café"}]


async def test_a_text_that_cannot_be_decoded_at_all_is_refused_by_line(desk: Desk) -> None:
    desk.file("f.csv", "a,b\n1,x\n".encode("utf-16") + b"\x00\xd8\x00\x00")
    with pytest.raises(DataFault, match=r"^f\.csv: the text is not utf-16 .*; say with encoding: what it is$"):
        await desk.survey(desk.options("f.csv", dialect=CsvDialect(encoding="utf-16")))


PROBLEMS: list[tuple[CsvDialect, str]] = [
    (CsvDialect(separator="::"), 'links.f.separator: \'::\' is not one character of ASCII; write one, such as ";", "|" or "\\t"'),
    (CsvDialect(separator=""), 'links.f.separator: \'\' is not one character of ASCII; write one, such as ";", "|" or "\\t"'),
    (CsvDialect(separator='"'), "links.f.separator: '\"' is the quote too; change one of them"),
    (CsvDialect(decimal=","), "links.f.decimal: ',' separates the fields too; say separator: \";\""),
    (CsvDialect(decimal=";"), 'links.f.decimal: \';\' is neither "." nor ","'),
    (CsvDialect(quote="''"), 'links.f.quote: "\'\'" is not one character of ASCII; write one, or "" for none'),
    (CsvDialect(encoding="latin1x"), "links.f.encoding: `latin1x` is no encoding of text; did you mean `latin-1`?"),
    (CsvDialect(encoding="hex"), "links.f.encoding: `hex` is no encoding of text; common ones are utf-8, utf-16, latin-1 and cp1252"),
    (
        CsvDialect(header=False),
        (
            "links.f.header: a file without a header does not name its columns; "
            "declare schema: with a name and a type for each, in the order of the file"
        ),
    ),
]


@pytest.mark.parametrize(("dialect", "message"), PROBLEMS)
def test_a_dialect_that_cannot_be_is_refused_with_a_remedy(desk: Desk, dialect: CsvDialect, message: str) -> None:
    desk.file("f.csv", "a\n")
    options = desk.options("f.csv", link="f", dialect=dialect)
    assert ADAPTER.check(options, Role.SOURCE) == [message]
    with pytest.raises(InvalidArgument) as raised:
        desk.source(options)
    assert str(raised.value) == message


@pytest.mark.parametrize(("name", "title"), [("f.parquet", "Parquet"), ("f.jsonl", "JSON lines"), ("f.arrow", "Arrow IPC")])
def test_a_dialect_is_for_csv_only(desk: Desk, name: str, title: str) -> None:
    options = desk.options(name, link="f", dialect=CsvDialect(separator=";"))
    assert ADAPTER.check(options, Role.SINK) == [f"links.f.separator: this is for CSV, and {name} is {title}; remove it"]


ROWS = pa.RecordBatch.from_pydict({"s": ["é;x", None, "", "it's"], "f": [1.5, -2.0, None, 1e20], "n": [1, 2, 3, None]})


@pytest.mark.parametrize(
    "dialect",
    [
        CsvDialect(separator=";", decimal=",", encoding="utf-16"),
        CsvDialect(separator="\\t", quote="'", encoding="latin-1"),
        CsvDialect(header=False, separator="-", encoding="utf-8-sig"),
        CsvDialect(separator="1"),
    ],
)
async def test_what_is_written_in_a_dialect_is_read_in_it(desk: Desk, dialect: CsvDialect) -> None:
    schema = {"s": "string", "f": "float64", "n": "int64"}
    options = LinkOptions("f", "f.csv", desk.base, schema=schema, dialect=dialect)
    sink = ADAPTER.sink(options)
    await sink.begin(ROWS.schema)
    await sink.write(ROWS.slice(0, 2))
    await sink.write(ROWS.slice(2))
    await sink.finish()
    assert [tuple(row.values()) for row in await desk.rows(options)] == [
        ("é;x", 1.5, 1),
        (None, -2.0, 2),
        (None, None, 3),
        ("it's", 1e20, None),
    ]


async def test_what_a_dialect_cannot_write_is_refused(desk: Desk) -> None:
    for dialect, kind, message in [
        (CsvDialect(quote="", separator=";"), SchemaMismatch, "column s has a text with the separator or a line end in it"),
        (CsvDialect(encoding="ascii"), DataFault, "f.csv: 'é' cannot be written in ascii; say encoding: utf-8"),
    ]:
        sink = ADAPTER.sink(LinkOptions("f", "f.csv", desk.base, dialect=dialect))
        await sink.begin(ROWS.schema)
        with pytest.raises(kind) as raised:
            await sink.write(ROWS)
        assert str(raised.value).startswith(message)
        await sink.abort()
