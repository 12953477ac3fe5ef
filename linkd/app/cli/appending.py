"""The rows of a file, checked and then published to a link, value by value. Importing this module imports pyarrow.

A file is read as a source reads it, twice: first to see that every row fits, then to publish what was seen, in values of at most
`limits.ROWS_PER_VALUE` rows. Standard input is put into a private file first, so that the same holds for it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from linkd import limits
from linkd.app.cli.contents import CONTENT_FORMATS, append_content
from linkd.app.wording import counted, sequence_text
from linkd.core.rights import OUTSIDER, Rights
from linkd.errors import BadRow, Error, InvalidArgument, SchemaMismatch
from linkd.model.frozen import frozen
from linkd.plugin.column_types import declared_words
from linkd.plugin.contract import REJECT, LinkOptions, Source, Survey
from linkd.plugin.registry import installed_adapters

if TYPE_CHECKING:
    from linkd.app.cli.moving_progress import Moving
    from linkd.client.description import LinkDescription
    from linkd.client.publishing import Ack
    from linkd.client.session import Client

SHOWN_INPUT = "standard input"
_MAGIC = ((b"PAR1", "parquet"), (b"\xff\xff\xff\xff", "arrow"), (b"ARROW1", "arrow"), (b"{", "jsonl"))
"""First bytes that tell a format; everything else is CSV."""


@frozen()
class RowsPlace:
    """A file by the name a person knows it by, and the directory that this is relative to."""

    shown: str
    base: Path


@frozen()
class Appended:
    """What a link has got: values `first` to `last`, None where there were no rows."""

    link: str
    rows: int = 0
    first: int | None = None
    last: int | None = None
    generation: int | None = None
    durability: str = ""

    def and_then(self, ack: Ack) -> Appended:
        first = ack.first.sequence if self.first is None else self.first
        return Appended(self.link, self.rows + ack.rows, first, ack.last.sequence, ack.generation, str(ack.durability))


def file_at(name: str) -> RowsPlace:
    """A file named on the command line."""
    return RowsPlace(name, Path.cwd())


@contextmanager
def spooled(stream: BinaryIO, kind: str | None) -> Iterator[tuple[RowsPlace, str]]:
    """All of a stream as a file for as long as the block lasts, and its format: as said, else by its first bytes."""
    with tempfile.TemporaryDirectory(prefix="linkd-append-") as directory:
        path = Path(directory, SHOWN_INPUT)
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, limits.MIB)
        with path.open("rb") as file:
            begin = file.read(max(len(magic) for magic, _ in _MAGIC)).lstrip()
        found = next((known for magic, known in _MAGIC if begin.startswith(magic)), "csv")
        yield RowsPlace(SHOWN_INPUT, Path(directory)), kind or found


async def append_file(client: Client, link: str, place: RowsPlace, kind: str | None, progress: Moving) -> Appended:
    """Checks all rows, then publishes them; `progress` is told of both. What is no rows, but bytes or a file, is published as it is.

    Raises NotAllowed, LinkNotFound, BadRow, SchemaMismatch, and what the home refuses. Where it ends in the middle, the message says what was
    appended by then.
    """
    if kind in CONTENT_FORMATS:
        progress.begin(f"appending {place.shown} to {link}", None)
        return Appended(link).and_then(await append_content(client, link, place.base / place.shown, str(kind)))
    described = await client.describe(link)
    info = described.links[0] if described.links else None
    if not (described.open or (info is not None and info.open)):
        Rights({}, frozenset()).publish(OUTSIDER, link, source=False)
    source = _source(link, place, kind, info)
    progress.begin(f"looking at {place.shown}", None)
    try:
        survey = await source.survey()
    except SchemaMismatch as error:
        raise SchemaMismatch(f"{error} (as {link} has them); nothing was appended") from error
    progress.begin(f"looking at {place.shown}", survey.rows)
    rows = await _check(source, survey, place.shown, progress)
    progress.begin(f"appending to {link}", rows)
    appended = Appended(link)
    try:
        async with aclosing(source.read(survey, None)) as batches:
            async for batch in batches:
                if batch.data.num_rows:
                    appended = appended.and_then(await client.publish(link, batch.data, attributes=batch.attributes))
                    progress.moved(batch.data.num_rows, batch.data.num_rows, batch.data.nbytes)
    except Error as error:
        raise type(error)(f"{error}{_so_far(appended)}") from error
    return appended


def _source(link: str, place: RowsPlace, kind: str | None, info: LinkDescription | None) -> Source:
    adapter = installed_adapters().serving(place.shown)
    if kind is not None and kind not in adapter.formats:
        raise InvalidArgument(f"`{kind}` is no format to append from; formats are {', '.join(adapter.formats)}")
    schema = declared_words(info.schema) if info is not None else None
    return adapter.source(LinkOptions(link, place.shown, place.base, kind, schema=schema, on_bad_row=REJECT))


async def _check(source: Source, survey: Survey, shown: str, progress: Moving) -> int:
    """How many rows there are. Raises BadRow, naming the first row that does not fit, and how many do not."""
    async with aclosing(source.read(survey, None)) as batches:
        first = None
        rejected = rows = 0
        async for batch in batches:
            if first is None and batch.rejects is not None:
                first = batch.rejects.slice(0, 1).to_pylist()[0]
            progress.moved(batch.rows_read - rows, batch.rows_read - rows, batch.data.nbytes)
            rejected, rows = batch.rows_rejected, batch.rows_read
    if first is not None:
        column = f"column {first['column']}: " if first["column"] else ""
        others = f"; {rejected:,} of {counted(rows, 'row')} do not fit" if rejected > 1 else ""
        raise BadRow(f"{shown}:{first['line']}: {column}{first['reason']}{others}; nothing was appended: correct the file and try again")
    return rows


def _so_far(appended: Appended) -> str:
    if appended.first is None or appended.last is None:
        return "\n  nothing was appended"
    names = sequence_text(appended.link, appended.first, appended.last)
    return f"\n  {counted(appended.rows, 'row')} had been appended by then ({names}): append only the others"
