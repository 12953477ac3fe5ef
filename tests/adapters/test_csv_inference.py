"""The type of a column, against a model that judges one value at a time."""

from __future__ import annotations

import re
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.file.csv_inference import Guess, Kind, breaker, widened

INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|nan)")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIME = re.compile(DATE.pattern + r"[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?")
POOL = [
    *("0", "5", "-17", "9223372036854775807", "9223372036854775808", "007", "-01", "+5", " 12 ", "0x1F"),
    *("1.5", "-.5", "1e3", "nan", "inf", "00.5", "5.", "+2.5"),
    *("true", "FALSE", "tRue"),
    *("2013-01-01", "1500-06-30", "2013-1-1"),
    *("2013-01-01T10:00:00", "2013-01-01 10:00:00.25", "2013-01-01T10:00:00.123456", "2013-01-01T10:00:00.000000001"),
    *("2013-01-01T10:00:00Z", "2013-01-01 10:00:00.5+02:00", "2013-01-01T10:00:00.123456789Z", "1500-01-01T00:00:00Z"),
    *("abc", "NA", "-"),
]


def kinds_of(text: str) -> set[Kind]:
    """Every kind that one text belongs to."""
    text = text.strip()
    found = set()
    is_integer = INTEGER.fullmatch(text) is not None
    if is_integer and -(2**63) <= int(text) < 2**63:
        found |= {Kind.INT64, Kind.FLOAT64}
    if not is_integer and FLOAT.fullmatch(text) and not re.match(r"[+-]?0[0-9]|\+[0-9]+$", text):
        found.add(Kind.FLOAT64)
    if text.lower() in ("true", "false"):
        found.add(Kind.BOOL)
    if DATE.fullmatch(text):
        found |= {Kind.DATE, Kind.TIMESTAMP}
    if matched := TIME.fullmatch(text):
        found.add(Kind.TIMESTAMP_UTC if matched[2] else Kind.TIMESTAMP)
    return found


def model(texts: list[str]) -> pa.DataType:
    order = (Kind.INT64, Kind.FLOAT64, Kind.BOOL, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_UTC)
    kind = next((kind for kind in order if texts and all(kind in kinds_of(text) for text in texts)), Kind.STRING)
    plain = {Kind.INT64: pa.int64(), Kind.FLOAT64: pa.float64(), Kind.BOOL: pa.bool_(), Kind.DATE: pa.date32(), Kind.STRING: pa.string()}
    if kind in plain:
        return plain[kind]
    digits = max(len(matched[1] or ".") - 1 if (matched := TIME.fullmatch(text.strip())) else 0 for text in texts)
    unit = next(unit for unit, held in (("s", 0), ("ms", 3), ("us", 6), ("ns", 9)) if digits <= held)
    if unit == "ns" and any(text.startswith("1500") for text in texts):
        return pa.string()
    return pa.timestamp(unit, "UTC" if kind is Kind.TIMESTAMP_UTC else None)


columns = st.one_of(
    st.lists(st.sampled_from(POOL), max_size=8),
    *(st.lists(st.sampled_from([text for text in POOL if kind in kinds_of(text)]), max_size=8) for kind in list(Kind)[1:-1]),
)


@given(columns, st.lists(st.integers(0, 8), max_size=3))
def test_the_type_is_that_of_the_model_wherever_blocks_are_cut(texts: list[str], cuts: list[int]) -> None:
    guess = Guess()
    places = sorted({0, len(texts), *(cut for cut in cuts if cut < len(texts))})
    for start, end in pairwise(places):
        guess = widened(guess, pa.array([*texts[start:end], None], pa.string()))
    assert guess.type == model(texts)


@given(columns)
def test_the_breaker_is_the_first_value_that_fits_nothing_before_it(texts: list[str]) -> None:
    found = breaker(Guess(), pa.array(texts, pa.string()))
    kinds = [widened(Guess(), pa.array(texts[:count], pa.string())).kind for count in range(len(texts) + 1)]
    if found is None:
        assert Kind.STRING not in kinds[2:] or kinds[1] is Kind.STRING
    else:
        assert kinds[found.index + 1] is Kind.STRING
        assert kinds[found.index] is found.before
        assert found.text == texts[found.index]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["1", "abc"], "'abc' is not a number"),
        (["1.5", "NA"], "'NA' is not a number (if it stands for no value, say nulls: [NA])"),
        (["1", "007"], "'007' has leading zeros"),
        (["1", "+49301234"], "'+49301234' begins with +"),
        (["1", "9223372036854775808"], "'9223372036854775808' is beyond int64"),
        (["true", "yes"], "'yes' is not true or false"),
        (["2013-01-01", "soon"], "'soon' is not a date"),
        (["2013-01-01T10:00:00", "2013-01-01T10:00:00Z"], "'2013-01-01T10:00:00Z' is not a timestamp without a zone"),
        (["2013-01-01T10:00:00Z", "x" * 100], f"'{'x' * 39}…' is not a timestamp with a zone"),
    ],
)
def test_the_reason_says_what_the_column_was_before(texts: list[str], reason: str) -> None:
    found = breaker(Guess(), pa.array(texts))
    assert found is not None
    assert (found.index, found.reason) == (1, reason)


def test_a_column_of_text_from_its_first_value_has_no_breaker() -> None:
    assert breaker(Guess(), pa.array([None, "abc", "5"])) is None
