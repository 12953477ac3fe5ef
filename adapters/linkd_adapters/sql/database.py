"""What the rest of the adapter asks of a database: columns and their types, rows in Arrow, transactions.

A value crosses between a link and a column in the column's *carrier*, an Arrow type in which every value of the column has exactly one form.
Where the database's own driver has none (uuid, json, an enum), it crosses as text, which the database writes and reads by its own rules. A
column of a type that has neither cannot be read or written, and says so. Nothing is rounded, cut or guessed on the way: what has no equal on
the other side is refused, by column and row.

All of it blocks, and belongs into threads. One session is used by one thread at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from linkd_adapters.sql.location import SqlLocation, Table, literal, quoted


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or of a query's result.

    `declared` is its type as the database writes it; `carrier` the Arrow type in which values cross, `None` for one in which none can, with
    the reason in `refusal`. `as_text`: the carrier is string, and the database converts. `takes_any` of a decimal: it has no bound of its own.
    `required`: a row without it is refused.
    """

    name: str
    declared: str
    carrier: pa.DataType | None
    as_text: bool = False
    takes_any: bool = False
    required: bool = False
    refusal: str = ""

    @property
    def quoted(self) -> str:
        return quoted(self.name)

    def carried_by(self, kind: pa.DataType) -> Column:
        return replace(self, carrier=kind)


class Session(ABC):
    """One connection. Raises `PlaceAway` when the database is not there any more, and other errors of `linkd.errors` as they are named."""

    def __del__(self) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Ends it; what was not committed never was. May be called again, raises nothing."""

    @abstractmethod
    def execute(self, statement: str) -> None:
        """Runs a statement that gives no rows."""

    @abstractmethod
    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Few rows, as Python has them."""

    @abstractmethod
    def begin(self, *, reading: bool = False) -> None:
        """A transaction; one that is `reading` sees the database as it is at its first statement, until it ends, and writes nothing."""

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        self.execute("ROLLBACK")

    @abstractmethod
    def tables(self) -> list[Table]:
        """All tables and views that a name alone finds, for suggestions."""

    @abstractmethod
    def columns(self, table: Table) -> tuple[Column, ...]:
        """Those that can be written to; none if there is no such table."""

    def has(self, table: Table) -> bool:
        """Whether there is such a table, or view."""
        return bool(self.columns(table))

    @abstractmethod
    def described(self, relation: str) -> tuple[Column, ...]:
        """The columns of what may stand behind FROM. Raises `InvalidArgument` where the database does not understand it."""

    @abstractmethod
    def read(self, columns: Sequence[Column], rest: str) -> Iterator[pa.RecordBatch]:
        """`SELECT columns` and the `rest` of the statement, in carriers. Raises `SchemaMismatch` for a value that has no equal in them."""

    def constant(self, column: Column, text: str) -> str:
        """A value of the column, of which this is the text, as SQL writes it."""
        return f"CAST({literal(text)} AS {column.declared})"

    @abstractmethod
    def load(self, table: Table, columns: Sequence[Column], batch: pa.RecordBatch, *, temporary: bool = False) -> None:
        """Adds rows, which are in the carriers of these columns."""

    @abstractmethod
    def is_unique(self, table: Table, key: Sequence[str]) -> bool:
        """Whether the table has a unique index of exactly these columns."""

    def claim(self, table: Table) -> None:
        """No other linkd writes this table until the transaction ends. Where only one transaction writes at a time there is nothing to do."""
        return

    def identity(self, table: Table) -> str:
        """What tells the table from another one of the same name; empty where nothing does."""
        return ""

    def attached(self, table: Table) -> str:
        """What hangs on the table and would be lost if another one took its place, such as `view totals_by_day`; empty if nothing does."""
        return ""

    @property
    def keeps_writers_out(self) -> bool:
        """Whether nobody can write while rows are read: then they are read in pieces, and none is open while somebody takes his time with it."""
        return False

    def writers(self, table: Table) -> frozenset[str]:
        """The transactions that may yet commit rows with smaller keys than those that can be seen, by names for people; none where the
        database has one writer at a time."""
        return frozenset()


class Database(ABC):
    """One kind of database: how to get at it, and what a table of it can hold."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Its name, for people."""

    @abstractmethod
    def connect(self, location: SqlLocation, *, reading: bool = False) -> Session:
        """Raises `PlaceAway` if it is not there now, `InvalidArgument` if it will not let us in, or there is no such file to be read."""

    @abstractmethod
    def column_of(self, name: str, kind: pa.DataType) -> Column | None:
        """The column of a new table for values of this plain type; `None` if there is none that holds them all."""

    @abstractmethod
    def unfit(self, array: pa.Array, column: Column) -> tuple[int, str] | None:
        """The first row that the column cannot hold although its carrier can, counted from 0, and why."""
