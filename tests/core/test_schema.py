"""What schema a link keeps, and how rows are brought to it or refused."""

from __future__ import annotations

import math
import time

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from linkd.core.schema import conform, in_schema, kept_schema, parse_type, plain_schema, plain_type, to_arrow, type_text
from linkd.errors import InvalidArgument, SchemaMismatch

WORDS = {
    "int8": pa.int8(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "time64[us]": pa.time64("us"),
    "timestamp[ms]": pa.timestamp("ms"),
    "timestamp[ns, Europe/Oslo]": pa.timestamp("ns", tz="Europe/Oslo"),
    "decimal(12, 2)": pa.decimal128(12, 2),
}


@pytest.mark.parametrize(("word", "kind"), WORDS.items())
def test_a_type_word_means_one_arrow_type_and_is_read_back_from_it(word: str, kind: pa.DataType) -> None:
    assert parse_type(word) == kind
    assert parse_type(type_text(kind)) == kind


def test_a_word_that_is_no_type_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="`flaot64` is not a type"):
        parse_type("flaot64")


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (pa.large_string(), pa.string()),
        (pa.string_view(), pa.string()),
        (pa.binary_view(), pa.binary()),
        (pa.large_list(pa.large_string()), pa.list_(pa.string())),
        (pa.list_view(pa.int8()), pa.list_(pa.int8())),
        (pa.dictionary(pa.int8(), pa.large_string()), pa.string()),
        (pa.run_end_encoded(pa.int32(), pa.int64()), pa.int64()),
        (pa.struct([pa.field("a", pa.large_string(), nullable=False)]), pa.struct([("a", pa.string())])),
        (pa.uuid(), pa.binary(16)),
        (pa.int32(), pa.int32()),
    ],
)
def test_every_layout_of_a_type_has_one_plain_form(kind: pa.DataType, plain: pa.DataType) -> None:
    assert plain_type(kind) == plain


def test_a_plain_schema_has_no_metadata_and_only_nullable_fields() -> None:
    given = pa.schema([pa.field("a", pa.large_string(), nullable=False, metadata={"k": "v"})], metadata={"pandas": "{}"})
    plain = plain_schema(given)
    assert plain.metadata is None
    assert plain.equals(pa.schema([("a", pa.string())]), check_metadata=True)


class TestKeptSchema:
    inputs = (pa.schema([("dep_time", pa.int64()), ("carrier", pa.string())]),)

    def test_a_declared_schema_wins(self) -> None:
        declared = pa.schema([("dep_time", pa.int32())])
        assert kept_schema(pa.table({"dep_time": [1]}), declared, self.inputs) == declared

    def test_an_integer_that_pandas_made_a_float_is_an_integer_again(self) -> None:
        frame = to_arrow(pd.DataFrame({"dep_time": [517.0, math.nan], "carrier": ["UA", None]}))
        kept = kept_schema(frame, None, self.inputs)
        assert kept == pa.schema([("dep_time", pa.int64()), ("carrier", pa.string())])
        assert conform(frame, kept, link="flown").to_pydict() == {"dep_time": [517, None], "carrier": ["UA", None]}

    def test_a_column_that_really_has_fractions_keeps_its_own_type(self) -> None:
        assert kept_schema(pa.table({"dep_time": [1.5]}), None, self.inputs).types == [pa.float64()]

    def test_a_column_of_nulls_takes_its_type_from_the_input(self) -> None:
        assert kept_schema(pa.table({"carrier": pa.nulls(2)}), None, self.inputs).types == [pa.string()]

    def test_columns_that_no_input_has_keep_their_plain_type(self) -> None:
        assert kept_schema(pa.table({"x": pa.array(["a"], pa.large_string())}), None, self.inputs).types == [pa.string()]


