"""`linkd trace VALUE`: the passport of a value, where it comes from, and what became of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import Target, ask, has_content, readable_target
from linkd.errors import LinkNotFound, UsageFault

if TYPE_CHECKING:
    from linkd.client.lineage import Lineage
    from linkd.client.session import Client


def trace(
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE",
            help="totals@42, totals@last, totals@2026-11-22T10:00, or at least 8 characters of its id.",
            show_default=False,
        ),
    ],
    forward: Annotated[bool, typer.Option("--forward", help="Tell what was made from it instead.")] = False,
    depth: Annotated[int | None, typer.Option(min=1, help="Go so many steps at most.", show_default=False)] = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell where a value comes from.

    Prints its passport and its ancestors, back to the rows of the source files; with --forward its descendants, down to the files that were
    written of them. A time names the value that was the newest then; it is UTC, unless `Z` or an offset stands behind it. -v has digests and
    versions in full.
    """
    target = readable_target(pipeline)
    found = ask(target, lambda client: _traced(client, target, value, forward=forward, depth=depth))
    from linkd.app.cli.passport import document, passport_lines
    from linkd.app.cli.pedigree import pedigree
    from linkd.app.cli.posterity import posterity
    from linkd.app.cli.terminal import print_json, remark, result_console

    if json:
        print_json(document(found, forward=forward))
        return
    console = result_console()
    for line in passport_lines(found.value):
        console.print(line)
    console.print()
    for line in posterity(found, _shown, full_digests=verbose) if forward else pedigree(found, full_digests=verbose):
        console.print(line)
    if forward and not (found.descendants or found.sinks):
        remark("nothing was made from it", quiet=quiet)
    if found.cut:
        told, kin = (found.descendants, "descendants") if forward else (found.ancestors, "ancestors")
        remark(f"there are more {kin} than these {len(told):,} values", quiet=quiet)


async def _traced(client: Client, target: Target, value: str, *, forward: bool, depth: int | None) -> Lineage:
    try:
        return await client.trace(value, forward=forward, depth=depth)
    except LinkNotFound:
        described = await client.describe()
        if has_content(described):
            raise
        raise UsageFault(target.not_run(described.pipeline)) from None


def _shown(path: str) -> str:
    """As a person in this directory would write it."""
    near = os.path.relpath(path)
    return path if near.startswith(os.pardir) else str(Path(near))
