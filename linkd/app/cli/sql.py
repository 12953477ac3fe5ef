"""`linkd sql ["SELECT ..."]`: one question to the links, one after the other from standard input, or a prompt."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkd import limits
from linkd.app.cli.options import FormatOption, JsonOption, OutputOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import Target, readable_target
from linkd.errors import Error, UsageFault

if TYPE_CHECKING:
    from linkd.app.cli.sql_answer import Presentation
    from linkd.client.sync import Client


def sql(
    statement: Annotated[
        str | None,
        typer.Argument(metavar="SELECT", help="One statement over links, in quotes; else they are asked for.", show_default=False),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option("-n", "--rows", min=1, help=f"Print at most so many rows; {limits.RESULT_ROWS_SHOWN_MAX} on a terminal, else all."),
    ] = None,
    kind: FormatOption = None,
    output: OutputOption = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Ask the links one SELECT, or INSERT INTO a link.

    A link is a table of its newest complete generation; link('name') is its history. Rows go into links that are open (`name*`). Without a
    statement there is a prompt, with history and completion; or statements are read from standard input, each ended by `;`, until one
    fails. Tables are printed, unless --format, -o or --json says else.
    """
    from linkd.app.cli.delivery import Destination
    from linkd.app.cli.sql_answer import Presentation, answer

    at_prompt = statement is None and sys.stdin.isatty()
    if (statement is not None and not statement.strip()) or (at_prompt and not sys.stdout.isatty()):
        raise UsageFault('which statement? linkd sql "SELECT ..."; on a terminal, and without one, there is a prompt')
    formatted = json or kind is not None or output is not None
    if at_prompt and output is not None:
        raise UsageFault(f'-o {output} holds the rows of one statement: linkd sql "SELECT ..." -o {output}')
    destination = Destination.of(kind, output, as_json=json) if formatted else None
    presentation = Presentation(destination, rows, quiet=quiet, timing=verbose)
    target = readable_target(pipeline)
    with _connected(target) as client:
        if statement is not None:
            answer(client, statement, presentation)
        elif at_prompt:
            _converse(client, presentation)
        else:
            _answer_input(client, presentation)


def _connected(target: Target) -> Client:
    from linkd.client.sync import connect

    return connect(target.reachable())


def _converse(client: Client, presentation: Presentation) -> None:
    from linkd.app.cli.sql_history import SqlHistory, history_path
    from linkd.app.cli.sql_prompt import converse

    converse(client, presentation, SqlHistory(history_path(os.environ, Path.home())))


def _answer_input(client: Client, presentation: Presentation) -> None:
    """Answers the statements on standard input as they come. Raises what the first that fails met, with its line."""
    from linkd.app.cli.sql_answer import answer
    from linkd.core.sql_text import SqlStatement, StatementCutter

    cutter = StatementCutter()
    asked = 0

    def answer_all(statements: list[SqlStatement]) -> None:
        nonlocal asked
        for each in statements:
            asked += 1
            if asked > 1 and presentation.destination is not None and presentation.destination.file is not None:
                raise UsageFault(
                    f"line {each.line}: {presentation.destination.file} holds the rows of one statement, and this is the second"
                )
            try:
                answer(client, each.text, presentation)
            except Error as error:
                raise type(error)(f"line {each.line}: {error}") from None

    for line in sys.stdin:
        answer_all(cutter.feed(line))
    answer_all(cutter.rest())
    if not asked:
        raise UsageFault('which statement? linkd sql "SELECT ...", or statements on standard input, each ended by `;`')
