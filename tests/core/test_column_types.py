"""The types a declared schema may name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.column_types import PLAIN_TYPES, ColumnType, NoType, parse_column_type


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("int64", "int64"),
        (" string ", "string"),
        ("date", "date32"),
        ("date32", "date32"),
        ("time64[us]", "time64[us]"),
        ("timestamp[s]", "timestamp[s]"),
        ("timestamp[ns,UTC]", "timestamp[ns, UTC]"),
        ("timestamp[us, Europe/Oslo]", "timestamp[us, Europe/Oslo]"),
        ("timestamp[ms, +02:00]", "timestamp[ms, +02:00]"),
        ("decimal(10,2)", "decimal(10, 2)"),
        ("decimal(38, 38)", "decimal(38, 38)"),
        ("decimal(5)", "decimal(5, 0)"),
    ],
)
def test_a_type_has_one_canonical_text(text: str, canonical: str) -> None:
    assert str(parse_column_type(text)) == canonical


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("integer", "int64"),
        ("INTEGER", "int64"),
        ("Int64", "int64"),
        ("int46", "int64"),
        ("text", "string"),
        ("varchar", "string"),
        ("double", "float64"),
        ("boolean", "bool"),
        ("timestamp", "timestamp[us]"),
        ("datetime", "timestamp[us]"),
        ("decimal", "decimal(18, 2)"),
        ("strng", "string"),
    ],
)
def test_other_words_for_a_type_are_refused_with_ours(text: str, suggestion: str) -> None:
    found = parse_column_type(text)
    assert isinstance(found, NoType)
    assert found.what == f"`{text}` is not a type; did you mean `{suggestion}`?"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("qqqqqq", "`qqqqqq` is not a type"),
        ("timestamp[min]", "`min` is not a unit of timestamps"),
        ("timestamp[s, Moon/Base]", "`Moon/Base` is not a time zone"),
        ("decimal(39, 2)", "a decimal of 39 digits cannot be"),
        ("decimal(0, 0)", "a decimal of 0 digits cannot be"),
        ("decimal(4, 5)", "a decimal of 4 digits cannot have 5 of them behind the point"),
    ],
)
def test_what_is_no_type_is_refused_by_its_fault(text: str, what: str) -> None:
    found = parse_column_type(text, lambda zone: zone == "UTC")
    assert isinstance(found, NoType)
    assert found.what == what


types = st.one_of(
    st.sampled_from(PLAIN_TYPES).map(ColumnType),
    st.builds(ColumnType, st.just("timestamp"), st.sampled_from(["s", "ms", "us", "ns"]), st.sampled_from(["", "UTC", "+02:00"])),
    st.integers(1, 38).flatmap(
        lambda digits: st.integers(0, digits).map(lambda scale: ColumnType("decimal", precision=digits, scale=scale))
    ),
)


@given(types)
def test_a_type_survives_its_own_text(column_type: ColumnType) -> None:
    assert parse_column_type(str(column_type)) == column_type


@given(st.text(max_size=40))
def test_any_text_is_a_type_or_a_reason(text: str) -> None:
    assert isinstance(parse_column_type(text), ColumnType | NoType)
