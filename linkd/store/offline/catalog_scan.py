"""Reading an index as it lies, changing nothing: its rows one by one, and whether SQLite's own structures hold together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.catalog_file import COLUMNS, CatalogMeta, Row, read_meta, value_of

_PAGE_ROWS = 1_000
Position = tuple[str, int, int]
"""Link, incarnation, sequence."""


class IndexUnreadable(Exception):
    """SQLite cannot read the file; says why."""


@frozen()
class IndexedValue:
    """A row that fits its checksum."""

    lsn: int
    envelope: Envelope
    place: Place
    envelope_bytes: bytes


_UNREADABLE = (sqlite3.Error, ValueError)
"""What a damaged file is met with: what SQLite says, or what Python says of a text in it."""


class CatalogScan:
    """An index, open for reading. Every method raises `IndexUnreadable`."""

    def __init__(self, path: Path, *, running: bool) -> None:
        beside = path.with_name(f"{path.name}-wal")
        # Without a log beside it nothing need be made to read it, which in a directory that is only read may not be possible.
        mode = "mode=ro" if running or (beside.exists() and beside.stat().st_size) else "mode=ro&immutable=1"
        try:
            self._connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{mode}", uri=True)
        except sqlite3.Error as problem:
            raise IndexUnreadable(str(problem)) from problem

    def close(self) -> None:
        self._connection.close()

    def meta(self) -> CatalogMeta | None:
        """What the index says of itself; None if that does not fit its checksum, or is of another version of linkd."""
        try:
            return read_meta(self._connection)
        except _UNREADABLE as problem:
            raise IndexUnreadable(str(problem)) from problem

    def faults(self) -> list[str]:
        """What SQLite finds wrong with its pages and with the indexes over the rows; none if nothing."""
        said = [str(row[0]) for row in self._query("PRAGMA integrity_check(20)")]
        return [] if said == ["ok"] else said

    def value(self, position: Position) -> IndexedValue | None:
        """The value of this position; None if there is no row of it that fits its checksum."""
        rows = self._query(f"SELECT {COLUMNS} FROM value_rows WHERE link = ? AND incarnation = ? AND sequence = ?", *position)
        return next((value for row in rows if (value := _value(row)) is not None and (row[0], row[1], row[2]) == position), None)

    def rows(self) -> Iterator[tuple[str, IndexedValue | None]]:
        """Every row, under the name it gives itself, in the order of the file; None for one that does not fit its checksum."""
        reached = -(2**63)
        while page := self._query(
            f"SELECT rowid, {COLUMNS} FROM value_rows NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE_ROWS}", reached
        ):
            for row in page:
                yield f"{row[1]}@{row[3]}", _value(row[1:])
            reached = page[-1][0]

    def in_segment(self, link: str, file: int) -> dict[int, tuple[Envelope, Place]]:
        """The values that lie in a segment file, by offset."""
        rows = self._query(
            f"SELECT {COLUMNS} FROM value_rows WHERE link = ? AND place_kind = ? AND place_file = ?", link, int(PlaceKind.SEGMENT), file
        )
        values = [value for row in rows if (value := _value(row)) is not None]
        return {value.place.offset: (value.envelope, value.place) for value in values}

    def in_frames(self, first_lsn: int, last_lsn: int) -> list[IndexedValue]:
        """The values of these frames, as far as the rows still have the frame they were made from."""
        condition = "lsn BETWEEN ? AND ? ORDER BY link, incarnation, sequence"
        rows = self._query(f"SELECT {COLUMNS} FROM value_rows WHERE {condition}", first_lsn, last_lsn)
        return [value for row in rows if (value := _value(row)) is not None]

    def in_journal(self, first_file: int, last_file: int) -> list[IndexedValue]:
        """The values that lie in these journal files."""
        condition = "place_kind = ? AND place_file BETWEEN ? AND ? ORDER BY link, incarnation, sequence"
        rows = self._query(f"SELECT {COLUMNS} FROM value_rows WHERE {condition}", int(PlaceKind.JOURNAL), first_file, last_file)
        return [value for row in rows if (value := _value(row)) is not None]

    def dropped_of(self, link: str, generation: int) -> list[bytes]:
        """The envelopes, encoded, of a generation that was dropped; none if a row of them is damaged."""
        condition = "link = ? AND generation = ? AND place_kind = ? ORDER BY incarnation, sequence"
        rows = self._query(f"SELECT {COLUMNS} FROM value_rows WHERE {condition}", link, generation, int(PlaceKind.DROPPED))
        values = [_value(row) for row in rows]
        return [] if None in values else [value.envelope_bytes for value in values if value is not None]

    def _query(self, statement: str, *arguments: object) -> list[Row]:
        try:
            return self._connection.execute(statement, arguments).fetchall()
        except _UNREADABLE as problem:
            raise IndexUnreadable(str(problem)) from problem


def _value(row: Row) -> IndexedValue | None:
    found = value_of(row)
    return IndexedValue(row[6], found[0], found[1], row[7]) if found is not None else None
