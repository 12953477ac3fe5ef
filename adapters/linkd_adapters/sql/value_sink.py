"""A table that grows: the rows of each value in one transaction with its position (`mode: append`, `mode: upsert`).

A table that is there already is taken as it is: rows that come must fit its columns exactly, and columns they do not have get the table's own
defaults. One that is not there is made from the first value. Whoever else writes to it, and what becomes of rows later, is no business of
linkd's: it minds its row in `linkd_positions` and nothing else, so both that and the rows are there, or neither is, whatever is killed when.
`upsert` puts a row in the place of the one with its key, or adds it; what is not in a new generation any more stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from linkd.plugin.contract import LinkOptions, SinkResult, SinkValue, ValueSink
from linkd_adapters.sql.content import digest_of
from linkd_adapters.sql.database import Column, Database, Session
from linkd_adapters.sql.fitting import fitted, matched, new_columns
from linkd_adapters.sql.location import SqlLocation, Table
from linkd_adapters.sql.positions import Position, is_due, read_position, recorded_place, require_known, write_position, writer_of
from linkd_adapters.sql.writing import Kept, append, create, require_key, upsert
from linkd_adapters.steps import in_thread

UPSERT = "upsert"


class TableValueSink(ValueSink):
    """See the module."""

    def __init__(self, options: LinkOptions, location: SqlLocation, table: Table, database: Database) -> None:
        self._options = options
        self._location = location
        self._table = table
        self._database = database
        self._key = options.key if options.mode == UPSERT else ()
        self._kept = Kept(lambda: database.connect(location))

    async def check(self, last: Mapping[str, str]) -> None:
        await in_thread(lambda: self._check(last))

    async def write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        return await in_thread(lambda: self._write(value, last))

    async def caught_up(self, generation: int) -> None:
        return

    async def close(self) -> None:
        await in_thread(self._kept.drop)

    def _check(self, last: Mapping[str, str]) -> None:
        with self._kept.transaction() as session:
            found = read_position(session, self._table, writer_of(self._options, last))
            if session.columns(self._table):
                require_known(found, self._recorded(last), overwrite=self._options.overwrite, told=self._location.shown)

    def _write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        digest = digest_of(value.data)
        writer = writer_of(self._options, last)
        coming = Position(self._options.mode, value.generation, value.sequence, value.data.num_rows, digest.text)
        with self._kept.transaction() as session:
            session.claim(self._table)
            columns = session.columns(self._table)
            # A table that is gone was moved away: it is begun anew, and what was recorded of it says nothing any more.
            found = read_position(session, self._table, writer) if columns else None
            recorded = self._recorded(last) if columns else None
            if is_due(found, recorded, coming, overwrite=self._options.overwrite, told=self._location.shown):
                self._put(session, columns, value)
                rows = coming.rows + (found.rows if found is not None else 0)
                write_position(session, self._table, writer, replace(coming, rows=rows))
        attributes = {"mode": coming.mode, "writer": writer, "generation": str(value.generation), "sequence": str(value.sequence)}
        return SinkResult(self._location.shown, value.data.num_rows, digest.size_bytes, digest.text, attributes=attributes)

    def _put(self, session: Session, columns: tuple[Column, ...], value: SinkValue) -> None:
        shown, schema = self._location.shown, value.data.schema
        if columns:
            taken = matched(columns, schema, shown)
            if self._key:
                require_key(session, self._table, self._key, shown)
        else:
            taken = new_columns(self._database, schema, shown, self._key)
            create(session, self._table, taken, self._key)
        rows = fitted(value.data, taken, self._database, shown)
        if self._key:
            upsert(session, self._table, taken, rows, self._key, shown)
        elif rows.num_rows:
            append(session, self._table, taken, rows)

    def _recorded(self, last: Mapping[str, str]) -> tuple[int, int] | None:
        return recorded_place(last, self._options.mode, self._location.shown)
