"""A table or a query as a source that is read as a whole.

The survey reads all rows once for their digest, and keeps its session: what is read behind it is the same snapshot of the database, however
long that takes and whatever others do to it. After a kill another snapshot is read, and its digest tells whether it is the same content, in
the same order; then reading goes on behind the rows that were published. A query without ORDER BY may come in another order, and is then
read anew. The position is compact JSON: `digest`, that of the survey, and `row`, how many rows were read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Iterator

import pyarrow as pa

from linkd.errors import SourceChanged, StateDamaged
from linkd.limits import FOLLOW_SCAN_SHARE, ROWS_PER_VALUE
from linkd.plugin.contract import LinkOptions, Source, SourceBatch, SourceStat, Survey
from linkd_adapters.sql.content import ContentDigest, cut
from linkd_adapters.sql.database import Database, Session
from linkd_adapters.sql.fitting import as_declared
from linkd_adapters.sql.location import SqlLocation
from linkd_adapters.sql.relation import Relation, look
from linkd_adapters.steps import in_thread, result, steps


class WholeSource(Source):
    """See the module."""

    def __init__(self, options: LinkOptions, location: SqlLocation, database: Database, rows_per_batch: int = ROWS_PER_VALUE) -> None:
        self._rows_per_batch = rows_per_batch
        self._options = options
        self._location = location
        self._database = database
        self._kept: tuple[str, Session] | None = None

    async def stat(self) -> SourceStat:
        await in_thread(self._look)
        return SourceStat()

    async def digest(self) -> str:
        survey = await self.survey()
        await self.close()
        return survey.digest

    async def survey(self) -> Survey:
        return await result(self._survey(), self._location.shown)

    def read(self, survey: Survey, position: bytes | None) -> AsyncGenerator[SourceBatch, None]:
        return steps(self._batches(survey, position))

    async def changed(self, stat: SourceStat, digest: str) -> str:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if await self.digest() != digest:
                return f"{self._location.shown} changed"
            await asyncio.sleep(max(self._options.every_s, (loop.time() - began) / FOLLOW_SCAN_SHARE))

    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await in_thread(kept[1].close)

    def _look(self) -> None:
        session = self._database.connect(self._location, reading=True)
        try:
            look(session, self._options, self._location)
        finally:
            session.close()

    def _snapshot(self) -> Session:
        session = self._database.connect(self._location, reading=True)
        try:
            session.begin(reading=True)
        except BaseException:
            session.close()
            raise
        return session

    def _survey(self) -> Generator[Survey | None, None, None]:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[1].close()
        session = self._snapshot()
        try:
            relation = look(session, self._options, self._location)
            digest, rows = ContentDigest(relation.schema), 0
            for batch, _ in self._content(session, relation):
                digest.take(batch)
                rows += batch.num_rows
                yield None
        except BaseException:
            session.close()
            raise
        self._kept = (digest.text, session)
        yield Survey(digest.text, relation.schema, rows, (), SourceStat())

    def _content(self, session: Session, relation: Relation) -> Iterator[tuple[pa.RecordBatch, bool]]:
        def batches() -> Iterator[pa.RecordBatch]:
            row = 0
            for batch in session.read(relation.columns, f"FROM {relation.text}"):
                yield as_declared(batch, relation.schema, self._location.shown, row)
                row += batch.num_rows

        return cut(batches(), relation.schema, rows_max=self._rows_per_batch)

    def _batches(self, survey: Survey, position: bytes | None) -> Generator[SourceBatch, None, None]:
        skipped = self._row(survey, position)
        session = self._taken(survey)
        try:
            relation = look(session, self._options, self._location)
            digest, row = ContentDigest(relation.schema), 0
            for batch, is_last in self._content(session, relation):
                digest.take(batch)
                first, row = row, row + batch.num_rows
                if is_last and digest.text != survey.digest:
                    raise self._changed()
                if row > skipped or is_last:
                    read = batch.slice(max(0, skipped - first))
                    where = {"first_row": str(max(first, skipped) + 1), "last_row": str(row)} if read.num_rows else {}
                    told = json.dumps({"digest": survey.digest, "row": row}, separators=(",", ":")).encode()
                    yield SourceBatch(read, None, told, row, 0, is_last, {"table": self._named(), **where})
        finally:
            session.close()

    def _row(self, survey: Survey, position: bytes | None) -> int:
        if position is None:
            return 0
        try:
            told = json.loads(position)
            digest, row = str(told["digest"]), int(told["row"])
        except (ValueError, KeyError, TypeError) as error:
            raise StateDamaged(
                f"{self._location.shown}: the position kept for this source cannot be read; remove the directory of this pipeline under "
                ".linkd to start over"
            ) from error
        if digest != survey.digest:
            raise self._changed()
        return row

    def _taken(self, survey: Survey) -> Session:
        """The snapshot that was surveyed, or one as it is now."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == survey.digest:
            return kept[1]
        if kept is not None:
            kept[1].close()
        return self._snapshot()

    def _changed(self) -> SourceChanged:
        return SourceChanged(
            f"{self._location.shown} does not hold what was read before, or gives it in another order; run again to read it anew"
        )

    def _named(self) -> str:
        return self._location.table.shown if self._location.table is not None else "query"
