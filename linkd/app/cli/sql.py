"""`linkd sql "SELECT ..."`: one question to the links."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from linkd import limits
from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import ask, readable_target
from linkd.app.cli.wording import counted
from linkd.errors import QueryInvalid, UsageFault

if TYPE_CHECKING:
    import pyarrow as pa


def sql(
    statement: Annotated[
        str | None,
        typer.Argument(metavar="SELECT", help="One SELECT over links, in quotes.", show_default=False),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option("-n", "--rows", min=1, help=f"Print at most so many rows; {limits.RESULT_ROWS_SHOWN_MAX} on a terminal, else all."),
    ] = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Ask the links one SELECT.

    A link is a table of its newest complete generation. With --json one JSON object a row.
    """
    if statement is None or not statement.strip():
        raise UsageFault(
            'which statement? linkd sql "SELECT ..."\n'
            "  this version answers one statement; a prompt for many comes later. `linkd ls` shows the links it may read"
        )
    began_s = time.monotonic()
    table = ask(readable_target(pipeline), lambda client: client.query(statement).to_table())
    took_s = time.monotonic() - began_s if verbose else None
    _print(table, rows, as_json=json, quiet=quiet, took_s=took_s)


def _print(table: pa.Table, rows: int | None, *, as_json: bool, quiet: bool, took_s: float | None) -> None:
    if as_json:
        from linkd.app.cli.terminal import print_bytes
        from linkd.core.rows import batch_to_rows

        _check_names(table.schema.names)
        print_bytes(batch_to_rows(batch) for batch in table.slice(0, rows).to_batches())
        return
    from linkd.app.cli.tables import print_table
    from linkd.app.cli.terminal import is_terminal, remark, result_console

    console = result_console()
    limit = rows if rows is not None or not is_terminal(console) else limits.RESULT_ROWS_SHOWN_MAX
    hidden = print_table(console, table, limit)
    remark(_about(table, limit, hidden) + ("" if took_s is None else f" in {took_s:.2f} s"), quiet=quiet)


def _check_names(names: list[str]) -> None:
    """An object of JSON has each name once; a table may have it twice."""
    repeated = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if repeated is not None:
        raise QueryInvalid(f"two columns of the result are called `{repeated}`, which JSON cannot tell apart: name them apart with AS")


def _about(table: pa.Table, limit: int | None, hidden: int) -> str:
    total = table.num_rows
    said = counted(total, "row")
    if limit is not None and total > limit:
        said = f"the first {limit:,} of {said} (-n {total} prints all)"
    return f"{said}; {hidden} columns had no room (--json shows all)" if hidden else said
