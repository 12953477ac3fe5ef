"""A table or a query as a source that is read by its key: rows behind the last one that was read, in the order of the key.

Nothing is ever read twice, so a row that is changed in place is not seen again, and one that is added must have a larger key than all before
it: a sequence's number, a time of insertion with a number behind it. A survey asks for the largest key only. Its digest is made of that key: the
source has more exactly if it has another one.

Keys are drawn before they are committed, so the largest one that can be seen may be there before smaller ones are. PostgreSQL tells who is
writing to a table: those who are when the largest key has been taken are waited for, at most `SQL_SETTLE_S`, and then the table is read up to
that key, for whoever begins later draws a larger one. (This holds for keys that are drawn by the insert itself, as those of a sequence that
caches none, and not for a time that a transaction took before its first insert.) Of a query nobody can tell who writes to what is behind it.
The position is that of `cursor`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing, closing
from dataclasses import replace

import pyarrow as pa

from linkd.errors import DataFault, InvalidArgument, PlaceAway
from linkd.limits import ROWS_PER_VALUE, SQL_SETTLE_INTERVAL_S, SQL_SETTLE_S
from linkd.plugin.contract import LinkOptions, Source, SourceBatch, SourceStat, Survey
from linkd_adapters.sql.content import cut, name_digest
from linkd_adapters.sql.cursor import Cursor, decoded, key_texts, require_key, require_unique, window
from linkd_adapters.sql.database import Database, Session
from linkd_adapters.sql.fitting import as_declared
from linkd_adapters.sql.location import SqlLocation, Table, quoted
from linkd_adapters.sql.relation import Relation, look
from linkd_adapters.steps import in_thread, steps


class IncrementalSource(Source):
    """See the module."""

    def __init__(
        self,
        options: LinkOptions,
        location: SqlLocation,
        database: Database,
        rows_per_batch: int = ROWS_PER_VALUE,
        settle_s: float = SQL_SETTLE_S,
    ) -> None:
        self._rows_per_batch = rows_per_batch
        self._settle_s = settle_s
        self._options = options
        self._location = location
        self._database = database
        self._bounds: dict[str, tuple[str, ...]] = {}

    async def stat(self) -> SourceStat:
        await in_thread(self._surveyed)
        return SourceStat()

    async def digest(self) -> str:
        return (await self.survey()).digest

    async def survey(self) -> Survey:
        return await in_thread(self._surveyed)

    def read(self, survey: Survey, position: bytes | None) -> AsyncGenerator[SourceBatch, None]:
        return steps(self._finite(survey, position))

    @property
    def can_follow(self) -> bool:
        return True

    @property
    def only_grows(self) -> bool:
        return True

    async def exists(self) -> bool:
        try:
            await self.survey()
        except InvalidArgument:
            return False
        return True

    async def appeared(self) -> None:
        while True:
            if await self.exists():
                return
            await asyncio.sleep(self._options.every_s)

    async def begins_with(self, position: bytes) -> bool:
        return decoded(position, self._location.shown).key == self._options.key

    async def follow(self, survey: Survey, position: bytes | None, stopping: asyncio.Event) -> AsyncGenerator[SourceBatch, None]:
        loop = asyncio.get_running_loop()
        cursor = self._cursor(position)
        while not stopping.is_set():
            began = loop.time()
            found = await self.survey()
            async with aclosing(steps(self._batches(found, cursor))) as batches:
                async for batch in batches:
                    cursor = decoded(batch.position, self._location.shown)
                    if batch.data.num_rows:
                        yield replace(batch, final=False)
                    if stopping.is_set():
                        return
            pause_s = max(self._options.every_s, loop.time() - began)  # at most half of the time goes into looking
            try:
                await asyncio.wait_for(stopping.wait(), pause_s)
            except TimeoutError:
                continue

    def _surveyed(self) -> Survey:
        with closing(self._database.connect(self._location, reading=True)) as session:
            relation = self._relation(session)
            bound = self._settled_bound(session, relation)
        digest = name_digest(self._location.shown, self._options.query, self._options.key, bound)
        self._bounds = {digest: bound}
        return Survey(digest, relation.schema, None, (), SourceStat())

    def _relation(self, session: Session) -> Relation:
        relation = look(session, self._options, self._location)
        require_key(relation.columns, self._options.key, self._location.shown)
        return relation

    def _settled_bound(self, session: Session, relation: Relation) -> tuple[str, ...]:
        """The largest key behind which nothing smaller comes any more; empty if there are no rows."""
        shown, key, table = self._location.shown, self._options.key, self._location.table
        nulls = " OR ".join(f"{quoted(name)} IS NULL" for name in key)
        if session.rows(f"SELECT 1 FROM {relation.text} WHERE {nulls} LIMIT 1"):
            raise DataFault(
                f"{shown}: there are rows without {' or '.join(key)}, which is their key; leave them out by query:, or give them one"
            )
        columns = [column for name in key if (column := relation.column(name)) is not None]
        order = ", ".join(f"{quoted(name)} DESC" for name in key)
        last = [batch for batch in session.read(columns, f"FROM {relation.text} ORDER BY {order} LIMIT 1") if batch.num_rows]
        if not last:
            return ()
        if table is not None and self._options.query is None:
            self._settle(session, table)
        return key_texts(last[0], 0, key)

    def _settle(self, session: Session, table: Table) -> None:
        """Waits for those who are writing to the table now; who begins later draws larger keys."""
        until = time.monotonic() + self._settle_s
        writers = session.writers(table)
        while writers:
            if time.monotonic() > until:
                told = f"{min(writers)} is writing to {table.shown}, for {self._settle_s:g} s now"
                raise PlaceAway(f"{self._location.shown}: {told}, and may add rows with smaller keys than those that are there")
            time.sleep(SQL_SETTLE_INTERVAL_S)
            writers &= session.writers(table)

    def _finite(self, survey: Survey, position: bytes | None) -> Generator[SourceBatch, None, None]:
        yield from self._batches(survey, self._cursor(position))

    def _cursor(self, position: bytes | None) -> Cursor:
        return decoded(position, self._location.shown) if position is not None else Cursor(self._options.key)

    def _batches(self, survey: Survey, cursor: Cursor) -> Generator[SourceBatch, None, None]:
        """The rows from the cursor to the surveyed key, the last batch `final`."""
        if survey.digest not in self._bounds:
            self._surveyed()
        bound = self._bounds.get(survey.digest, ())
        at_end = False
        while not at_end:
            with closing(self._database.connect(self._location, reading=True)) as session:
                for batch, at_end in self._piece(session, cursor, bound):
                    before, cursor = cursor, cursor.behind(batch)
                    require_unique(batch, before.key, before.at, before.row, self._location.shown)
                    yield self._batch(batch, before, cursor, survey.digest if at_end else None)

    def _piece(self, session: Session, cursor: Cursor, bound: tuple[str, ...]) -> Iterator[tuple[pa.RecordBatch, bool]]:
        """What one session reads, and whether there is nothing behind it: all of it, or as much as is held while others may write again."""
        session.begin(reading=True)
        relation = self._relation(session)
        if not session.keeps_writers_out:
            yield from cut(self._rows(session, relation, cursor, bound), relation.schema, rows_max=self._rows_per_batch)
            return
        found = list(self._rows(session, relation, cursor, bound, self._rows_per_batch + 1))
        session.close()
        rows = pa.Table.from_batches(found, relation.schema).combine_chunks()
        for batch in rows.to_batches():
            require_unique(batch, cursor.key, cursor.at, cursor.row, self._location.shown)  # also the first that is left for the next piece
        is_all = rows.num_rows <= self._rows_per_batch
        first = rows.slice(0, self._rows_per_batch)
        for batch, is_last in cut(first.to_batches(), relation.schema, rows_max=self._rows_per_batch):
            yield batch, is_last and is_all

    def _batch(self, rows: pa.RecordBatch, before: Cursor, cursor: Cursor, final_digest: str | None) -> SourceBatch:
        named = self._location.table.shown if self._location.table is not None else "query"
        where = {"first_row": str(before.row + 1), "last_row": str(cursor.row)} if rows.num_rows else {}
        digest = final_digest or name_digest(self._location.shown, self._options.query, cursor.key, cursor.at)
        return SourceBatch(rows, None, cursor.encode(), cursor.row, 0, final_digest is not None, {"table": named, **where}, digest=digest)

    def _rows(
        self, session: Session, relation: Relation, cursor: Cursor, bound: tuple[str, ...], rows_max: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        if not bound:
            return
        row = cursor.row
        by_name = {column.name: column for column in relation.columns}
        behind = window(cursor, bound, lambda name, text: session.constant(by_name[name], text))
        limit = f" LIMIT {rows_max}" if rows_max else ""
        for batch in session.read(relation.columns, f"FROM {relation.text} {behind}{limit}"):
            yield as_declared(batch, relation.schema, self._location.shown, row)
            row += batch.num_rows
