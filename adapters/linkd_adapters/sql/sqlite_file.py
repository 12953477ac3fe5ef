"""Files of SQLite, by Python's own module. One transaction writes at a time; whoever comes second waits, then is told that it is taken."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from linkd.errors import Conflict, DataFault, Error, InvalidArgument, PlaceAway, SchemaMismatch, StorageFailed
from linkd.limits import SQL_LOCK_WAIT_S, SQLITE_ROWS_AT_ONCE
from linkd_adapters.sql.database import Column, Database, Session
from linkd_adapters.sql.file_session import FileSession
from linkd_adapters.sql.location import SqlLocation, Table, literal, quoted
from linkd_adapters.sql.sqlite_types import CellRefused, carried, cells, file_column, new_column, unfit


class SqliteSession(FileSession):
    """See the module."""

    refusals = sqlite3.Error

    def _connected(self, *, reading: bool) -> Any:
        assert self._location.path is not None
        connection = sqlite3.connect(
            f"{self._location.path.absolute().as_uri()}{'?mode=ro' if reading else ''}",
            uri=True, timeout=SQL_LOCK_WAIT_S, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _failed(self, error: Exception) -> Error:
        return _failed(self._location, error)

    def begin(self, *, reading: bool = False) -> None:
        self.execute("BEGIN" if reading else "BEGIN IMMEDIATE")

    def tables(self) -> list[Table]:
        return [Table(name) for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]

    def columns(self, table: Table) -> tuple[Column, ...]:
        found = self.rows(f'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info({literal(table.name)})')
        return tuple(
            file_column(name, declared, required=bool(not_null and default is None and not pk))
            for name, declared, not_null, default, pk in found
        )

    def described(self, relation: str) -> tuple[Column, ...]:
        """SQLite tells the word of a column that is one of a table; what is computed has none, and its first value says what it is."""
        view = Table("linkd_described")
        self.execute(f"CREATE TEMPORARY VIEW {view.quoted} AS SELECT * FROM {relation}")
        try:
            found = self.rows(f"SELECT name, type FROM pragma_table_info({literal(view.name)})")
            kinds = {name: declared or self._kind_of(view, name) for name, declared in found}
        finally:
            self.execute(f"DROP VIEW {view.quoted}")
        return tuple(file_column(name, declared) for name, declared in kinds.items())

    def read(self, columns: Sequence[Column], rest: str) -> Iterator[pa.RecordBatch]:
        first_row = 0
        with self._translated():
            cursor = self._open.execute(f"SELECT {', '.join(column.quoted for column in columns)} {rest}")
        with contextlib.closing(cursor):
            while True:
                with self._translated():
                    rows = cursor.fetchmany(SQLITE_ROWS_AT_ONCE)
                if not rows:
                    return
                arrays = [
                    self._carried(list(values), column, first_row) for values, column in zip(zip(*rows, strict=True), columns, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
                first_row += len(rows)

    def constant(self, column: Column, text: str) -> str:
        return text if pa.types.is_integer(column.carrier) else literal(text)

    def load(self, table: Table, columns: Sequence[Column], batch: pa.RecordBatch, *, temporary: bool = False) -> None:
        places = ", ".join("?" for _ in columns)
        names = ", ".join(column.quoted for column in columns)
        with self._translated():
            for start in range(0, batch.num_rows, SQLITE_ROWS_AT_ONCE):
                rows = zip(*(cells(array) for array in batch.slice(start, SQLITE_ROWS_AT_ONCE).columns), strict=True)
                self._open.executemany(f"INSERT INTO {table.quoted} ({names}) VALUES ({places})", rows)

    @property
    def keeps_writers_out(self) -> bool:
        return True

    def is_unique(self, table: Table, key: Sequence[str]) -> bool:
        parts = self.rows(f"SELECT name FROM pragma_table_info({literal(table.name)}) WHERE pk > 0")
        if {name for (name,) in parts} == set(key):
            return True
        indexes = self.rows(f'SELECT name FROM pragma_index_list({literal(table.name)}) WHERE "unique" = 1 AND partial = 0')
        return any(
            {part for (part,) in self.rows(f"SELECT name FROM pragma_index_info({literal(name)})")} == set(key) for (name,) in indexes
        )

    def attached(self, table: Table) -> str:
        found = self.rows(
            "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL "
            f"AND tbl_name = {literal(table.name)}"
        )
        return str(found[0][0]) if found else ""

    def _kind_of(self, view: Table, name: str) -> str:
        found = self.rows(f"SELECT typeof({quoted(name)}) FROM {view.quoted} WHERE {quoted(name)} IS NOT NULL LIMIT 1")
        return str(found[0][0]) if found else "text"

    def _carried(self, values: list[Any], column: Column, first_row: int) -> pa.Array:
        try:
            return carried(values, column.carrier)
        except CellRefused as refused:
            raise SchemaMismatch(
                f"{self._location.shown}: column {column.name} is {column.declared}, and row {first_row + refused.args[0] + 1:,} "
                "holds something else; mend it, or cast the column in query:"
            ) from None


class SqliteFile(Database):
    """See the module."""

    @property
    def title(self) -> str:
        return "SQLite"

    def connect(self, location: SqlLocation, *, reading: bool = False) -> Session:
        return SqliteSession(location, reading=reading)

    def column_of(self, name: str, kind: pa.DataType) -> Column | None:
        return new_column(name, kind)

    def unfit(self, array: pa.Array, column: Column) -> tuple[int, str] | None:
        return unfit(array, column)


def _failed(location: SqlLocation, error: Exception) -> Error:
    said = str(error)
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return PlaceAway(f"{location.shown}: another program is writing to the file: {said}")
    if name in ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_IOERR_WRITE"):
        return StorageFailed(f"{location.shown}: {said}; make room on its disk, or repair it")
    if name == "SQLITE_NOTADB" or name == "SQLITE_CORRUPT":
        return DataFault(f"{location.shown}: it is no sound file of SQLite: {said}")
    if name in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
        return Conflict(
            f"{location.shown}: a row is there already ({said}); `mode: upsert` with `key:` replaces rows instead of adding them"
        )
    if name.startswith("SQLITE_CONSTRAINT"):
        return DataFault(f"{location.shown}: a row that comes breaks a constraint of the table: {said}")
    return InvalidArgument(f"{location.shown}: SQLite refuses: {said}")
