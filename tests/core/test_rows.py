"""JSON lines and batches: nothing is lost on the way there and back, and what does not fit is named."""

from __future__ import annotations

import json
import math
import re
import tracemalloc
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core import iso8601
from linkd.core.rows import batch_to_rows, parts_to_batch, rows_to_batch
from linkd.errors import InvalidArgument, SchemaMismatch, ValueTooLarge

_MOMENTS = st.integers(-(60 * 10**9) * 1_000_000, 200 * 10**9 * 1_000_000)
_STRINGS = st.text(st.characters(exclude_categories=["Cs"]))
_COLUMNS: list[tuple[pa.DataType, st.SearchStrategy[object]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int8(), st.integers(-128, 127)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.string(), _STRINGS),
    (pa.binary(), st.binary()),
    (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), st.datetimes()),
    (pa.timestamp("us", tz="UTC"), st.datetimes(timezones=st.just(UTC))),
    (pa.time64("us"), st.times()),
    (pa.list_(pa.int32()), st.lists(st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)))),
    (pa.list_(pa.date32()), st.lists(st.dates())),
    (pa.list_(pa.int8(), 2), st.tuples(st.integers(0, 9), st.integers(0, 9)).map(list)),
    (pa.struct([("a", pa.string()), ("at", pa.timestamp("ms"))]), st.fixed_dictionaries({"a": _STRINGS, "at": st.none()})),
    (pa.map_(pa.string(), pa.int64()), st.dictionaries(_STRINGS, st.integers(0, 9)).map(lambda entries: list(entries.items()))),
]


@given(st.data())
def test_a_batch_written_as_rows_is_read_back_the_same(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(_COLUMNS), min_size=1, max_size=4))
    count = data.draw(st.integers(0, 5))
    schema = pa.schema([(f"c{number}", kind) for number, (kind, _values) in enumerate(chosen)])
    arrays = [pa.array(data.draw(st.lists(st.one_of(st.none(), values), min_size=count, max_size=count)), kind) for kind, values in chosen]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    assert rows_to_batch(batch_to_rows(batch), schema, link="l").equals(batch)


@given(_MOMENTS, st.sampled_from(["s", "ms", "us", "ns"]), st.booleans())
def test_timestamps_of_every_unit_survive_as_text(nanoseconds: int, unit: str, zoned: bool) -> None:
    count = nanoseconds // (10**9 // iso8601.UNITS_PER_SECOND[unit])
    text = iso8601.timestamp_text(count, unit, zoned=zoned)
    assert iso8601.parse_timestamp(text, unit, zoned=zoned) == count


@given(st.datetimes())
def test_timestamps_read_as_python_reads_them(moment: datetime) -> None:
    expected = (moment - datetime(1970, 1, 1)) // (datetime.resolution)
    assert iso8601.parse_timestamp(moment.isoformat(), "us", zoned=False) == expected


def test_nanoseconds_and_integers_beyond_a_double_survive() -> None:
    schema = pa.schema([("at", pa.timestamp("ns")), ("n", pa.int64())])
    text = b'{"at":"2013-01-01T05:07:00.123456789","n":9007199254740993}\n'
    assert batch_to_rows(rows_to_batch(text, schema, link="l")) == text


def test_nan_and_infinities_are_text() -> None:
    schema = pa.schema([("x", pa.float64())])
    text = b'{"x":"NaN"}\n{"x":"-Infinity"}\n{"x":"Infinity"}\n'
    batch = rows_to_batch(text, schema, link="l")
    assert math.isnan(batch.column(0)[0].as_py())
    assert batch_to_rows(batch) == text


def test_integers_may_be_decimal_text_and_whole_numbers_with_a_point() -> None:
    batch = rows_to_batch(b'{"n":"18446744073709551615"}\n{"n":3.0}\n', pa.schema([("n", pa.uint64())]), link="l")
    assert batch.to_pydict() == {"n": [2**64 - 1, 3]}


