"""`linkd tail LINK [-f]`: the last rows of a link, and those that come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from linkd import limits
from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import Target, ask, has_content, readable_target
from linkd.app.wording import counted, sequence_text
from linkd.errors import LinkNotFound, UsageFault
from linkd.model.frozen import frozen

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
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Print the last rows of a link, and with -f what comes.

    Of its newest complete generation, or of the growing one while none is; oldest first. With -f of the newest one, and then whatever becomes
    durable, later generations and runs too. It holds nothing back, and belongs to no consumer group.
    """
    target = readable_target(pipeline)
    if follow:
        from linkd.app.cli.onlooking import while_read

        ask(target, lambda client: while_read(_follow(client, link, rows, _Output(link, as_json=json, quiet=quiet))))
        return
    _print(link, ask(target, lambda client: _end_of(client, target, link, rows)), as_json=json, quiet=quiet)


class _Output:
    """Where values go as they come. On a terminal only the last rows of each: nobody reads more, and a scroll buffer would hold nothing else."""

    def __init__(self, link: str, *, as_json: bool, quiet: bool) -> None:
        from linkd.app.cli.tables import RollingTable
        from linkd.app.cli.terminal import is_terminal, result_console

        console = result_console()
        self._link = link
        self._rolling = None if as_json else RollingTable(console)
        self._limit = limits.RESULT_ROWS_SHOWN_MAX if is_terminal(console) and not as_json else None
        self._quiet = quiet
        self._generation = 0

    def print(self, table: pa.Table) -> None:
        if self._rolling is None:
            _print_json(table)
            return
        hidden = 0 if self._limit is None else max(table.num_rows - self._limit, 0)
        if hidden:
            self.remark(f"… {counted(hidden, 'row')}")
        self._rolling.print(table.slice(hidden))

    def begin(self, generation: int) -> None:
        """What comes from here on is of this generation."""
        if self._generation and generation != self._generation:
            self.remark(f"{self._link}: generation {generation}")
        self._generation = generation

    def remark(self, text: str) -> None:
        from linkd.app.cli.terminal import remark

        remark(text, quiet=self._quiet)


async def _follow(client: Client, link: str, rows: int, output: _Output) -> None:
    [found] = (await client.describe(link)).links
    newest = found.current if found.current is not None and found.current.state != "abandoned" else found.read
    first: int | None = None
    if newest is not None and newest.values:
        values = await _last_values(client, link, newest, rows)
        if values:
            output.begin(newest.generation)
            output.print(_last_rows(values, rows))
            first = values[-1].envelope.position.sequence + 1
    else:
        output.remark(f"{link} holds nothing yet: what comes is shown, Ctrl-C ends")
    async for value in client.read(link, generation=newest.generation if newest is not None else None, first=first, follow=True):
        output.begin(value.envelope.generation)
        output.print(value.to_table())


@frozen()
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
        _print_json(end.table)
        return
    from linkd.app.cli.tables import print_table
    from linkd.app.cli.terminal import remark, result_console

    hidden = print_table(result_console(), end.table)
    remark(_about(link, end, hidden), quiet=quiet)


def _print_json(table: pa.Table) -> None:
    from linkd.app.cli.terminal import print_bytes
    from linkd.core.rows import batch_to_rows

    print_bytes(batch_to_rows(batch) for batch in table.to_batches())


async def _last_values(client: Client, link: str, generation: GenerationDescription, rows: int) -> list[Value]:
    """The values at the end of the link that hold its last `rows` rows; all of them if there are no more rows."""
    wanted = values_wanted(rows, generation.values, generation.rows)
    while True:
        values = [value async for value in client.read(link, generation=generation.generation, last_values=wanted)]
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
    from linkd.core.evolution import together

    table = together([value.to_table() for value in values], link=values[0].envelope.link)
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
