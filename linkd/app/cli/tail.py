"""`linkd tail LINK`: the last rows of a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from linkd import limits
from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import Target, ask, has_content, readable_target
from linkd.app.cli.wording import counted, sequence_text
from linkd.errors import LinkNotFound, UsageFault

if TYPE_CHECKING:
    import pyarrow as pa

    from linkd.client.description import GenerationDescription
    from linkd.client.session import Client
    from linkd.client.values import Value

_MORE_VALUES = 8
"""How many times more values are read when those read first held too few rows."""


def tail(
    link: Annotated[str, typer.Argument(metavar="LINK", help="The link to look at.", show_default=False)],
    rows: Annotated[int, typer.Option("-n", "--rows", min=1, help="How many rows.")] = limits.TAIL_ROWS_DEFAULT,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Print the last rows of a link.

    Of its newest complete generation, or of the growing one while none is; oldest first. It holds nothing back, and belongs to no consumer group.
    """
    target = readable_target(pipeline)
    _print(link, ask(target, lambda client: _end_of(client, target, link, rows)), as_json=json, quiet=quiet)


@dataclass(frozen=True, slots=True)
class _End:
    """The last rows of a link, and which values of which generation they are from (all of their rows, or the last of them)."""

    table: pa.Table
    values: list[Value]
    generation: GenerationDescription


async def _end_of(client: Client, target: Target, link: str, rows: int) -> _End:
    found = await client.describe(link)
    generation = found.links[0].read if found.links else None
    if generation is None:
        raise await _nothing(client, target, link)
    values = await _last_values(client, link, generation, rows)
    return _End(_last_rows(values, rows) if values else await client.read(link).to_table(), values, generation)


def _print(link: str, end: _End, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        from linkd.app.cli.terminal import print_bytes
        from linkd.core.rows import batch_to_rows

        print_bytes(batch_to_rows(batch) for batch in end.table.to_batches())
        return
    from linkd.app.cli.tables import print_table
    from linkd.app.cli.terminal import remark, result_console

    hidden = print_table(result_console(), end.table)
    remark(_about(link, end, hidden), quiet=quiet)


async def _last_values(client: Client, link: str, generation: GenerationDescription, rows: int) -> list[Value]:
    """The values at the end of the link that hold its last `rows` rows; all of them if there are no more rows."""
    wanted = values_wanted(rows, generation.values, generation.rows)
    while True:
        values = [value async for value in client.read(link, last_values=wanted)]
        if sum(len(value) for value in values) >= rows or len(values) < wanted:
            break
        wanted *= _MORE_VALUES
    while len(values) > 1 and sum(len(value) for value in values[1:]) >= rows:
        del values[0]
    return values


def values_wanted(rows: int, values_there: int, rows_there: int) -> int:
    """How many values hold `rows` rows if they are all alike, and one more; at least one."""
    if not rows_there:
        return max(1, min(rows, values_there))
    return -(-rows * values_there // rows_there) + (rows_there > values_there)


def _last_rows(values: list[Value], rows: int) -> pa.Table:
    import pyarrow as pa

    # A column of which only nulls had been seen has type null in the earlier values.
    table = pa.concat_tables([value.to_table() for value in values], promote_options="default")
    return table.slice(max(0, table.num_rows - rows))


async def _nothing(client: Client, target: Target, link: str) -> UsageFault:
    """Why a link that is there has nothing to show."""
    found = await client.describe()
    if not has_content(found):
        return UsageFault(target.not_run(found.pipeline))
    return LinkNotFound(f"{link} holds nothing yet: nothing was published to it")


def _about(link: str, end: _End, hidden: int) -> str:
    shown, there = end.table.num_rows, end.generation.rows
    held = f"the last {shown:,} of {there:,} rows" if shown < there else f"all {counted(shown, 'row')}" if shown != 1 else "1 row"
    names = ""
    if end.values:
        names = f", {sequence_text(link, end.values[0].envelope.position.sequence, end.values[-1].envelope.position.sequence)}"
    left_out = f"; {hidden} columns had no room (--json shows all)" if hidden else ""
    return f"{link}: {held}{names}, generation {end.generation.generation}, {end.generation.state}{left_out}"
