"""The index of a store: where each value lies. Never the truth: whatever is wrong with it is mended from the rest (`store.rebuilding`).

The committer's thread writes, in batches, after the acks; entries that are durable but not written yet are served from memory, so that
readers see no difference. A row that does not fit its checksum is read again from the journal, as long as that has the value. The file is
`store.catalog_file`'s.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from linkd.errors import InvalidArgument, StateDamaged
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.catalog_file import (
    COLUMNS,
    INSERT,
    CatalogEntry,
    CatalogMeta,
    Position,
    Row,
    connect,
    damage,
    has_rows_between,
    incarnations,
    new_catalog,
    open_catalog,
    payload_bytes,
    placed_at,
    read_meta,
    row_of,
    translated,
    value_of,
    write_meta,
)
from linkd.store.catalog_tail import CatalogTail

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
        self._writing = threading.Lock()
        self._tail = CatalogTail()
        self._writer = open_catalog(path, store_id)
        self._meta = read_meta(self._writer) or CatalogMeta(store_id, 0, 0)
        self._reader = connect(path)

    @property
    def applied_lsn(self) -> int:
        """Frames up to this one are in the file."""
        return self._meta.applied_lsn

    @property
    def journal_from(self) -> int:
        """Places name no journal file before this one; 0 while it is being made again."""
        return self._meta.journal_from

    @property
    def durable_lsn(self) -> int:
        """Frames up to this one are durable, and in here or among what waits. What waits of later ones is served, but not written yet."""
        return self._tail.durable_lsn

    @property
    def waiting(self) -> int:
        """Entries that are in memory only."""
        return len(self._tail)

    def add(self, entries: Iterable[CatalogEntry]) -> None:
        """These values are committed; in the order of their frames."""
        self._tail.add(entries)

    def durable(self, lsn: int) -> None:
        """All frames up to this one are durable, and their values were added."""
        self._tail.durable(lsn)

    def write_waiting(self, most: int) -> int:
        """Write at most so many waiting entries of durable frames to the file; returns how many. They are then no longer in memory."""
        with self._writing:
            batch, applied_lsn = self._tail.batch(most)
            if batch:
                self._write(batch, applied_lsn)
                self._tail.forget(len(batch))
        return len(batch)

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
            for entry in self._tail.of_link(link, first, bound)
            if first <= entry.envelope.position.sequence <= bound
            and incarnation in (None, entry.envelope.position.incarnation)
            and generation in (None, entry.envelope.generation)
        ]
        if in_memory and in_memory[0].envelope.position.sequence == first:  # so the file has none of them
            yield from ((entry.envelope, entry.place) for entry in in_memory)
            return
        reached, expected, whole_link = (0, 0), first, incarnation is None and generation is None
        for rows in self._pages(link, first, bound, incarnation, generation):
            for row in rows:
                here = row[1], row[2]
                numbers = isinstance(row[1], int) and isinstance(row[2], int)
                if row[0] != link or not numbers or here <= reached or not first <= row[2] <= bound:
                    raise damage(self._path, f"a row of {row[0]}@{row[2]} stands where one of {link} was asked for")
                if whole_link and row[2] != expected and self._hides(link, reached, here, first, bound):
                    raise self._hidden(link)
                reached, expected = here, row[2] + 1
                yield self._checked(row)
        in_file_last = in_memory[0].envelope.position.sequence - 1 if in_memory else bound
        lacks = whole_link and expected <= in_file_last and self._hides(link, reached, (2**63 - 1, 0), expected, in_file_last)
        if lacks and not any(self._pages(link, expected, in_file_last, None, None)):  # else they have come meanwhile: the next reading's
            raise self._hidden(link)
        # Entries leave memory in order, so whatever is still there, or was when the reading began, stands behind what
        # the file gave.
        for entry in in_memory:
            position = entry.envelope.position
            if (position.incarnation, position.sequence) > reached:
                yield entry.envelope, entry.place

    def _pages(self, link: str, first: int, last: int, incarnation: int | None, generation: int | None) -> Iterator[list[Row]]:
        """The rows of this range, in order of position, a page at a time. Each page is one range of the index, however much the link has."""
        of_generation = "" if generation is None else f"AND generation = {int(generation)} "
        condition = f"link = ? AND incarnation = ? AND sequence BETWEEN ? AND ? {of_generation}ORDER BY sequence LIMIT {_PAGE_ROWS}"
        with translated(self._path):
            numbers = incarnations(self._reader, link) if incarnation is None else [incarnation]
        for number in numbers:
            begin, is_last = first, False
            while begin <= last and not is_last and (rows := self._select(condition, link, number, begin, last)):
                yield rows
                begin, is_last = rows[-1][2] + 1, len(rows) < _PAGE_ROWS

    def place_of(self, envelope: Envelope) -> Place | None:
        """Where the value is now, or `None` if it is not there any more."""
        position = envelope.position
        for _, place in self.values(envelope.link, position.sequence, position.sequence, incarnation=position.incarnation):
            return place
        return None

    def payload_bytes(self, link: str, first: int, last: int) -> int:
        """Payload bytes of a link's values with these sequences (both included), without reading any of them."""
        in_memory = [entry for entry in self._tail.of_link(link, first, last) if first <= entry.envelope.position.sequence <= last]
        in_file_last = in_memory[0].envelope.position.sequence - 1 if in_memory else last
        with translated(self._path):
            return payload_bytes(self._reader, link, first, in_file_last) + sum(entry.envelope.size_bytes for entry in in_memory)

    def find(self, id_prefix: str, most: int = 2) -> list[tuple[Envelope, Place]]:
        """Values whose id (hexadecimal, with or without hyphens) begins so; at most `most`, so that 2 tells an ambiguous prefix.

        Raises `InvalidArgument` if it is no beginning of an id, `StateDamaged`.
        """
        digits = id_prefix.replace("-", "").lower()
        if not 4 <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
            raise InvalidArgument(f"{id_prefix!r} is not the beginning of a value's id: give 4 to 32 hexadecimal digits")
        low, high = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
        in_memory = [entry for entry in self._tail.all() if low <= entry.envelope.id <= high]
        rows = self._select(f"id BETWEEN ? AND ? ORDER BY id LIMIT {int(most)}", low, high)
        found = {envelope.id: (envelope, place) for envelope, place in map(self._checked, rows)}
        if not all(low <= identity <= high for identity in found):
            raise damage(self._path, f"it gives a row for {id_prefix} whose id does not begin so")
        found.update({entry.envelope.id: (entry.envelope, entry.place) for entry in in_memory})
        return [found[identity] for identity in sorted(found)[:most]]

    def last_before(self, link: str, created_at_ns: int) -> tuple[Envelope, Place] | None:
        """The newest value of a link that was there at this time. Raises `StateDamaged`."""
        for entry in reversed(self._tail.all()):
            if entry.envelope.link == link and entry.envelope.created_at_ns <= created_at_ns:
                return entry.envelope, entry.place
        rows = self._select(
            "link = ? AND created_at_ns <= ? ORDER BY created_at_ns DESC, incarnation DESC, sequence DESC LIMIT 1", link, created_at_ns
        )
        found = self._checked(rows[0]) if rows else None
        here = (found[0].position.incarnation, found[0].position.sequence) if found is not None else (0, 0)
        behind = "link = ? AND (incarnation, sequence) > (?, ?) ORDER BY incarnation, sequence LIMIT 1"
        following = self._select(behind, link, *here)  # by another index
        right = found is None or (found[0].link == link and found[0].created_at_ns <= created_at_ns)
        if not right or any(self._checked(row)[0].created_at_ns <= created_at_ns for row in following):
            raise damage(self._path, f"the rows of {link} are not in the order of their times")
        return found

    # -- what retention and recycling change; not from the event loop --------------------------------------------------------------------------

    def move(self, link: str, incarnation: int, places: Mapping[int, Place]) -> None:
        """These values, by sequence, lie elsewhere now. They are in the file already; of those that were dropped since nothing is said."""
        with self._writing, translated(self._path), self._writer:
            rows = self._rows("link = ? AND incarnation = ? AND sequence BETWEEN ? AND ?", link, incarnation, min(places), max(places))
            self._replace([placed_at(row, places[row[2]]) for row in rows if row[2] in places and row[8] != PlaceKind.DROPPED])

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

    def envelopes_between(self, link: str, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """The generations and the encoded envelopes of values with these sequences (both included), in order."""
        for rows in self._between(link, first, last):
            yield from ((row[3], row[7]) for row in rows)

    def empty_between(self, link: str, first: int, last: int) -> dict[int, int]:
        """The payloads of these values are gone. Returns how many bytes they had, by generation."""
        freed: Counter[int] = Counter()
        for rows in self._between(link, first, last):
            there = [row for row in rows if row[8] != PlaceKind.DROPPED]
            with self._writing, translated(self._path), self._writer:
                self._replace([placed_at(row, Place(PlaceKind.DROPPED, 0, 0, row[11])) for row in there])
            _count_bytes(freed, there)
        return freed

    def forget_between(self, link: str, first: int, last: int) -> dict[int, int]:
        """These values are gone, their envelopes too. Returns how many bytes of payload they still had, by generation."""
        freed: Counter[int] = Counter()
        for rows in self._between(link, first, last):
            with self._writing, translated(self._path), self._writer:
                self._writer.execute(
                    "DELETE FROM value_rows WHERE link = ? AND incarnation = ? AND sequence BETWEEN ? AND ?",
                    (link, rows[0][1], rows[0][2], rows[-1][2]),
                )
            _count_bytes(freed, [row for row in rows if row[8] != PlaceKind.DROPPED])
        return freed

    def in_file(self, link: str, file: int, first: int, last: int) -> Iterator[tuple[Envelope, Place]]:
        """Which of these values lie in that segment file, in order. Raises `StateDamaged`."""
        for rows in self._between(link, first, last):
            yield from (self._checked(row) for row in rows if row[8] == PlaceKind.SEGMENT and row[9] == file)

    def in_frames(self, first_lsn: int, last_lsn: int) -> Iterator[tuple[Envelope, Place]]:
        """The values of these frames, by the rows that are what was written: a look at every row, for the case that the journal is damaged."""
        rows = self._written("lsn BETWEEN ? AND ? ORDER BY link, incarnation, sequence", first_lsn, last_lsn)
        return (value for row in rows if (value := value_of(row)) is not None)

    def _between(self, link: str, first: int, last: int) -> Iterator[list[Row]]:
        """Rows of these sequences, some at a time, each time of one incarnation."""
        incarnation = 0
        while (following := self._next_incarnation(link, incarnation)) is not None:
            incarnation = following
            reached = first - 1
            condition = f"link = ? AND incarnation = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT {_PAGE_ROWS}"
            while rows := self._written(condition, link, incarnation, reached, last):
                reached = rows[-1][2]
                yield rows

    def _next_incarnation(self, link: str, behind: int) -> int | None:
        with self._writing, translated(self._path):
            found = self._writer.execute(
                "SELECT min(incarnation) FROM value_rows WHERE link = ? AND incarnation > ?", (link, behind)
            ).fetchone()[0]
        return int(found) if found is not None else None

    def _written(self, condition: str, *arguments: object) -> list[Row]:
        with self._writing, translated(self._path):
            return self._rows(condition, *arguments)

    def start_over(self) -> None:
        """Forget everything, whatever state the file is in: to be made again, until `begin_at`."""
        with self._writing, translated(self._path):
            self._reader.close()
            self._writer.close()
            self._tail.clear()
            self._writer = new_catalog(self._path, self._meta.store_id)
            self._reader = connect(self._path)
            with self._writer:
                self._say(applied_lsn=0, journal_from=0)

    def found_again(self, entries: Sequence[CatalogEntry]) -> None:
        """Values that were found elsewhere than in the journal. One that is known already stays as it is."""
        with self._writing, translated(self._path), self._writer:
            self._writer.executemany(f"INSERT OR IGNORE {INSERT}", [row_of(entry) for entry in entries])

    def begin_at(self, journal_from: int) -> None:
        """From now on no place names a journal file before this one, durably, with all that was written before."""
        self._say_durably(journal_from=journal_from)

    def write_through(self, lsn: int, most: int) -> None:
        """Write what waits of frames up to this one, at most so many entries at a time."""
        while self._tail.first_lsn() <= lsn:
            self.write_waiting(most)

    def make_durable(self, lsn: int, most: int) -> None:
        """Make durable all of frames up to this one."""
        self.write_through(lsn, most)
        self._say_durably(applied_lsn=max(self._meta.applied_lsn, lsn))

    def close(self) -> None:
        """Write nothing more. What is in memory only is read from the journal at the next start."""
        with self._writing:
            self._reader.close()
            self._writer.close()

    def _write(self, batch: Sequence[CatalogEntry], applied_lsn: int) -> None:
        with translated(self._path), self._writer:
            self._replace([row_of(entry) for entry in batch])
            self._say(applied_lsn=max(self._meta.applied_lsn, applied_lsn))

    def _replace(self, rows: Sequence[Row]) -> None:
        self._writer.executemany(f"INSERT OR REPLACE {INSERT}", rows)

    def _rows(self, condition: str, *arguments: object) -> list[Row]:
        return self._writer.execute(f"SELECT {COLUMNS} FROM value_rows WHERE {condition}", arguments).fetchall()

    def _of_generation(self, link: str, generation: int, behind: tuple[int, int]) -> list[Row]:
        """The next rows of a generation."""
        condition = f"link = ? AND generation = ? AND (incarnation, sequence) > (?, ?) ORDER BY incarnation, sequence LIMIT {_PAGE_ROWS}"
        with self._writing, translated(self._path):
            return self._rows(condition, link, generation, *behind)

    def _say(self, applied_lsn: int | None = None, journal_from: int | None = None) -> None:
        """Change what the file says of itself, within a transaction."""
        was = self._meta
        self._meta = CatalogMeta(
            was.store_id,
            was.applied_lsn if applied_lsn is None else applied_lsn,
            was.journal_from if journal_from is None else journal_from,
        )
        write_meta(self._writer, self._meta)

    def _say_durably(self, applied_lsn: int | None = None, journal_from: int | None = None) -> None:
        with self._writing, translated(self._path):
            self._writer.execute("PRAGMA synchronous = FULL")
            with self._writer:
                self._say(applied_lsn, journal_from)
            self._writer.execute("PRAGMA synchronous = NORMAL")

    def _hides(self, link: str, behind: Position, before: Position, first: int, last: int) -> bool:
        """Whether there are rows between two positions, though the index that values are read by has none."""
        with translated(self._path):
            return has_rows_between(self._reader, link, behind, before, first, last)

    def _hidden(self, link: str) -> StateDamaged:
        return damage(self._path, f"rows of {link} are missing from one of its indexes")

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


def _count_bytes(counted: Counter[int], rows: Iterable[Row]) -> None:
    """Bytes on disk of the payloads in these rows, by generation."""
    for row in rows:
        counted[row[3]] += row[12] + row[13] if row[8] == PlaceKind.SEGMENT else row[11]
