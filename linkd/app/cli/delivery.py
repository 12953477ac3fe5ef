"""Where `cat` and `sql` put rows as they come: standard output in a format, or a file by the adapter that serves its place.

A file is made by a sink, as links with `to:` have them: written aside, put in its place when all is there, and not at all if anything fails.
Importing this module imports pyarrow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from linkd.app.cli.encoders import BINARY, CSV, FORMATS, JSONL, OutputPipe, encoder
from linkd.app.wording import counted, size_text
from linkd.client.loop_thread import LOOP_THREAD
from linkd.core.diagnostics import with_suggestion
from linkd.errors import UsageFault

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from linkd.plugin.contract import Sink

STANDARD_OUTPUT = "-"
_DIGEST_SHOWN_CHARS = 8


@dataclass(frozen=True, slots=True)
class Destination:
    """A kind of file (None: what the name of the file says, else CSV), and a file (None: standard output)."""

    kind: str | None = None
    file: str | None = None

    @staticmethod
    def of(kind: str | None, output: str | None, *, as_json: bool) -> Destination:
        """What the options say. Raises UsageFault for what cannot be meant."""
        if as_json and kind not in (None, JSONL):
            raise UsageFault(f"--json is --format {JSONL}: leave one of --json and --format {kind} away")
        if kind is not None and kind not in FORMATS:
            raise UsageFault(f"{with_suggestion(f'`{kind}` is no format', kind, FORMATS)} (formats are {', '.join(FORMATS)})")
        file = None if output == STANDARD_OUTPUT else output
        made = Destination(JSONL if as_json else kind, file)
        if file is None and made.kind in BINARY and sys.stdout.isatty():
            raise UsageFault(f"{made.kind} is not for a terminal: name a file with -o, or send it on with `>` or `|`")
        return made


@dataclass(frozen=True, slots=True)
class Delivered:
    """How many rows went where; `made` says of a file what it is now."""

    rows: int
    made: str = ""


def deliver(reader: pa.RecordBatchReader, destination: Destination, shown: str, values: int | None = None, *, quiet: bool) -> Delivered:
    """Writes all rows; `shown` names them in errors, `values` says how many batches there are, if that is known.

    Raises BrokenPipeError, SchemaMismatch, and what the reader raises.
    """
    with _progress(destination, values, quiet=quiet) as advance:
        if destination.file is not None:
            return _to_file(reader, destination.file, destination.kind, shown, advance)
        return Delivered(_to_standard_output(reader, destination.kind or CSV, shown, advance))


@dataclass(frozen=True, slots=True)
class _Advance:
    """Tells of each batch that was written, where somebody looks."""

    progress: Progress | None = None
    task: TaskID | None = None

    def __call__(self, rows: int) -> None:
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, advance=1, rows=counted(rows, "row"))


def _to_standard_output(reader: pa.RecordBatchReader, kind: str, shown: str, advance: _Advance) -> int:
    sys.stdout.flush()
    pipe = OutputPipe(sys.stdout.buffer, harmless=sys.stdout.isatty())
    written = encoder(kind, reader.schema, pipe, shown)
    rows = 0
    for batch in reader:
        written.write(batch)
        rows += batch.num_rows
        advance(rows)
    written.end()
    pipe.flush()
    return rows


def _to_file(reader: pa.RecordBatchReader, file: str, kind: str | None, shown: str, advance: _Advance) -> Delivered:
    sink = _sink(file, kind, shown)
    rows = 0
    try:
        LOOP_THREAD.run(sink.begin, reader.schema)
        for batch in reader:
            LOOP_THREAD.run(sink.write, batch)
            rows += batch.num_rows
            advance(rows)
        made = LOOP_THREAD.run(sink.finish)
    finally:
        LOOP_THREAD.run(sink.abort)
    return Delivered(rows, f"{counted(rows, 'row')} in {file} ({size_text(made.size_bytes)}, blake3 {made.digest[:_DIGEST_SHOWN_CHARS]})")


def _sink(file: str, kind: str | None, shown: str) -> Sink:
    from linkd.plugin.contract import LinkOptions
    from linkd.plugin.registry import installed_adapters

    # Whoever names a file with -o wants that file, whatever is there.
    options = LinkOptions(link=shown, location=file, base=Path.cwd(), format=kind, overwrite=True)
    return installed_adapters().serving(file).sink(options)


@contextmanager
def _progress(destination: Destination, values: int | None, *, quiet: bool) -> Iterator[_Advance]:
    """A bar on standard error, if a person looks there and does not look at the rows themselves."""
    if quiet or not sys.stderr.isatty() or (destination.file is None and sys.stdout.isatty()):
        yield _Advance()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.fields[rows]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Advance(progress, progress.add_task("", total=values, rows=counted(0, "row")))
