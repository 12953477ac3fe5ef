"""Where CSV records end, against a machine that reads one character at a time, and against Python's csv module."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.file.records import Grammar, line_count

CSV = Grammar()
texts = st.text(alphabet='a,"\r\nb', max_size=40).map(str.encode)


def record_ends(text: bytes) -> list[int]:
    """The place behind every EOL outside quotes, by a machine of four states."""
    ends, state, place = [], "start", 0
    while place < len(text):
        char = text[place : place + 1]
        place += 1
        if state == "quoted":
            state = "quote" if char == b'"' else "quoted"
            continue
        if state in ("quote", "start") and char == b'"':
            state = "quoted"
        elif char == b",":
            state = "start"
        elif char in b"\r\n":
            if char == b"\r" and text[place : place + 1] == b"\n":
                place += 1
            ends.append(place)
            state = "start"
        else:
            state = "plain"
    return ends


@given(texts)
def test_whole_records_end_where_a_machine_says(text: bytes) -> None:
    ends = [end for end in record_ends(text) if not (end == len(text) and text.endswith(b"\r"))]
    assert CSV.whole_records_end(text) == (ends[-1] if ends else 0)


@given(texts)
def test_records_say_what_the_csv_module_says(text: bytes) -> None:
    text += b"\n"
    text = text[: CSV.whole_records_end(text)]
    found = [[CSV.unquoted(field).decode() for field in CSV.fields(text[one.start : one.end])] for one in CSV.records(text)]
    expected = [row for row in csv.reader(io.StringIO(text.decode(), newline="")) if row]
    assert found == expected
    assert [CSV.field_count(text[one.start : one.end]) for one in CSV.records(text)] == [len(row) for row in expected]


@given(texts)
def test_lines_are_those_of_an_editor(text: bytes) -> None:
    text = text[: CSV.whole_records_end(text)]
    assert line_count(text) == len(text.decode().splitlines())
    for one in CSV.records(text):
        assert one.lines_before == len((text[: one.start] + b".").decode().splitlines()) - 1


@given(texts, st.integers(0, 10))
def test_counting_lines_finds_the_same_places_as_reading_records(text: bytes, index: int) -> None:
    text = text[: CSV.whole_records_end(text)]
    starts = [(one.start, one.lines_before) for one in CSV.records(text)]
    expected = starts[index] if index < len(starts) else (len(text), line_count(text))
    assert CSV.place_of_record(text, index) == expected
    found, lines = CSV.place_of_record(text, index, len(starts))
    assert (found, lines) == expected
    assert CSV.records_within(text, 10, len(starts)) == sum(1 for one in CSV.records(text) if one.behind <= 10)


def test_a_row_with_thousands_of_quoted_fields_in_an_unfinished_record_is_found() -> None:
    whole = b'"a","b"\n'
    assert CSV.whole_records_end(whole + b'"x"y,' * 5_000 + b'"open') == len(whole)