class TestConform:
    def test_columns_may_come_in_another_order_and_in_chunks(self) -> None:
        table = pa.table({"b": pa.chunked_array([["x"], ["y"]]), "a": [1, 2]})
        batch = conform(table, pa.schema([("a", pa.int64()), ("b", pa.string())]), link="l")
        assert batch.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}

    @pytest.mark.parametrize(
        ("given", "target"),
        [
            (pa.array([1, 2], pa.int8()), pa.int64()),
            (pa.array([1, 255], pa.int64()), pa.uint8()),
            (pa.array([1, 2**53]), pa.float64()),
            (pa.array([1.0, None, -3.0]), pa.int32()),
            (pa.array([0.5, None], pa.float64()), pa.float32()),
            (pa.nulls(3), pa.list_(pa.string())),
            (pa.array(["a", None, "a"]).dictionary_encode(), pa.string()),
            (pa.array(["a"], pa.string_view()), pa.string()),
            (pa.array([["a"], None, [], ["b", None]], pa.list_view(pa.string())), pa.list_(pa.string())),
            (pa.array([[1.0, 2.0], None]), pa.list_(pa.int64())),
            (pa.array([{"a": 1.0}, None]), pa.struct([("a", pa.int64())])),
            (pa.array([1500], pa.timestamp("ms")), pa.timestamp("ns")),
            (pa.array([2000], pa.timestamp("ms", tz="UTC")), pa.timestamp("s", tz="Europe/Oslo")),
            (pa.array([7], pa.int64()), pa.decimal128(5, 2)),
        ],
    )
    def test_casts_that_lose_nothing_are_made(self, given: pa.Array, target: pa.DataType) -> None:
        batch = conform(pa.table({"a": given}), pa.schema([("a", target)]), link="l")
        batch.validate(full=True)
        assert batch.schema.types == [target]
        if not pa.types.is_timestamp(target):
            assert batch.column(0).to_pylist() == given.to_pylist()

    def test_a_sliced_list_is_cast_by_its_own_rows_only(self) -> None:
        lists = pa.array([[0.5], None, [1.0, 2.0], []]).slice(1)
        batch = conform(pa.table({"a": lists}), pa.schema([("a", pa.list_(pa.int64()))]), link="l")
        assert batch.column(0).to_pylist() == [None, [1, 2], []]

    @pytest.mark.parametrize(
        ("given", "target", "row"),
        [
            (pa.array([1.0, 2.5]), pa.int64(), 2),
            (pa.array([math.inf]), pa.int64(), 1),
            (pa.array([2.0**63]), pa.int64(), 1),
            (pa.array([0, 0, 300]), pa.uint8(), 3),
            (pa.array([2**53 + 1]), pa.float64(), 1),
            (pa.array([0.1]), pa.float32(), 1),
            (pa.array([0, 1500], pa.timestamp("ms")), pa.timestamp("s"), 2),
            (pa.array([[1.0], [1.0, 1.5]]), pa.list_(pa.int64()), 2),
            (pa.array([{"a": 1.5}]), pa.struct([("a", pa.int64())]), 1),
            (pa.array([1000]), pa.decimal128(3, 0), 1),
        ],
    )
    def test_a_cast_that_would_lose_something_names_the_first_row(self, given: pa.Array, target: pa.DataType, row: int) -> None:
        with pytest.raises(SchemaMismatch, match=rf"column `a` .* without loss: row {row} of {len(given)} "):
            conform(pa.table({"a": given}), pa.schema([("a", target)]), link="l")

    @pytest.mark.parametrize(
        ("given", "target"),
        [
            (pa.array(["1"]), pa.int64()),
            (pa.array([1]), pa.string()),
            (pa.array([True]), pa.int64()),
            (pa.array([0], pa.timestamp("s")), pa.timestamp("s", tz="UTC")),
            (pa.array([1.0]), pa.decimal128(5, 2)),
            (pa.array([{"b": 1}]), pa.struct([("a", pa.int64())])),
        ],
    )
    def test_types_that_do_not_convert_are_a_mismatch(self, given: pa.Array, target: pa.DataType) -> None:
        with pytest.raises(SchemaMismatch):
            conform(pa.table({"a": given}), pa.schema([("a", target)]), link="l")

    def test_nan_stays_nan_in_a_column_of_floats(self) -> None:
        batch = conform(pa.table({"a": [math.nan]}), pa.schema([("a", pa.float64())]), link="l")
        assert math.isnan(batch.column(0)[0].as_py())

    def test_a_mismatch_shows_both_schemas_and_no_value(self) -> None:
        kept = pa.schema([("carrier", pa.string()), ("dep_time", pa.int64())])
        with pytest.raises(SchemaMismatch) as caught:
            conform(pa.table({"dep_time": [517.25], "carrier": ["secret"]}), kept, link="flown")
        assert str(caught.value) == (
            "flown: column `dep_time` is float64 and does not go into int64 without loss: row 1 of 1 is not a whole number within int64\n"
            "    column    flown   given\n"
            "    carrier   string  string\n"
            "  > dep_time  int64   float64\n"
            "  Convert the column before publishing, or declare the type you want in links.flown.schema and start over."
        )

    def test_missing_extra_and_repeated_columns_are_named(self) -> None:
        kept = pa.schema([("a", pa.int64())])
        with pytest.raises(SchemaMismatch, match="column `a` is missing"):
            conform(pa.table({"b": [1]}), kept, link="l")
        with pytest.raises(SchemaMismatch, match="column `b` is not in the link"):
            conform(pa.table({"a": [1], "b": [1]}), kept, link="l")
        twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
        with pytest.raises(SchemaMismatch, match="column `a` occurs twice"):
            conform(twice, kept, link="l")


