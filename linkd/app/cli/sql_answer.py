"""A statement asked and its answer printed: as a table, or in a format. Importing this module imports pyarrow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from linkd import limits
from linkd.app.cli.delivery import Destination, deliver
from linkd.app.wording import counted
from linkd.core.sql_text import is_insert
from linkd.model.frozen import frozen

if TYPE_CHECKING:
    from linkd.client.sync import Client

RESULT = "the result"


@frozen()
class Presentation:
    """How answers are shown: as tables, unless there is a `destination`; at most `rows` rows; and whether it is told how long they took."""

    destination: Destination | None = None
    rows: int | None = None
    quiet: bool = False
    timing: bool = False


def answer(client: Client, statement: str, presentation: Presentation) -> None:
    """Asks one SELECT and prints what comes, or runs an INSERT. Memory holds what is shown and no more. Raises QueryInvalid, BrokenPipeError."""
    from linkd.app.cli.terminal import remark

    began_s = time.monotonic()
    if is_insert(statement):
        rows = client.execute(statement)
        took = f" in {time.monotonic() - began_s:.2f} s" if presentation.timing else ""
        remark(f"inserted {counted(rows, 'row')}{took}", quiet=presentation.quiet)
        return
    reader = client.query(statement).to_reader()
    if presentation.destination is None:
        said = _print_table(reader, presentation.rows)
    else:
        delivered = deliver(_first(reader, presentation.rows), presentation.destination, RESULT, quiet=presentation.quiet)
        said = delivered.made
    took = f" in {time.monotonic() - began_s:.2f} s" if presentation.timing else ""
    if said or took:
        remark((said or RESULT) + took, quiet=presentation.quiet)


def _print_table(reader: pa.RecordBatchReader, rows: int | None) -> str:
    """Prints the first rows, and says how many there are."""
    from linkd.app.cli.tables import print_table
    from linkd.app.cli.terminal import is_terminal, result_console

    console = result_console()
    limit = rows if rows is not None or not is_terminal(console) else limits.RESULT_ROWS_SHOWN_MAX
    shown: list[pa.RecordBatch] = []
    total = 0
    for batch in reader:
        room = batch.num_rows if limit is None else limit - total
        if room > 0:
            shown.append(batch.slice(0, room))
        total += batch.num_rows
    hidden = print_table(console, pa.Table.from_batches(shown, schema=reader.schema), limit)
    said = counted(total, "row")
    if limit is not None and total > limit:
        said = f"the first {limit:,} of {said} (-n {total} prints all)"
    return f"{said}; {hidden} columns had no room (--json shows all)" if hidden else said


def _first(reader: pa.RecordBatchReader, rows: int | None) -> pa.RecordBatchReader:
    if rows is None:
        return reader
    return pa.RecordBatchReader.from_batches(reader.schema, _sliced(reader, rows))


def _sliced(reader: pa.RecordBatchReader, rows: int) -> Iterator[pa.RecordBatch]:
    left = rows
    for batch in reader:
        yield batch.slice(0, left)
        left -= batch.num_rows
        if left <= 0:
            return
