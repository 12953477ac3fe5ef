"""Parameters: their types, their texts, and how they travel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.diagnostics import Span
from linkd.core.document import Reader, Record, Text
from linkd.core.parameters import parameter_text, parameters_json, parse_parameters_json, read_parameters
from linkd.core.pipeline import ParamValue
from linkd.core.sql_parameters import sql_parameters
from linkd.core.substitution import named_secrets, reveal

HERE = Span(1, 1)


def declared(value: str, style: str = "", said: dict[str, str] | None = None) -> tuple[ParamValue | None, list[str]]:
    reader = Reader()
    node = Record(((Text("x", HERE), Text(value, HERE, style)),), HERE)
    return read_parameters(reader, node, said or {}).get("x"), [problem.what for problem in reader.problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2013", 2013),
        ("-1", -1),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("false", False),
        ("007", "007"),
        ("+1", "+1"),
        ("True", "True"),
        ("2013-01-01", "2013-01-01"),
        ("nan", "nan"),
        ("", ""),
        ("a b", "a b"),
    ],
)
def test_the_type_is_how_it_is_written(written: str, value: ParamValue) -> None:
    found, problems = declared(written)
    assert (type(found), found, problems) == (type(value), value, [])
    assert declared(written, '"')[0] == written


def test_numbers_have_64_bits() -> None:
    assert declared("9223372036854775808")[1] == ["`params.x` is a number that 64 bits cannot hold"]
    assert declared("1e999")[1] == ["`params.x` is a number that 64 bits cannot hold"]
    assert declared("1", said={"x": "9223372036854775808"})[1][0].endswith("`x` is a whole number here, and that is none")


def test_what_is_said_takes_the_type_of_what_is_declared() -> None:
    assert declared("1.5", said={"x": "2"}) == (2.0, [])
    assert declared("a", said={"x": "2"}) == ("2", [])
    assert declared("a", said={"x": ""}) == ("", [])
    assert declared("1", said={"x": "a"})[0] == 1


values = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text())


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), values))
def test_they_travel_with_their_types(params: dict[str, ParamValue]) -> None:
    back = parse_parameters_json(parameters_json(params))
    assert {name: (type(value), value) for name, value in back.items()} == {name: (type(value), value) for name, value in params.items()}


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(0.001, 1e9), st.booleans()))
def test_what_is_pasted_is_read_as_the_same_again(value: ParamValue) -> None:
    found, problems = declared(parameter_text(value))
    assert (type(found), found, problems) == (type(value), value, [])


def test_what_is_no_parameters_is_refused() -> None:
    assert parse_parameters_json("") == {}
    for text in ("[]", '{"a": null}', "{"):
        with pytest.raises(ValueError):
            parse_parameters_json(text)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT $a, $b2 WHERE x = $1", ["a", "b2", "1"]),
        ("""SELECT '$a', "$b", 'it''s $c', $d""", ["d"]),
        (r"SELECT e'\' $a', $b", ["b"]),
        ("SELECT $$ $a $$, $t$ $b $t$, $c", ["c"]),
        ("SELECT 1 -- $a\n/* $b\n */ + $c", ["c"]),
        ("SELECT a$b, x'$c' FROM t", []),
        ("SELECT 'open $a", []),
    ],
)
def test_the_parameters_of_a_statement_are_found_outside_texts_and_comments(sql: str, names: list[str]) -> None:
    assert [name for _, name in sql_parameters(sql)] == names


def test_a_secret_is_put_in_once_and_an_escaped_one_never() -> None:
    secrets = {"A": "${secret.B}", "B": "b"}
    assert reveal("x ${secret.A} $${secret.A} ${secret.B} $HOME", secrets) == "x ${secret.B} ${secret.A} b $HOME"
    assert list(named_secrets("${secret.A} $${secret.B}")) == ["A"]
    with pytest.raises(KeyError):
        reveal("${secret.C}", secrets)
