"""`linkd append LINK [FILE|-]`: rows of a file, or of standard input, for a link that is open to outsiders (`in*`)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import ask, find_target
from linkd.app.wording import counted, sequence_text
from linkd.errors import UsageFault

if TYPE_CHECKING:
    from linkd.app.cli.appending import Appended

STANDARD_INPUT = "-"


def append(
    link: Annotated[str, typer.Argument(metavar="LINK", help="A link that is written `LINK*` in the wiring.", show_default=False)],
    file: Annotated[
        str | None, typer.Argument(metavar="FILE|-", help="Where the rows are; else, and with -, standard input.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="csv, jsonl, parquet or arrow; else by name or first bytes. raw: its bytes are a value; file: it is one, or a directory.",
            show_default=False,
        ),
    ] = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Append a file's rows to an open link.

    Columns get the link's types; where it has none yet, those that the whole file suggests, as for a source. All rows are looked at before
    the first is appended: one that does not fit is named with its line, and then none is. Standard input is read to its end first. With
    --format raw or file the file is one value as it is, of any size.
    """
    import os

    from linkd.app.cli.appending import append_file, file_at, spooled
    from linkd.app.cli.moving_progress import moving

    if file is None and sys.stdin.isatty():
        raise UsageFault(f"which rows? linkd append {link} FILE, or send them to standard input")
    target = find_target(pipeline, os.environ)
    if kind == "file" and file in (None, STANDARD_INPUT):
        raise UsageFault(f"which file? linkd append {link} FILE --format file, or --format raw for the bytes of standard input")
    if file in (None, STANDARD_INPUT):
        with spooled(sys.stdin.buffer, kind) as (place, found), moving(quiet=quiet) as progress:
            appended = ask(target, lambda client: append_file(client, link, place, found, progress))
    else:
        with moving(quiet=quiet) as progress:
            appended = ask(target, lambda client: append_file(client, link, file_at(str(file)), kind, progress))
    if json:
        from linkd.app.cli.terminal import print_json

        print_json(document(appended))
    elif not quiet:
        print(said(appended))


def said(appended: Appended) -> str:
    """`1,200 rows appended to events (events@4..5)`."""
    if appended.first is None or appended.last is None:
        return f"no rows: nothing was appended to {appended.link}"
    names = sequence_text(appended.link, appended.first, appended.last)
    return f"{counted(appended.rows, 'row')} appended to {appended.link} ({names})"


def document(appended: Appended) -> dict[str, Any]:
    """The same for programs; `first` and `last` are sequences, null where there were no rows."""
    return {
        "link": appended.link,
        "rows": appended.rows,
        "first": appended.first,
        "last": appended.last,
        "generation": appended.generation,
        "durability": appended.durability,
    }
