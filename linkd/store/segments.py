"""Segment files: writing them in the order that `segment_format` prescribes. Blocking."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from linkd.errors import StorageFull
from linkd.model.frozen import frozen
from linkd.model.values import Place
from linkd.store.files import Bytes, File, Files
from linkd.store.segment_format import directory_name, file_name, stored_end
from linkd.wire import arrow_ipc

_At = tuple[str, int, int]
"""The directory of a link, the number of a file in it, and the offset of a message in that."""
_WRITE_PARTS = 64
"""Parts of a body gathered into one write: up to 64 MiB from memory, and a few pieces from a staging file."""


@frozen()
class InPlace:
    """The body of a value lies in its file already. `behind` is where the end mark is; `filler`: see `in_place.Seat`."""

    file: File
    behind: int
    filler: bytes
    volatile: bool


@frozen()
class SegmentWrite:
    """A value on its way into a segment. `schema` begins a new file; `body` gives the body in pieces, unless that is `in_place`."""

    link: str
    place: Place
    schema: bytes | None
    metadata: bytes
    body: Callable[[], Iterable[Bytes]]
    in_place: InPlace | None = None

    @property
    def stored_bytes(self) -> int:
        return self.place.metadata_bytes + self.place.body_bytes

    @property
    def unsynced_bytes(self) -> int:
        """Of them, what the next sync makes durable."""
        return 0 if self.in_place is not None and self.in_place.volatile else self.stored_bytes


@frozen()
class _Prefix:
    """What lets readers see a message, in the place of an end mark."""

    file: File
    offset: int
    data: bytes
    in_place: bool


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
        self._written: dict[_At, _Prefix] = {}
        self._volatile: dict[_At, _Prefix] = {}
        self._lock = threading.Lock()
        self._unsynced: set[tuple[str, int]] = set()
        self._never_synced: set[tuple[str, int]] = set()

    def write(self, write: SegmentWrite) -> None:
        """Write a value behind the end mark of its file: no reader sees it yet. After `StorageFull` it may be written again."""
        if write.in_place is not None:
            self._write_around(write, write.in_place)
            return
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
        prefix = _Prefix(file, place.offset, arrow_ipc.prefix(place.metadata_bytes), in_place=False)
        self._written[write.link, place.file, place.offset] = prefix

    def _write_around(self, write: SegmentWrite, there: InPlace) -> None:
        """The body is there: an end mark behind it, the metadata before it, and before that perhaps what passes over a gap."""
        place, file = write.place, there.file
        file.pwrite(arrow_ipc.EOS, stored_end(place))
        prefix = arrow_ipc.prefix(place.metadata_bytes)
        if there.filler:
            file.pwritev((prefix, write.metadata), place.offset)
            file.pwrite(there.filler[len(prefix) :], there.behind + len(prefix))
            prefix = there.filler[: len(prefix)]
        else:
            file.pwrite(write.metadata, place.offset + len(prefix))
        written = self._volatile if there.volatile else self._written
        written[write.link, place.file, place.offset] = _Prefix(file, there.behind, prefix, in_place=True)
        if not there.volatile:
            self._touched[write.link, place.file] = file
            return
        with self._lock:
            self._never_synced.add((write.link, place.file))

    def take_back(self, writes: Iterable[SegmentWrite]) -> None:
        """These are not committed, and no reader may see them: they will be written again, or never. Files that begin with them go."""
        for write in writes:
            number = write.place.file
            self._written.pop((write.link, number, write.place.offset), None)
            self._volatile.pop((write.link, number, write.place.offset), None)
            if write.schema is None:
                continue
            opened = self._open.pop(write.link) if self._open.get(write.link, (0,))[0] == number else None
            file = self._touched.pop((write.link, number), opened[1] if opened else None)
            if file is not None:
                file.close()
                self._files.unlink(self._path(write.link, number))

    def sync(self) -> None:
        """Make all that was written durable: one sync for each file."""
        for file in self._touched.values():
            file.datasync()
        self._touched.clear()

    def publish(self) -> Exception | None:
        """The frames are durable: let readers see the values. Returns what kept them from it; a start does it then."""
        with self._lock:
            self._unsynced.update((link, number) for link, number, _ in self._written)
        late = _show(self._written)
        with self._lock:
            while len(self._open) > self._open_max:
                self._left.append(self._open.popitem(last=False)[1][1])
        return late or self.publish_volatile()

    def publish_volatile(self) -> Exception | None:
        """The frames are written: let readers see what lies in volatile files. As `publish`."""
        late = _show(self._volatile)
        self._close_left()
        return late

    def is_unsynced(self, link: str, place: Place) -> bool:
        """Whether a start may cut this value off, for neither it nor its frame are durable. From another thread."""
        prefix = self._written.get((link, place.file, place.offset))
        return prefix is not None and not prefix.in_place

    def retire(self, file: File) -> None:
        """Nothing more is written to this shared file: it is closed behind what was. From another thread."""
        with self._lock:
            self._left.append(file)

    def sync_volatile(self) -> None:
        """Make durable what lies in volatile files: the store is closed properly. Those that were deleted are passed over."""
        self._sync_files(self._never_synced)
        self._never_synced.clear()

    def were_volatile(self, files: Iterable[tuple[str, int]]) -> None:
        """An earlier life of the store has left these as they are."""
        self._never_synced.update(files)

    def was_published(self, files: Iterable[tuple[str, int]]) -> None:
        """Prefixes in these files may not be durable: an earlier life of the store wrote them."""
        with self._lock:
            self._unsynced.update(files)

    def sync_published(self) -> None:
        """Make durable what was published before this call. Files that were deleted since are passed over."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set()
        try:
            self._sync_files(unsynced)
        except BaseException:
            with self._lock:
                self._unsynced |= unsynced  # a later checkpoint counts for nothing before they are
            raise

    def _sync_files(self, files: Iterable[tuple[str, int]]) -> None:
        for path in (self._path(link, number) for link, number in sorted(files)):
            if path.name in self._files.list(path.parent):
                file = self._files.open(path, writable=True)
                try:
                    file.datasync()
                finally:
                    file.close()

    def let_go(self, link: str, numbers: Collection[int]) -> None:
        """These files of a link were deleted, and no more values go to them: their room comes free when they are closed. From another thread."""
        with self._lock:
            number, file = self._open.get(link, (0, None))
            if file is not None and number in numbers:
                del self._open[link]
                file.close()
            self._never_synced -= {(link, number) for number in numbers}

    def close(self) -> None:
        self._left += [file for _, file in self._open.values()]
        self._open.clear()
        self._written.clear()
        self._touched.clear()
        self._close_left()

    def _close_left(self) -> None:
        """Closes what nothing waits in."""
        if not self._left:
            return
        used = {id(file) for file in self._touched.values()} | {id(one.file) for one in self._written.values()}
        with self._lock:
            left = [file for file in self._left if id(file) not in used]
            self._left = [file for file in self._left if id(file) in used]
        for file in left:
            file.close()

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
        path = self._path(write.link, write.place.file)
        file = self._files.open(path, writable=True) if write.schema is None else create_segment(self._files, path, write.schema)
        with self._lock:
            self._open[write.link] = (write.place.file, file)
        return file

    def _path(self, link: str, number: int) -> Path:
        return self._directory / directory_name(link) / file_name(number)


def _show(prefixes: dict[_At, _Prefix]) -> Exception | None:
    """Write these; those that were written are taken out."""
    try:
        for key, one in list(prefixes.items()):
            one.file.pwrite(one.data, one.offset)
            del prefixes[key]
    except Exception as problem:  # of a thread: it is told there
        return problem
    return None


def make_link_directory(files: Files, directory: Path) -> None:
    """The directory of a link's segments, durably, if it is not there."""
    if not files.list(directory):
        files.make_directory(directory)
        files.sync_directory(directory.parent)


def create_segment(files: Files, path: Path, schema: bytes) -> File:
    """A new file: an Arrow stream without values. Its name is durable when this returns."""
    make_link_directory(files, path.parent)
    file = files.create(path)
    try:
        file.pwritev((schema, arrow_ipc.EOS), 0)
    except StorageFull:
        file.close()
        files.unlink(path)  # to be tried again
        raise
    files.sync_directory(path.parent)
    return file
