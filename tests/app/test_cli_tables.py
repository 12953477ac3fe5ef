"""Printed tables: what a cell says, and which columns fit."""

from __future__ import annotations

import datetime
import io
import re
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from linkd import limits
from linkd.app.cli.cells import columns_of
from linkd.app.cli.tables import Column, fit, print_columns, print_table
from linkd.app.wording import size_text


class Screen(io.StringIO):
    """A terminal as rich sees one."""

    def isatty(self) -> bool:
        return True


def printed(table: pa.Table, limit: int | None = None, *, width: int | None = None) -> list[str]:
    """The lines of the table, on a terminal of that width or in a pipe."""
    file = io.StringIO() if width is None else Screen()
    console = Console(file=file, width=width, soft_wrap=True, color_system=None, highlight=False, markup=False)
    print_table(console, table, limit)
    return file.getvalue().splitlines()


def cells(values: list[object], kind: pa.DataType) -> list[str | None]:
    return list(columns_of(pa.table({"c": pa.array(values, kind)}))[0].cells)


def test_numbers_stand_right_with_thousands_separators_and_text_stands_left() -> None:
    table = pa.table({"airline": ["United", "Envoy Air"], "miles": [88828070, 9]})
    assert printed(table) == ["airline         miles", "United     88,828,070", "Envoy Air           9"]


class Unasked(Console):
    def print(self, *_: object, **__: object) -> None:
        raise AssertionError("a million lines of a pipe do not go through rich")


def test_a_pipe_gets_its_lines_without_the_detour_and_a_terminal_the_same_with_colours() -> None:
    table = pa.table({"a": ["x", None], "b": [1, 88_828_070]})
    file, screen = io.StringIO(), Screen()
    print_table(Unasked(file=file), table)
    print_table(Console(file=screen, width=80, force_terminal=True, color_system="standard", soft_wrap=True), table)
    coloured = screen.getvalue()
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == file.getvalue() == "a              b\nx              1\nnull  88,828,070\n"


def test_a_column_of_small_integers_has_no_separators_because_2013_is_a_year() -> None:
    assert cells([2013, 9999, -1], pa.int64()) == ["2013", "9999", "-1"]
    assert cells([2013, 10_000], pa.int64()) == ["2,013", "10,000"]


def test_a_null_is_not_an_empty_text() -> None:
    assert printed(pa.table({"a": ["", None], "b": [1, None]})) == ["a        b", "         1", "null  null"]


def test_times_are_iso_8601_to_the_nanosecond() -> None:
    assert cells([1_357_034_400_000_000_001], pa.timestamp("ns", "America/New_York")) == ["2013-01-01T10:00:00.000000001Z"]
    assert cells([datetime.date(2013, 1, 31)], pa.date32()) == ["2013-01-31"]
    assert cells([253402300800], pa.timestamp("s")) == ["<outside the years 0001 to 9999>"]


def test_a_float32_is_shown_as_it_was_written() -> None:
    assert cells([0.1, None], pa.float32()) == ["0.1", None]
    assert cells([12345.5, float("nan")], pa.float64()) == ["12,345.5", "nan"]


def test_every_other_type_has_a_form() -> None:
    assert cells([Decimal("12345.50")], pa.decimal128(10, 2)) == ["12,345.50"]
    assert cells([True, False], pa.bool_()) == ["true", "false"]
    assert cells([b"secret"], pa.binary()) == ["<6 bytes>"]
    assert cells([[1, None]], pa.list_(pa.int64())) == ["[1, null]"]
    assert cells([{"at": datetime.date(2013, 1, 1)}], pa.struct([("at", pa.date32())])) == ['{"at": "2013-01-01"}']
    assert cells([datetime.timedelta(seconds=90)], pa.duration("s")) == ["0:01:30"]
    assert cells([None], pa.null()) == [None]


def test_data_does_not_draw_on_the_screen() -> None:
    assert cells(["\x1b[31mred\x07", "two\nlines", "a\tb", "\u202eabc"], pa.string()) == ["�[31mred�", "two↵lines", "a b", "�abc"]


def test_long_text_is_cut_and_the_cut_is_marked() -> None:
    (line,) = printed(pa.table({"t": ["x" * 500]}))[1:]
    assert line == "x" * (limits.CELL_SHOWN_MAX_CHARS - 1) + "…"


def test_wide_characters_are_counted_as_the_terminal_counts_them() -> None:
    lines = printed(pa.table({"city": ["東京", "Rio"], "n": [1, 2]}))
    assert [cell_len(line) for line in lines] == [7, 7, 7]


def test_a_table_without_rows_is_its_header() -> None:
    assert printed(pa.table({"airline": pa.array([], pa.string()), "flights": pa.array([], pa.int64())})) == ["airline  flights"]


def test_only_the_first_rows_are_printed_if_so_asked() -> None:
    assert printed(pa.table({"n": list(range(100))}), 2) == ["n", "0", "1"]


def test_a_terminal_loses_columns_in_the_middle_rather_than_wrapping() -> None:
    table = pa.table({f"column_{number:02}": [number] for number in range(20)})
    lines = printed(table, width=40)
    assert all(len(line) <= 40 for line in lines)
    assert lines[0].split() == ["column_00", "column_01", "…", "column_19"]


def test_a_pipe_gets_every_column() -> None:
    table = pa.table({f"column_{number:02}": [number] for number in range(40)})
    assert len(printed(table)[0].split()) == 40


def test_text_gives_way_before_columns_do_and_numbers_are_never_cut() -> None:
    table = pa.table({"text": ["a long story " * 4], "n": [123_456_789]})
    line = printed(table, width=30)[1]
    assert len(line) <= 30
    assert line.endswith("123,456,789")
    assert "…" in line


def test_print_columns_says_how_many_had_no_room() -> None:
    columns = [Column(f"column_{number:02}", ["1"], True) for number in range(20)]
    assert print_columns(Console(file=Screen(), width=40, soft_wrap=True), columns) == 17


@given(
    st.lists(st.tuples(st.integers(1, limits.CELL_SHOWN_MAX_CHARS), st.booleans()), min_size=1, max_size=30),
    st.integers(limits.CELL_SHOWN_MAX_CHARS + 3, 200),
)
def test_what_fits_is_within_the_width_and_never_wider_than_wanted(columns: list[tuple[int, bool]], available: int) -> None:
    widths, can_narrow = [width for width, _ in columns], [narrow for _, narrow in columns]
    fitted = fit(widths, can_narrow, available)
    marks = [] if fitted.gap_at is None else [1]
    assert sum([*fitted.widths, *marks]) + 2 * (len(fitted.widths) + len(marks) - 1) <= available
    assert list(fitted.columns) == sorted(set(fitted.columns))
    assert fitted.columns[0] == 0
    assert (fitted.gap_at is None) == (len(fitted.columns) == len(widths))
    for index, width in zip(fitted.columns, fitted.widths, strict=True):
        assert width <= widths[index]
        assert can_narrow[index] or width == widths[index]


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (50_758_992, "51 MB"), (2_500_000_000_000, "2.5 TB")]
)
def test_sizes_have_about_three_digits(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


def test_a_time_is_shown_whole_or_not_at_all() -> None:
    table = pa.table({"note": ["words " * 8], "at": pa.array([0], pa.timestamp("s", "UTC"))})
    line = printed(table, width=40)[1]
    assert line.endswith("…  1970-01-01T00:00:00Z")
    assert len(line) <= 40
