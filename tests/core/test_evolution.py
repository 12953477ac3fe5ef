"""How the schema of a link grows: against a model of the rule that knows nothing of Arrow."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.evolution import evolved, grown, together
from linkd.core.schema import OPAQUE_SCHEMA, in_schema, plain_schema
from linkd.errors import SchemaMismatch

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
RANGES = {
    name: (0, 2 ** int(name[4:]) - 1) if name[0] == "u" else (-(2 ** (int(name[3:]) - 1)), 2 ** (int(name[3:]) - 1) - 1)
    for name in INTEGERS
}
DECIMALS = {"decimal(5, 2)": (5, 2), "decimal(9, 2)": (9, 2), "decimal(9, 6)": (9, 6)}
TYPES = {
    **{name: getattr(pa, name)() for name in INTEGERS},
    "float32": pa.float32(),
    "float64": pa.float64(),
    **{name: pa.decimal128(*given) for name, given in DECIMALS.items()},
    "null": pa.null(),
    "string": pa.string(),
    "bool": pa.bool_(),
}
WORDS = {kind: word for word, kind in TYPES.items()}
columns = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(sorted(TYPES)), min_size=1)


def wider(kept: str, given: str) -> str:
    """The model: of two types the one whose values are all of both."""
    if kept == "null":
        return given
    if kept in RANGES and given in RANGES:
        (low, high), (given_low, given_high) = RANGES[kept], RANGES[given]
        return given if given_low <= low and given_high >= high else kept
    if kept in DECIMALS and given in DECIMALS:
        (digits, scale), (given_digits, given_scale) = DECIMALS[kept], DECIMALS[given]
        return given if given_scale >= scale and given_digits - given_scale >= digits - scale else kept
    return given if (kept, given) == ("float32", "float64") else kept


def schema(of: dict[str, str]) -> pa.Schema:
    return pa.schema([(name, TYPES[word]) for name, word in of.items()])


@given(columns, columns)
def test_columns_keep_their_order_and_widen_and_new_ones_come_behind(kept: dict[str, str], more: dict[str, str]) -> None:
    expected = {name: wider(word, more.get(name, word)) for name, word in kept.items()}
    expected |= {name: word for name, word in more.items() if name not in kept}
    found = evolved(schema(kept), schema(more))
    assert [(field.name, WORDS[field.type]) for field in found] == list(expected.items())


@given(columns, columns, columns)
def test_what_has_grown_has_room_for_what_was_there_and_grows_no_further_by_it(
    one: dict[str, str], two: dict[str, str], three: dict[str, str]
) -> None:
    last = evolved(evolved(schema(one), schema(two)), schema(three))
    for before in (schema(one), evolved(schema(one), schema(two))):
        assert evolved(last, before) == last
        rows = pa.table({field.name: pa.array([None], field.type) for field in before})
        assert in_schema(rows, last, link="l").schema == last


def test_numbers_within_lists_and_structs_widen_and_their_fields_stay_the_same() -> None:
    kept = pa.schema([("l", pa.list_(pa.int32())), ("o", pa.struct([("x", pa.float32())])), ("n", pa.list_(pa.null()))])
    more = pa.schema([("l", pa.large_list(pa.int64())), ("o", pa.struct([("x", pa.float64())])), ("n", pa.list_(pa.string()))])
    assert evolved(kept, more) == plain_schema(more)
    other = pa.schema([("o", pa.struct([("x", pa.float32()), ("y", pa.int8())]))])
    assert evolved(kept, other) == kept


def test_opaque_bytes_and_names_that_occur_twice_grow_into_nothing() -> None:
    assert evolved(OPAQUE_SCHEMA, pa.schema([*OPAQUE_SCHEMA, ("a", pa.int8())])) == OPAQUE_SCHEMA
    kept = pa.schema([("a", pa.int8())])
    assert evolved(kept, pa.schema([("a", pa.int64()), ("a", pa.int64())])) == kept


class TestGrown:
    kept = pa.schema([("a", pa.int32())])

    def test_rows_come_in_the_schema_that_their_link_has_from_them_on(self) -> None:
        batch = grown(pa.table({"b": pa.array(["x"], pa.large_string()), "a": [2**40]}), self.kept, declared=False, link="l")
        assert batch.schema == pa.schema([("a", pa.int64()), ("b", pa.string())])
        assert batch.to_pylist() == [{"a": 2**40, "b": "x"}]

    def test_a_declared_schema_stays_as_it_is(self) -> None:
        assert grown(pa.table({"a": [7]}), self.kept, declared=True, link="l").schema == self.kept
        with pytest.raises(SchemaMismatch, match="row 1 of 1 is outside the range of int32"):
            grown(pa.table({"a": [2**40]}), self.kept, declared=True, link="l")
        with pytest.raises(SchemaMismatch, match="column `b` is not in the link"):
            grown(pa.table({"a": [1], "b": [1]}), self.kept, declared=True, link="l")

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (pa.table({"b": [1]}), "column `a` is missing"),
            (pa.table({"a": ["x"], "b": [1]}), "column `a` is string and does not go into int32"),
            (
                pa.table([pa.array([1]), pa.array([2])], pa.schema([("a", pa.int32()), pa.field("b", pa.int64(), nullable=False)])),
                "make it one that may",
            ),
        ],
    )
    def test_everything_else_is_refused_beside_the_schema_that_the_link_has(self, table: pa.Table, message: str) -> None:
        with pytest.raises(SchemaMismatch, match=message) as refused:
            grown(table, self.kept, declared=False, link="l")
        there = [line.removeprefix("  >").split()[:2] for line in str(refused.value).splitlines()[2:-1]]
        assert there == [["a", "int32"], *([["b", "-"]] if "b" in table.schema.names else [])]


def test_values_whose_schemas_grew_are_one_table_in_the_columns_of_the_last() -> None:
    tables = [pa.table({"a": pa.array([1], pa.int8())}), pa.table({"a": [2], "b": ["x"]})]
    assert together(tables, link="l").to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    with pytest.raises(SchemaMismatch):
        together([*tables, pa.table({"a": ["y"], "b": ["z"]})], link="l")
