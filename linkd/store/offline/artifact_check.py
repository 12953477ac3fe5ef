"""`verify` for artifacts: every one by its digest, where the index says that it is, and every record that the index has not come to yet.

A file in `whole/` that the index does not know is no fault: its record is in a pack, or nobody was told of it. While a home runs, what it lets go of
meanwhile is passed over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from linkd.core.artifacts import DIGEST_BYTES
from linkd.errors import StateDamaged
from linkd.model.artifacts import ArtifactKept
from linkd.model.frozen import frozen
from linkd.store.artifacts.checksums import digest_of_content
from linkd.store.artifacts.index import ArtifactEntry
from linkd.store.artifacts.naming import FOLDER, INDEX_FILE, Paths
from linkd.store.artifacts.pack_format import FILE_HEAD, HEAD_BYTES, decoded
from linkd.store.artifacts.reading import hash_whole
from linkd.store.files import File, Files
from linkd.store.offline.findings import INDEX_ONLY, Finding

_LOST = "it is lost and not served: linkd sets it aside when it is asked for; put it again from where it came from"


@frozen()
class ArtifactFault:
    """Something that is not as it was written; `aside` is the file that goes with it, if one does."""

    finding: Finding
    aside: Path | None = None


def index_files(directory: Path) -> list[Path]:
    """What a repair lets go of, so that the next start reads all packs again."""
    index = directory / FOLDER / INDEX_FILE
    return [path for suffix in ("", "-wal", "-shm") if (path := index.with_name(index.name + suffix)).exists()]


def check_artifacts(
    files: Files, directory: Path, *, running: bool = False, read: Callable[[Path], None], progress: Callable[[int], None]
) -> Iterator[ArtifactFault]:
    """All of them. `read` is told each file, `progress` the bytes of one that were read."""
    paths = Paths(directory / FOLDER)
    if not files.list(paths.directory):
        return
    for name in files.list(paths.packs):
        read(paths.packs / name)
        if not _begins_right(files, paths.packs / name):
            said = "nothing is lost: the records behind it are read all the same"
            yield ArtifactFault(Finding(paths.packs / name, "its beginning is not what was written", said, 0))
    rows = _Rows(paths.directory / INDEX_FILE)
    try:
        for entry in rows:
            progress(entry.kept.size_bytes)
            fault = _look(files, paths, entry, read)
            if fault is not None and not (running and rows.is_gone(entry)):
                yield fault
    finally:
        rows.close()
    if rows.problem:
        yield ArtifactFault(Finding(rows.path, rows.problem, INDEX_ONLY))


def _look(files: Files, paths: Paths, entry: ArtifactEntry, read: Callable[[Path], None]) -> ArtifactFault | None:
    path = paths.of_whole(entry.digest) if entry.is_whole else paths.pack(entry.pack)
    name = entry.digest.hex()
    if entry.is_whole:
        read(path)
    try:
        file = files.open(path)
    except StateDamaged:
        aside = paths.on_its_way(entry.digest)
        if entry.is_whole and aside.name in files.list(paths.aside):
            return None  # the next start gives it its name
        return ArtifactFault(Finding(path, f"artifact {name} is missing", _LOST))
    try:
        if entry.is_whole:
            sound = file.size() == entry.kept.size_bytes and hash_whole(file, entry).digest == entry.digest
            return None if sound else ArtifactFault(Finding(path, f"artifact {name} is not what was put", _LOST), path)
        return _packed(file, path, entry)
    finally:
        file.close()


def _packed(file: File, path: Path, entry: ArtifactEntry) -> ArtifactFault | None:
    data = file.pread(HEAD_BYTES + entry.kept.size_bytes, entry.offset)
    record = decoded(data[:HEAD_BYTES], entry.offset)
    if digest_of_content(data[HEAD_BYTES:]) != entry.digest:
        return ArtifactFault(Finding(path, f"artifact {entry.digest.hex()} is not what was put", _LOST, entry.offset))
    if record is None or record.kept != entry.kept:
        return ArtifactFault(Finding(path, f"what says of artifact {entry.digest.hex()} what it is has changed", _LOST, entry.offset))
    return None


def _begins_right(files: Files, path: Path) -> bool:
    try:
        file = files.open(path)
    except StateDamaged:  # the home was through with it
        return True
    try:
        return file.pread(len(FILE_HEAD), 0) == FILE_HEAD
    finally:
        file.close()


class _Rows:
    """The entries of the index, some at a time. What SQLite refuses is a `problem`, and ends them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._connection: sqlite3.Connection | None = None

    def __iter__(self) -> Iterator[ArtifactEntry]:
        if not self.path.exists():
            return
        try:
            self._connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
            last = b""
            while rows := self._select("digest > ? ORDER BY digest LIMIT 256", last):
                for row in rows:
                    if not isinstance(row[0], bytes) or len(row[0]) != DIGEST_BYTES or not all(isinstance(one, int) for one in row[1:]):
                        self.problem = "a row is not what was written"
                        return
                    yield ArtifactEntry(ArtifactKept(row[0], row[1], bool(row[2])), row[3], row[4], bool(row[5]))
                last = rows[-1][0]
            found = self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            self.problem = "" if found == "ok" else str(found)
        except (sqlite3.Error, ValueError) as problem:
            self.problem = str(problem)

    def is_gone(self, entry: ArtifactEntry) -> bool:
        """Whether the home has let go of it, or moved it, since."""
        try:
            rows = self._select("digest = ?", entry.digest)
        except sqlite3.Error:
            return False
        return not rows or (rows[0][3], rows[0][4]) != (entry.pack, entry.offset)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _select(self, condition: str, value: bytes) -> list[tuple[bytes, int, int, int, int, int]]:
        assert self._connection is not None
        columns = "digest, size_bytes, is_directory, pack, offset, is_whole"
        return self._connection.execute(f"SELECT {columns} FROM artifact_rows WHERE {condition}", (value,)).fetchall()
