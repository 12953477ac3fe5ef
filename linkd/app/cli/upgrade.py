"""`linkd upgrade [DIR]`: takes a directory to the newest format that this linkd writes."""

from __future__ import annotations

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.state_directory import DirectoryArgument, held, state_of


def upgrade(
    directory: DirectoryArgument = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Take a directory to this linkd's newest format.

    A linkd reads the format before its own, too, and leaves a directory in it until this is called: until then the linkd before can go on with
    it. Afterwards it cannot. Not while the pipeline runs.
    """
    from linkd.store.directory import read_format
    from linkd.store.directory import upgrade as take_further
    from linkd.store.files import LocalFiles

    state = state_of(directory, pipeline)
    read_format(LocalFiles(), state)  # before anything is touched
    with held(state, "linkd upgrade"):
        had, has = take_further(LocalFiles(), state)
    if json:
        from linkd.app.cli.terminal import print_json

        print_json({"directory": str(state), "had": had, "format": has})
    elif not quiet:
        print(f"{state}: already at format {has}" if had == has else f"{state}: from format {had} to format {has}")
