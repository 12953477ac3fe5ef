"""A journal file that turns out to be damaged while the store works: what of it can still be read, and what is lost with the rest.

    quarantine/journal-%016d/note.json     {"linkd": its version, "pieces": [{"file", "offset", "size_bytes", "kept_as", "why"}, ...]}
    quarantine/journal-%016d/%06d.bytes    the damaged bytes, as they are

Nothing is guessed: a frame is whole or it is not there. Values that were in such frames and nowhere else are lost; whoever has the store records
that as a drop, and only then the file goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from linkd.model.frozen import frozen
from linkd.model.values import PlaceKind
from linkd.store import directory as layout_of
from linkd.store.catalog import Catalog
from linkd.store.files import Files
from linkd.store.holdings import Holdings
from linkd.store.journal_format import FileHeader, Frame, file_name
from linkd.store.offline.findings import ranges
from linkd.store.offline.journal_scan import Hole, JournalScan

QUARANTINE = "quarantine"
_NOTE = "note.json"
_WHY = "frames could not be read"


@frozen()
class LostValues:
    """Values of a generation that follow one another, of which no payload is left."""

    link: str
    incarnation: int
    generation: int
    first: int
    last: int


@frozen()
class Damage:
    """Frames of a journal file that cannot be read. `quarantine` has their bytes, `lost` are the values that were nowhere else."""

    path: Path
    frames: tuple[tuple[int, int], ...]
    quarantine: Path
    lost: tuple[LostValues, ...]

    def __str__(self) -> str:
        said = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in self.frames)
        values = sum(one.last - one.first + 1 for one in self.lost)
        links = ", ".join(sorted({one.link for one in self.lost}))
        lost = f"values of {links} that are lost with it: {values}" if values else "no value is lost"
        return f"{self.path}: frames {said} are not what was written, and are set aside in {self.quarantine}; {lost}"


class DamagedJournalFile:
    """The oldest file of a journal, which is followed by another one."""

    def __init__(self, files: Files, directory: Path, header: FileHeader, following: FileHeader) -> None:
        self._files = files
        self._directory = directory
        self._header = header
        self._following = following

    @property
    def number(self) -> int:
        return self._header.number

    def frames(self, covered_lsn: int = 0) -> Iterator[tuple[FileHeader, Frame]]:
        """The frames behind this one that are whole, in order."""
        return ((header, frame) for header, frame in self._scan().frames_of(self._header, self._following) if frame.lsn > covered_lsn)

    def look(self, catalog: Catalog, holdings: Holdings) -> Damage:
        """What is wrong with it; the damaged bytes are in the quarantine when this returns. Raises `StorageFailed`."""
        scan = self._scan()
        for _ in scan.frames_of(self._header, self._following):
            pass
        lost = tuple(one for hole in scan.holes for one in self._lost(hole, catalog, holdings))
        path = self._directory / layout_of.JOURNAL / file_name(self.number)
        frames = tuple((hole.first_lsn, hole.last_lsn) for hole in scan.holes)
        return Damage(path, frames, self._set_aside(scan.holes), lost)

    def _scan(self) -> JournalScan:
        return JournalScan(self._files, self._directory / layout_of.JOURNAL)

    def _lost(self, hole: Hole, catalog: Catalog, holdings: Holdings) -> Iterator[LostValues]:
        sequences: dict[tuple[str, int, int], list[int]] = {}
        for envelope, place in catalog.in_frames(hole.first_lsn, hole.last_lsn):
            position = envelope.position
            in_file = place.kind is PlaceKind.JOURNAL and place.file == self.number
            if in_file and holdings.is_live(envelope.link, envelope.generation, position.sequence):
                sequences.setdefault((envelope.link, position.incarnation, envelope.generation), []).append(position.sequence)
        for (link, incarnation, generation), found in sequences.items():
            for first, last in ranges(sorted(found)):
                yield LostValues(link, incarnation, generation, first, last)

    def _set_aside(self, holes: list[Hole]) -> Path:
        """Copies the damaged bytes; the note is written last, so that a quarantine with one is whole."""
        quarantine = self._directory / QUARANTINE / f"journal-{self.number:016d}"
        if _NOTE in self._files.list(quarantine):
            return quarantine
        for made in (quarantine.parent, quarantine):
            self._files.make_directory(made)
            self._files.sync_directory(made.parent)
        for name in self._files.list(quarantine):
            self._files.unlink(quarantine / name)
        pieces = []
        regions = dict.fromkeys((hole.path, hole.offset, hole.end) for hole in holes)
        for index, (path, offset, end) in enumerate(regions):
            name = f"{index:06d}.bytes"
            self._write(quarantine / name, self._read(path, offset, end))
            inside = str(path.relative_to(self._directory))
            pieces.append({"file": inside, "offset": offset, "size_bytes": end - offset, "kept_as": name, "why": _WHY})
        self._write(quarantine / _NOTE, json.dumps({"linkd": layout_of.linkd_version(), "pieces": pieces}, indent=1).encode() + b"\n")
        self._files.sync_directory(quarantine)
        return quarantine

    def _read(self, path: Path, offset: int, end: int) -> bytes:
        file = self._files.open(path)
        try:
            return file.pread(end - offset, offset)
        finally:
            file.close()

    def _write(self, path: Path, data: bytes) -> None:
        file = self._files.create(path)
        try:
            file.pwrite(data, 0)
            file.datasync()
        finally:
            file.close()
