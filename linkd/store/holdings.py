"""What the store holds beside the journal: segment files, which generations have values, which were dropped and wait to be freed. Pure.

The event loop changes it as frames are put in line, so that it always says what holds behind the last frame; the thread that frees and copies
takes file numbers from it and reports what it did. A few hundred bytes for each segment file and each generation that is kept.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from linkd.limits import SEGMENT_ROLL_MIN_BYTES, SEGMENT_ROLL_SHARE
from linkd.model.kept import Held, LinkHeld, PartDropped, SegmentFileHeld
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
    gone: list[tuple[int, int]] = field(default_factory=list)
    parts: list[PartDropped] = field(default_factory=list)
    ends: list[int] = field(default_factory=lambda: [0, 0])

    def is_left(self, file: SegmentFileHeld) -> bool:
        """Nothing more goes to it."""
        return file.closed if file.shared else file.file not in self.ends

    def is_spent(self, file: SegmentFileHeld) -> bool:
        """All values in it were dropped by themselves."""
        return file.first_sequence > 0 and _covers(self.gone, file.first_sequence, file.last_sequence)


class Holdings:
    """See the head of the file. Usable from several threads."""

    def __init__(self, held: Held, roll_min_bytes: int = SEGMENT_ROLL_MIN_BYTES) -> None:
        self._roll_min_bytes = roll_min_bytes
        self._lock = threading.Lock()
        self._links: dict[str, _Link] = {}
        self.copied_file, self.copied_lsn = held.copied_file, held.copied_lsn
        for one in held.links:
            link = _Link(one.last_file, {}, dict(one.generations), dict(one.dropped), list(one.gone), list(one.parts))
            self._links[one.link] = link
            for file in one.files:
                link.files[file.file] = file
                if not file.closed and not file.shared:
                    link.ends[file.copies] = max(link.ends[file.copies], file.file)

    def held(self) -> Held:
        """All of it, as a checkpoint says it."""
        with self._lock:
            links = tuple(
                LinkHeld(
                    name,
                    link.last_file,
                    tuple(link.files.values()),
                    dict(link.generations),
                    dict(link.dropped),
                    tuple(link.gone),
                    tuple(link.parts),
                )
                for name, link in self._links.items()
            )
            return Held(self.copied_file, links, self.copied_lsn)

    def held_since(self, before: Held) -> Held:
        """What a checkpoint said, and where copies lie that were made since: what else happened is behind it in the journal."""
        now, known = self.held(), {one.link: one for one in before.links}
        links = []
        for one in now.links:
            was = known.get(one.link, LinkHeld(one.link, 0))
            copies = {file.file: file for file in one.files if file.copies}
            files = {file.file: file for file in was.files} | copies
            links.append(replace(was, last_file=one.last_file, files=tuple(files.values())))
        return Held(before.copied_file, tuple(links), now.copied_lsn)

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

    def stored(self, envelope: Envelope, place: Place, *, shared: bool = False, volatile: bool = False) -> None:
        """A value is in line, or was read from the journal. `shared` and `volatile`: as in `ValueStored`."""
        with self._lock:
            link = self._links.setdefault(envelope.link, _Link())
            in_journal = place.kind is PlaceKind.JOURNAL
            size_bytes = place.size_bytes if in_journal else place.metadata_bytes + place.body_bytes
            link.generations[envelope.generation] = link.generations.get(envelope.generation, 0) + size_bytes
            if not in_journal:
                link.last_file = max(link.last_file, place.file)
                sequence, known = envelope.position.sequence, link.files.get(place.file)
                first = sequence if known is None else known.first_sequence
                link.files[place.file] = SegmentFileHeld(
                    place.file,
                    envelope.generation,
                    envelope.schema_id,
                    stored_end(place),
                    first_sequence=first,
                    last_sequence=sequence,
                    closed=known is not None and known.closed,
                    shared=shared,
                    volatile=volatile,
                )
                if not shared:
                    link.ends[0] = place.file

    def close(self, link: str, number: int) -> bool:
        """No more values go to this shared file; False if none did, or it is not there any more."""
        with self._lock:
            found = self._links.get(link)
            file = found.files.get(number) if found is not None else None
            if found is None or file is None:
                return False
            found.files[number] = replace(file, closed=True)
            return True

    def close_shared(self, *, settled: bool) -> None:
        """What an earlier life of the store has left: no more values go to shared files, and if they were `settled` they are as durable as others."""
        with self._lock:
            for link in self._links.values():
                for number, file in link.files.items():
                    if file.shared:
                        link.files[number] = replace(file, closed=True, volatile=file.volatile and not settled)

    def shared_files(self) -> list[tuple[str, SegmentFileHeld]]:
        """The shared files, those of values that were dropped among them."""
        return [(name, file) for name, file, _ in self._all_files() if file.shared]

    def copied(self, link: str, file: SegmentFileHeld) -> None:
        """Values were copied out of the journal into this file, durably."""
        with self._lock:
            found = self._links.setdefault(link, _Link())
            known = found.files.get(file.file)
            found.files[file.file] = replace(file, closed=file.closed or (known is not None and known.closed))
            if not found.files[file.file].closed:
                found.ends[1] = max(found.ends[1], file.file)

    def published(self, link: str, number: int) -> None:
        """The gate of this file has its prefix."""
        with self._lock:
            found = self._links[link]
            if number in found.files:
                found.files[number] = replace(found.files[number], gate_offset=0, gate_metadata_bytes=0)

    def dropped(self, record: Dropped) -> None:
        """A generation was dropped, or values of one that stays, or their envelopes are forgotten now."""
        with self._lock:
            link = self._links.get(record.link)
            if link is not None and record.generation:
                link.generations.pop(record.generation, None)
                link.dropped[record.generation] = record.forgotten or link.dropped.get(record.generation, False)
            elif link is not None:
                _add(link.gone, record.first_sequence, record.last_sequence)
                link.parts.append(PartDropped(record.first_sequence, record.last_sequence, record.forgotten))
                self._roll_over(link)

    def _roll_over(self, link: _Link) -> None:
        """Room comes free by whole files: those of a link from which values go by themselves are closed while they are small."""
        most_bytes = max(self._roll_min_bytes, int(sum(link.generations.values()) * SEGMENT_ROLL_SHARE))
        for kind, number in enumerate(link.ends):
            file = link.files.get(number)
            if file is not None and (file.end > most_bytes or link.is_spent(file)):
                link.files[number] = replace(file, closed=True)
                link.ends[kind] = 0

    def is_live(self, link: str, generation: int, sequence: int) -> bool:
        """Whether this value of this generation is there, and neither was dropped."""
        with self._lock:
            found = self._links.get(link)
            return found is not None and generation in found.generations and not _covers(found.gone, sequence, sequence)

    def is_known(self, link: str, generation: int, sequence: int) -> bool:
        """Whether this value of this generation is there, or may still be: what was dropped and freed is not."""
        with self._lock:
            found = self._links.get(link)
            if found is None or (generation not in found.generations and generation not in found.dropped):
                return False
            is_waiting = any(part.first <= sequence <= part.last for part in found.parts)
            return is_waiting or not _covers(found.gone, sequence, sequence)

    def waiting(self) -> list[tuple[str, int]]:
        """The generations that were dropped and not freed."""
        with self._lock:
            return [(name, generation) for name, link in self._links.items() for generation in link.dropped]

    def parts(self) -> list[tuple[str, PartDropped]]:
        """The values that were dropped by themselves and not freed, in the order in which they were dropped."""
        with self._lock:
            return [(name, part) for name, link in self._links.items() for part in link.parts]

    def part_freed(self, link: str, part: PartDropped, size_bytes: Mapping[int, int]) -> None:
        """Nothing of it is left but what lies in files with other values. `size_bytes` were, of each generation, those of the payloads."""
        with self._lock:
            found = self._links[link]
            found.parts.remove(part)
            for generation, freed_bytes in size_bytes.items():
                if generation in found.generations:
                    found.generations[generation] = max(found.generations[generation] - freed_bytes, 0)

    def spent(self) -> list[tuple[str, int]]:
        """The segment files in which nothing is live or waits to be freed, and that nothing more goes to."""
        with self._lock:
            return [
                (name, file.file)
                for name, link in self._links.items()
                for file in link.files.values()
                if link.is_left(file) and link.is_spent(file) and not _overlaps(link.parts, file.first_sequence, file.last_sequence)
            ]

    def partly_spent(self) -> list[tuple[str, SegmentFileHeld]]:
        """The segment files that nothing more goes to, and of which the first value was freed by itself and the last was not dropped."""
        with self._lock:
            return [
                (name, file)
                for name, link in self._links.items()
                for file in link.files.values()
                if link.is_left(file)
                and not _overlaps(link.parts, file.first_sequence, file.first_sequence)
                and _covers(link.gone, file.first_sequence, file.first_sequence)
                and not _covers(link.gone, file.last_sequence, file.last_sequence)
            ]

    def first_live(self, link: str, sequence: int) -> int:
        """The first sequence from this one on that was not dropped by itself, or is not freed yet."""
        with self._lock:
            found = self._links[link]
            at = bisect_left(found.gone, sequence, key=_last)
            if at == len(found.gone) or found.gone[at][0] > sequence:
                return sequence
            waiting = [max(part.first, sequence) for part in found.parts if part.last >= sequence]
            return min([found.gone[at][1] + 1, *waiting])

    def file(self, link: str, number: int) -> SegmentFileHeld | None:
        with self._lock:
            found = self._links.get(link)
            return found.files.get(number) if found is not None else None

    def remove_file(self, link: str, number: int) -> None:
        """The store does not need this segment file any more."""
        with self._lock:
            del self._links[link].files[number]

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
        """The segment files of values that were dropped: they may be gone already."""
        return [(name, file) for name, file, live in self._all_files() if not live]

    def _all_files(self) -> list[tuple[str, SegmentFileHeld, bool]]:
        with self._lock:
            return [
                (name, file, file.generation in link.generations and not link.is_spent(file))
                for name, link in self._links.items()
                for file in link.files.values()
            ]

    def used_bytes(self) -> dict[str, int]:
        """Bytes on disk of each link's payloads."""
        with self._lock:
            return {name: sum(link.generations.values()) for name, link in self._links.items() if link.generations}


def _covers(ranges: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether one of these ranges, which are sorted and apart from each other, has all of first..last."""
    at = bisect_left(ranges, first, key=_last)
    return at < len(ranges) and ranges[at][0] <= first and last <= ranges[at][1]


def _add(ranges: list[tuple[int, int]], first: int, last: int) -> None:
    """Another range; those that it meets or touches become one with it."""
    at = end = bisect_left(ranges, first - 1, key=_last)
    while end < len(ranges) and ranges[end][0] <= last + 1:
        first, last = min(first, ranges[end][0]), max(last, ranges[end][1])
        end += 1
    ranges[at:end] = [(first, last)]


def _last(one: tuple[int, int]) -> int:
    return one[1]


def _overlaps(parts: Iterable[PartDropped], first: int, last: int) -> bool:
    """Whether any of first..last is among these."""
    return any(part.first <= last and first <= part.last for part in parts)
