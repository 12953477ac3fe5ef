"""`linkd graph`: the pipeline drawn, as text or as SVG."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import Target, ask, find_target
from linkd.errors import UsageFault

if TYPE_CHECKING:
    from linkd.core.drawing import Edge, Node

_STANDARD_OUTPUT = "-"


def graph(
    svg: Annotated[
        str | None, typer.Option("--svg", metavar="FILE|-", help="Write an SVG instead, to a file or to the output.", show_default=False)
    ] = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Draw the pipeline.

    Its links with what they hold, its tasks with what they do, and how each input is read. Where the terminal is too narrow for the drawing
    it prints the wiring, a line a task.
    """
    name, nodes, edges = _pipeline(find_target(pipeline, os.environ))
    if json:
        from linkd.app.cli.terminal import print_json

        print_json(
            {
                "pipeline": name,
                "nodes": [{"name": node.name, "kind": node.kind, "text": list(node.lines[1:])} for node in nodes],
                "edges": [{"from": edge.source, "to": edge.target, "policy": edge.label or None} for edge in edges],
            }
        )
    elif svg is not None:
        _write_svg(svg, name, nodes, edges, quiet=quiet)
    else:
        _print(nodes, edges)


def _pipeline(target: Target) -> tuple[str, list[Node], list[Edge]]:
    """Its name, and what is drawn. Of a pipeline that never ran the file says enough, and no home is started."""
    from linkd.app.cli.graph_nodes import nodes_of, nodes_of_layout

    if target.was_never_opened and target.file is not None:
        from linkd.app.layout import layout_of

        layout = layout_of(target.file, {})
        return layout.name, *nodes_of_layout(layout)
    found = ask(target, lambda client: client.describe())
    return found.pipeline, *nodes_of(found)


def _print(nodes: list[Node], edges: list[Edge]) -> None:
    from linkd.app.cli.graph_nodes import outline
    from linkd.app.cli.terminal import result_console, room
    from linkd.core.drawing import draw
    from linkd.core.drawing_text import ASCII, UNICODE, text_lines

    console = result_console()
    available = room(console)
    drawing = draw(nodes, edges)
    if available is not None and drawing.width > available:
        lines = outline(nodes, edges)
    else:
        lines = text_lines(drawing, UNICODE if _can_draw(sys.stdout.encoding) else ASCII)
    for line in lines or ["no links"]:
        console.print(line)


def _can_draw(encoding: str | None) -> bool:
    try:
        "┏╭▼".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _write_svg(place: str, name: str, nodes: list[Node], edges: list[Edge], *, quiet: bool) -> None:
    from linkd.app.cli.graph_nodes import outline
    from linkd.app.cli.terminal import print_bytes, remark
    from linkd.core.drawing import draw
    from linkd.core.drawing_svg import svg

    content = svg(draw(nodes, edges), name, "; ".join(outline(nodes, edges))).encode()
    if place == _STANDARD_OUTPUT:
        print_bytes([content])
        return
    try:
        Path(place).write_bytes(content)
    except OSError as error:
        raise UsageFault(f"{place} cannot be written: {error.strerror}") from error
    remark(f"{name}: drawn in {place}", quiet=quiet)
