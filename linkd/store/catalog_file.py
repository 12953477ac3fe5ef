"""`catalog.db`: the file behind the index of a store, in SQLite, and how a value is a row of it.

    PRAGMA user_version = 2                                            another number: the file is deleted and made again
    meta(key TEXT PRIMARY KEY, value)                                  'store_id' of the directory; 'applied_lsn': the last frame in here;
                                                                       'journal_from': the first journal file that places may name, or 0
                                                                       while the rows are being made again from what there is, or 2^63 - 1
                                                                       while values that were copied get their new places (an earlier version
                                                                       of linkd makes all of it again then);
                                                                       'checksum': XXH3-64, as a signed integer, over these three
                                                                       (a file without it is of an earlier version of linkd)
    value_rows(link, incarnation, sequence, generation, id, created_at_ns, lsn,
               envelope,                                               a linkd.store.v1.Envelope, as in the frame
               place_kind, place_file, place_offset, place_size_bytes, place_metadata_bytes, place_body_bytes,
               checksum)                                               XXH3-64, as a signed integer, over all columns before it

`lsn` is 0 in rows that were made from a segment or an envelope file, and `place_kind` 3 in those of values that were dropped.

WAL mode, synchronous=NORMAL: no sync for each commit, and after power loss an older state, never a torn one; `make_durable` syncs.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from linkd.errors import StateDamaged, StorageFailed, StorageFull
from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.wire.frames import decode_envelope

MOVING = 2**63 - 1
"""The `journal_from` of an index that copies are being entered into."""
_VERSION = 2
COLUMNS = (
    "link, incarnation, sequence, generation, id, created_at_ns, lsn, envelope, "
    "place_kind, place_file, place_offset, place_size_bytes, place_metadata_bytes, place_body_bytes, checksum"
)
INSERT = f"INTO value_rows ({COLUMNS}) VALUES ({', '.join('?' * 15)})"
_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE value_rows ({COLUMNS}, PRIMARY KEY (link, incarnation, sequence));
CREATE INDEX by_id ON value_rows (id);
CREATE INDEX by_time ON value_rows (link, created_at_ns);
CREATE INDEX by_generation ON value_rows (link, generation, incarnation, sequence);
PRAGMA user_version = {_VERSION};
"""
_REFUSED_BY_SYSTEM = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
_INTEGERS = struct.Struct("<5Q6Q")
_LENGTH = struct.Struct("<I")

Row = tuple[Any, ...]
Position = tuple[int, int]
"""Incarnation and sequence."""


@frozen()
class CatalogEntry:
    """A value as the catalog has it. `envelope_bytes` is the envelope encoded."""

    lsn: int
    envelope: Envelope
    place: Place
    envelope_bytes: bytes


def _delete(path: Path) -> None:
    """Delete the file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def open_catalog(path: Path, store_id: str) -> sqlite3.Connection:
    """The catalog of this store; a new one if there is none, or if what is there is another's or cannot be read."""
    writer = None
    try:
        if path.exists():
            writer = connect(path)
            meta = read_meta(writer)
            if meta is not None and meta.store_id == store_id:
                return writer
            writer.close()
    except (sqlite3.DatabaseError, ValueError):  # not a database, or a damaged one: it is an index, so it is made again
        if writer is not None:
            writer.close()
    return new_catalog(path, store_id)


def new_catalog(path: Path, store_id: str) -> sqlite3.Connection:
    """An empty catalog in the place of whatever is there."""
    try:
        _delete(path)
        writer = connect(path)
        writer.executescript(_SCHEMA)
        with writer:
            write_meta(writer, CatalogMeta(store_id, 0, 1))
    except (sqlite3.Error, OSError) as problem:
        raise StorageFailed(f"{path} cannot be made: {problem}. linkd must be able to write there") from problem
    return writer


@frozen()
class CatalogMeta:
    """What an index says of itself: of which store it is, its last frame, and the first journal file that places may name."""

    store_id: str
    applied_lsn: int
    journal_from: int

    @property
    def checksum(self) -> int:
        data = b"".join((self.store_id.encode(), struct.pack("<QQ", self.applied_lsn, self.journal_from)))
        return _signed(xxhash.xxh3_64_intdigest(data))


def read_meta(connection: sqlite3.Connection) -> CatalogMeta | None:
    """What the file says of itself; None if it has changed since it was written, or is of another version."""
    if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        return None
    try:
        said = dict(connection.execute("SELECT key, value FROM meta"))
        meta = CatalogMeta(said["store_id"], said["applied_lsn"], said["journal_from"])
        return meta if said.get("checksum", meta.checksum) == meta.checksum else None
    except (KeyError, struct.error, TypeError, AttributeError, UnicodeError):
        return None


