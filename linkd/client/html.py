"""How things show themselves in a notebook: small tables, every text escaped, no scripts, no styles of the page touched. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from linkd.limits import CELL_SHOWN_MAX_CHARS, NOTEBOOK_COLUMNS_MAX
from linkd.model.frozen import frozen

_NULL = "<em>null</em>"


@frozen()
class Heading:
    """Of a column; numbers stand right."""

    text: str
    is_number: bool = False


def table(caption: str, headings: Sequence[Heading], rows: Iterable[Sequence[object]], note: str = "") -> str:
    """A table under a caption, and a line below it."""
    head = "".join(f"<th{_align(heading)}>{html.escape(_shown(heading.text))}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td{_align(heading)}>{_cell(value)}</td>" for heading, value in zip(headings, row, strict=True)) + "</tr>"
        for row in rows
    )
    below = f"<p><small>{html.escape(note)}</small></p>" if note else ""
    return (
        f'<div><table><caption style="text-align:left"><b>{html.escape(caption)}</b></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"
    )


def row_table(caption: str, rows: Sequence[Mapping[str, object]], note: str = "") -> str:
    """Rows as dicts; the columns are those of the first one, as many as a page bears."""
    names = list(rows[0])[:NOTEBOOK_COLUMNS_MAX] if rows else []
    headings = [Heading(name, any(_is_number(row.get(name)) for row in rows)) for name in names]
    hidden = len(rows[0]) - len(names) if rows else 0
    if hidden:
        note = f"{note}; {hidden} more columns" if note else f"{hidden} more columns"
    return table(caption, headings, ([row.get(name) for name in names] for row in rows), note)


def message(title: str, text: str) -> str:
    """Instead of a table: why there is none."""
    return f"<div><b>{html.escape(title)}</b><pre>{html.escape(text)}</pre></div>"


def _align(heading: Heading) -> str:
    return ' style="text-align:right"' if heading.is_number else ' style="text-align:left"'


def _cell(value: object) -> str:
    if value is None:
        return _NULL
    if isinstance(value, bytes):
        return html.escape(f"<{len(value):,} bytes>")
    return html.escape(_shown(str(value)))


def _shown(text: str) -> str:
    return text if len(text) <= CELL_SHOWN_MAX_CHARS else text[: CELL_SHOWN_MAX_CHARS - 1] + "…"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
