"""Segment files: writing them in the order that `segment_format` prescribes, and putting them right after a crash. Blocking."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linkd.errors import StateDamaged, StorageFull
from linkd.model.kept import SegmentFileHeld
from linkd.model.values import Envelope, Place
from linkd.store.files import Bytes, File, Files
from linkd.store.segment_format import directory_name, file_name, file_number
from linkd.wire import arrow_ipc

_WRITE_PARTS = 64
"""Parts of a body gathered into one write: up to 64 MiB from memory, and a few pieces from a staging file."""


@dataclass(frozen=True, slots=True)
class SegmentWrite:
    """A value on its way into a segment. `schema` begins a new file; `body` gives the body in pieces."""

    link: str
    place: Place
    schema: bytes | None
    metadata: bytes
    body: Callable[[], Iterable[Bytes]]


class SegmentWriter:
    """Writes values, for the committer's thread: `write` those of a group, or of several; `sync`; make the journal durable; then `publish`.

    Behind `publish` at most `open_max` files stay open, the last one of each link. `sync_published` may be called from another thread.
    """

    def __init__(self, files: Files, directory: Path, open_max: int) -> None:
        self._files = files
        self._directory = directory
        self._open_max = open_max
        self._open: OrderedDict[str, tuple[int, File]] = OrderedDict()
        self._left: list[File] = []
        self._touched: dict[tuple[str, int], File] = {}
        self._written: dict[tuple[Path, int], tuple[File, Place]] = {}
        self._lock = threading.Lock()
        self._unsynced: set[Path] = set()

    def write(self, write: SegmentWrite) -> None:
        """Write a value behind the end mark of its file: no reader sees it yet. After `StorageFull` it may be written again."""
        file = self._file_of(write)
        place = write.place
        at = place.offset + arrow_ipc.PREFIX_BYTES
        parts: list[Bytes] = [write.metadata]
        for part in write.body():
            parts.append(part)
            if len(parts) == _WRITE_PARTS:
                file.pwritev(parts, at)
                at += sum(map(len, parts))
                parts.clear()
        parts.append(arrow_ipc.EOS)
        file.pwritev(parts, at)
        self._touched[write.link, place.file] = file
        self._written[_path(self._directory, write.link, place.file), place.offset] = file, place

    def take_back(self, writes: Iterable[SegmentWrite]) -> None:
        """These are not committed, and no reader may see them: they will be written again, or never. Files that begin with them go."""
        for write in writes:
            number = write.place.file
            path = _path(self._directory, write.link, number)
            self._written.pop((path, write.place.offset), None)
            if write.schema is None:
                continue
            opened = self._open.pop(write.link) if self._open.get(write.link, (0,))[0] == number else None
            file = self._touched.pop((write.link, number), opened[1] if opened else None)
            if file is not None:
                file.close()
                self._files.unlink(path)

    def sync(self) -> None:
        """Make all that was written durable: one sync for each file."""
        for file in self._touched.values():
            file.datasync()
        self._touched.clear()

    def publish(self) -> None:
        """The frames are durable: let readers see the values."""
        for file, place in self._written.values():
            file.pwrite(arrow_ipc.prefix(place.metadata_bytes), place.offset)
        with self._lock:
            self._unsynced.update(path for path, _ in self._written)
        self._written.clear()
        with self._lock:
            while len(self._open) > self._open_max:
                self._left.append(self._open.popitem(last=False)[1][1])
        self._close_left()

    def was_published(self, paths: Iterable[Path]) -> None:
        """Prefixes in these files may not be durable: an earlier life of the store wrote them."""
        with self._lock:
            self._unsynced.update(paths)

    def sync_published(self) -> None:
        """Make durable what was published before this call. Files that were deleted since are passed over."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set()
        for path in sorted(unsynced):
            if path.name in self._files.list(path.parent):
                file = self._files.open(path, writable=True)
                try:
                    file.datasync()
                finally:
                    file.close()

    def let_go(self, link: str, numbers: Container[int]) -> None:
        """These files of a link were deleted, and no more values go to them: their room comes free when they are closed. From another thread."""
        with self._lock:
            number, file = self._open.get(link, (0, None))
            if file is not None and number in numbers:
                del self._open[link]
                file.close()

    def close(self) -> None:
        self._left += [file for _, file in self._open.values()]
        self._open.clear()
        self._close_left()

    def _close_left(self) -> None:
        for file in self._left:
            file.close()
        self._left.clear()

    def _file_of(self, write: SegmentWrite) -> File:
        with self._lock:
            number, file = self._open.get(write.link, (0, None))
            if file is not None and number == write.place.file:
                self._open.move_to_end(write.link)
                return file
            if file is not None:
                self._left.append(
                    self._open.pop(write.link)[1]
                )  # not closed yet: what this group wrote to it is synced and published later
        path = _path(self._directory, write.link, write.place.file)
        file = self._files.open(path, writable=True) if write.schema is None else create_segment(self._files, path, write.schema)
        with self._lock:
            self._open[write.link] = (write.place.file, file)
        return file