def write_meta(connection: sqlite3.Connection, meta: CatalogMeta) -> None:
    """Within a transaction of the caller's."""
    said = {**dataclasses.asdict(meta), "checksum": meta.checksum}
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", said.items())


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may be used from any thread, by one at a time."""
    with suppress(OSError):  # it is there, or SQLite says why it cannot be
        path.touch(mode=0o600, exist_ok=False)  # SQLite itself lets others read what it makes
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA fullfsync = ON")  # where a sync does not reach the disk otherwise, which is macOS
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def row_of(entry: CatalogEntry) -> Row:
    """A value as a row."""
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
        name, length = link.encode(), _LENGTH.pack
        data = b"".join((numbers, length(len(name)), name, length(len(identity)), identity, length(len(envelope)), envelope))
    except (struct.error, TypeError, ValueError, AttributeError):
        return None
    return _signed(xxhash.xxh3_64_intdigest(data))


def _signed(number: int) -> int:
    """SQLite's integers are signed."""
    return number - 2**64 if number >= 2**63 else number


def value_of(row: Row) -> tuple[Envelope, Place] | None:
    """The value in a row, or `None` if the row has changed since it was written."""
    if _checksum(row[:-1]) != row[-1]:
        return None
    return decode_envelope(row[7]), Place(PlaceKind(row[8]), *row[9:14])


def placed_at(row: Row, place: Place) -> Row:
    """The row of the same value at another place. A row that does not fit its checksum will not fit the new one either."""
    moved = (*row[:8], int(place.kind), place.file, place.offset, place.size_bytes, place.metadata_bytes, place.body_bytes)
    fits = _checksum(row[:-1]) == row[-1]
    return (*moved, _checksum(moved) if fits else None)


def incarnations(connection: sqlite3.Connection, link: str) -> list[int]:
    """Those that the file has values of, in order: one, and one more for each time that a tail was lost."""
    one = "SELECT incarnation FROM value_rows WHERE link = ?"
    ends = f"SELECT ({one} ORDER BY incarnation LIMIT 1), ({one} ORDER BY incarnation DESC LIMIT 1)"
    first, last = connection.execute(ends, (link, link)).fetchone()
    found = [] if first is None else [int(first)]
    while found and found[-1] < last:  # there is one, nearly always
        found.append(int(connection.execute(f"{one} AND incarnation > ? ORDER BY incarnation LIMIT 1", (link, found[-1])).fetchone()[0]))
    return found


def payload_bytes(connection: sqlite3.Connection, link: str, first: int, last: int) -> int:
    """Payload bytes of the values with these sequences, both included, without reading any of them."""
    statement = "SELECT sum(place_size_bytes) FROM value_rows WHERE link = ? AND incarnation = ? AND sequence BETWEEN ? AND ?"
    sums = [connection.execute(statement, (link, number, first, last)).fetchone()[0] for number in incarnations(connection, link)]
    return sum(int(one or 0) for one in sums)


def has_rows_between(connection: sqlite3.Connection, link: str, behind: Position, before: Position, first: int, last: int) -> bool:
    """Whether there are rows of sequences `first` to `last` between two positions, by another index than the one that values are read by."""
    return bool(
        connection.execute(
            "WITH RECURSIVE of (generation) AS ("
            " SELECT min(generation) FROM value_rows WHERE link = ? UNION ALL"
            " SELECT (SELECT min(generation) FROM value_rows WHERE link = ? AND generation > of.generation) FROM of WHERE of.generation NOT NULL)"
            " SELECT EXISTS (SELECT 1 FROM value_rows INDEXED BY by_generation"
            " WHERE link = ? AND generation IN (SELECT generation FROM of WHERE generation NOT NULL)"
            " AND sequence BETWEEN ? AND ? AND (incarnation, sequence) > (?, ?) AND (incarnation, sequence) < (?, ?))",
            (link, link, link, first, last, *behind, *before),
        ).fetchone()[0]
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Says SQLite's refusals in linkd's words."""
    try:
        yield
    except sqlite3.Error as problem:
        name = getattr(problem, "sqlite_errorname", "")  # what Python itself cannot decode has none
        if name == "SQLITE_FULL":
            raise StorageFull(f"cannot write the index {path}: {problem}. Free some space on that volume") from problem
        if name in _REFUSED_BY_SYSTEM:
            raise StorageFailed(f"cannot write the index {path}: {problem}") from problem
        raise damage(path, problem) from problem
    except (ValueError, TypeError) as problem:  # a text that is none, or one where a number was
        raise damage(path, f"a row is not what was written ({problem})") from problem


def damage(path: Path, what: object) -> StateDamaged:
    return StateDamaged(
        f"{path}: {what}. It is only an index: stop linkd and delete the file, or run `linkd repair`: it is made again from the rest"
    )
