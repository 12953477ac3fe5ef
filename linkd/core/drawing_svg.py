"""A drawing as SVG: one file that needs nothing else, light or dark as the reader has it, with names for those who hear it. Pure.

The grid of the drawing has cells of CELL_WIDTH by CELL_HEIGHT units, in which text of a fixed width fits. No script, no font, no picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from linkd.core.drawing import Box, Drawing, Line

CELL_WIDTH = 8
CELL_HEIGHT = 18
_MARGIN = 16
_FONT_SIZE = 13
_STYLE = """
    .page { fill: #ffffff } .box { fill: #f6f8fa; stroke: #8c959f } .task { fill: #ddf4ff; stroke: #0969da }
    .wire { fill: none; stroke: #57606a } .head { fill: #57606a } text { fill: #1f2328; font: 13px ui-monospace, Menlo, Consolas, monospace }
    .name { font-weight: 600 } .label { fill: #57606a }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .box { fill: #161b22; stroke: #6e7681 } .task { fill: #0c2d6b; stroke: #58a6ff }
      .wire { stroke: #9198a1 } .head { fill: #9198a1 } text { fill: #e6edf3 } .label { fill: #9198a1 }
    }
"""
_ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path class="head" d="M0 0L8 4L0 8z"/></marker>'
)


def svg(drawing: Drawing, title: str, description: str) -> str:
    """The document. `title` and `description` are what a screen reader says of it."""
    width = drawing.width * CELL_WIDTH + 2 * _MARGIN
    height = drawing.height * CELL_HEIGHT + 2 * _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title description">'
    )
    parts = [
        head,
        f'  <title id="title">{_text(title)}</title>',
        f'  <desc id="description">{_text(description)}</desc>',
        f"  <style>{_STYLE}  </style>",
        f"  <defs>{_ARROW}</defs>",
        f'  <rect class="page" width="{width}" height="{height}"/>',
        *_lines(drawing.lines),
        *(part for box in drawing.boxes for part in _box(box)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lines(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        points = [_centre(x, y) for x, y in line.points]
        start, end = points[0], points[-1]
        # From the frame of the box above to that of the box below.
        points[0], points[-1] = (start[0], start[1] - CELL_HEIGHT), (end[0], end[1] + CELL_HEIGHT)
        path = "L".join(f"{x:g} {y:g}" for x, y in points)
        yield f'  <path class="wire" marker-end="url(#arrow)" d="M{path}"/>'
        if line.edge.label:
            yield f'  <text class="label" x="{end[0] + 6:g}" y="{end[1] + _FONT_SIZE / 3:g}">{_text(line.edge.label)}</text>'


def _box(box: Box) -> Iterator[str]:
    x, y = box.x * CELL_WIDTH + _MARGIN, box.y * CELL_HEIGHT + _MARGIN + CELL_HEIGHT / 2
    width, height = box.width * CELL_WIDTH, (box.height - 1) * CELL_HEIGHT
    kind = "box task" if box.node.kind == "task" else "box"
    yield f"  <g><title>{_text(' · '.join((box.node.kind, *box.node.lines)))}</title>"
    yield f'    <rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{3 if box.node.kind == "task" else 9}"/>'
    for number, text in enumerate(box.node.lines):
        weight = ' class="name"' if not number else ""
        row = y + (number + 1) * CELL_HEIGHT + _FONT_SIZE / 3
        yield f'    <text{weight} x="{x + 2 * CELL_WIDTH:g}" y="{row:g}" xml:space="preserve">{_text(text)}</text>'
    yield "  </g>"


def _centre(x: int, y: int) -> tuple[float, float]:
    return (x + 0.5) * CELL_WIDTH + _MARGIN, (y + 0.5) * CELL_HEIGHT + _MARGIN


def _text(text: str) -> str:
    """As XML takes it: without the control characters that it has no place for."""
    return escape("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text))
