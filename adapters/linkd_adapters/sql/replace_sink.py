"""A table that is replaced: written aside, and put in the place of what was there in one transaction (`mode: replace`).

A table of linkd's own with nothing on it is swapped for the new one, which has the columns that come. One that has something on it (an index, a
view, rights, a comment) keeps it all: its rows are deleted and the new ones added, and what comes must fit its columns. Either way others see
the old rows or the new ones, and no moment in between.

A table that linkd did not make is replaced only if it is empty, or under `overwrite: true`, in place. That it made one, it knows from
`linkd_positions`, and where the database has a number for each table, it must still be that one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from linkd.errors import Conflict, InternalFault, SchemaMismatch
from linkd.plugin.contract import NO_RECORD, LinkOptions, Sink, SinkResult
from linkd_adapters.sql.content import ContentDigest
from linkd_adapters.sql.database import Column, Database, Session
from linkd_adapters.sql.fitting import fitted, matched, new_columns
from linkd_adapters.sql.location import SqlLocation, Table, quoted
from linkd_adapters.sql.positions import POSITIONS, Position, read_position, write_position, writer_of
from linkd_adapters.sql.writing import STAGED, create, moved
from linkd_adapters.steps import in_thread

REPLACE = "replace"
_ASIDE = "__linkd"


@dataclass(slots=True)
class _Begun:
    """A transaction with a table aside. `is_swapped` says what happens to it at the end."""

    session: Session
    schema: pa.Schema
    columns: tuple[Column, ...]
    aside: Table
    is_swapped: bool
    digest: ContentDigest
    rows: int = 0


class TableSink(Sink):
    """See the module. One writer at a time."""

    def __init__(self, options: LinkOptions, location: SqlLocation, table: Table, database: Database) -> None:
        self._options = options
        self._location = location
        self._table = table
        self._database = database
        self._begun: _Begun | None = None

    async def check(self, last: Mapping[str, str]) -> None:
        await in_thread(lambda: self._check(last))

    async def begin(self, schema: pa.Schema) -> None:
        await self.abort()
        self._begun = await in_thread(lambda: self._begin(schema))

    async def write(self, batch: pa.RecordBatch) -> None:
        begun = self._open()
        await in_thread(lambda: self._write(begun, batch))

    async def finish(self, last: Mapping[str, str] = NO_RECORD) -> SinkResult:
        begun = self._open()
        result = await in_thread(lambda: self._finish(begun, last))
        self._begun = None
        return result

    async def abort(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            await in_thread(begun.session.close)  # with the connection goes the transaction

    def _open(self) -> _Begun:
        if self._begun is None:
            raise InternalFault(f"{self._location.shown}: a sink must begin before it is written to")
        return self._begun

    def _check(self, last: Mapping[str, str]) -> None:
        with contextlib.closing(self._database.connect(self._location)) as session:
            session.begin()
            self._require_ours(session, last)
            session.rollback()

    def _begin(self, schema: pa.Schema) -> _Begun:
        session = self._database.connect(self._location)
        try:
            session.begin()
            session.claim(self._table)
            there = session.columns(self._table)
            digest = ContentDigest(schema)
            if there and (not self._is_marked(session) or session.attached(self._table)):
                columns = matched(there, schema, self._location.shown)
                create(session, STAGED, columns, temporary=True)
                return _Begun(session, schema, columns, STAGED, False, digest)
            columns = new_columns(self._database, schema, self._location.shown)
            aside = self._table.beside(_ASIDE)
            session.execute(f"DROP TABLE IF EXISTS {aside.quoted}")
            create(session, aside, columns)
            return _Begun(session, schema, columns, aside, True, digest)
        except BaseException:
            session.close()
            raise

    def _write(self, begun: _Begun, batch: pa.RecordBatch) -> None:
        if not batch.schema.equals(begun.schema):
            raise SchemaMismatch(f"{self._location.shown}: rows have {batch.schema.names}, and the first ones had {begun.schema.names}")
        rows = fitted(batch, begun.columns, self._database, self._location.shown, begun.rows)
        if rows.num_rows:
            begun.session.load(begun.aside, begun.columns, rows, temporary=not begun.is_swapped)
        begun.digest.take(batch)
        begun.rows += batch.num_rows

    def _finish(self, begun: _Begun, last: Mapping[str, str]) -> SinkResult:
        session, table = begun.session, self._table
        writer = self._require_ours(session, last)
        if begun.is_swapped:
            if session.columns(table):
                session.execute(f"DROP TABLE {table.quoted}")
            session.execute(f"ALTER TABLE {begun.aside.quoted} RENAME TO {quoted(table.name)}")
        else:
            session.execute(f"DELETE FROM {table.quoted}")
            session.execute(f"INSERT INTO {table.quoted} {moved(begun.columns, begun.aside)}")
            session.execute(f"DROP TABLE {begun.aside.quoted}")
        write_position(session, table, writer, Position(REPLACE, 0, 0, begun.rows, begun.digest.text, session.identity(table)))
        session.commit()
        session.close()
        attributes = {"mode": REPLACE, "writer": writer}
        return SinkResult(self._location.shown, begun.rows, max(begun.digest.size_bytes, 1), begun.digest.text, attributes=attributes)

    def _is_marked(self, session: Session) -> bool:
        return read_position(session, self._table, writer_of(self._options, NO_RECORD)) is not None

    def _require_ours(self, session: Session, last: Mapping[str, str]) -> str:
        """Who we are. Raises `Conflict` if what stands there is somebody else's."""
        writer = writer_of(self._options, last)
        if self._options.overwrite or not session.columns(self._table):
            return writer
        shown, link = self._location.shown, f"links.{self._options.link}"
        remedy = f"rename it to keep it, name another table, or give {link} `overwrite: true` to have its rows replaced"
        found = read_position(session, self._table, writer)
        if found is None and (last.get("path"), last.get("mode")) == (shown, REPLACE):
            raise Conflict(f"{shown} was changed by somebody else since linkd wrote it (its row in {POSITIONS} is gone): {remedy}")
        if found is None and session.rows(f"SELECT 1 FROM {self._table.quoted} LIMIT 1"):
            raise Conflict(f"{shown} is there already, it has rows, and this pipeline did not make it: {remedy}")
        if found is not None and found.identity != session.identity(self._table):
            raise Conflict(f"{shown} was changed by somebody else since linkd wrote it (another table has its name): {remedy}")
        return writer
