"""`catalog.db`: where each value lies, in SQLite. An index and never the truth: whatever is wrong with it is mended from the journal.

    PRAGMA user_version = 1                                            another number: the file is deleted and made again
    meta(key TEXT PRIMARY KEY, value)                                  'store_id' of the directory; 'applied_lsn': the last frame in here
    value_rows(link, incarnation, sequence, generation, id, created_at_ns, lsn,
               envelope,                                               a linkd.store.v1.Envelope, as in the frame
               place_kind, place_file, place_offset, place_size_bytes, place_metadata_bytes, place_body_bytes,
               checksum)                                               XXH3-64, as a signed integer, over all columns before it

WAL mode, synchronous=NORMAL: no sync for each commit, and after power loss an older state, never a torn one. The
committer's thread writes, in batches, after the acks; entries that are durable but not written yet are served from
memory, so that readers see no difference. A row that does not fit its checksum is read again from the journal.
"""

from __future__ import annotations

import itertools
import sqlite3
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from linkd.errors import InvalidArgument, StateDamaged, StorageFailed
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.wire.frames import decode_envelope

_VERSION = 1
_PAGE_ROWS = 256
"""Rows read at a time: no read transaction stays open while the caller works on them."""
_COLUMNS = (
    "link, incarnation, sequence, generation, id, created_at_ns, lsn, envelope, "
    "place_kind, place_file, place_offset, place_size_bytes, place_metadata_bytes, place_body_bytes, checksum"
)
_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE value_rows ({_COLUMNS}, PRIMARY KEY (link, incarnation, sequence));
CREATE INDEX by_id ON value_rows (id);
CREATE INDEX by_time ON value_rows (link, created_at_ns);
CREATE INDEX by_generation ON value_rows (link, generation, incarnation, sequence);
PRAGMA user_version = {_VERSION};
"""
_REFUSED_BY_SYSTEM = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
_INTEGERS = struct.Struct("<5Q6Q")

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A value as the catalog has it. `envelope_bytes` is the envelope encoded."""

    lsn: int
    envelope: Envelope
    place: Place
    envelope_bytes: bytes


Reread = Callable[[int, str, int, int], CatalogEntry | None]
"""Reads a value again from the journal: LSN, link, incarnation, sequence."""


class Catalog:
    """The index of a store. `add` and reads from the event loop, `write_waiting` from the committer's thread."""

    def __init__(self, path: Path, store_id: str, reread: Reread) -> None:
        self._path = path
        self._reread = reread
        self._lock = threading.Lock()
        self._waiting: deque[CatalogEntry] = deque()
        self._waiting_by_link: dict[str, deque[CatalogEntry]] = {}
        self._durable_lsn = 0
        self._writer = _open(path, store_id)
        self._reader = _connect(path)

    @property
    def applied_lsn(self) -> int:
        """Frames up to this one are in the file."""
        with self._translated():
            return int(self._reader.execute("SELECT value FROM meta WHERE key = 'applied_lsn'").fetchone()[0])

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
        with self._lock:
            batch = [self._waiting[index] for index in range(min(most, len(self._waiting)))]
            applied_lsn = self._durable_lsn if len(batch) == len(self._waiting) else batch[-1].lsn - 1
        if batch:
            self._write(batch, applied_lsn)
            with self._lock:
                for entry in batch:
                    self._waiting.popleft()
                    of_link = self._waiting_by_link[entry.envelope.link]
                    of_link.popleft()
                    if not of_link:
                        del self._waiting_by_link[entry.envelope.link]
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

    def start_over(self) -> None:
        """Forget everything: to be filled again from the first frame on."""
        with self._translated(), self._writer:
            self._writer.execute("DELETE FROM value_rows")
            self._writer.execute("UPDATE meta SET value = 0 WHERE key = 'applied_lsn'")

    def close(self) -> None:
        """Write nothing more. What is in memory only is read from the journal at the next start."""
        with self._lock:
            self._reader.close()
            self._writer.close()

    def _snapshot(self) -> Sequence[CatalogEntry]:
        with self._lock:
            return tuple(self._waiting)

    def _write(self, batch: Sequence[CatalogEntry], applied_lsn: int) -> None:
        with self._translated(), self._writer:
            marks = ", ".join("?" * 15)
            self._writer.executemany(f"INSERT OR REPLACE INTO value_rows ({_COLUMNS}) VALUES ({marks})", [_row(entry) for entry in batch])
            self._writer.execute("UPDATE meta SET value = max(value, ?) WHERE key = 'applied_lsn'", (applied_lsn,))

    def _select(self, condition: str, *arguments: object) -> list[Row]:
        with self._translated():
            return self._reader.execute(f"SELECT {_COLUMNS} FROM value_rows WHERE {condition}", arguments).fetchall()

    def _checked(self, row: Row) -> tuple[Envelope, Place]:
        """The value in a row, or in the journal if the row has changed since it was written."""
        if _checksum(row[:-1]) == row[-1]:
            return decode_envelope(row[7]), Place(PlaceKind(row[8]), *row[9:14])
        link, incarnation, sequence, lsn = row[0], row[1], row[2], row[6]
        entry = self._reread(lsn, link, incarnation, sequence) if isinstance(lsn, int) else None
        if entry is None:
            raise self._damage(f"the row of {link}@{sequence} does not fit its checksum")
        return entry.envelope, entry.place

    def _translated(self) -> _Translated:
        return _Translated(self)

    def _damage(self, what: object) -> StateDamaged:
        return StateDamaged(f"{self._path}: {what}. It is only an index: stop linkd and delete the file, the next start makes it again")