def test_decimals_are_read_by_their_digits_not_as_floats() -> None:
    batch = rows_to_batch(b'{"d":0.10}\n{"d":"12345678901234567890.12"}\n', pa.schema([("d", pa.decimal128(22, 2))]), link="l")
    assert [str(value) for value in batch.column(0).to_pylist()] == ["0.10", "12345678901234567890.12"]


def test_an_offset_is_brought_to_utc() -> None:
    batch = rows_to_batch(b'{"at":"2020-01-01 00:30:00+02:00"}', pa.schema([("at", pa.timestamp("s", tz="UTC"))]), link="l")
    assert batch_to_rows(batch) == b'{"at":"2019-12-31T22:30:00Z"}\n'


def test_missing_keys_are_null_and_empty_lines_are_skipped() -> None:
    batch = rows_to_batch(b'{"a":1}\n\n{}\n', pa.schema([("a", pa.int64()), ("b", pa.string())]), link="l")
    assert batch.to_pydict() == {"a": [1, None], "b": [None, None]}


def test_no_rows_of_a_known_schema_are_an_empty_batch() -> None:
    schema = pa.schema([("a", pa.int64())])
    assert rows_to_batch(b"", schema, link="l").num_rows == 0
    assert batch_to_rows(rows_to_batch(b"", schema, link="l")) == b""


class TestInference:
    def test_types_are_those_of_a_first_value(self) -> None:
        rows = [
            {"i": 1, "f": 1, "b": True, "s": "x", "n": None, "l": [1, 2.5], "o": {"p": 1}},
            {"i": 2**60, "f": 1.5, "late": "y", "l": None, "o": {"q": "z"}},
        ]
        batch = rows_to_batch("\n".join(map(json.dumps, rows)).encode(), None, link="l")
        assert batch.schema == pa.schema(
            [
                ("i", pa.int64()),
                ("f", pa.float64()),
                ("b", pa.bool_()),
                ("s", pa.string()),
                ("n", pa.null()),
                ("l", pa.list_(pa.float64())),
                ("o", pa.struct([("p", pa.int64()), ("q", pa.string())])),
                ("late", pa.string()),
            ]
        )
        assert batch.column("i").to_pylist() == [1, 2**60]

    def test_rows_that_contradict_each_other_are_named(self) -> None:
        with pytest.raises(SchemaMismatch, match=r"l: row 2, column `a`: string after rows with int64"):
            rows_to_batch(b'{"a":1}\n{"a":"x"}', None, link="l")

    def test_a_column_that_no_value_decided_yet_takes_the_type_of_the_first(self) -> None:
        kept = pa.schema([("a", pa.int8()), ("n", pa.null()), ("l", pa.list_(pa.null()))])
        batch = rows_to_batch(b'{"a":1,"n":"x","l":[]}\n{"a":2,"l":[3]}', kept, link="l")
        assert batch.schema == pa.schema([("a", pa.int8()), ("n", pa.string()), ("l", pa.list_(pa.int64()))])
        assert rows_to_batch(b'{"a":1}', kept, link="l").schema == kept

    def test_no_rows_have_no_columns(self) -> None:
        with pytest.raises(InvalidArgument, match=re.escape("give links.l.schema")):
            rows_to_batch(b"\n", None, link="l")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (pa.int64(), "1.5", "a whole number from -9223372036854775808"),
        (pa.int64(), "true", "a whole number"),
        (pa.int64(), "9223372036854775808", "a whole number"),
        (pa.uint8(), "-1", "a whole number from 0 to 255"),
        (pa.float64(), "9007199254740993", "holds exactly"),
        (pa.float64(), "1e999", "a number within float64"),
        (pa.float64(), '"1.5"', "a number within float64"),
        (pa.bool_(), "1", "true or false"),
        (pa.string(), "1", "text"),
        (pa.string(), '"\\ud800"', "surrogate"),
        (pa.binary(), '"not base64!"', "base64"),
        (pa.date32(), '"2013-02-30"', "a date such as"),
        (pa.time64("us"), '"24:00:00"', "a time such as"),
        (pa.timestamp("s"), '"2013-01-01T00:00:00.5"', "no finer than s"),
        (pa.timestamp("s"), '"2013-01-01T00:00:00Z"', "without an offset"),
        (pa.timestamp("s", tz="UTC"), '"2013-01-01T00:00:00"', "with an offset"),
        (pa.decimal128(4, 2), "100.00", "at most 4 digits"),
        (pa.decimal128(4, 2), '"0.001"', "2 of them behind the point"),
        (pa.list_(pa.int64()), '[1,"x"]', "a whole number"),
        (pa.struct([("a", pa.int64())]), '{"b":1}', "no other fields than a"),
    ],
)
def test_what_does_not_fit_names_row_column_and_what_was_expected(kind: pa.DataType, text: str, expected: str) -> None:
    rows = f'{{"c":null}}\n{{"c":{text}}}'.encode()
    with pytest.raises(SchemaMismatch, match=r"l: row 2, column `c.*expected .*" + re.escape(expected)):
        rows_to_batch(rows, pa.schema([("c", kind)]), link="l")


