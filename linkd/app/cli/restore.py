"""`linkd restore SRC`: brings a backup back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkd.app.cli.copying_progress import copying
from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.state_directory import held, place_of
from linkd.app.wording import counted, size_text


def restore(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A backup that `linkd backup` made.", show_default=False)],
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The state directory to make; else that of the pipeline.", show_default=False)
    ] = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Bring a backup back, into a directory without state.

    Every file is held against the manifest before anything is written; what is there is never overwritten.
    """
    from linkd.app.state import make_state_directory
    from linkd.store.files import LocalFiles
    from linkd.store.offline.backup import read_manifest
    from linkd.store.offline.backup import restore as bring_back

    state = place_of(directory, pipeline)
    read_manifest(LocalFiles(), source)  # before anything is made
    make_state_directory(state)
    with held(state, "linkd restore"), copying(quiet=quiet or json) as progress:
        made = bring_back(LocalFiles(), source, state, progress)
    if json:
        from linkd.app.cli.terminal import print_json

        print_json({"directory": str(state), "backup": str(source), "files": made.files, "size_bytes": made.size_bytes})
    elif not quiet:
        print(f"{state}: {counted(made.files, 'file')}, {size_text(made.size_bytes)}, as they were backed up")
