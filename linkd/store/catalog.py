"""The index of a store: where each value lies. Never the truth: whatever is wrong with it is mended from the rest (`store.rebuilding`).

The committer's thread writes, in batches, after the acks; entries that are durable but not written yet are served from memory, so that
readers see no difference. A row that does not fit its checksum is read again from the journal, as long as that has the value. The file is
`store.catalog_file`'s.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from linkd.errors import InvalidArgument
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.catalog_file import (
    COLUMNS,
    INSERT,
    CatalogEntry,
    Row,
    connect,
    damage,
    open_catalog,
    placed_at,
    row_of,
    translated,
    value_of,
)

__all__ = ["Catalog", "CatalogEntry"]

_PAGE_ROWS = 256
"""Rows read at a time: no read transaction stays open while the caller works on them."""

Reread = Callable[[int, str, int, int], CatalogEntry | None]
"""Reads a value again from the journal: LSN, link, incarnation, sequence."""


class Catalog:
    """The index of a store. `add` and reads from the event loop; what writes from any thread but that, one at a time."""

    def __init__(self, path: Path, store_id: str, reread: Reread) -> None:
        self._path = path
        self._reread = reread
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: deque[CatalogEntry] = deque()
        self._waiting_by_link: dict[str, deque[CatalogEntry]] = {}
        self._durable_lsn = 0
        self._writer = open_catalog(path, store_id)
        self._reader = connect(path)

    @property
    def applied_lsn(self) -> int:
        """Frames up to this one are in the file."""
        return self._meta("applied_lsn")

    @property
    def journal_from(self) -> int:
        """Places name no journal file before this one; 0 while it is being made again."""
        return self._meta("journal_from")

    @property
    def durable_lsn(self) -> int:
        """Frames up to this one are durable, and in here or among what waits."""
        with self._lock:
            return self._durable_lsn

    @property
    def waiting(self) -> int:
        """Entries that are in memory only."""
        return len(self._waiting)

    def add(self, entries: Iterable[CatalogEntry], durable_lsn: int) -> None:
        """These values are durable, and with them all frames up to `durable_lsn`."""
        with self._lock:
            for entry in entries:
                self._waiting.append(entry)
                self._waiting_by_link.setdefault(entry.envelope.link, deque()).append(entry)
            self._durable_lsn = durable_lsn

    def write_waiting(self, most: int) -> int:
        """Write at most so many waiting entries to the file; returns how many. They are then no longer in memory."""
        with self._writing:
            with self._lock:
                batch = [self._waiting[index] for index in range(min(most, len(self._waiting)))]
                applied_lsn = self._durable_lsn if len(batch) == len(self._waiting) else batch[-1].lsn - 1
            if batch:
                self._write(batch, applied_lsn)
                with self._lock:
                    self._forget_waiting(len(batch))
        return len(batch)

    def _forget_waiting(self, count: int) -> None:
        for _ in range(count):
            link = self._waiting.popleft().envelope.link
            of_link = self._waiting_by_link[link]
            of_link.popleft()
            if not of_link:
                del self._waiting_by_link[link]

    def values(
        self,
        link: str,
        first: int = 1,
        last: int | None = None,
        *,
        incarnation: int | None = None,
        generation: int | None = None,
    ) -> Iterator[tuple[Envelope, Place]]:
        """A link's values with sequences `first` to `last` (both included), in order of position. Raises `StateDamaged`."""
        bound = last if last is not None else 2**63 - 1
        in_memory = [
            entry
            for entry in self._waiting_of(link, first, bound)
            if first <= entry.envelope.position.sequence <= bound
            and incarnation in (None, entry.envelope.position.incarnation)
            and generation in (None, entry.envelope.generation)
        ]
        where, arguments = "link = ? AND sequence BETWEEN ? AND ?", [link, first, bound]
        for name, value in (("incarnation", incarnation), ("generation", generation)):
            if value is not None:
                where, arguments = f"{where} AND {name} = ?", [*arguments, value]
        reached = (0, 0)
        while rows := self._select(
            f"{where} AND (incarnation, sequence) > (?, ?) ORDER BY incarnation, sequence LIMIT {_PAGE_ROWS}", *arguments, *reached
        ):
            for row in rows:
                reached = row[1], row[2]
                yield self._checked(row)
        # Entries leave memory in order, so whatever is still there, or was when the reading began, stands behind what
        # the file gave.
        for entry in in_memory:
            position = entry.envelope.position
            if (position.incarnation, position.sequence) > reached:
                yield entry.envelope, entry.place

    def _waiting_of(self, link: str, first: int, last: int) -> list[CatalogEntry]:
        """Entries of the link that are in memory only, among them all of this range: for a short range in one step, for it is asked often."""
        with self._lock:
            of_link = self._waiting_by_link.get(link)
            if of_link is None:
                return []
            front, back = of_link[0].envelope.position, of_link[-1].envelope.position
            gapless = front.incarnation == back.incarnation and back.sequence - front.sequence == len(of_link) - 1
            if not gapless:
                return list(of_link)
            start, stop = max(first - front.sequence, 0), min(last, back.sequence) - front.sequence + 1
            return list(itertools.islice(of_link, start, max(start, stop)))

    def find(self, id_prefix: str, most: int = 2) -> list[tuple[Envelope, Place]]:
        """Values whose id (hexadecimal, with or without hyphens) begins so; at most `most`, so that 2 tells an ambiguous prefix.

        Raises `InvalidArgument` if it is no beginning of an id, `StateDamaged`.
        """
        digits = id_prefix.replace("-", "").lower()
        if not 4 <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
            raise InvalidArgument(f"{id_prefix!r} is not the beginning of a value's id: give 4 to 32 hexadecimal digits")
        low, high = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
        in_memory = [entry for entry in self._snapshot() if low <= entry.envelope.id <= high]
        rows = self._select(f"id BETWEEN ? AND ? ORDER BY id LIMIT {int(most)}", low, high)
        found = {envelope.id: (envelope, place) for envelope, place in map(self._checked, rows)}
        found.update({entry.envelope.id: (entry.envelope, entry.place) for entry in in_memory})
        return [found[identity] for identity in sorted(found)[:most]]

    def last_before(self, link: str, created_at_ns: int) -> tuple[Envelope, Place] | None:
        """The newest value of a link that was there at this time. Raises `StateDamaged`."""
        for entry in reversed(self._snapshot()):
            if entry.envelope.link == link and entry.envelope.created_at_ns <= created_at_ns:
                return entry.envelope, entry.place
        rows = self._select(
            "link = ? AND created_at_ns <= ? ORDER BY created_at_ns DESC, incarnation DESC, sequence DESC LIMIT 1", link, created_at_ns
        )
        return self._checked(rows[0]) if rows else None

    # -- what retention and recycling change; not from the event loop --------------------------------------------------------------------------

    def move(self, link: str, incarnation: int, places: Mapping[int, Place]) -> None:
        """These values, by sequence, lie elsewhere now. They are in the file already."""
        with self._writing, translated(self._path), self._writer:
            rows = self._rows("link = ? AND incarnation = ? AND sequence BETWEEN ? AND ?", link, incarnation, min(places), max(places))
            self._replace([placed_at(row, places[row[2]]) for row in rows if row[2] in places])

    def envelopes(self, link: str, generation: int) -> Iterator[bytes]:
        """The envelopes of a generation, encoded, in order. What waits for the file must have been written."""
        reached = (0, 0)
        while rows := self._of_generation(link, generation, reached):
            yield from (row[7] for row in rows)
            reached = rows[-1][1], rows[-1][2]

    def empty(self, link: str, generation: int) -> None:
        """The payloads of a generation are gone."""
        reached = (0, 0)
        while rows := self._of_generation(link, generation, reached):
            with self._writing, translated(self._path), self._writer:
                self._replace([placed_at(row, Place(PlaceKind.DROPPED, 0, 0, row[11])) for row in rows])
            reached = rows[-1][1], rows[-1][2]

    def forget(self, link: str, generation: int) -> None:
        """The values of a generation are gone, their envelopes too."""
        condition = f"rowid IN (SELECT rowid FROM value_rows WHERE link = ? AND generation = ? LIMIT {_PAGE_ROWS})"
        deleted = 1
        while deleted:
            with self._writing, translated(self._path), self._writer:
                deleted = self._writer.execute(f"DELETE FROM value_rows WHERE {condition}", (link, generation)).rowcount

    def start_over(self) -> None:
        """Forget everything: to be made again, until `made_again`."""
        with self._writing, translated(self._path), self._writer:
            self._writer.execute("DELETE FROM value_rows")
            self._writer.execute("UPDATE meta SET value = 0 WHERE key IN ('applied_lsn', 'journal_from')")

    def found_again(self, entries: Sequence[CatalogEntry]) -> None:
        """Values that were found elsewhere than in the journal. One that is known already stays as it is."""
        with self._writing, translated(self._path), self._writer:
            self._writer.executemany(f"INSERT OR IGNORE {INSERT}", [row_of(entry) for entry in entries])

    def begin_at(self, journal_from: int) -> None:
        """From now on no place names a journal file before this one, durably, with all that was written before."""
        self._commit_synced("UPDATE meta SET value = ? WHERE key = 'journal_from'", journal_from)

    def write_through(self, lsn: int, most: int) -> None:
        """Write what waits of frames up to this one, at most so many entries at a time."""
        while self._first_waiting_lsn() <= lsn:
            self.write_waiting(most)

    def make_durable(self, lsn: int, most: int) -> None:
        """Make durable all of frames up to this one."""
        self.write_through(lsn, most)
        self._commit_synced("UPDATE meta SET value = max(value, ?) WHERE key = 'applied_lsn'", lsn)

    def close(self) -> None:
        """Write nothing more. What is in memory only is read from the journal at the next start."""
        with self._writing, self._lock:
            self._reader.close()
            self._writer.close()

    def _snapshot(self) -> Sequence[CatalogEntry]:
        with self._lock:
            return tuple(self._waiting)

    def _write(self, batch: Sequence[CatalogEntry], applied_lsn: int) -> None:
        with translated(self._path), self._writer:
            self._replace([row_of(entry) for entry in batch])
            self._writer.execute("UPDATE meta SET value = max(value, ?) WHERE key = 'applied_lsn'", (applied_lsn,))

    def _replace(self, rows: Sequence[Row]) -> None:
        self._writer.executemany(f"INSERT OR REPLACE {INSERT}", rows)

    def _rows(self, condition: str, *arguments: object) -> list[Row]:
        return self._writer.execute(f"SELECT {COLUMNS} FROM value_rows WHERE {condition}", arguments).fetchall()

    def _of_generation(self, link: str, generation: int, behind: tuple[int, int]) -> list[Row]:
        """The next rows of a generation."""
        condition = f"link = ? AND generation = ? AND (incarnation, sequence) > (?, ?) ORDER BY incarnation, sequence LIMIT {_PAGE_ROWS}"
        with self._writing, translated(self._path):
            return self._rows(condition, link, generation, *behind)

    def _meta(self, key: str) -> int:
        with translated(self._path):
            return int(self._reader.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])

    def _commit_synced(self, statement: str, *arguments: object) -> None:
        with self._writing, translated(self._path):
            self._writer.execute("PRAGMA synchronous = FULL")
            with self._writer:
                self._writer.execute(statement, arguments)
            self._writer.execute("PRAGMA synchronous = NORMAL")

    def _first_waiting_lsn(self) -> float:
        with self._lock:
            return self._waiting[0].lsn if self._waiting else math.inf

    def _select(self, condition: str, *arguments: object) -> list[Row]:
        with translated(self._path):
            return self._reader.execute(f"SELECT {COLUMNS} FROM value_rows WHERE {condition}", arguments).fetchall()

    def _checked(self, row: Row) -> tuple[Envelope, Place]:
        """The value in a row, or in the journal if the row has changed since it was written."""
        value = value_of(row)
        if value is not None:
            return value
        link, incarnation, sequence, lsn = row[0], row[1], row[2], row[6]
        entry = self._reread(lsn, link, incarnation, sequence) if isinstance(lsn, int) else None
        if entry is None:
            raise damage(self._path, f"the row of {link}@{sequence} does not fit its checksum")
        return entry.envelope, entry.place
