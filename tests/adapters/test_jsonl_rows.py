"""Reading a block of JSON lines at once gives what reading it row by row gives; and what becomes of every kind of row."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.file.blocks import Block, blocks
from linkd_adapters.file.jsonl_inference import JsonTypes
from linkd_adapters.file.jsonl_rows import inferred, is_plain, json_records, typed_json_rows
from linkd_adapters.file.records import Grammar

LINES = Grammar(separator=b"", quote=b"", blanks=b" \t")
KINDS = [pa.bool_(), pa.int8(), pa.int64(), pa.uint64(), pa.float64(), pa.string(), pa.list_(pa.int64()), pa.struct([("x", pa.string())])]
numbers = st.sampled_from(
    ["0", "-0", "1", "-5", "300", "1.0", "2.5", "1e2", "1e999", "9007199254740993", "9223372036854775808", "NaN", "-Infinity"]
)
texts = st.sampled_from(['""', '"x"', '"2013-01-01"', '"2013-01-01 10:00:00"', '"5"', '"NaN"', '"\\u0000"', '"\\ud800"', '"é"', '"a\\"b"'])
scalars = st.one_of(numbers, texts, st.sampled_from(["null", "true", "false"]))
values = st.one_of(
    scalars, scalars.map(lambda item: f"[{item},1]"), scalars.map(lambda item: f'{{"x":{item}}}'), st.sampled_from(["[]", "{}", '{"y":1}'])
)
keys = st.sampled_from(["a", "a", "a", "b"])
objects = st.lists(st.tuples(keys, values), max_size=2).map(lambda items: "{" + ",".join(f'"{key}":{value}' for key, value in items) + "}")
lines = st.one_of(objects, objects, objects, st.sampled_from(["", "  ", "{", "[1]", "5", '{"a":1}{"a":2}', '{"a": 1 } ', "{}"]))
ends = st.sampled_from(["\n", "\n", "\r\n"])


def block_of(text: str) -> Block | None:
    return next(blocks(io.BytesIO(text.encode()).read, LINES, "t.jsonl", 1, 0), None)


@given(st.lists(st.tuples(lines, ends), max_size=5), st.sampled_from(KINDS))
def test_a_block_read_at_once_is_the_block_read_row_by_row(parts: list[tuple[str, str]], kind: pa.DataType) -> None:
    block = block_of("".join(line + end for line, end in parts))
    if block is None:
        return
    schema = pa.schema([("b", pa.string()), ("a", kind)])
    at_once = typed_json_rows(block, schema)
    # An empty line keeps pyarrow away from a block.
    apart = typed_json_rows(Block.of(block.text + b"\n", block.line, block.offset, LINES), schema)
    assert repr(at_once.data.to_pylist()) == repr(apart.data.to_pylist())
    assert [(one.row, one.line, one.column, one.reason) for one in at_once.rejects] == [
        (one.row, one.line, one.column, one.reason) for one in apart.rejects
    ]
    assert at_once.count == apart.count == at_once.data.num_rows + len(at_once.rejects)


@given(st.lists(objects, min_size=1, max_size=5))
def test_types_found_at_once_are_those_found_row_by_row(rows: list[str]) -> None:
    block = block_of("".join(f"{row}\n" for row in rows))
    assert block is not None
    found = inferred(block) if is_plain(block) else None
    at_once, apart = JsonTypes(), JsonTypes()
    if found is None or not at_once.take_types(found):
        return
    for record in json_records(block):
        assert isinstance(record.value, dict)
        apart.take(record.value, record.line, "t.jsonl")
    assert at_once.settled() == apart.settled()
    assert list(at_once.names) == list(apart.names)
    assert not apart.reasons


@given(st.lists(objects, min_size=1, max_size=5))
def test_what_was_inferred_fits_every_row_that_is_one(rows: list[str]) -> None:
    block = block_of("".join(f"{row}\n" for row in rows))
    assert block is not None
    types = JsonTypes()
    good = 0
    for record in json_records(block):
        if isinstance(record.value, dict):
            types.take(record.value, record.line, "t.jsonl")
            good += 1
    schema = pa.schema(list(types.settled().items()))
    if not len(schema):
        return
    read = typed_json_rows(block, schema)
    unsound = [row for row in rows if "\\ud800" in row]
    assert read.data.num_rows >= good - len(unsound)


REJECTED = [
    ("{", "", "a row is one object on one line; make such lines of a document with: jq -c"),
    ('{"a":}', "", "not JSON: Expecting value at character 6"),
    ("[1]", "", "'[1]' is not an object"),
    ('{"": 1}', "", "a key is empty; every column needs a name"),
    ('{"a": 1e999}', "", "1e999 is beyond float64"),
    ('{"c": 1}', "c", "no such column is declared"),
    ('{"a": "x"}', "a", "'x' is not int64"),
    ('{"a": 1.5}', "a", "1.5 is not int64"),
    ('{"d": "2013-02-30"}', "d", "'2013-02-30' is not date32"),
    ('{"d": 15706}', "d", "'15706' is not date32"),
    ('{"l": [{"x": 1}]}', "l", "[{'x': 1}] ([0].x) is not list<struct<x: bool>>"),
    ("[" * 2_000, "", "it is nested too deeply"),
]


@pytest.mark.parametrize(("line", "column", "reason"), REJECTED)
def test_a_row_that_does_not_fit_says_why(line: str, column: str, reason: str) -> None:
    schema = pa.schema([("a", pa.int64()), ("d", pa.date32()), ("l", pa.list_(pa.struct([("x", pa.bool_())])))])
    block = block_of(f'{{"a": 1}}\n{line}\n\n{{"d": "2013-01-01"}}\n')
    assert block is not None
    rows = typed_json_rows(block, schema)
    (reject,) = rows.rejects
    assert (reject.row, reject.line, reject.column) == (1, 2, column)
    assert reject.reason == reason
    assert [row["a"] for row in rows.data.to_pylist()] == [1, None]


def test_a_column_of_strings_has_the_json_of_what_is_no_text() -> None:
    rows = [{"a": value} for value in ("x", 5, 1.5, True, None, [1, "é"], {"y": 10**30})]
    block = block_of("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    assert block is not None
    read = typed_json_rows(block, pa.schema([("a", pa.string())]))
    assert [row["a"] for row in read.data.to_pylist()] == [
        "x",
        "5",
        "1.5",
        "true",
        None,
        '[1,"é"]',
        '{"y":1000000000000000000000000000000}',
    ]


def test_decimals_keep_all_their_digits() -> None:
    block = block_of('{"a": 12345678901234567.89}\n{"a": "0.10"}\n{"a": 5}\n')
    assert block is not None
    read = typed_json_rows(block, pa.schema([("a", pa.decimal128(19, 2))]))
    assert [str(row["a"]) for row in read.data.to_pylist()] == ["12345678901234567.89", "0.10", "5.00"]