class _Translated:
    """Says SQLite's refusals in linkd's words."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, sqlite3.Error):
            if problem.sqlite_errorname in _REFUSED_BY_SYSTEM:
                raise StorageFailed(f"cannot write the index {self._catalog._path}: {problem}") from problem
            raise self._catalog._damage(problem) from problem


def _delete(path: Path) -> None:
    """Delete the file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path, store_id: str) -> sqlite3.Connection:
    """The catalog of this store; a new one if there is none, or if what is there is another's or cannot be read."""
    writer = None
    try:
        if path.exists():
            writer = _connect(path)
            version = writer.execute("PRAGMA user_version").fetchone()[0]
            if version == _VERSION and _meta_fits(writer, store_id):
                return writer
            writer.close()
    except sqlite3.DatabaseError:  # not a database, or a damaged one: it is an index, so it is made again
        if writer is not None:
            writer.close()
    try:
        _delete(path)
        writer = _connect(path)
        writer.executescript(_SCHEMA)
        with writer:
            writer.executemany("INSERT INTO meta VALUES (?, ?)", [("store_id", store_id), ("applied_lsn", 0)])
    except (sqlite3.Error, OSError) as problem:
        raise StorageFailed(f"{path} cannot be made: {problem}. linkd must be able to write there") from problem
    return writer


def _meta_fits(connection: sqlite3.Connection, store_id: str) -> bool:
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    return meta.get("store_id") == store_id and isinstance(meta.get("applied_lsn"), int)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _row(entry: CatalogEntry) -> Row:
    envelope, place = entry.envelope, entry.place
    content = (
        envelope.link,
        envelope.position.incarnation,
        envelope.position.sequence,
        envelope.generation,
        envelope.id,
        envelope.created_at_ns,
        entry.lsn,
        entry.envelope_bytes,
        int(place.kind),
        place.file,
        place.offset,
        place.size_bytes,
        place.metadata_bytes,
        place.body_bytes,
    )
    return (*content, _checksum(content))


def _checksum(content: Row) -> int | None:
    """Over all columns, as SQLite's signed integer. `None` if they do not even have their types."""
    try:
        link, incarnation, sequence, generation, identity, created_at_ns, lsn, envelope, *place = content
        numbers = _INTEGERS.pack(incarnation, sequence, generation, created_at_ns, lsn, *place)
        state = xxhash.xxh3_64(numbers)
        for part in (link.encode(), identity, envelope):
            state.update(struct.pack("<I", len(part)))
            state.update(part)
    except (struct.error, TypeError, ValueError, AttributeError):
        return None
    return int(struct.unpack("<q", struct.pack("<Q", state.intdigest()))[0])
