"""`linkd backup DEST`: a consistent copy of what a pipeline keeps, while it runs or not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkd.app.cli.copying_progress import copying
from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.state_directory import state_of
from linkd.app.wording import counted, size_text


def backup(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="A directory that is not there yet, or is empty.", show_default=False)],
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Copy what a pipeline keeps, consistently, while it runs or not.

    Everything that was acked before; with a manifest of digests, written last, so that half a backup is none. Publishing goes on meanwhile;
    only tidying up waits. `linkd restore` brings it back, `linkd verify DEST` reads it. Keys and tokens are not part of it.
    """
    from linkd.store.files import LocalFiles
    from linkd.store.offline.backup import back_up

    state = state_of(None, pipeline)
    with copying(quiet=quiet or json) as progress:
        made = back_up(LocalFiles(), state, dest, progress)
    if json:
        from linkd.app.cli.terminal import print_json

        print_json({"directory": str(state), "backup": str(dest), "files": made.files, "size_bytes": made.size_bytes})
    elif not quiet:
        print(f"{dest}: {counted(made.files, 'file')}, {size_text(made.size_bytes)} of {state}")