def test_an_unknown_column_is_refused_with_a_suggestion() -> None:
    with pytest.raises(SchemaMismatch, match=r"row 1 has a column `carier` that the link has not; did you mean `carrier`\?"):
        rows_to_batch(b'{"carier":"UA"}', pa.schema([("carrier", pa.string())]), link="l")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a":', "row 1 is not JSON: "),
        (b'{"a":1}\n[1]', "row 2 is an array: each line is one object"),
        (b'{"a":NaN}', "write NaN and infinities as text"),
        (b'{"a":"\xff"}', "byte 7 is not UTF-8"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_text_that_is_no_json_lines_is_refused_with_its_row(text: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        rows_to_batch(text, pa.schema([("a", pa.int64())]), link="l")


def test_what_has_no_json_form_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match=r"column `d` .* has no JSON form"):
        batch_to_rows(pa.record_batch({"d": pa.array([1], pa.duration("s"))}))
    far = pa.array([(date.max - date(1970, 1, 1)).days + 1], pa.int32()).cast(pa.date32())
    with pytest.raises(InvalidArgument, match="column `d` cannot be written as JSON rows: a value is outside the years"):
        batch_to_rows(pa.record_batch({"d": far}))


def test_rows_are_the_same_wherever_their_text_is_cut_and_however_many_there_are() -> None:
    rows = [{"n": n, "f": 0.5 if n == 9_999 else n, "s": "ä" * (n % 3), "none": None} for n in range(10_000)]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    whole = rows_to_batch(text, None, link="l")
    assert whole.schema.field("f").type == pa.float64(), "what the last row says counts for the first"
    assert whole.to_pylist() == rows
    assert parts_to_batch([text[start : start + 997] for start in range(0, len(text), 997)], None, link="l").equals(whole)
    with pytest.raises(SchemaMismatch, match="row 10001, column `n`"):
        rows_to_batch(text + b'\n{"n":"x"}', whole.schema, link="l")


def test_rows_are_never_python_objects_all_at_once() -> None:
    text = b"".join(b'{"n":%d,"text":"some text"}\n' % n for n in range(30_000))
    tracemalloc.start()
    try:
        rows_to_batch(text, None, link="l")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * len(text)


def test_rows_that_lack_most_of_many_columns_are_refused_before_they_fill_the_memory() -> None:
    schema = pa.schema([(f"c{number}", pa.int64()) for number in range(1_000)])
    with pytest.raises(ValueTooLarge, match=r"l: 49,152 bytes of JSON rows .*: publish them in pieces of \d"):
        rows_to_batch(b"{}\n" * 16_384, schema, link="l")
