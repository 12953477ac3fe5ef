"""Rows put into tables: made, filled, staged and merged, all within a transaction of whoever calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from linkd.errors import Error, InvalidArgument, SchemaMismatch
from linkd_adapters.sql.database import Column, Session
from linkd_adapters.sql.location import Table, quoted

STAGED = Table("linkd_staged")


class Kept:
    """A session that is opened when it is needed, and forgotten when anything went wrong with it."""

    def __init__(self, connect: Callable[[], Session]) -> None:
        self._connect = connect
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = self._connect()
        return self._session

    def drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction, committed at the end of the block; after an error nothing of it is left, nor of the session."""
        session = self.session
        try:
            session.begin()
            yield session
            session.commit()
        except BaseException:
            self.drop()
            raise


def create(session: Session, table: Table, columns: Sequence[Column], key: Sequence[str] = (), *, temporary: bool = False) -> None:
    """Makes a table. Temporary ones belong to the session, and columns that cross as text are text in them."""
    kinds = [f"{column.quoted} {'text' if temporary and column.as_text else column.declared}" for column in columns]
    kinds += [f"PRIMARY KEY ({_names(key)})"] if key else []
    session.execute(f"CREATE {'TEMPORARY ' if temporary else ''}TABLE {table.quoted} ({', '.join(kinds)})")


def append(session: Session, table: Table, columns: Sequence[Column], batch: pa.RecordBatch) -> None:
    """Adds rows, by a staged table where the database has to convert them."""
    if not any(column.as_text for column in columns):
        session.load(table, columns, batch)
        return
    with staged(session, columns, batch):
        session.execute(f"INSERT INTO {table.quoted} {moved(columns)}")


def upsert(session: Session, table: Table, columns: Sequence[Column], batch: pa.RecordBatch, key: Sequence[str], shown: str) -> None:
    """Adds rows, each in the place of the one that has its key. Of several with one key the last counts."""
    others = [column.quoted for column in columns if column.name not in key]
    changes = f"DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}" if others else "DO NOTHING"
    with staged(session, columns, last_by_key(batch, key, shown)):
        session.execute(f"INSERT INTO {table.quoted} {moved(columns)} WHERE true ON CONFLICT ({_names(key)}) {changes}")


def require_key(session: Session, table: Table, key: Sequence[str], shown: str) -> None:
    """Raises `InvalidArgument` if the table that is there may have several rows with one key."""
    if not session.is_unique(table, key):
        columns = ", ".join(key)
        raise InvalidArgument(
            f"{shown}: mode: upsert needs the key to be unique, and {table.shown} has no unique index of ({columns}); "
            f"make one: CREATE UNIQUE INDEX ON {table.shown} ({columns})"
        )


@contextlib.contextmanager
def staged(session: Session, columns: Sequence[Column], batch: pa.RecordBatch) -> Iterator[None]:
    """The rows in a temporary table for the length of the block."""
    create(session, STAGED, columns, temporary=True)
    session.load(STAGED, columns, batch, temporary=True)
    try:
        yield
    except Error:
        raise  # the transaction is over, and with it the table
    session.execute(f"DROP TABLE {STAGED.quoted}")


def moved(columns: Sequence[Column], source: Table = STAGED) -> str:
    """`(columns) SELECT columns FROM staged`, converted where they are staged as text."""
    taken = [f"CAST({one.quoted} AS {one.declared})" if one.as_text else one.quoted for one in columns]
    return f"({', '.join(one.quoted for one in columns)}) SELECT {', '.join(taken)} FROM {source.quoted}"


def last_by_key(batch: pa.RecordBatch, key: Sequence[str], shown: str) -> pa.RecordBatch:
    """The last row of each key. Raises `SchemaMismatch` for a row that has no key."""
    for name in key:
        row = pc.index(pc.is_null(batch.column(name)), True).as_py()
        if row >= 0:
            raise SchemaMismatch(f"{shown}: row {row + 1:,} of what comes has no {name}, which is part of the key")
    numbered = pa.Table.from_batches([batch.select(list(key))]).append_column("_row", pa.array(range(batch.num_rows), pa.int64()))
    rows = numbered.group_by(list(key)).aggregate([("_row", "max")]).column("_row_max")
    return batch if len(rows) == batch.num_rows else batch.take(rows.combine_chunks().sort())


def _names(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names)
