"""Segment files: writing them in the order that `segment_format` prescribes, and putting them right after a crash. Blocking."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from linkd.errors import StateDamaged
from linkd.model.values import Envelope, Place
from linkd.store.files import Bytes, File, Files
from linkd.store.segment_format import SegmentHead, directory_name, file_name, file_number, head_behind, stored_end
from linkd.wire import arrow_ipc

_WRITE_PARTS = 64
"""Parts of a body gathered into one write: up to 64 MiB from memory, and a few pieces from a staging file."""


@dataclass(frozen=True, slots=True)
class SegmentWrite:
    """A value on its way into a segment. `schema` begins a new file; `body` gives the body in pieces, once."""

    link: str
    place: Place
    schema: bytes | None
    metadata: bytes
    body: Iterable[Bytes]


class SegmentWriter:
    """Writes values, for the committer's thread: `write` all of a group, `sync`, make the journal durable, then `publish`.

    Between groups at most `open_max` files stay open, the last one of each link.
    """

    def __init__(self, files: Files, directory: Path, open_max: int) -> None:
        self._files = files
        self._directory = directory
        self._open_max = open_max
        self._open: OrderedDict[str, tuple[int, File]] = OrderedDict()
        self._left: list[File] = []
        self._touched: dict[tuple[str, int], File] = {}
        self._written: list[tuple[File, Place]] = []

    def write(self, write: SegmentWrite) -> None:
        """Write a value behind the end mark of its file: no reader sees it yet."""
        file = self._file_of(write)
        place = write.place
        at = place.offset + arrow_ipc.PREFIX_BYTES
        parts: list[Bytes] = [write.metadata]
        for part in write.body:
            parts.append(part)
            if len(parts) == _WRITE_PARTS:
                file.pwritev(parts, at)
                at += sum(map(len, parts))
                parts.clear()
        parts.append(arrow_ipc.EOS)
        file.pwritev(parts, at)
        self._touched[write.link, place.file] = file
        self._written.append((file, place))

    def sync(self) -> None:
        """Make all that was written durable: one sync for each file."""
        for file in self._touched.values():
            file.datasync()
        self._touched.clear()

    def publish(self) -> None:
        """The frames are durable: let readers see the values."""
        for file, place in self._written:
            file.pwrite(arrow_ipc.prefix(place.metadata_bytes), place.offset)
        self._written.clear()
        while len(self._open) > self._open_max:
            self._left.append(self._open.popitem(last=False)[1][1])
        self._close_left()

    def close(self) -> None:
        self._left += [file for _, file in self._open.values()]
        self._open.clear()
        self._close_left()

    def _close_left(self) -> None:
        for file in self._left:
            file.close()
        self._left.clear()

    def _file_of(self, write: SegmentWrite) -> File:
        number, file = self._open.get(write.link, (0, None))
        if file is None or number != write.place.file:
            if file is not None:
                self._left.append(file)  # not closed yet: what this group wrote to it is synced and published later
            path = self._directory / directory_name(write.link) / file_name(write.place.file)
            file = self._files.open(path, writable=True) if write.schema is None else self._create(path, write.schema)
            self._open[write.link] = (write.place.file, file)
        self._open.move_to_end(write.link)
        return file

    def _create(self, path: Path, schema: bytes) -> File:
        """A new file: an Arrow stream without values. Its name is durable when this returns."""
        if not self._files.list(path.parent):
            self._files.make_directory(path.parent)
            self._files.sync_directory(path.parent.parent)
        file = self._files.create(path)
        file.pwritev((schema, arrow_ipc.EOS), 0)
        self._files.sync_directory(path.parent)
        return file


@dataclass(slots=True)
class _SegmentFile:
    """What the journal says of a file: its end, and the values of the last group that wrote to it."""

    end: int = 0
    group_lsn: int = 0
    last_places: list[Place] = field(default_factory=list)


class SegmentRecovery:
    """Gathers what the journal says of segments (`saw`), then makes the files agree with it (`repair`)."""

    def __init__(self, files: Files, directory: Path) -> None:
        self._files = files
        self._directory = directory
        self._links: dict[str, dict[int, _SegmentFile]] = {}
        self._heads: dict[str, SegmentHead] = {}

    def saw(self, envelope: Envelope, place: Place, group_lsn: int) -> None:
        """The journal has a value in a segment; in order. `group_lsn` tells its group from others."""
        file = self._links.setdefault(envelope.link, {}).setdefault(place.file, _SegmentFile())
        if file.group_lsn != group_lsn:
            file.group_lsn = group_lsn
            file.last_places.clear()
        file.last_places.append(place)
        file.end = stored_end(place)
        self._heads[envelope.link] = head_behind(place, envelope)

    def repair(self) -> tuple[dict[str, SegmentHead], tuple[str, ...]]:
        """Publish what is committed, cut what is not. Returns each link's head, and notes of what was done.

        Raises `StateDamaged` if a file that the journal names is missing or too short.
        """
        notes: list[str] = []
        for name in self._files.list(self._directory):
            notes += self._delete_unknown(name, self._links.get(name, {}))
        for name, link in self._links.items():
            for number, file in link.items():
                notes += self._repair_file(self._directory / directory_name(name) / file_name(number), file)
        return dict(self._heads), tuple(notes)

    def _delete_unknown(self, link: str, known: dict[int, _SegmentFile]) -> list[str]:
        """Files that no durable frame names: made for values that were never committed."""
        directory = self._directory / link
        unknown = [name for name in self._files.list(directory) if (number := file_number(name)) is not None and number not in known]
        for name in unknown:
            self._files.unlink(directory / name)
        if unknown:
            self._files.sync_directory(directory)
        return [f"{directory / name}: deleted, nothing in it was committed" for name in unknown]

    def _repair_file(self, path: Path, known: _SegmentFile) -> list[str]:
        """Write what is missing of prefixes and end mark, cut what is behind. The order matters no more: it is committed, or behind."""
        file = self._files.open(path, writable=True)
        try:
            end = known.end + len(arrow_ipc.EOS)
            surplus = file.size() - end
            if surplus < 0:
                raise StateDamaged(
                    f"{path} has {file.size()} bytes, but what was committed needs {end}. Restore the directory from a backup, or "
                    "start with a new one"
                )
            changed = False
            for place in known.last_places:
                changed |= _put(file, arrow_ipc.prefix(place.metadata_bytes), place.offset)
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
