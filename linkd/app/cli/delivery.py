"""Where `cat` and `sql` put rows as they come: standard output in a format, or a file by the adapter that serves its place.

A file is made by a sink, as links with `to:` have them: written aside, put in its place when all is there, and not at all if anything fails.
Importing this module imports pyarrow.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from linkd.app.cli.encoders import BINARY, CSV, FORMATS, JSONL, OutputPipe, encoder
from linkd.app.cli.moving_progress import Moving, moving
from linkd.app.wording import counted, size_text
from linkd.client.loop_thread import LOOP_THREAD
from linkd.core.diagnostics import with_suggestion
from linkd.errors import UsageFault
from linkd.model.frozen import frozen

if TYPE_CHECKING:
    from linkd.plugin.contract import Sink

STANDARD_OUTPUT = "-"
_DIGEST_SHOWN_CHARS = 8


@frozen()
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


@frozen()
class Delivered:
    """How many rows went where; `made` says of a file what it is now."""

    rows: int
    made: str = ""


def deliver(reader: pa.RecordBatchReader, destination: Destination, shown: str, values: int | None = None, *, quiet: bool) -> Delivered:
    """Writes all rows; `shown` names them in errors, `values` says how many batches there are, if that is known.

    Raises BrokenPipeError, SchemaMismatch, and what the reader raises.
    """
    with moving(quiet=quiet, shares_terminal=destination.file is None and sys.stdout.isatty()) as progress:
        progress.begin(shown, values)
        if destination.file is not None:
            return _to_file(reader, destination.file, destination.kind, shown, progress)
        return Delivered(_to_standard_output(reader, destination.kind or CSV, shown, progress))


def _to_standard_output(reader: pa.RecordBatchReader, kind: str, shown: str, progress: Moving) -> int:
    sys.stdout.flush()
    pipe = OutputPipe(sys.stdout.buffer, harmless=sys.stdout.isatty())
    written = encoder(kind, reader.schema, pipe, shown)
    rows = 0
    for batch in reader:
        written.write(batch)
        rows += batch.num_rows
        progress.moved(1, batch.num_rows, batch.nbytes)
    written.end()
    pipe.flush()
    return rows


def _to_file(reader: pa.RecordBatchReader, file: str, kind: str | None, shown: str, progress: Moving) -> Delivered:
    sink = _sink(file, kind, shown)
    rows = 0
    try:
        LOOP_THREAD.run(sink.begin, reader.schema)
        for batch in reader:
            LOOP_THREAD.run(sink.write, batch)
            rows += batch.num_rows
            progress.moved(1, batch.num_rows, batch.nbytes)
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
