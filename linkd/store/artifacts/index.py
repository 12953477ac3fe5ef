"""The index of artifacts: where each lies, what values name it, which are used least. Never the truth: `packs` and links have all of it.

SQLite, `index.db`:

    meta(key, value)                                      'version'; 'pack' and 'offset': all records before this place are in here;
                                                          'held_bytes': of all artifacts; 'last_use'
    artifact_rows(digest, size_bytes, is_directory, pack, offset, is_whole, use, sums)
                                                          `pack` and `offset` are those of its record, `use` the number of its last use
                                                          (`core.artifacts.Uses`); `sums` as in `checksums`, null where nobody has looked yet
    part_rows(directory, digest)                          a directory's list names this file
    named_rows(link, sequence, digest)                    a value names it

WAL mode, synchronous=FULL: what is written here says that nothing before it need be looked at again. What is committed and not written yet is in
memory; readers see no difference. `named_rows` may have rows of values that there are not, never too few: see `home.artifacts`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from linkd.core.artifacts import Candidate
from linkd.model.artifacts import ArtifactKept
from linkd.model.frozen import frozen
from linkd.store.catalog_file import connect, translated

_VERSION = 1
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE artifact_rows (digest BLOB PRIMARY KEY, size_bytes, is_directory, pack, offset, is_whole, use, sums) WITHOUT ROWID;
CREATE INDEX by_use ON artifact_rows (use);
CREATE INDEX by_pack ON artifact_rows (pack);
CREATE TABLE part_rows (directory BLOB, digest BLOB, PRIMARY KEY (directory, digest)) WITHOUT ROWID;
CREATE INDEX by_part ON part_rows (digest);
CREATE TABLE named_rows (link TEXT, sequence INTEGER, digest BLOB, PRIMARY KEY (link, sequence, digest)) WITHOUT ROWID;
CREATE INDEX by_named ON named_rows (digest);
"""
_COLUMNS = "digest, size_bytes, is_directory, pack, offset, is_whole, use"
_UNNAMED = (
    "NOT EXISTS (SELECT 1 FROM named_rows WHERE named_rows.digest = artifact_rows.digest)"
    " AND NOT EXISTS (SELECT 1 FROM part_rows WHERE part_rows.digest = artifact_rows.digest)"
)

Row = tuple[Any, ...]
Place = tuple[int, int]
"""Number of a pack file, and an offset in it."""


@frozen()
class ArtifactEntry:
    """An artifact as the index has it. `parts` are the digests that a directory's list names, of one that is entered."""

    kept: ArtifactKept
    pack: int
    offset: int
    is_whole: bool
    use: int = 0
    sums: bytes | None = None
    parts: tuple[bytes, ...] = ()

    @property
    def digest(self) -> bytes:
        return self.kept.digest

    def row(self) -> Row:
        kept = self.kept
        place = self.pack, self.offset, int(self.is_whole)
        return kept.digest, kept.size_bytes, int(kept.is_directory), *place, self.use, self.sums


def _entry(row: Row) -> ArtifactEntry:
    return ArtifactEntry(ArtifactKept(row[0], row[1], bool(row[2])), row[3], row[4], bool(row[5]), row[6])


