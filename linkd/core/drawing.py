"""The drawing of a graph on a grid of characters: where each box stands and which way each line goes. Pure.

Boxes stand in layers, those that are read above those that read them. A line that passes a layer has a *passage* there, one column wide,
so every line runs from one layer to the next: down from the box, along a track between the layers, down to the box it means. Boxes of a
layer are ordered by those above and below them, so that few lines cross, and moved towards them, so that most lines are straight.
`drawing_text` and `drawing_svg` show the same drawing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from linkd.core.drawing_tracks import Net, assign_tracks
from linkd.model.frozen import frozen

GAP = 3
"""Columns between two boxes of a layer."""
_SWEEPS = 6
"""Over the layers, down and up in turn: further ones change next to nothing."""


@frozen()
class Node:
    """Something with a name of its own, and the lines of text in its box; `kind` is for those who show it."""

    name: str
    kind: str
    lines: tuple[str, ...]
    width: int


@frozen()
class Edge:
    """`target` reads `source`, in the way that `label` says (empty: nothing to say)."""

    source: str
    target: str
    label: str = ""


@frozen()
class Box:
    """A node at its place: column and line of its upper left corner, and its size with its frame."""

    node: Node
    x: int
    y: int
    width: int
    height: int


@frozen()
class Line:
    """An edge as it runs, from corner to corner, down to the row above its target; its label stands right of that point."""

    edge: Edge
    points: tuple[tuple[int, int], ...]


@frozen()
class Drawing:
    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass(slots=True)
class _Place:
    """A node, or the passage of an edge, in its layer."""

    name: str
    layer: int
    width: int
    node: Node | None = None
    x: int = 0
    slots: dict[str, int] = field(default_factory=dict)
    """Of each place above that a line comes from: the column, from the left edge, where it arrives."""

    @property
    def out(self) -> int:
        """The column, from the left edge, where its lines leave."""
        return self.width // 2


def draw(nodes: Sequence[Node], edges: Sequence[Edge]) -> Drawing:
    """The drawing of an acyclic graph. Of edges that would close a cycle, or that name no node, nothing is drawn."""
    known = {node.name for node in nodes}
    kept = _acyclic([edge for edge in dict.fromkeys(edges) if edge.source in known and edge.target in known], nodes)
    return _Layers(nodes, kept).drawing()


def _acyclic(edges: Sequence[Edge], nodes: Sequence[Node]) -> list[Edge]:
    """The edges that do not point back to a node from which theirs was reached."""
    readers: defaultdict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        readers[edge.source].append(edge)
    done: set[str] = set()
    open_: set[str] = set()
    kept: list[Edge] = []
    for node in nodes:
        if node.name in done:
            continue
        path = [(node.name, iter(readers[node.name]))]
        open_.add(node.name)
        while path:
            name, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                open_.discard(name)
                done.add(name)
            elif following.target not in open_:
                kept.append(following)
                if following.target not in done:
                    open_.add(following.target)
                    path.append((following.target, iter(readers[following.target])))
    return kept


class _Layers:
    def __init__(self, nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
        self._nodes = nodes
        self._edges = edges
        self._layers: list[list[_Place]] = []
        self._places: dict[str, _Place] = {}
        self._hops: list[tuple[str, str, Edge]] = []
        """Of every edge its parts, each from one layer to the next: (place above, place below, the edge)."""
        self._above: defaultdict[str, list[str]] = defaultdict(list)
        self._below: defaultdict[str, list[str]] = defaultdict(list)

    def drawing(self) -> Drawing:
        self._make_places()
        self._order()
        self._make_slots()
        self._set_columns()
        return self._drawn()

    def _make_places(self) -> None:
        layer_of = _longest_paths([node.name for node in self._nodes], self._edges)
        self._layers = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
        for node in self._nodes:
            self._add(_Place(node.name, layer_of[node.name], node.width, node))
        passages: dict[tuple[str, int], str] = {}
        seen: set[tuple[str, str]] = set()
        for edge in self._edges:
            above = edge.source
            for layer in range(layer_of[edge.source] + 1, layer_of[edge.target]):
                name = passages.get((edge.source, layer))  # all edges of a source that pass a layer pass it together
                if name is None:
                    name = passages[edge.source, layer] = f"{edge.source} {layer}"
                    self._add(_Place(name, layer, 1))
                self._join(above, name, edge, seen)
                above = name
            self._join(above, edge.target, edge, seen)

    def _add(self, place: _Place) -> None:
        self._places[place.name] = place
        self._layers[place.layer].append(place)

    def _join(self, above: str, below: str, edge: Edge, seen: set[tuple[str, str]]) -> None:
        self._hops.append((above, below, edge))
        if (above, below) not in seen:
            seen.add((above, below))
            self._above[below].append(above)
            self._below[above].append(below)

    def _order(self) -> None:
        """Each layer in the order of the middle of what its places are joined to, from the one above and from the one below in turn."""
        index = {place.name: number for layer in self._layers for number, place in enumerate(layer)}
        for sweep in range(_SWEEPS):
            joined = self._above if sweep % 2 == 0 else self._below
            for layer in self._layers if sweep % 2 == 0 else reversed(self._layers):
                middles = {place.name: _middle([index[other] for other in joined[place.name]], index[place.name]) for place in layer}
                layer.sort(key=lambda place: middles[place.name])
                for number, place in enumerate(layer):
                    index[place.name] = number

    def _make_slots(self) -> None:
        """Where lines arrive at each box: from left to right as they come, each with room for its label."""
        labels = {(above, below): edge.label for above, below, edge in self._hops if below == edge.target}
        index = {place.name: number for layer in self._layers for number, place in enumerate(layer)}
        for place in self._places.values():
            above = sorted(self._above[place.name], key=index.__getitem__)
            widths = [2 + _label_width(labels.get((name, place.name), "")) for name in above]
            if len(above) == 1 and not labels.get((above[0], place.name)):
                place.slots[above[0]] = place.out
                continue
            if place.node is not None:
                place.width = max(place.width, sum(widths) + 2)
            column = (place.width - sum(widths)) // 2 + 1 if place.node is not None else 0
            for name, width in zip(above, widths, strict=True):
                place.slots[name] = column
                column += width

    def _set_columns(self) -> None:
        """Each box as near as can be to where its lines would be straight, and none on another."""
        for layer in self._layers:
            x = 0
            for place in layer:
                place.x, x = x, x + place.width + GAP
        for sweep in range(_SWEEPS + 1):
            down = sweep % 2 == 0
            for layer in self._layers if down else reversed(self._layers):
                _spread(layer, [self._wanted(place, down=down) for place in layer])
        left = min((place.x for place in self._places.values()), default=0)
        for place in self._places.values():
            place.x -= left

    def _wanted(self, place: _Place, *, down: bool) -> float:
        """The column at which its lines to the layer above (or below) would be straight on the average."""
        if down:
            wanted = [self._places[name].x + self._places[name].out - place.slots[name] for name in self._above[place.name]]
        else:
            wanted = [
                self._places[name].x + self._places[name].slots[place.name] - place.out
                for name in self._below[place.name]
                if place.name in self._places[name].slots
            ]
        return sum(wanted) / len(wanted) if wanted else place.x

    def _drawn(self) -> Drawing:
        hops: defaultdict[int, list[tuple[str, str, Edge]]] = defaultdict(list)
        for hop in self._hops:
            hops[self._places[hop[0]].layer].append(hop)
        boxes: list[Box] = []
        points: defaultdict[Edge, list[tuple[int, int]]] = defaultdict(list)
        top = 0
        for number, layer in enumerate(self._layers):
            height = max((len(place.node.lines) + 2 for place in layer if place.node is not None), default=1)
            boxes += [Box(place.node, place.x, top, place.width, len(place.node.lines) + 2) for place in layer if place.node is not None]
            bottom = top + height
            top = self._route(hops[number], bottom, points) if number + 1 < len(self._layers) else bottom
        width = max((box.x + box.width for box in boxes), default=0)
        width = max([width, *(x + 1 for corners in points.values() for x, _ in corners)])
        lines = tuple(Line(edge, _corners(points[edge])) for edge in dict.fromkeys(edge for _, _, edge in self._hops))
        return Drawing(width, top, tuple(boxes), lines)

    def _route(self, hops: Sequence[tuple[str, str, Edge]], bottom: int, points: Mapping[Edge, list[tuple[int, int]]]) -> int:
        """Leads the lines of one layer to the next; returns the first row of that."""
        nets: dict[str, Net] = {}
        for above, below, _ in hops:
            source = self._places[above]
            net = nets.setdefault(above, Net(source.x + source.out, set()))
            target = self._places[below]
            net.targets.add(target.x + target.slots[above])
        tracks, count = assign_tracks(nets)
        following = bottom + count + 2
        for above, below, edge in hops:
            source, target = self._places[above], self._places[below]
            start, end = source.x + source.out, target.x + target.slots[above]
            row = bottom + 1 + tracks.get(above, 0)
            first = bottom if source.node is None else self._foot(source, bottom)
            points[edge].extend([(start, first), (start, row), (end, row), (end, following - 1)])
        return following

    def _foot(self, place: _Place, bottom: int) -> int:
        """The row below a box, which may be lower than its neighbours are."""
        assert place.node is not None
        tallest = max(len(other.node.lines) for other in self._layers[place.layer] if other.node is not None)
        return bottom - (tallest - len(place.node.lines))


def _longest_paths(names: Sequence[str], edges: Iterable[Edge]) -> dict[str, int]:
    """The layer of each node: one below the lowest of those above it. What nothing is above stands just above its first reader."""
    above: defaultdict[str, list[str]] = defaultdict(list)
    below: defaultdict[str, list[str]] = defaultdict(list)
    for edge in edges:
        above[edge.target].append(edge.source)
        below[edge.source].append(edge.target)
    waiting = {name: len(above[name]) for name in names}
    ready = [name for name in names if not waiting[name]]
    layers = dict.fromkeys(names, 0)
    for name in ready:
        for reader in below[name]:
            layers[reader] = max(layers[reader], layers[name] + 1)
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    for name in names:
        if not above[name] and below[name]:
            layers[name] = max(min(layers[reader] for reader in below[name]) - 1, 0)
    return layers


def _label_width(label: str) -> int:
    """With the blanks before and behind it."""
    return len(label) + 2 if label else 0


def _middle(indices: list[int], own: int) -> float:
    return sum(indices) / len(indices) if indices else own


def _spread(layer: Sequence[_Place], wanted: Sequence[float]) -> None:
    """Places each as near to its wanted column as the order and the gaps allow.

    Those that would touch form a block, which stands where its members want to be on the average; blocks that touch become one.
    """
    blocks: list[tuple[float, int, list[_Place]]] = []
    for place, column in zip(layer, wanted, strict=True):
        start, members, width = column, [place], place.width + GAP
        while blocks and blocks[-1][0] + blocks[-1][1] > start:
            before_start, before_width, before = blocks.pop()
            count = len(before) + len(members)
            start = (before_start * len(before) + (start - before_width) * len(members)) / count
            members, width = before + members, before_width + width
        blocks.append((start, width, members))
    end: int | None = None
    for start, _, members in blocks:
        x = round(start) if end is None else max(round(start), end)
        for place in members:
            place.x = x
            x += place.width + GAP
        end = x


def _corners(points: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Without repetitions and without points on the way."""
    corners: list[tuple[int, int]] = []
    for point in points:
        if corners and corners[-1] == point:
            continue
        if len(corners) > 1 and _in_line(corners[-2], corners[-1], point):
            corners[-1] = point
        else:
            corners.append(point)
    return tuple(corners)


def _in_line(first: tuple[int, int], second: tuple[int, int], third: tuple[int, int]) -> bool:
    return first[0] == second[0] == third[0] or first[1] == second[1] == third[1]