def test_thousands_of_columns_take_milliseconds_and_not_the_square_of_that() -> None:
    table = pa.table({f"c{number}": [number] for number in range(3_000)})
    began_s = time.process_time()
    schema = kept_schema(table, None, [table.schema])
    assert conform(table, schema, link="wide").schema == schema
    grown = in_schema(table.select(table.column_names[:10]), schema, link="wide")
    assert grown.column(2_999).null_count == 1
    assert time.process_time() - began_s < 5.0  # a third of a second; looking for each by its name takes half a minute


class TestToArrow:
    frame = pd.DataFrame({"a": [1, 2, 3], "s": ["x", None, "y"]})

    def test_an_unnamed_pandas_index_is_dropped_also_after_filtering(self) -> None:
        for frame in (self.frame, self.frame[self.frame.a != 2], self.frame.sort_values("a", ascending=False)):
            assert to_arrow(frame).schema.names == ["a", "s"]

    def test_a_named_pandas_index_is_a_column_even_where_pandas_made_it_a_range(self) -> None:
        assert to_arrow(self.frame.set_index("a")).to_pydict() == {"s": ["x", None, "y"], "a": [1, 2, 3]}
        assert to_arrow(self.frame.rename_axis("id")).to_pydict()["id"] == [0, 1, 2]
        assert to_arrow(self.frame.set_index("s")).schema.names == ["a", "s"]

    def test_polars_frames_and_anything_with_the_capsule_interface_come_in(self) -> None:
        assert to_arrow(pl.DataFrame({"a": [1]})).schema.names == ["a"]
        assert to_arrow(pa.table({"a": [1]}).to_reader()).num_rows == 1

    def test_a_lazy_polars_frame_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(InvalidArgument, match=r"LazyFrame.*call \.collect\(\) first"):
            to_arrow(pl.LazyFrame({"a": [1]}))

    def test_a_list_of_dicts_has_the_union_of_their_keys_in_the_order_first_seen(self) -> None:
        table = to_arrow([{"b": 1}, {"a": "x", "b": 2}])
        assert table.to_pydict() == {"b": [1, 2], "a": [None, "x"]}
        assert table.schema.names == ["b", "a"]

    def test_a_dict_of_columns_takes_lists_arrays_and_series(self) -> None:
        table = to_arrow({"a": [1, 2], "b": pd.Series(["x", "y"]), "c": pa.array([1.0, 2.0]), "d": pl.Series([True, False])})
        assert table.num_rows == 2

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (5, "cannot publish int: give a data frame"),
            ("text", "cannot publish str"),
            ([], "an empty list has no columns"),
            ([1], "row 1 is int"),
            ({}, "there are no columns"),
            (pd.DataFrame(), "there are no columns"),
            ({"a": "text"}, "column `a` is str"),
            ({"a": 1}, "column `a` is int"),
            ({"a": [1], "b": [1, 2]}, "different numbers of rows: `a` 1, `b` 2"),
            ({"a": [1, "x"]}, "column `a` mixes types"),
            ({"a": [2**70]}, "column `a` mixes types, or holds what Arrow has no type for"),
            ({1: [1]}, "a key of type int"),
            ({"": [1]}, "column 1 has no name"),
            (pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), "`a` occurs twice"),
            (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a column name occurs twice"),
            (pd.DataFrame({"a": [1, "secret"]}, dtype=object), "column `a` mixes types"),
        ],
    )
    def test_what_is_no_table_is_refused_by_name(self, data: object, message: str) -> None:
        with pytest.raises(InvalidArgument, match=message) as caught:
            to_arrow(data)
        assert "secret" not in str(caught.value)
