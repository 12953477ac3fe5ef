"""What the store holds beside the journal: segment files, which generations have values, which were dropped and wait to be freed. Pure.

The event loop changes it as frames are put in line, so that it always says what holds behind the last frame; the thread that frees and copies
takes file numbers from it and reports what it did. A few hundred bytes for each segment file and each generation that is kept.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from linkd.model.kept import Held, LinkHeld, SegmentFileHeld
from linkd.model.records import Dropped
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.segment_format import SegmentHead, stored_end


@dataclass(slots=True)
class _Link:
    """`ends` are the files that the next value goes to: of those published now ([0]), and of copies out of the journal ([1])."""

    last_file: int = 0
    files: dict[int, SegmentFileHeld] = field(default_factory=dict)
    generations: dict[int, int] = field(default_factory=dict)
    dropped: dict[int, bool] = field(default_factory=dict)
    ends: list[int] = field(default_factory=lambda: [0, 0])


class Holdings:
    """See the head of the file. Usable from several threads."""

    def __init__(self, held: Held) -> None:
        self._lock = threading.Lock()
        self._links: dict[str, _Link] = {}
        self.copied_file = held.copied_file
        for one in held.links:
            link = _Link(one.last_file, {}, dict(one.generations), dict(one.dropped))
            self._links[one.link] = link
            for file in one.files:
                link.files[file.file] = file
                link.ends[file.copies] = max(link.ends[file.copies], file.file)

    def held(self) -> Held:
        """All of it, as a checkpoint says it."""
        with self._lock:
            links = tuple(
                LinkHeld(name, link.last_file, tuple(link.files.values()), dict(link.generations), dict(link.dropped))
                for name, link in self._links.items()
            )
            return Held(self.copied_file, links)

    def head(self, link: str, *, copies: bool = False) -> SegmentHead | None:
        """The file that the link's next value, or its next copy, goes to if it fits."""
        with self._lock:
            found = self._links.get(link)
            file = found.files.get(found.ends[copies]) if found is not None else None
            return SegmentHead(file.file, file.end, file.schema_id, file.generation) if file is not None else None

    def new_file(self, link: str) -> int:
        """A number for a segment file that no file of the link ever had."""
        with self._lock:
            found = self._links.setdefault(link, _Link())
            found.last_file += 1
            return found.last_file

    def stored(self, envelope: Envelope, place: Place) -> None:
        """A value is in line, or was read from the journal."""
        with self._lock:
            link = self._links.setdefault(envelope.link, _Link())
            in_journal = place.kind is PlaceKind.JOURNAL
            size_bytes = place.size_bytes if in_journal else place.metadata_bytes + place.body_bytes
            link.generations[envelope.generation] = link.generations.get(envelope.generation, 0) + size_bytes
            if not in_journal:
                link.last_file = max(link.last_file, place.file)
                link.files[place.file] = SegmentFileHeld(place.file, envelope.generation, envelope.schema_id, stored_end(place))
                link.ends[0] = place.file

    def copied(self, link: str, file: SegmentFileHeld) -> None:
        """Values were copied out of the journal into this file, durably."""
        with self._lock:
            found = self._links.setdefault(link, _Link())
            found.files[file.file] = file
            found.ends[1] = max(found.ends[1], file.file)

    def published(self, link: str, number: int) -> None:
        """The gate of this file has its prefix."""
        with self._lock:
            found = self._links[link]
            if number in found.files:
                found.files[number] = replace(found.files[number], gate_offset=0, gate_metadata_bytes=0)

    def dropped(self, record: Dropped) -> None:
        """A generation was dropped, or its envelopes are forgotten now."""
        with self._lock:
            link = self._links.get(record.link)
            if link is not None and record.generation:
                link.generations.pop(record.generation, None)
                link.dropped[record.generation] = record.forgotten or link.dropped.get(record.generation, False)

    def is_live(self, link: str, generation: int) -> bool:
        """Whether values of this generation are there and it was not dropped."""
        with self._lock:
            found = self._links.get(link)
            return found is not None and generation in found.generations

    def is_known(self, link: str, generation: int) -> bool:
        """Whether values of this generation are there, or may still be."""
        with self._lock:
            found = self._links.get(link)
            return found is not None and (generation in found.generations or generation in found.dropped)

    def waiting(self) -> list[tuple[str, int]]:
        """The generations that were dropped and not freed."""
        with self._lock:
            return [(name, generation) for name, link in self._links.items() for generation in link.dropped]

    def is_forgotten(self, link: str, generation: int) -> bool:
        """Whether the envelopes of a dropped generation go too."""
        with self._lock:
            return self._links[link].dropped[generation]

    def files_of(self, link: str, generation: int) -> list[int]:
        """The segment files of a generation."""
        with self._lock:
            return [number for number, file in self._links[link].files.items() if file.generation == generation]

    def freed(self, link: str, generation: int, *, forgotten: bool) -> bool:
        """Nothing of a dropped generation is on disk. False if it was forgotten meanwhile, and so there is more to free."""
        with self._lock:
            found = self._links[link]
            found.files = {number: file for number, file in found.files.items() if file.generation != generation}
            if found.dropped[generation] != forgotten:
                return False
            del found.dropped[generation]
            return True

    def files(self) -> list[tuple[str, SegmentFileHeld]]:
        """The segment files of values that are there."""
        return [(name, file) for name, file, live in self._all_files() if live]

    def leaving(self) -> list[tuple[str, SegmentFileHeld]]:
        """The segment files of generations that were dropped: they may be gone already."""
        return [(name, file) for name, file, live in self._all_files() if not live]

    def _all_files(self) -> list[tuple[str, SegmentFileHeld, bool]]:
        with self._lock:
            return [(name, file, file.generation in link.generations) for name, link in self._links.items() for file in link.files.values()]

    def used_bytes(self) -> dict[str, int]:
        """Bytes on disk of each link's payloads."""
        with self._lock:
            return {name: sum(link.generations.values()) for name, link in self._links.items() if link.generations}
