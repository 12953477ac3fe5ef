"""What artifacts let go of: what was used least goes where room is short, what is damaged is set aside, packs that are mostly empty are copied.

Blocking: jobs of the thread that writes the packs. Each may be interrupted anywhere: what it began is then as it was, or done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from linkd.core.artifacts import Candidate, going, is_worth_copying
from linkd.errors import StateDamaged
from linkd.limits import ARTIFACT_GROUP_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.store.artifacts.index import ArtifactEntry, ArtifactIndex
from linkd.store.artifacts.naming import Paths
from linkd.store.artifacts.pack_format import FILE_HEAD, encoded, record_bytes
from linkd.store.artifacts.packs import Packs
from linkd.store.artifacts.reading import ArtifactReader
from linkd.store.files import Files

_GOING_AT_ONCE = 256
"""Artifacts that go with one sync of their directories."""


@frozen()
class Evicted:
    """Artifacts that went because room was short."""

    count: int
    size_bytes: int


NOTHING = Evicted(0, 0)


class ArtifactRoom:
    """See the head of the file. What waits for the index was written when any of these is called."""

    def __init__(
        self,
        files: Files,
        paths: Paths,
        quarantine: Path,
        packs: Packs,
        index: ArtifactIndex,
        reader: ArtifactReader,
    ) -> None:
        self._files = files
        self._paths = paths
        self._quarantine = quarantine
        self._packs = packs
        self._index = index
        self._reader = reader

    def make(self, excess_bytes: int, staying: Callable[[Candidate], bool]) -> Evicted:
        """Lets go of what no value names, the least recently used first, until so much is free or nothing more may go; not of what is `staying`."""
        chosen = going(self._index.unnamed(), staying, excess_bytes)
        for at in range(0, len(chosen), _GOING_AT_ONCE):
            self._let_go([one.digest for one in chosen[at : at + _GOING_AT_ONCE]])
        return Evicted(len(chosen), sum(one.size_bytes for one in chosen))

    def set_aside(self, entry: ArtifactEntry) -> None:
        """It is damaged: whoever asks for it is told that it is not there; its bytes are in the quarantine, for people."""
        quarantine = self._quarantine
        target = quarantine / f"artifact-{entry.digest.hex()}"
        for made in (quarantine.parent, quarantine):
            self._files.make_directory(made)
            self._files.sync_directory(made.parent)
        with contextlib.suppress(StateDamaged):  # its file is gone: so nothing is left to be set aside
            if entry.is_whole:
                self._reader.open_files.forget(self._paths.of_whole(entry.digest))
                self._files.rename(self._paths.of_whole(entry.digest), target)
                self._files.sync_directory(quarantine)
                self._files.sync_directory(self._paths.whole)
            elif target.name not in self._files.list(quarantine):
                self._copy_packed(entry, target)
        self._index.remove([entry.digest])

    def _copy_packed(self, entry: ArtifactEntry, target: Path) -> None:
        with self._reader.open_files.reading(self._paths.pack(entry.pack)) as file:
            data = file.pread(record_bytes(entry.kept.size_bytes, is_whole=False), entry.offset)
        copy = self._files.create(target)
        try:
            copy.pwrite(data, 0)
            copy.datasync()
        finally:
            copy.close()
        self._files.sync_directory(target.parent)

    def _let_go(self, digests: Collection[bytes]) -> None:
        """Large ones go by way of `aside/`: a start after a crash sees there whether the index still has them."""
        entries = [entry for digest in digests if (entry := self._index.find_written(digest)) is not None]
        whole = [entry.digest for entry in entries if entry.is_whole]
        for digest in whole:
            self._reader.open_files.forget(self._paths.of_whole(digest))
            with contextlib.suppress(StateDamaged):  # it is not there: then it need not go
                self._files.rename(self._paths.of_whole(digest), self._paths.on_its_way(digest))
        if whole:
            self._files.sync_directory(self._paths.aside)
            self._files.sync_directory(self._paths.whole)
        self._index.remove(digests)
        there = set(self._files.list(self._paths.aside))
        for digest in whole:
            if digest.hex() in there:
                self._files.unlink(self._paths.on_its_way(digest))
        self.copy_packs({entry.pack for entry in entries})

    def copy_packs(self, numbers: Iterable[int]) -> None:
        """Of these pack files, those of which little is left go; what is left of them goes into the newest one."""
        newest, _ = self._packs.end
        for number in sorted(set(numbers) & set(self._packs.numbers())):
            if number == newest:
                continue
            entries = self._index.of_pack(number)
            live_bytes = sum(record_bytes(entry.kept.size_bytes, is_whole=entry.is_whole) for entry in entries)
            if is_worth_copying(live_bytes, self._files.size(self._paths.pack(number)) - len(FILE_HEAD)):
                self._copy(entries)
                self._reader.open_files.forget(self._paths.pack(number))
                self._files.unlink(self._paths.pack(number))
                self._files.sync_directory(self._paths.packs)

    def _copy(self, entries: list[ArtifactEntry]) -> None:
        """Appends these to the packs, a group at a time."""
        while entries:
            group: list[tuple[ArtifactEntry, bytes]] = []
            size_bytes = 0
            while entries and size_bytes < ARTIFACT_GROUP_MAX_BYTES:
                entry = entries.pop(0)
                try:
                    content = None if entry.is_whole else self._reader.content(entry)
                except StateDamaged:
                    self.set_aside(entry)
                    continue
                group.append((entry, encoded(entry.kept, content)))
                size_bytes += len(group[-1][1])
            places = self._packs.append([record for _, record in group])
            self._packs.sync()
            self._index.move(
                ArtifactEntry(entry.kept, pack, offset, entry.is_whole) for (entry, _), (pack, offset) in zip(group, places, strict=True)
            )
