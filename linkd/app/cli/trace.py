"""`linkd trace VALUE`: the passport of a value, and where it comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import ask, readable_target


def trace(
    value: Annotated[
        str,
        typer.Argument(metavar="VALUE", help="totals@42, totals@last, or at least 8 characters of its id.", show_default=False),
    ],
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell where a value comes from.

    Prints its passport and its ancestors, back to the rows of the source files.
    """
    found = ask(readable_target(pipeline), lambda client: client.trace(value))
    from linkd.app.cli.passport import document, passport_lines
    from linkd.app.cli.pedigree import pedigree
    from linkd.app.cli.terminal import print_json, remark, result_console

    if json:
        print_json(document(found))
        return
    console = result_console()
    for line in passport_lines(found.ancestors[0].envelope):
        console.print(line)
    console.print()
    for line in pedigree(found, full_digests=verbose):
        console.print(line)
    if found.cut:
        remark(f"there are more ancestors than these {len(found.ancestors):,} values", quiet=quiet)
