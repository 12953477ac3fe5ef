"""`linkd doctor [DIR]`: whether this machine and this directory are fit for what linkd promises."""

from __future__ import annotations

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.state_directory import DirectoryArgument, place_of
from linkd.errors import EXIT_DONE, EXIT_STATE


def doctor(
    directory: DirectoryArgument = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """See whether machine and directory are fit for linkd.

    Versions, disk and what a sync takes on it, room, memory, clock, socket, open files, who else can read. Each line says ok, warn or fail, and
    what to do. Exits with 4 if any fails. -q prints what is not ok alone.
    """
    from linkd.app.examination import Verdict, document, examine

    state = place_of(directory, pipeline)
    examined = list(examine(state))
    failed = any(one.verdict is Verdict.FAIL for one in examined)
    if json:
        from linkd.app.cli.terminal import print_json

        print_json(document(examined))
        return EXIT_STATE if failed else EXIT_DONE
    from rich.text import Text

    from linkd.app.cli.terminal import result_console

    console = result_console()
    styles = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}
    for one in examined:
        if quiet and one.verdict is Verdict.OK:
            continue
        console.print(Text.assemble((f"{one.verdict:<5}", styles[one.verdict]), f"{one.name:<11}{one.said}"))
        if one.remedy:
            console.print(f"{'':16}{one.remedy}")
    return EXIT_STATE if failed else EXIT_DONE
