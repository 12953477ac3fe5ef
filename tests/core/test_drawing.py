"""Drawings of graphs: nothing stands on anything else, and every line leads from its box to the one it means."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from linkd.core.drawing import Box, Drawing, Edge, Node, draw
from linkd.core.drawing_svg import svg
from linkd.core.drawing_text import ASCII, UNICODE, text_lines
from linkd.core.drawing_tracks import Net, assign_tracks


def node(name: str, *lines: str, kind: str = "link") -> Node:
    shown = (name, *lines)
    return Node(name, kind, shown, max(map(len, shown)) + 4)


FLIGHTS = [
    node("flights", "336,776 rows"),
    node("clean", kind="task"),
    node("flown"),
    node("cancelled"),
    node("ref"),
    node("sum", kind="task"),
]
WIRES = [
    Edge("flights", "clean"),
    Edge("clean", "flown"),
    Edge("clean", "cancelled"),
    Edge("flown", "sum", "whole"),
    Edge("ref", "sum", "latest"),
]


@st.composite
def graphs(draw_one: st.DrawFn) -> tuple[list[Node], list[Edge]]:
    """Any graph without a cycle: edges go from an earlier node to a later one."""
    names = [f"n{number}" for number in range(draw_one(st.integers(0, 12)))]
    nodes = [node(name, *draw_one(st.lists(st.sampled_from(["x", "a longer line of text"]), max_size=2))) for name in names]
    pairs = [pair for pair in combinations(names, 2) if draw_one(st.integers(0, 3)) == 0]
    return nodes, [Edge(*pair, draw_one(st.sampled_from(["", "whole"]))) for pair in pairs]


def overlap(one: Box, other: Box) -> bool:
    apart = (
        one.x + one.width <= other.x or other.x + other.width <= one.x or one.y + one.height <= other.y or other.y + other.height <= one.y
    )
    return not apart


def inside(box: Box, x: int, y: int) -> bool:
    return box.x <= x < box.x + box.width and box.y <= y < box.y + box.height


def cells(points: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    found = []
    for (x, y), (to_x, to_y) in pairwise(points):
        assert x == to_x or y == to_y, "a line bends at right angles only"
        found += [(column, row) for column in range(min(x, to_x), max(x, to_x) + 1) for row in range(min(y, to_y), max(y, to_y) + 1)]
    return found


@given(graphs())
def test_no_box_stands_on_another_and_every_line_leads_from_its_source_down_to_its_target(graph: tuple[list[Node], list[Edge]]) -> None:
    drawing = draw(*graph)
    boxes = {box.node.name: box for box in drawing.boxes}
    assert boxes.keys() == {each.name for each in graph[0]}
    assert not [pair for pair in combinations(drawing.boxes, 2) if overlap(*pair)]
    assert {line.edge for line in drawing.lines} == set(graph[1])
    for line in drawing.lines:
        source, target = boxes[line.edge.source], boxes[line.edge.target]
        (first_x, first_y), (last_x, last_y) = line.points[0], line.points[-1]
        assert (first_y, last_y) == (source.y + source.height, target.y - 1)
        assert source.x < first_x < source.x + source.width - 1
        assert target.x < last_x < target.x + target.width - 1
        for cell in cells(line.points):
            assert 0 <= cell[0] < drawing.width
            assert not [box for box in drawing.boxes if inside(box, *cell)], "no line goes through a box"


@given(graphs())
def test_text_and_svg_show_every_name(graph: tuple[list[Node], list[Edge]]) -> None:
    drawing, names = draw(*graph), {each.name for each in graph[0]}
    for characters in (UNICODE, ASCII):
        text = "\n".join(text_lines(drawing, characters))
        assert all(name in text for name in names)
        assert text.isascii() == (characters is ASCII or not names)
    root = ET.fromstring(svg(drawing, "p", "d"))
    assert {part.text for part in root.iter("{http://www.w3.org/2000/svg}text")} >= names


def test_a_small_pipeline_reads_from_top_to_bottom() -> None:
    assert text_lines(draw(FLIGHTS, WIRES)) == [
        "        ╭──────────────╮",
        "        │ flights      │",
        "        │ 336,776 rows │",
        "        ╰──────────────╯",
        "                │",
        "                ▼",
        "            ┏━━━━━━━┓",
        "            ┃ clean ┃",
        "            ┗━━━━━━━┛",
        "                │",
        "    ┌───────────┴───────────┐",
        "    ▼                       ▼",
        "╭───────╮   ╭─────╮   ╭───────────╮",
        "│ flown │   │ ref │   │ cancelled │",
        "╰───────╯   ╰─────╯   ╰───────────╯",
        "    │          │",
        "    └┐        ┌┘",
        "     ▼ whole  ▼ latest",
        "   ┏━━━━━━━━━━━━━━━━━━━┓",
        "   ┃ sum               ┃",
        "   ┗━━━━━━━━━━━━━━━━━━━┛",
    ]


def test_of_a_cycle_and_of_what_names_no_node_nothing_is_drawn() -> None:
    drawing = draw([node("a"), node("b")], [Edge("a", "b"), Edge("b", "a"), Edge("b", "nobody")])
    assert [line.edge for line in drawing.lines] == [Edge("a", "b")]
    assert draw([], []) == Drawing(0, 0, (), ())


def test_the_svg_needs_nothing_else_and_has_names_for_those_who_hear_it() -> None:
    text = svg(draw([node("a<b>&", "\x1b[31m")], []), 'the "flights"', "a reads b")
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in text
    root = ET.fromstring(text)
    assert root.get("role") == "img"
    assert root.findtext("{http://www.w3.org/2000/svg}title") == 'the "flights"'
    assert "a<b>&" in {part.text for part in root.iter("{http://www.w3.org/2000/svg}text")}


def test_in_the_svg_lines_go_from_frame_to_frame_and_texts_stand_inside() -> None:
    root = ET.fromstring(svg(draw([node("a", "1 row"), node("b")], [Edge("a", "b")]), "p", "d"))
    space = "{http://www.w3.org/2000/svg}"
    upper, lower = (
        (float(box.get("y", "")), float(box.get("y", "")) + float(box.get("height", ""))) for box in root.iterfind(f"{space}g/{space}rect")
    )
    wire = next(path.get("d", "") for path in root.iter(f"{space}path") if path.get("class") == "wire")
    ends = [float(number) for number in wire.replace("M", " ").replace("L", " ").split()][1::2]
    assert (min(ends), max(ends)) == (upper[1], lower[0])
    texts = [float(text.get("y", "")) for text in root.iter(f"{space}text")]
    assert upper[0] < texts[0] < texts[1] < upper[1] < lower[0] < texts[2] < lower[1]


def test_two_hundred_tasks_and_a_thousand_links_are_drawn_at_once() -> None:
    nodes, edges = [], []
    for task in range(200):
        nodes.append(node(f"t{task}", "run", kind="task"))
        for output in range(5):
            nodes.append(node(f"l{task}_{output}", "1,000 rows"))
            edges.append(Edge(f"t{task}", f"l{task}_{output}"))
            reader = (task // 20 + 1) * 20 + (7 * task + output) % 20
            if reader < 200:
                edges.append(Edge(f"l{task}_{output}", f"t{reader}"))
    began_s = time.process_time()
    drawing = draw(nodes, edges)
    assert time.process_time() - began_s < 3
    assert len(drawing.boxes) == 1_200


@given(
    st.dictionaries(
        st.integers(0, 30).map(str), st.tuples(st.integers(0, 40), st.sets(st.integers(0, 40), min_size=1, max_size=4)), max_size=15
    )
)
def test_no_two_nets_share_a_stretch_of_a_track(given_nets: dict[str, tuple[int, set[int]]]) -> None:
    nets = {name: Net(source, targets) for name, (source, targets) in given_nets.items()}
    tracks, count = assign_tracks(nets)
    bent = {name: net for name, net in nets.items() if not net.is_straight}
    assert tracks.keys() == bent.keys()
    assert count == max((track + 1 for track in tracks.values()), default=0)
    for one, other in combinations(bent, 2):
        if tracks[one] == tracks[other]:
            (first, last), (other_first, other_last) = bent[one].stretch, bent[other].stretch
            assert last < other_first or other_last < first
