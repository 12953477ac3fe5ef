"""A pipeline as the nodes and edges of a drawing, from what its home tells or, before the first run, from its file alone. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from unicodedata import combining, east_asian_width

from linkd.app.wording import counted, rate_text
from linkd.client.description import Description, LinkDescription, TaskDescription
from linkd.core.dead_letters import is_dead_link
from linkd.core.drawing import Edge, Node
from linkd.core.layout import Layout
from linkd.core.policies import EACH_TEXT
from linkd.core.tasks import SINK_PREFIX, SOURCE_PREFIX
from linkd.limits import CELL_SHOWN_MAX_CHARS
from linkd.model.records import TaskKind

LINK, TASK = "link", "task"
_PADDING = 4
"""Frame and blank at both sides of a text."""


def nodes_of(found: Description) -> tuple[list[Node], list[Edge]]:
    """Links with what they hold, tasks with what they do."""
    tasks = [task for task in found.tasks if not _is_adapter(task.name)]
    nodes = [_node(link.name, LINK, *_holding(link), *_ends(link.source, link.sink, is_open=link.open)) for link in found.links]
    nodes += [_node(task.name, TASK, f"{task.kind}, {task.state}", *_behind(task)) for task in tasks]
    edges = [edge for task in tasks for edge in _edges(task.name, ((each.link, each.policy) for each in task.inputs), task.outputs)]
    return nodes, edges + _dead_edges({task.name for task in tasks}, ((link.name, link.writer) for link in found.links))


def nodes_of_layout(layout: Layout) -> tuple[list[Node], list[Edge]]:
    """The same of a pipeline that never ran: what is wired to what."""
    tasks = [task for task in layout.tasks.values() if task.kind not in (TaskKind.SOURCE, TaskKind.SINK)]
    nodes = []
    for name in layout.links:
        spec = layout.pipeline.links.get(name) if layout.pipeline is not None else None
        ends = _ends(spec.source or "", spec.sink or "", is_open=name in layout.open_links) if spec is not None else []
        nodes.append(_node(name, LINK, *ends))
    nodes += [_node(task.name, TASK, str(task.kind)) for task in tasks]
    edges = [edge for task in tasks for edge in _edges(task.name, task.inputs, task.outputs)]
    return nodes, edges + _dead_edges({task.name for task in tasks}, ((name, shape.writer) for name, shape in layout.links.items()))


def outline(nodes: Iterable[Node], edges: Iterable[Edge]) -> list[str]:
    """The same in the notation of the wiring, one line a task, for a terminal in which the drawing has no room; then what the links hold."""
    known, wires = list(nodes), list(edges)
    lines = []
    for task in (node for node in known if node.kind == TASK):
        read = ", ".join(f"{wire.source} {wire.label}".rstrip() for wire in wires if wire.target == task.name)
        written = ", ".join(wire.target for wire in wires if wire.source == task.name)
        lines.append(f"({read}) {task.name} ({written})  {', '.join(task.lines[1:])}".rstrip())
    return lines + [f"{link.name}: {', '.join(link.lines[1:])}" for link in known if link.kind == LINK and len(link.lines) > 1]


def _edges(task: str, inputs: Iterable[tuple[str, str]], outputs: Iterable[str]) -> list[Edge]:
    read = [Edge(link, task, "" if policy == EACH_TEXT else policy) for link, policy in inputs]
    return [*read, *(Edge(task, link) for link in outputs)]


def _dead_edges(tasks: Collection[str], links: Iterable[tuple[str, str]]) -> list[Edge]:
    """From the tasks that may give up on something to where it goes, which is no output of theirs."""
    return [Edge(writer, name) for name, writer in links if is_dead_link(name) and writer in tasks]


def _node(name: str, kind: str, *lines: str) -> Node:
    shown = tuple(_cut(line) for line in (name, *lines) if line)
    return Node(name, kind, shown, max(map(_cells, shown)) + _PADDING)


def _holding(link: LinkDescription) -> list[str]:
    if link.read is None:
        return [link.current.state if link.current is not None else "empty"]
    rate = [f"{rate_text(link.rate.rows_per_s)} rows/s"] if link.rate is not None and link.rate.rows_per_s >= 1 else []
    return [counted(link.read.rows, "row"), f"{counted(link.read.values, 'value')}, {link.read.state}", *rate]


def _ends(source: str, sink: str, *, is_open: bool) -> list[str]:
    return [text for text in (f"from {source}" * bool(source), f"to {sink}" * bool(sink), "from outside" * is_open) if text]


def _behind(task: TaskDescription) -> list[str]:
    waiting = sum(each.waiting_values for each in task.inputs)
    return [f"{counted(waiting, 'value')} behind"] if waiting else []


def _is_adapter(name: str) -> bool:
    return name.startswith((SOURCE_PREFIX, SINK_PREFIX))


def _cut(text: str) -> str:
    """As a drawing bears it: one line, one cell a character, its end kept, which is what tells paths apart."""
    plain = "".join(character if character.isprintable() and _cells(character) == 1 else "?" for character in text)
    return plain if len(plain) <= CELL_SHOWN_MAX_CHARS else "…" + plain[1 - CELL_SHOWN_MAX_CHARS :]


def _cells(text: str) -> int:
    return sum(0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1 for character in text)
