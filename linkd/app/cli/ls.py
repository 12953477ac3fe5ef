"""`linkd ls`: the links, tasks, subscriptions and leases of a pipeline, and how far each is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import ask, find_target, has_content

if TYPE_CHECKING:
    from linkd.client.description import Description


def ls(
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List links, tasks, subscriptions and leases.

    Says what each link holds, how fast it grows, who writes and reads it, and how many values the slowest reader is behind; what each task
    does; what was dropped, and why; with -v also which snapshot is in whose hands, which values are held for whom, and what each link keeps.
    A wider terminal shows more columns.
    """
    target = find_target(pipeline, os.environ)
    if target.was_never_opened and not json:
        print(target.not_run())
        return
    found = ask(target, lambda client: client.describe())
    if json:
        from linkd.app.cli.terminal import print_json

        print_json(_document(found))
    elif not has_content(found) and target.file is not None:
        print(target.not_run(found.pipeline))
    else:
        _print(found, quiet=quiet, verbose=verbose)


def _document(found: Description) -> dict[str, Any]:
    from linkd.app.cli.listing import document

    return document(found)


def _print(found: Description, *, quiet: bool, verbose: bool) -> None:
    from linkd.app.cli.listing import group_columns, headline, hold_columns, lease_columns, link_columns, task_columns
    from linkd.app.cli.tables import print_columns
    from linkd.app.cli.terminal import remark, result_console

    console = result_console()
    if not found.links:
        console.print("no links yet: publishing to a link creates it" if found.open else "no links")
    parts = [link_columns(found, verbose=verbose), task_columns(found, verbose=verbose), group_columns(found)]
    if verbose:
        parts += [lease_columns(found), hold_columns(found)]
    shown = [columns for columns in parts if columns and columns[0].cells]
    for number, columns in enumerate(shown):
        if number:
            console.print()
        print_columns(console, columns)
    for note in found.notes:
        remark(note, quiet=quiet)
    remark(headline(found, verbose=verbose), quiet=quiet)
