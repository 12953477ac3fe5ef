"""`linkd` itself: the help, and the version."""

from __future__ import annotations

from typing import Annotated

import typer


def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """The smart link: durable, explainable links between the programs of a data pipeline."""
    if version:
        from linkd.faces.describe import version as installed

        typer.echo(f"linkd {installed()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
