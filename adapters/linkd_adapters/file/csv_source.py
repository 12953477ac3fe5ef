"""CSV files as a source.

The survey reads the file once, in blocks, to find types and digest; reading reads it again. Empty fields, quoted or not, are null, and so
is every text in `nulls:`, in columns of any type. A UTF-8 byte order mark is skipped, empty lines are no rows. With a declared `schema:`
the survey only hashes: whether rows fit shows when they are read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing

import pyarrow as pa

from linkd.errors import DataFault, InternalFault, SourceChanged
from linkd.plugin.column_types import declared_types
from linkd.plugin.contract import STOP, LinkOptions, Source, SourceBatch, Survey
from linkd_adapters.file.columns import declared_schema
from linkd_adapters.file.csv_batches import cut, source_batch
from linkd_adapters.file.csv_blocks import Block, blocks, read_header
from linkd_adapters.file.csv_inference import Guess, Kind, breaker, widened
from linkd_adapters.file.csv_rows import Layout, Rows, fitted, text_rows
from linkd_adapters.file.location import FileLocation
from linkd_adapters.file.position import FilePosition, position_in
from linkd_adapters.file.rejects import bad_row
from linkd_adapters.file.steps import steps
from linkd_adapters.file.stored import StoredFile


class CsvSource(Source):
    """See the module."""

    def __init__(self, options: LinkOptions, location: FileLocation) -> None:
        self._options = options
        self._location = location

    async def survey(self) -> Survey:
        async with aclosing(steps(self._survey())) as found:
            async for step in found:
                if step is not None:
                    return step
        raise InternalFault(f"{self._location.shown}: the survey ended without a result; please report this")

    def read(self, survey: Survey, position: bytes | None) -> AsyncGenerator[SourceBatch, None]:
        return steps(self._batches(survey, position))

    def _survey(self) -> Generator[Survey | None, None, None]:
        """Blocks of work, and the survey at the end."""
        with StoredFile.open(self._location) as stored:
            header, following = read_header(stored.content(), self._location.shown)
            declared = declared_types(self._options)
            if declared is not None:
                schema = declared_schema(declared, header.names, self._location.shown)
                yield Survey(stored.digest(), schema, None, (), stored.stat)
                return
            inference = Inference(header.names)
            layout = Layout(header.names, self._options.nulls)
            for block in following:
                rows = text_rows(block, layout)
                self._require_fit(rows)
                inference.take(rows)
                yield None
            yield Survey(stored.digest(), inference.schema, inference.rows, inference.notes, stored.stat)

    def _batches(self, survey: Survey, position: bytes | None) -> Generator[SourceBatch, None, None]:
        shown = self._location.shown
        with StoredFile.open(self._location) as stored:
            stored.require_unchanged_so_far(survey)
            before, following = self._from(stored, survey, position)
            try:
                for batch, final in cut(self._fitted(following, survey.schema)):
                    for rows in batch:
                        self._require_fit(rows)
                    if final:
                        stored.require_unchanged(survey)
                    made, before = source_batch(batch, final, survey.schema, shown, before)
                    yield made
            except SourceChanged:
                raise
            except DataFault:
                # A file that changed under us looks damaged or ill-fitting; what the person needs to know is that it changed.
                stored.require_unchanged(survey)
                raise

    def _from(self, stored: StoredFile, survey: Survey, position: bytes | None) -> tuple[FilePosition, Iterator[Block]]:
        content = stored.content()
        if position is None:
            header, following = read_header(content, self._location.shown)
            return FilePosition(survey.digest, 0, 0, header.offset, header.line), following
        start = position_in(self._location.shown, survey.digest, position)
        content.skip(start.offset)
        return start, blocks(content.read, self._location.shown, start.line, start.offset)

    def _fitted(self, following: Iterator[Block], schema: pa.Schema) -> Iterator[Rows]:
        layout = Layout(tuple(schema.names), self._options.nulls)
        for block in following:
            yield fitted(text_rows(block, layout), schema)

    def _require_fit(self, rows: Rows) -> None:
        if rows.rejects and self._options.on_bad_row == STOP:
            raise bad_row(self._location.shown, self._options.link, rows.rejects[0])


class Inference:
    """What a survey has learned of the columns."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._guesses = {name: Guess() for name in names}
        self._notes: dict[str, str] = {}
        self.rows = 0

    def take(self, rows: Rows) -> None:
        self.rows += rows.count
        for place, (name, guess) in enumerate(self._guesses.items()):
            texts = rows.data.column(place)
            wider = widened(guess, texts)
            if wider is guess:
                continue
            self._guesses[name] = wider
            if wider.kind is Kind.STRING and (found := breaker(guess, texts)) is not None:
                line = rows.line_of(found.index)
                self._notes[name] = f"column {name} is string because of line {line:,}: {found.reason}"

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(name, guess.type) for name, guess in self._guesses.items()])

    @property
    def notes(self) -> tuple[str, ...]:
        unheld = {
            name: f"column {name} is string: its times need nanoseconds, which end in 1677 and 2262, and one lies beyond"
            for name, guess in self._guesses.items()
            if guess.kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_UTC) and not guess.is_time_held
        }
        said = self._notes | unheld
        return tuple(said[name] for name in self._guesses if name in said)
