"""Aligned tables for terminals and pipes.

What a cell says is decided in `cells` and `listing`; here is which columns fit, how wide each is, and the printing. On a terminal nothing
wraps: columns of low rank are left out first, then columns of text are narrowed, then columns in the middle are left out, and a mark says so.
A number or a time is never cut: half a number is a lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from linkd import limits
from linkd.app.cli.terminal import room
from linkd.model.frozen import frozen

if TYPE_CHECKING:
    import pyarrow as pa

CUT = "…"
_GAP = 2
_NULL = "null"


@frozen()
class Column:
    """A heading and its cells, None for null. Numbers stand right; of a `rigid` column, as of a number, no cell is ever cut.

    Where there is no room for all, columns are left out by `rank`, the highest first; those of rank 0 are not.
    """

    heading: str
    cells: Sequence[str | None]
    is_number: bool = False
    rigid: bool = False
    rank: int = 0

    @property
    def can_narrow(self) -> bool:
        return not (self.is_number or self.rigid)

    @property
    def width(self) -> int:
        """Terminal columns it would like to have."""
        widest = max((cell_len(_NULL if cell is None else cell) for cell in (self.heading, *self.cells)), default=0)
        return min(widest, max(limits.CELL_SHOWN_MAX_CHARS, cell_len(self.heading))) if self.can_narrow else widest


@frozen()
class Fitted:
    """Which columns are shown and how wide; `gap_at` is how many stand before the mark of those left out, None if all are shown."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]
    gap_at: int | None = None


def print_table(console: Console, table: pa.Table, limit: int | None = None) -> int:
    """Prints the first `limit` rows (None: all of them) of an Arrow table, and returns how many columns had no room.

    Nulls are `null`, integers have thousands separators, times are ISO 8601. Raises BrokenPipeError.
    """
    from linkd.app.cli.cells import columns_of

    return print_columns(console, columns_of(table.slice(0, limit)))


def print_columns(console: Console, columns: Sequence[Column]) -> int:
    """Prints columns of equal length under their headings, and returns how many had no room."""
    shown, fitted = _layout(columns, room(console))
    _put(console, [column.heading for column in shown], shown, fitted, heading=True)
    for row in zip(*(column.cells for column in shown), strict=True):
        _put(console, row, shown, fitted)
    return len(columns) - len(fitted.columns)


