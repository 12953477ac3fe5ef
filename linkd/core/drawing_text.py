"""A drawing as lines of text, with the characters of box drawing or, where an encoding has none, with those of ASCII. Pure."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from linkd.core.drawing import Box, Drawing, Line
from linkd.model.frozen import frozen

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_VERTICAL, _HORIZONTAL = _UP | _DOWN, _LEFT | _RIGHT


@frozen()
class Characters:
    """What lines are drawn with. `wires` has a character for each sum of directions; frames are the corners, then across and down."""

    wires: str
    arrow: str
    frame: str
    other_frame: str


UNICODE = Characters(" ╵╷│╴┘┐┤╶└┌├─┴┬┼", "▼", "╭╮╰╯─│", "┏┓┗┛━┃")
ASCII = Characters(" |||-+++-+++-+++", "v", "..''-|", "++++=|")


def text_lines(drawing: Drawing, characters: Characters = UNICODE, heavy: str = "task") -> list[str]:
    """The drawing, a text a row without blanks at its end. Boxes of the kind `heavy` have the other frame."""
    rows: list[dict[int, str]] = [{} for _ in range(drawing.height)]
    for (x, y), character in _wires(drawing.lines, characters).items():
        rows[y][x] = character
    for line in drawing.lines:
        x, y = line.points[-1]
        rows[y][x] = characters.arrow
        _write(rows[y], x + 2, line.edge.label)
    for box in drawing.boxes:
        _write_box(rows, box, characters.other_frame if box.node.kind == heavy else characters.frame)
    return [_joined(row) for row in rows]


def _wires(lines: tuple[Line, ...], characters: Characters) -> dict[tuple[int, int], str]:
    """The cells of all lines. Lines of one source join where they part; others cross, the one that goes down on top."""
    cells: defaultdict[tuple[int, int], dict[str, int]] = defaultdict(dict)
    for line in lines:
        for (x, y), (to_x, to_y) in pairwise(line.points):
            step_x, step_y = (to_x > x) - (to_x < x), (to_y > y) - (to_y < y)
            ahead = {(1, 0): _RIGHT, (-1, 0): _LEFT, (0, 1): _DOWN, (0, -1): _UP}[step_x, step_y]
            behind = {_RIGHT: _LEFT, _LEFT: _RIGHT, _DOWN: _UP, _UP: _DOWN}[ahead]
            while (x, y) != (to_x, to_y):
                _add(cells[x, y], line.edge.source, ahead)
                x, y = x + step_x, y + step_y
                _add(cells[x, y], line.edge.source, behind)
        _add(cells[line.points[0]], line.edge.source, _UP)
    return {place: characters.wires[_on_top(nets)] for place, nets in cells.items()}


def _add(nets: dict[str, int], net: str, direction: int) -> None:
    nets[net] = nets.get(net, 0) | direction


def _on_top(nets: dict[str, int]) -> int:
    directions = list(nets.values())
    if len(directions) == 1:
        return directions[0]
    return next((each for each in directions if each & _VERTICAL), _HORIZONTAL)


def _write_box(rows: list[dict[int, str]], box: Box, frame: str) -> None:
    top_left, top_right, bottom_left, bottom_right, across, down = tuple(frame)
    inside = box.width - 2
    _write(rows[box.y], box.x, top_left + across * inside + top_right)
    for number, text in enumerate(box.node.lines, start=1):
        row = rows[box.y + number]
        _write(row, box.x, down + " " * inside + down)
        _write(row, box.x + 2, text)
    _write(rows[box.y + box.height - 1], box.x, bottom_left + across * inside + bottom_right)


def _write(row: dict[int, str], x: int, text: str) -> None:
    for offset, character in enumerate(text):
        row[x + offset] = character


def _joined(row: dict[int, str]) -> str:
    return "".join(row.get(x, " ") for x in range(max(row, default=-1) + 1)).rstrip()