def create_segment(files: Files, path: Path, schema: bytes) -> File:
    """A new file: an Arrow stream without values. Its name is durable when this returns."""
    if not files.list(path.parent):
        files.make_directory(path.parent)
        files.sync_directory(path.parent.parent)
    file = files.create(path)
    try:
        file.pwritev((schema, arrow_ipc.EOS), 0)
    except StorageFull:
        file.close()
        files.unlink(path)  # to be tried again
        raise
    files.sync_directory(path.parent)
    return file


def _path(directory: Path, link: str, number: int) -> Path:
    return directory / directory_name(link) / file_name(number)


@dataclass(slots=True)
class _SegmentFile:
    """What is known of a file: what was durable when it was written to last, and the messages that may lack their prefixes.

    They are (offset, metadata bytes), those of the last two syncs: the second of them made the prefixes of the first durable, if it was reached.
    """

    durable_lsn: int = -1
    prefixes: list[tuple[int, int]] = field(default_factory=list)
    before: list[tuple[int, int]] = field(default_factory=list)


class SegmentRecovery:
    """Gathers what the journal says of segments (`saw`), then makes the files agree with what is held (`repair`).

    `published` are then the files of which a prefix may be in the page cache only: an earlier process wrote it, or this one.
    """

    def __init__(self, files: Files, directory: Path) -> None:
        self._files = files
        self._directory = directory
        self._seen: dict[tuple[str, int], _SegmentFile] = {}
        self.published: set[Path] = set()

    def saw(self, envelope: Envelope, place: Place, durable_lsn: int) -> None:
        """The journal has a value in a segment; in order. `durable_lsn` was durable when it was written: it tells one sync from the next."""
        file = self._seen.setdefault((envelope.link, place.file), _SegmentFile())
        if file.durable_lsn != durable_lsn:
            file.durable_lsn = durable_lsn
            file.before, file.prefixes = file.prefixes, []
        file.prefixes.append((place.offset, place.metadata_bytes))

    def repair(self, held: Iterable[tuple[str, SegmentFileHeld]]) -> tuple[str, ...]:
        """Publish what is committed, cut and delete what is not. Returns notes of what was done.

        Raises `StateDamaged` if a file that is held is missing or too short.
        """
        known: dict[str, dict[int, SegmentFileHeld]] = {}
        for link, file in held:
            known.setdefault(link, {})[file.file] = file
        notes: list[str] = []
        for name in self._files.list(self._directory):
            notes += self._delete_unknown(name, known.get(name, {}))
        for name, files in known.items():
            for number, file in files.items():
                notes += self._repair_file(self._directory / directory_name(name) / file_name(number), file, self._prefixes(name, file))
        return tuple(notes)

    def _prefixes(self, link: str, file: SegmentFileHeld) -> list[tuple[int, int]]:
        """The messages of a file that may lack their prefixes."""
        seen = self._seen.get((link, file.file))
        gate = [(file.gate_offset, file.gate_metadata_bytes)] if file.gate_offset else []
        return gate + (seen.before + seen.prefixes if seen is not None else [])

    def _delete_unknown(self, link: str, known: Container[int]) -> list[str]:
        """Files that nothing durable names: made for values that were never committed, or whose values were dropped."""
        directory = self._directory / link
        unknown = [name for name in self._files.list(directory) if (number := file_number(name)) is not None and number not in known]
        for name in unknown:
            self._files.unlink(directory / name)
        if unknown:
            self._files.sync_directory(directory)
        return [f"{directory / name}: deleted, nothing in it is committed and kept" for name in unknown]

    def _repair_file(self, path: Path, known: SegmentFileHeld, prefixes: Sequence[tuple[int, int]]) -> list[str]:
        """Write what is missing of prefixes and end mark, cut what is behind. The order matters no more: it is committed, or behind."""
        file = self._files.open(path, writable=True)
        try:
            end = known.end + len(arrow_ipc.EOS)
            surplus = file.size() - end
            if surplus < 0:
                raise StateDamaged(
                    f"{path} has {file.size()} bytes, but what was committed needs {end}. `linkd repair` goes on without "
                    "what is missing; or restore a backup"
                )
            changed = False
            for offset, metadata_bytes in prefixes:
                changed |= _put(file, arrow_ipc.prefix(metadata_bytes), offset)
                self.published.add(path)
            changed |= _put(file, arrow_ipc.EOS, known.end)
            if surplus:
                file.truncate(end)
            if surplus or changed:
                file.datasync()
        finally:
            file.close()
        return [f"{path}: cut {surplus} bytes that were not committed"] if surplus else []


def _put(file: File, data: bytes, offset: int) -> bool:
    """Write `data` unless it is there; whether it was written."""
    if file.pread(len(data), offset) == data:
        return False
    file.pwrite(data, offset)
    return True
