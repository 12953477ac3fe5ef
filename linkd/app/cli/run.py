"""`linkd run [FILE]`: make every output current."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkd.app.cli.options import QuietOption, VerboseOption


def run(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The pipeline file; else the one here or in a parent directory.", show_default=False),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Forget all values and begin anew.")] = False,
    http_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve /livez, /readyz and /metrics while it runs; 0 is a free port.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, for programs.")] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Make every output of a pipeline current.

    What was interrupted continues; where nothing changed there is nothing to do.
    """
    from linkd.app.run import RunOptions
    from linkd.app.run import run as run_pipeline

    return run_pipeline(RunOptions(pipeline=file or Path(), reset=reset, quiet=quiet, verbose=verbose, json=json, http_port=http_port))
