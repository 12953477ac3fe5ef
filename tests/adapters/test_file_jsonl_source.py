"""JSON lines as a source."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from linkd.errors import BadRow, DataFault
from linkd.limits import JSONL_NESTING_MAX, ROWS_PER_VALUE
from linkd.testing.adapter_conformance import read_all, summary

if TYPE_CHECKING:
    from conftest import Desk

HINT = "(on_bad_row: reject sends such rows to flights.rejects)"


async def test_columns_are_the_keys_of_all_rows_in_the_order_they_appear(desk: Desk) -> None:
    desk.file("f.jsonl", '{"b": 1, "a": "x"}\n\n{"a": null, "c": true}\r\n{"b": 2.5, "d": "2013-01-01"}\n')
    survey = await desk.survey(desk.options("f.jsonl"))
    assert survey.schema == pa.schema([("b", pa.float64()), ("a", pa.string()), ("c", pa.bool_()), ("d", pa.string())])
    assert (survey.rows, survey.notes) == (3, ())
    assert await desk.rows(desk.options("f.jsonl")) == [
        {"b": 1.0, "a": "x", "c": None, "d": None},
        {"b": None, "a": None, "c": True, "d": None},
        {"b": 2.5, "a": None, "c": None, "d": "2013-01-01"},
    ]


async def test_lists_and_objects_stay_what_they_are_and_a_note_says_so(desk: Desk) -> None:
    desk.file("f.ndjson", '{"tags": ["a"], "at": {"x": 1}, "none": [], "free": {}}\n{"tags": [], "at": {"y": 2.5}}\n')
    survey = await desk.survey(desk.options("f.ndjson"))
    at = pa.struct([("x", pa.int64()), ("y", pa.float64())])
    assert survey.schema == pa.schema([("tags", pa.list_(pa.string())), ("at", at), ("none", pa.list_(pa.string())), ("free", pa.string())])
    assert survey.notes[0] == "column tags is list<string>, as the file has it; to have it as JSON text, declare it string"
    assert (await desk.rows(desk.options("f.ndjson")))[0] == {"tags": ["a"], "at": {"x": 1, "y": None}, "none": [], "free": "{}"}
    declared = {"tags": "string", "at": "string", "none": "string", "free": "string"}
    assert (await desk.rows(desk.options("f.ndjson", schema=declared)))[0] == {"tags": '["a"]', "at": '{"x":1}', "none": "[]", "free": "{}"}


async def test_values_without_a_common_type_are_text_and_a_note_says_where(desk: Desk) -> None:
    desk.file("f.jsonl", '{"a": 1, "n": 5}\n' * 3 + '{"a": "x", "n": 9223372036854775808}\n{"a": [1]}\n')
    survey = await desk.survey(desk.options("f.jsonl"))
    assert survey.schema.types == [pa.string(), pa.string()]
    assert survey.notes == (
        "column a is string because of line 4: string after int64",
        "column n is string because of line 4: a number is beyond int64",
    )
    assert [row["a"] for row in await desk.rows(desk.options("f.jsonl"))] == ["1", "1", "1", "x", "[1]"]


async def test_what_is_nested_too_deep_for_arrow_is_json_text_and_a_note_says_so(desk: Desk) -> None:
    deep, shallow = ("[" * depth + "]" * depth for depth in (JSONL_NESTING_MAX, JSONL_NESTING_MAX - 1))
    desk.file("f.jsonl", f'{{"a": {shallow}, "b": [[], "["]}}\n{{"a": {deep}}}\n')
    survey = await desk.survey(desk.options("f.jsonl"))
    assert survey.notes[0] == f"column a is string because of line 2: it is nested more than {JSONL_NESTING_MAX} deep"
    assert [row["a"] for row in await desk.rows(desk.options("f.jsonl"))] == [shallow, deep]
    desk.file("f.jsonl", f'{{"a": {shallow}}}\n')
    (batch,) = await desk.batches(desk.options("f.jsonl"))
    assert pa.ipc.read_record_batch(batch.data.serialize(), batch.data.schema).equals(batch.data)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "it is nested too deeply"),
        ('{"a":' * 900 + "1" + "}" * 900, "it is nested too deeply"),
        ('{"a":' + "1" * 5_000 + "}", "a number has more than 4,300 digits"),
        ('{"a":{"\\ud800":1}}', "a key has half of a surrogate pair, which no text has"),
        ('{"\\uDFFF":1}', "a key has half of a surrogate pair, which no text has"),
        ('{"a":1e99999999999999999999}', "1e99999999999999999999 is beyond float64"),
    ],
)
@pytest.mark.parametrize("schema", [None, {"a": "string"}, {"a": "decimal(10, 2)"}])
async def test_lines_that_no_column_can_hold_are_rejected(desk: Desk, line: str, reason: str, schema: dict[str, str] | None) -> None:
    desk.file("f.jsonl", f'{line}\n{{"a": "\\ud83d\\ude00"}}\n' if schema is None else f"{line}\n")
    options = desk.options("f.jsonl", on_bad_row="reject", schema=schema)
    assert [row["reason"] for row in await desk.rejects(options)] == [reason]
    assert await desk.rows(options) == ([{"a": "😀"}] if schema is None else [])


async def test_declared_types_are_taken_as_links_write_them(desk: Desk) -> None:
    desk.file("f.jsonl", '{"t": "2013-01-01T10:00:00.5Z", "d": 12.50, "day": "2013-01-01"}\n')
    schema = {"day": "date", "d": "decimal(6, 2)", "t": "timestamp[ms, UTC]", "gone": "int64"}
    (row,) = await desk.rows(desk.options("f.jsonl", schema=schema))
    assert list(row) == ["day", "d", "t", "gone"]
    assert (str(row["day"]), str(row["d"]), str(row["t"]), row["gone"]) == ("2013-01-01", "12.50", "2013-01-01 10:00:00.500000+00:00", None)


async def test_bad_rows_stop_or_are_rejected_by_line(desk: Desk) -> None:
    desk.file("f.jsonl", b'{"a": 1}\n{"a": \n5\n{"a": "caf\xe9"}\n{"a": 2}\n')
    with pytest.raises(BadRow) as raised:
        await desk.survey(desk.options("f.jsonl"))
    assert str(raised.value) == f"f.jsonl:2: not JSON: Expecting value at character 7 {HINT}"
    options = desk.options("f.jsonl", on_bad_row="reject")
    assert await desk.rows(options) == [{"a": 1}, {"a": 2}]
    assert [(row["line"], row["column"], row["text"]) for row in await desk.rejects(options)] == [
        (2, None, '{"a": '),
        (3, None, "5"),
        (4, None, '{"a": "caf\\xe9"}'),
    ]


async def test_reading_goes_on_at_the_line_where_it_was(desk: Desk) -> None:
    rows = "".join(f'{{"n": {row}}}\n' if row % 1_000 else "bad\n" for row in range(ROWS_PER_VALUE + 3))
    desk.file("f.jsonl.gz", gzip.compress(rows.encode(), 1))
    source = desk.source(desk.options("f.jsonl.gz", on_bad_row="reject"))
    survey = await source.survey()
    batches = await read_all(source, survey)
    assert [batch.rows_read for batch in batches] == [ROWS_PER_VALUE, ROWS_PER_VALUE + 3]
    again = await read_all(source, survey, batches[0].position)
    assert [summary(batch) for batch in again] == [summary(batch) for batch in batches[1:]]


REFUSED: list[tuple[bytes, str]] = [
    (
        b'[\n{"a": 1}\n]\n',
        "f.jsonl is one JSON document, a list, and linkd reads JSON lines; make one row per line of it with: jq -c '.[]'",
    ),
    (
        b'{\n"a": 1\n}\n',
        f"f.jsonl:1: a row is one object on one line; make such lines of a document with: jq -c {HINT}",
    ),
    (b"", "f.jsonl has no row with a key, so it has no columns; declare schema:, or leave it out"),
    (b"{}\n", "f.jsonl has no row with a key, so it has no columns; declare schema:, or leave it out"),
    (b"PAR1....", "f.jsonl is a Parquet file by its content; say format: parquet"),
    (b"\xff\xfe{\0", "f.jsonl is UTF-16; say encoding: utf-16"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED)
async def test_what_is_no_json_lines_is_refused_with_what_to_do(desk: Desk, content: bytes, message: str) -> None:
    desk.file("f.jsonl", content)
    with pytest.raises(DataFault) as raised:
        await desk.survey(desk.options("f.jsonl"))
    assert str(raised.value) == message
