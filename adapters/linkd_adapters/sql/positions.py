"""How far a table was written: a row of a table of linkd's own, in the same schema, written in the same transaction as the rows.

    linkd_positions (
        target text,            the table
        writer text,            who: `LINK of DIRECTORY`, the link and where its pipeline file lies
        mode text,              replace, append, upsert
        generation bigint,      of the last value that is in the table; 0 for replace
        sequence bigint,        its sequence
        rows bigint,            how many rows were written, by all values
        digest text,            BLAKE3 of that value's rows
        identity text,          what tells the table from another one of that name, where the database says
        PRIMARY KEY (target, writer)
    )

So a value is in the table exactly if its position is: whoever is killed when, and whatever answer of the database was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from linkd.errors import Conflict
from linkd.plugin.contract import LinkOptions
from linkd_adapters.sql.database import Session
from linkd_adapters.sql.location import Table, literal

POSITIONS = "linkd_positions"


@dataclass(frozen=True, slots=True)
class Position:
    """A row of the table."""

    mode: str
    generation: int
    sequence: int
    rows: int
    digest: str
    identity: str = ""

    @property
    def place(self) -> tuple[int, int]:
        return self.generation, self.sequence


def writer_of(options: LinkOptions, last: Mapping[str, str]) -> str:
    """Who writes: as recorded, so that a pipeline that was moved is still itself."""
    return last.get("writer") or f"{options.link} of {options.base.absolute()}"


def recorded_place(last: Mapping[str, str], mode: str, path: str) -> tuple[int, int] | None:
    """The last value that the home has recorded as written in this mode to this place."""
    if (last.get("mode"), last.get("path")) != (mode, path):
        return None
    return int(last["generation"]), int(last["sequence"])


def is_due(found: Position | None, recorded: tuple[int, int] | None, coming: Position, *, overwrite: bool, told: str) -> bool:
    """Whether the value at `coming` is to be written; False if it is in the table already.

    `found` is what the database says, `recorded` what the home says: they are of one value, or the database is one ahead, for a worker was
    killed, or cut off, before the home had heard. Raises `Conflict` for anything else.
    """
    if found is not None and found.place == coming.place and (recorded is not None or found.digest == coming.digest):
        return False
    if overwrite or (found is None and recorded is None) or (found is not None and found.place == recorded):
        return True
    raise _conflict(found, recorded, told)


def require_known(found: Position | None, recorded: tuple[int, int] | None, *, overwrite: bool, told: str) -> None:
    """Before anything is written: raises `Conflict` if the table stands where the home has never been, or behind it."""
    if not overwrite and recorded is not None and (found is None or found.place < recorded):
        raise _conflict(found, recorded, told)


def _conflict(found: Position | None, recorded: tuple[int, int] | None, told: str) -> Conflict:
    remedy = "give the link `overwrite: true` to have rows added to what it holds, or name another table"
    if recorded is None:
        assert found is not None
        return Conflict(
            f"{told} has rows up to value {found.sequence} of generation {found.generation}, written by this link in a life that it has no "
            f"memory of (its state was removed); drop the table and its row in {POSITIONS} to begin anew, or {remedy}"
        )
    stands = f"its row in {POSITIONS} is gone" if found is None else f"it stands at value {found.sequence}"
    return Conflict(
        f"{told} was changed by somebody else since linkd wrote value {recorded[1]} to it ({stands}; was it restored from a backup?); {remedy}"
    )


def read_position(session: Session, table: Table, writer: str) -> Position | None:
    """The row of this writer; `None` if there is none. In a transaction that has claimed the table."""
    if not session.columns(_positions(table)):
        return None
    found = session.rows(
        f"SELECT mode, generation, sequence, rows, digest, identity FROM {_positions(table).quoted} "
        f"WHERE target = {literal(table.name)} AND writer = {literal(writer)}"
    )
    return Position(*found[0]) if found else None


def write_position(session: Session, table: Table, writer: str, position: Position) -> None:
    """Puts the row, in the transaction that writes what it speaks of."""
    place = _positions(table)
    if not session.columns(place):
        session.claim(place)
        session.execute(
            f"CREATE TABLE IF NOT EXISTS {place.quoted} (target text, writer text, mode text, generation bigint, sequence bigint, rows bigint, "
            "digest text, identity text, PRIMARY KEY (target, writer))"
        )
    texts = [literal(text) for text in (table.name, writer, position.mode)]
    numbers = [str(number) for number in (position.generation, position.sequence, position.rows)]
    values = ", ".join([*texts, *numbers, literal(position.digest), literal(position.identity)])
    names = ("mode", "generation", "sequence", "rows", "digest", "identity")
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    session.execute(
        f"INSERT INTO {place.quoted} (target, writer, {', '.join(names)}) VALUES ({values}) ON CONFLICT (target, writer) DO UPDATE SET {changes}"
    )


def _positions(table: Table) -> Table:
    return Table(POSITIONS, table.schema)