class RollingTable:
    """A table whose rows go on coming: the heading is printed when the columns change, and columns only ever grow wider."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._headings: list[str] = []
        self._widths: dict[str, int] = {}

    def print(self, table: pa.Table) -> None:
        """Prints these rows behind the ones before. Raises BrokenPipeError."""
        from linkd.app.cli.cells import columns_of

        columns = columns_of(table)
        headings = [column.heading for column in columns]
        if headings != self._headings:
            self._widths.clear()
        for column in columns:
            self._widths[column.heading] = max(column.width, self._widths.get(column.heading, 0))
        fitted = fit([self._widths[heading] for heading in headings], [column.can_narrow for column in columns], room(self._console))
        if headings != self._headings:
            _put(self._console, headings, columns, fitted, heading=True)
            self._headings = headings
        for row in zip(*(column.cells for column in columns), strict=True):
            _put(self._console, row, columns, fitted)
        self._console.file.flush()


def table_lines(columns: Sequence[Column], available: int | None) -> tuple[list[Text], int]:
    """The lines of a table, the heading first, and how many columns had no room in `available` terminal columns."""
    shown, fitted = _layout(columns, available)
    lines = [_line([column.heading for column in shown], shown, fitted, heading=True)]
    lines += [_line(row, shown, fitted) for row in zip(*(column.cells for column in shown), strict=True)]
    return lines, len(columns) - len(fitted.columns)


def _layout(columns: Sequence[Column], available: int | None) -> tuple[list[Column], Fitted]:
    """The columns whose rank lets them be shown, and which of them fit, how wide."""
    kept = by_rank(columns, available)
    return kept, fit([column.width for column in kept], [column.can_narrow for column in kept], available)


def by_rank(columns: Sequence[Column], available: int | None) -> list[Column]:
    """Those columns that fit, perhaps narrowed, once the ones of the highest ranks are left out."""
    kept = list(columns)
    while available is not None and sum(_least(column) + _GAP for column in kept) - _GAP > available:
        worst = max((column.rank for column in kept), default=0)
        if not worst:
            break
        kept = [column for column in kept if column.rank < worst]
    return kept


def _least(column: Column) -> int:
    return min(column.width, limits.CELL_SHOWN_MIN_CHARS) if column.can_narrow else column.width


def fit(widths: Sequence[int], can_narrow: Sequence[bool], available: int | None) -> Fitted:
    """What of columns of these widths is shown in `available` terminal columns (None: no bound).

    Columns of text give way first, the widest first, down to `limits.CELL_SHOWN_MIN_CHARS`; then columns are left out from the middle. The
    first column is always shown, cut if it must be.
    """
    everything = tuple(range(len(widths)))
    if available is None or not widths:
        return Fitted(everything, tuple(widths))
    narrowed = _narrow(widths, can_narrow, available)
    if narrowed is not None:
        return Fitted(everything, narrowed)
    least = [min(width, limits.CELL_SHOWN_MIN_CHARS) if narrow else width for width, narrow in zip(widths, can_narrow, strict=True)]
    left = available - len(CUT) - _GAP
    shown = _outermost(least, left)
    if not shown:
        return Fitted((0,), (max(1, min(widths[0], left)),), 1)
    kept = _narrow([widths[index] for index in shown], [can_narrow[index] for index in shown], left)
    gap_at = next((place for place, index in enumerate(shown) if index != place), len(shown))
    return Fitted(tuple(shown), kept or tuple(least[index] for index in shown), gap_at)


def _narrow(widths: Sequence[int], can_narrow: Sequence[bool], available: int) -> tuple[int, ...] | None:
    """The widths with the widest columns of text narrowed as far as needed; None if that is not enough."""
    room_for_cells = available - _GAP * (len(widths) - 1)
    cap = max(widths)
    while True:
        capped = tuple(min(width, cap) if narrow else width for width, narrow in zip(widths, can_narrow, strict=True))
        if sum(capped) <= room_for_cells:
            return capped
        if cap <= limits.CELL_SHOWN_MIN_CHARS:
            return None
        cap -= 1


def _outermost(widths: Sequence[int], available: int) -> list[int]:
    """As many columns as fit, taken in turn from the front and from the back, in their order."""
    front, back = 0, len(widths) - 1
    taken: list[int] = []
    from_front = True
    while front <= back:
        index = front if from_front else back
        if widths[index] + sum(widths[other] + _GAP for other in taken) > available:
            break
        taken.append(index)
        front, back = (front + 1, back) if from_front else (front, back - 1)
        from_front = not from_front
    return sorted(taken)


def _put(console: Console, cells: Sequence[str | None], columns: Sequence[Column], fitted: Fitted, *, heading: bool = False) -> None:
    """Prints one line. Where nothing is styled it is written as it is: rich takes far longer than that, and a link may have a million rows."""
    if console.color_system is not None:
        console.print(_line(cells, columns, fitted, heading=heading))
        return
    parts = _padded_cells(cells, columns, fitted)
    if fitted.gap_at is not None:
        parts.insert(fitted.gap_at, CUT)
    console.file.write((" " * _GAP).join(parts).rstrip() + "\n")


def _line(cells: Sequence[str | None], columns: Sequence[Column], fitted: Fitted, *, heading: bool = False) -> Text:
    parts = [
        Text(text, style="bold" if heading else "dim" if cells[index] is None else "")
        for index, text in zip(fitted.columns, _padded_cells(cells, columns, fitted), strict=True)
    ]
    if fitted.gap_at is not None:
        parts.insert(fitted.gap_at, Text(CUT, style="dim"))
    line = Text(" " * _GAP).join(parts)
    line.rstrip()
    return line


def _padded_cells(cells: Sequence[str | None], columns: Sequence[Column], fitted: Fitted) -> list[str]:
    """Of those that are shown."""
    shown = zip(fitted.columns, fitted.widths, strict=True)
    return [_padded(_NULL if (cell := cells[index]) is None else cell, width, right=columns[index].is_number) for index, width in shown]


def _padded(text: str, width: int, *, right: bool) -> str:
    if cell_len(text) > width:
        text = set_cell_size(text, width - cell_len(CUT)) + CUT
    pad = " " * (width - cell_len(text))
    return pad + text if right else text + pad