class ArtifactIndex:
    """Reads from the event loop, writes from any thread but that, one at a time. `read_to` is where the next start begins to read the packs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._tail_lock = threading.Lock()
        self._tail: dict[bytes, ArtifactEntry] = {}
        self._used: dict[bytes, int] = {}
        self._named: list[tuple[str, int, bytes]] = []
        with translated(path):
            self.is_new = not self._is_sound()
            if self.is_new:
                self._make()
            self._writer, self._reader = connect(path), connect(path)
            for connection in (self._writer, self._reader):
                connection.execute("PRAGMA synchronous = FULL")
            said = dict(self._reader.execute("SELECT key, value FROM meta"))
        self.read_to: Place = (said["pack"], said["offset"])
        self.held_bytes: int = said["held_bytes"]
        self.last_use: int = said["last_use"]

    def _is_sound(self) -> bool:
        """Whether there is an index that this version of linkd reads. A damaged one is made again: it is an index."""
        if not self._path.exists():
            return False
        connection = sqlite3.connect(self._path)
        try:
            said = dict(connection.execute("SELECT key, value FROM meta"))
            numbers = [said.get(key) for key in ("pack", "offset", "held_bytes", "last_use")]
            return said.get("version") == _VERSION and all(isinstance(number, int) for number in numbers)
        except (sqlite3.DatabaseError, TypeError, ValueError):
            return False
        finally:
            connection.close()

    def _make(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        connection = connect(self._path)
        try:
            connection.executescript(_SCHEMA)
            with connection:
                said = {"version": _VERSION, "pack": 0, "offset": 0, "held_bytes": 0, "last_use": 0}
                connection.executemany("INSERT INTO meta VALUES (?, ?)", said.items())
        finally:
            connection.close()

    # -- reading --------------------------------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Entries that are in memory only."""
        return len(self._tail)

    def find(self, digest: bytes) -> ArtifactEntry | None:
        """Where it lies; None if it is not there."""
        with self._tail_lock:
            found = self._tail.get(digest)
        if found is not None:
            return found
        with translated(self._path):
            row = self._reader.execute(f"SELECT {_COLUMNS} FROM artifact_rows WHERE digest = ?", (digest,)).fetchone()
        return _entry(row) if row is not None else None

    def sums(self, digest: bytes) -> bytes | None:
        """The checksums of its pieces, if they are known. From any thread but that of the event loop."""
        with self._tail_lock:
            found = self._tail.get(digest)
        if found is not None:
            return found.sums
        with self._writing, translated(self._path):
            row = self._writer.execute("SELECT sums FROM artifact_rows WHERE digest = ?", (digest,)).fetchone()
        return row[0] if row is not None else None

    @property
    def names_anything(self) -> bool:
        """Whether any value is known to name an artifact."""
        with translated(self._path):
            return bool(self._named) or self._reader.execute("SELECT 1 FROM named_rows LIMIT 1").fetchone() is not None

    def find_written(self, digest: bytes) -> ArtifactEntry | None:
        """As `find`, from any thread; what waits for the index must have been written."""
        with self._writing, translated(self._path):
            row = self._writer.execute(f"SELECT {_COLUMNS} FROM artifact_rows WHERE digest = ?", (digest,)).fetchone()
        return _entry(row) if row is not None else None

    def of_pack(self, number: int) -> list[ArtifactEntry]:
        """What lies in a pack file, in its order; what waits for the index must have been written."""
        with self._writing, translated(self._path):
            rows = self._writer.execute(f"SELECT {_COLUMNS} FROM artifact_rows WHERE pack = ? ORDER BY offset", (number,)).fetchall()
        return [_entry(row) for row in rows]

    def all(self) -> Iterator[ArtifactEntry]:
        """All there is, in the order of the digests; what waits for the index must have been written."""
        last = b""
        while True:
            with self._writing, translated(self._path):
                statement = f"SELECT {_COLUMNS} FROM artifact_rows WHERE digest > ? ORDER BY digest LIMIT 256"
                rows = self._writer.execute(statement, (last,)).fetchall()
            if not rows:
                return
            yield from map(_entry, rows)
            last = rows[-1][0]

    def unnamed(self) -> Iterator[Candidate]:
        """What no value and no directory names, the least recently used first; what waits for the index must have been written."""
        last: tuple[int, bytes] = (-1, b"")
        behind = "SELECT digest, size_bytes, use FROM artifact_rows WHERE (use, digest) > (?, ?)"
        while True:
            with self._writing, translated(self._path):
                rows = self._writer.execute(f"{behind} AND {_UNNAMED} ORDER BY use, digest LIMIT 256", last).fetchall()
            if not rows:
                return
            yield from (Candidate(*row) for row in rows)
            last = rows[-1][2], rows[-1][0]

    # -- on the event loop ----------------------------------------------------------------------------------------------------------------

    def add(self, entry: ArtifactEntry) -> None:
        """It is there; it is written with the next batch."""
        with self._tail_lock:
            self._tail[entry.digest] = entry
            self.held_bytes += entry.kept.size_bytes
        self.last_use = max(self.last_use, entry.use)

    def replaces(self, entry: ArtifactEntry) -> None:
        """What is added next is the same content, known as something else: it counts once."""
        with self._tail_lock:
            self.held_bytes -= entry.kept.size_bytes

    def used(self, digest: bytes, use: int) -> None:
        """It was in somebody's hands."""
        with self._tail_lock:
            self._used[digest] = use
        self.last_use = max(self.last_use, use)

    def named(self, rows: Iterable[tuple[str, int, bytes]]) -> None:
        """Values (link, sequence) name these: written with the next batch, or by `write_named`."""
        with self._tail_lock:
            self._named += rows

    @property
    def uses_waiting(self) -> int:
        return len(self._used) + len(self._named)

    # -- writing --------------------------------------------------------------------------------------------------------------------------

    def write(self, read_to: Place, most: int) -> bool:
        """Write at most so many entries; behind the last of them all records before `read_to` are in the file. Whether some are left."""
        with self._writing, translated(self._path):
            with self._tail_lock:
                batch = list(self._tail.items())[:most]
                left = list(self._tail.values())[most:]
                held_bytes = self.held_bytes - sum(entry.kept.size_bytes for entry in left)
                used, self._used = self._used, {}
            is_all = not left
            with self._writer:
                self._enter([entry for _, entry in batch])
                self._writer.executemany(
                    "UPDATE artifact_rows SET use = ? WHERE digest = ?", [(use, digest) for digest, use in used.items()]
                )
                self._write_named()
                self._say({"held_bytes": held_bytes, "last_use": self.last_use})
                if is_all and read_to > self.read_to:
                    self._say({"pack": read_to[0], "offset": read_to[1]})
            if is_all:
                self.read_to = max(read_to, self.read_to)
            with self._tail_lock:
                for digest, entry in batch:
                    if self._tail.get(digest) is entry:
                        del self._tail[digest]
        return not is_all

    def write_named(self) -> None:
        """Write what values name, so that no record of theirs need be read again."""
        if self._named:
            with self._writing, translated(self._path), self._writer:
                self._write_named()

    def _write_named(self) -> None:
        """Within a transaction of the caller's."""
        with self._tail_lock:
            named, self._named = self._named, []
        try:
            self._writer.executemany("INSERT OR IGNORE INTO named_rows VALUES (?, ?, ?)", named)
        except sqlite3.Error:
            self.named(named)
            raise

    def name_no_more(self, link: str, first: int, last: int) -> None:
        """The values of these sequences (both included) are not there any more."""
        with self._writing, translated(self._path), self._writer:
            self._write_named()
            self._writer.execute("DELETE FROM named_rows WHERE link = ? AND sequence BETWEEN ? AND ?", (link, first, last))

    def keep_names(self, there: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        """Values name artifacts only in these ranges of sequences, in order and apart; all other rows are of values that are gone."""
        with self._writing, translated(self._path), self._writer:
            links = [row[0] for row in self._writer.execute("SELECT DISTINCT link FROM named_rows")]
            for link in links:
                behind = -1
                for first, last in [*there.get(link, ()), (2**63 - 1, 2**63 - 1)]:
                    self._writer.execute("DELETE FROM named_rows WHERE link = ? AND sequence > ? AND sequence < ?", (link, behind, first))
                    behind = last

    def remove(self, digests: Collection[bytes]) -> None:
        """These are not there any more. Durable when this returns."""
        with self._writing, translated(self._path):
            with self._tail_lock:
                gone_bytes = sum(entry.kept.size_bytes for digest in digests if (entry := self._tail.pop(digest, None)) is not None)
            with self._writer:
                for digest in digests:
                    row = self._writer.execute("SELECT size_bytes FROM artifact_rows WHERE digest = ?", (digest,)).fetchone()
                    self._writer.execute("DELETE FROM artifact_rows WHERE digest = ?", (digest,))
                    self._writer.execute("DELETE FROM part_rows WHERE directory = ?", (digest,))
                    gone_bytes += row[0] if row is not None else 0
                with self._tail_lock:
                    self.held_bytes -= gone_bytes
                self._say({"held_bytes": self.held_bytes})

    def move(self, entries: Iterable[ArtifactEntry]) -> None:
        """These lie elsewhere now; of those that went meanwhile nothing is said."""
        rows = [(entry.pack, entry.offset, entry.digest) for entry in entries]
        with self._writing, translated(self._path), self._writer:
            self._writer.executemany("UPDATE artifact_rows SET pack = ?, offset = ? WHERE digest = ?", rows)

    def know_sums(self, digest: bytes, sums: bytes) -> None:
        """The checksums of its pieces were computed."""
        with self._writing, translated(self._path):
            with self._tail_lock:
                if digest in self._tail:
                    self._tail[digest] = replace(self._tail[digest], sums=sums)
            with self._writer:
                self._writer.execute("UPDATE artifact_rows SET sums = ? WHERE digest = ?", (sums, digest))

    def close(self) -> None:
        self._writer.close()
        self._reader.close()

    def _enter(self, entries: Sequence[ArtifactEntry]) -> None:
        self._writer.executemany("INSERT OR REPLACE INTO artifact_rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [entry.row() for entry in entries])
        parts = [(entry.digest, part) for entry in entries for part in entry.parts]
        self._writer.executemany("INSERT OR IGNORE INTO part_rows VALUES (?, ?)", parts)

    def _say(self, said: Mapping[str, int]) -> None:
        self._writer.executemany("UPDATE meta SET value = ? WHERE key = ?", [(value, key) for key, value in said.items()])
