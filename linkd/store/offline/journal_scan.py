"""Reading a journal from end to end, past what is damaged in it. Format: `store.journal_format`.

A start stops at what it cannot explain; this goes on behind it and says what is missing between. Blocking, with one group in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

from linkd.limits import MIB, PAGE_BYTES
from linkd.model.frozen import frozen
from linkd.store.files import File, Files
from linkd.store.journal_format import (
    FILE_HEADER_BYTES,
    FRAME_HEADER_BYTES,
    GROUP_HEADER_BYTES,
    FileHeader,
    Frame,
    GroupHeader,
    GroupKind,
    decode_file_header,
    decode_frames,
    decode_group_header,
    file_name,
    file_number,
    frame_at,
    mended_file_header,
    padded,
)
from linkd.store.offline.findings import SICK_DISK, Finding, ranges

Count = Callable[[int], None]
"""Called with the number of bytes that were read."""


@frozen()
class Hole:
    """Frames that cannot be read: `first_lsn` to `last_lsn`, in the group(s) that take the bytes [offset, end) of a file."""

    path: Path
    header: FileHeader
    offset: int
    end: int
    first_lsn: int
    last_lsn: int


@frozen()
class Region:
    """The bytes [offset, end) of a file, in which frames `first_lsn` to `last_lsn` were, and those of them that are whole."""

    path: Path
    header: FileHeader
    offset: int
    end: int
    first_lsn: int
    last_lsn: int
    frames: list[Frame]


class JournalScan:
    """One pass over the journal files of a directory, in order; `sealed_only` leaves the last one away, which a home may be writing to.

    Behind the pass: `findings`; `holes`, and the `regions` they are in; `derived`, what the headers of files must have been that are damaged; the
    numbers of files that are `missing` between others; the last file, if what it was is `unknown`; whether the journal is `sealed` by a clean
    stop; its `next_lsn`; the last LSN that something names as durable.
    """

    def __init__(self, files: Files, directory: Path, *, sealed_only: bool = False, count: Count = lambda size_bytes: None) -> None:
        self._files = files
        self._directory = directory
        self._sealed_only = sealed_only
        self._count = count
        self.findings: list[Finding] = []
        self.holes: list[Hole] = []
        self.derived: list[FileHeader] = []
        self.missing: list[int] = []
        self.unknown: Path | None = None
        self.regions: list[Region] = []
        self.headers: list[FileHeader] = []
        self.sealed = True
        self.next_lsn = 1
        self.durable_lsn = 0

    def frames(self) -> Iterator[tuple[FileHeader, Frame]]:
        """Every frame that is whole, in order."""
        self.headers = self._headers()
        self.next_lsn = self.headers[0].first_lsn if self.headers else 1
        shown = self.headers[:-1] if self._sealed_only else self.headers
        for header, following in zip_longest(shown, self.headers[1 : len(shown) + 1]):
            yield from self.frames_of(header, following)

    # -- files ----------------------------------------------------------------------------------------------------------------------------

    def _headers(self) -> list[FileHeader]:
        numbers = sorted(number for name in self._files.list(self._directory) if (number := file_number(name)) is not None)
        headers: list[FileHeader] = []
        for index, number in enumerate(numbers):
            path = self._directory / file_name(number)
            if index and number != numbers[index - 1] + 1:
                gone = range(numbers[index - 1] + 1, number)
                self.missing += gone
                for missing in gone:
                    self._damage(self._directory / file_name(missing), 0, "the file is missing", "all that was committed in it is lost")
            header = self._header(path, number, last=index + 1 == len(numbers))
            if header is not None:
                headers.append(header)
        return headers

    def _header(self, path: Path, number: int, *, last: bool) -> FileHeader | None:
        file = self._files.open(path)
        try:
            page = file.pread(PAGE_BYTES, 0)
            self._count(len(page))
            header = decode_file_header(page, number)
            if header is not None:
                self._check_zeros(path, page[FILE_HEADER_BYTES:], FILE_HEADER_BYTES)
                return header
            first = next(_groups(file, 0, None), None)
        finally:
            file.close()
        mended = mended_file_header(page, number)
        if first is None and last and mended is None:
            if any(page[:FILE_HEADER_BYTES]):
                self.unknown = path
                meaning = "no frame is in it; but if a sync had failed before, it said that commits which failed with it do not exist"
                self._damage(path, 0, "the file header is damaged", meaning)
            return None
        self._damage(path, 0, "the file header is damaged", "the frames in the file are whole as far as nothing else is said")
        if mended is None:
            if first is None:
                return None
            mended = FileHeader(number, first.generation, first.first_lsn)
        self.derived.append(mended)
        return mended

    def frames_of(self, header: FileHeader, following: FileHeader | None) -> Iterator[tuple[FileHeader, Frame]]:
        """Those of one file, which `following` comes behind."""
        until = following.first_lsn if following is not None else None
        path = self._directory / file_name(header.number)
        file = self._files.open(path)
        try:
            self.next_lsn, self.sealed = header.first_lsn, False
            at = PAGE_BYTES
            while until is None or self.next_lsn < until:
                head = decode_group_header(file.pread(GROUP_HEADER_BYTES, at), header.generation, at)
                if head is None or head.first_lsn != self.next_lsn:
                    behind = self._behind_damage(file, path, header, at, until)
                    if behind is None:
                        break
                    yield from ((header, frame) for frame in behind.frames)
                    at = behind.end
                    continue
                frames, whole = self._group(file, path, header, head, until)
                if not whole and not frames and until is None and not self._is_named(file, header, head):
                    break  # the tail that an interrupted write left
                yield from ((header, frame) for frame in frames)
                at = head.end
                self.next_lsn, self.sealed = head.next_lsn, head.kind is GroupKind.SEAL
                self.durable_lsn = max(self.durable_lsn, head.durable_lsn)
            while (seal := decode_group_header(file.pread(GROUP_HEADER_BYTES, at), header.generation, at)) and seal.kind is GroupKind.SEAL:
                self._group(file, path, header, seal, until)  # of a stop before the file was followed by another one
                at, self.sealed = seal.end, True
            if following is None or not following.void_from_lsn:  # else what follows here is void, whatever it is
                self._check_tail(file, path, at, until)
            if self.sealed or until is not None:
                self.durable_lsn = max(self.durable_lsn, self.next_lsn - 1)
        finally:
            file.close()

    # -- groups ---------------------------------------------------------------------------------------------------------------------------

    def _group(self, file: File, path: Path, header: FileHeader, head: GroupHeader, until: int | None) -> tuple[list[Frame], bool]:
        """The frames of a group that are whole, and whether all are."""
        data = file.pread(padded(head.size_bytes), head.offset)
        self._count(len(data))
        group = memoryview(data)[: head.size_bytes]
        frames = decode_frames(group, head)
        if frames is not None:
            self._check_zeros(path, data[head.size_bytes :], head.offset + head.size_bytes)
            return frames, True
        if until is None and not self._is_named(file, header, head):
            return [], False
        found = whole_frames(group, head)
        there = {frame.lsn for frame in found}
        for first, last in ranges(lsn for lsn in range(head.first_lsn, head.next_lsn) if lsn not in there):
            self._lost(path, header, head.offset, head.end, first, last)
        self.regions.append(Region(path, header, head.offset, head.end, head.first_lsn, head.next_lsn - 1, found))
        if head.kind is GroupKind.SEAL:
            self._damage(path, head.offset, "the seal is damaged", "nothing is lost")
        return found, False

    def _behind_damage(self, file: File, path: Path, header: FileHeader, at: int, until: int | None) -> Region | None:
        """What is left between here, where no group begins, and where the journal goes on; None if it ends here."""
        later = next((one for one in _groups(file, at, header.generation) if one.first_lsn >= self.next_lsn), None)
        if until is None:
            named = any(one.durable_lsn >= self.next_lsn for one in _groups(file, at, header.generation))
            if later is None or not named:
                return None
        next_lsn, end = (later.first_lsn, later.offset) if later is not None else (until, file.size())
        if next_lsn is None or (until is not None and next_lsn > until):
            next_lsn, end = until or self.next_lsn, file.size()
        group = memoryview(file.pread(end - at, at))
        self._count(len(group))
        head = GroupHeader(
            header.generation, self.next_lsn, self.next_lsn - 1, len(group), next_lsn - self.next_lsn, GroupKind.FRAMES, at // PAGE_BYTES
        )
        found = whole_frames(group, head)
        self.regions.append(Region(path, header, at, end, self.next_lsn, next_lsn - 1, found))
        there = {frame.lsn for frame in found}
        if len(there) == head.frames:
            self._damage(path, at, "the group header here is damaged", "nothing is lost: its frames are whole")
        for first, last in ranges(lsn for lsn in range(self.next_lsn, next_lsn) if lsn not in there):
            self._lost(path, header, at, end, first, last)
        self.next_lsn = next_lsn
        return self.regions[-1]

    def _is_named(self, file: File, header: FileHeader, head: GroupHeader) -> bool:
        """Whether a later group says that frames of this one were durable."""
        return any(later.durable_lsn >= head.first_lsn for later in _groups(file, head.offset, header.generation))

    def _check_tail(self, file: File, path: Path, at: int, until: int | None) -> None:
        """Behind the last group there are zeros, or what an interrupted write left."""
        left = 0
        first: int | None = None
        for start, chunk in _chunks(file, at):
            self._count(len(chunk))
            used = len(chunk.rstrip(b"\x00"))
            if used:
                left = start + used - at
                first = start + len(chunk) - len(chunk.lstrip(b"\x00")) if first is None else first
        if not left or first is None:
            return
        if until is not None or self.sealed:
            self._harmless(path, first, "bytes behind the last group are not zero", SICK_DISK)
        else:
            cut = "the next start cuts it off. It was not acknowledged, unless the disk has lost what it had confirmed"
            self._harmless(path, first, f"{left} bytes behind the last group are of a write that was interrupted", cut)

    def _check_zeros(self, path: Path, padding: bytes, offset: int) -> None:
        if any(padding):
            self._harmless(path, offset + len(padding) - len(padding.lstrip(b"\x00")), "padding is not zero", SICK_DISK)

    def _lost(self, path: Path, header: FileHeader, offset: int, end: int, first_lsn: int, last_lsn: int) -> None:
        self.holes.append(Hole(path, header, offset, end, first_lsn, last_lsn))

    def _damage(self, path: Path, offset: int, what: str, meaning: str) -> None:
        self.findings.append(Finding(path, what, meaning, offset))

    def _harmless(self, path: Path, offset: int, what: str, meaning: str) -> None:
        self.findings.append(Finding(path, what, meaning, offset, harmless=True))


def whole_frames(group: memoryview, head: GroupHeader) -> list[Frame]:
    """The frames of a damaged group that are whole; those behind a damaged one are found by their LSN and the file's generation."""
    found: list[Frame] = []
    at, data = GROUP_HEADER_BYTES, bytes(group)
    for lsn in range(head.first_lsn, head.next_lsn):
        start: int | None = at
        while start is not None and (taken := frame_at(group, start, lsn, head)) is None:
            start = _next_start(data, start, lsn, head.generation)
        if start is not None and taken is not None:
            frame, at = taken
            found.append(frame)
    return found


def _next_start(data: bytes, start: int, lsn: int, generation: int) -> int | None:
    """Where behind `start` a frame of this LSN might begin."""
    mark = lsn.to_bytes(8, "little") + generation.to_bytes(8, "little")
    at = data.find(mark, start + 1 + 16)
    return at - 16 if at >= 0 and at - 16 + FRAME_HEADER_BYTES <= len(data) else None


def _groups(file: File, offset: int, generation: int | None) -> Iterator[GroupHeader]:
    """The groups of this generation (None: of any) that start behind `offset`, by their headers."""
    for at, chunk in _chunks(file, offset + PAGE_BYTES):
        for page in range(0, len(chunk), PAGE_BYTES):
            header = decode_group_header(chunk[page : page + GROUP_HEADER_BYTES], generation, at + page)
            if header is not None:
                yield header


def _chunks(file: File, offset: int) -> Iterator[tuple[int, bytes]]:
    while chunk := file.pread(MIB, offset):
        yield offset, chunk
        offset += len(chunk)
