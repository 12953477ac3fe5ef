"""The journal's reading side: finds its end after a stop of any kind, and reads frames back. Format: `journal_format`.

`recover` looks at the last file only and repairs its tail; everything before it is checked as it is read. What a checkpoint covers need not
be read at all: of groups that stand before it only the headers are looked at. Blocking.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from linkd.errors import StateDamaged
from linkd.limits import MIB, PAGE_BYTES
from linkd.model.frozen import frozen
from linkd.store.files import File, Files
from linkd.store.journal import create_file
from linkd.store.journal_format import (
    FILE_HEADER_BYTES,
    FileHeader,
    Frame,
    GroupHeader,
    GroupKind,
    decode_file_header,
    decode_frames,
    decode_group_header,
    file_name,
    file_number,
)
from linkd.store.journal_layout import JournalEnd, random_generation
from linkd.store.tail import TailPayloads


@frozen()
class JournalRecovery:
    """What `recover` found: the files in order, where the journal ends, and what it had to do.

    `voided`: frames that were written are void, and nothing was committed since: a sync failed, or the power did before there was one.
    """

    headers: tuple[FileHeader, ...]
    end: JournalEnd
    cut_bytes: int = 0
    notes: tuple[str, ...] = ()
    voided: bool = False


def recover(
    files: Files,
    directory: Path,
    covered_lsn: int = 0,
    tail: TailPayloads | None = None,
    new_generation: Callable[[], int] = random_generation,
) -> JournalRecovery:
    """Find the journal's end, cut what an interrupted write or a power cut left behind it, and make durable what stands before it.

    Frames up to `covered_lsn` are in a checkpoint. `tail` says whether the payloads of frames that nothing names as durable are whole.
    Raises `StateDamaged` if what is missing or wrong cannot come from an interrupted write, `StateForeign` for another
    format version.
    """
    headers, notes = _headers(files, directory)
    if not headers:
        return JournalRecovery((), JournalEnd(), 0, notes)
    last = headers[-1]
    path = directory / file_name(last.number)
    file = files.open(path, writable=True)
    try:
        end = _find_end(file, path, last, covered_lsn, tail)
        cut_bytes = _used_bytes(file, end.offset)
        if cut_bytes:
            if not end.voids:
                file.truncate(end.offset)
            cut = f"{path}: cut {cut_bytes} bytes at {end.offset}, a write that was interrupted. It was not acknowledged as durable,"
            notes += (f"{cut} unless the disk has lost what it had confirmed",)
        if not end.sealed:
            if tail is not None:
                tail.sync()
            file.datasync()
            files.sync_directory(directory)  # the process may have ended before it had done that for the last file
    finally:
        file.close()
    found = JournalEnd(last, end.offset, end.next_lsn, end.sealed)
    if end.voids:  # what follows stays where it is: the new file counts more
        void = FileHeader(last.number + 1, new_generation(), end.next_lsn, void_from_lsn=end.next_lsn)
        create_file(files, directory, void, 0).close()
        headers, found = (*headers, void), JournalEnd(void, PAGE_BYTES, end.next_lsn, sealed=False)
    voided = found.file is not None and found.file.void_from_lsn == found.next_lsn
    return JournalRecovery(headers, found, cut_bytes, notes, voided)


class JournalReader:
    """Reads the frames of a recovered journal. `headers` are its files, in order, and may grow or lose the first (`journal.Journal`)."""

    def __init__(self, files: Files, directory: Path, headers: Sequence[FileHeader]) -> None:
        self._files = files
        self._directory = directory
        self._headers = headers

    @property
    def oldest(self) -> int:
        """Number of the first file; 0 while there is none."""
        return self._headers[0].number if self._headers else 0

    def frames(self, covered_lsn: int = 0, next_lsn: int | None = None) -> Iterator[tuple[FileHeader, Frame]]:
        """Every durable frame behind `covered_lsn` and before `next_lsn` (where `recover` found the end), in order.

        Raises `StateDamaged` naming file and offset where one is bad or missing.
        """
        headers = list(self._headers)
        for header, following in zip_longest(headers, headers[1:]):
            until = next_lsn if following is None else following.first_lsn
            if until is None or until > covered_lsn + 1:
                yield from self._frames_of(header, until, covered_lsn)

    def first_two(self) -> tuple[FileHeader, FileHeader]:
        """The headers of the first two files, which there must be."""
        return self._headers[0], self._headers[1]

    def frames_of_oldest(self, covered_lsn: int = 0) -> Iterator[tuple[FileHeader, Frame]]:
        """The frames behind `covered_lsn` of the first file; there must be another one behind it. Raises as `frames` does."""
        return self._frames_of(self._headers[0], self._headers[1].first_lsn, covered_lsn)

    def _frames_of(self, header: FileHeader, until: int | None, covered_lsn: int) -> Iterator[tuple[FileHeader, Frame]]:
        path = self._directory / file_name(header.number)
        file = self._files.open(path)
        try:
            walk = _Walk(file, path, header, until, covered_lsn)
            for _, frames in walk:
                for frame in frames:
                    if frame.lsn > covered_lsn:
                        yield header, frame
        finally:
            file.close()
        if until is not None and walk.next_lsn != until:
            raise _damage(path, walk.offset, f"frame {walk.next_lsn} is damaged or missing, but it was there")

    def frame(self, lsn: int) -> tuple[FileHeader, Frame] | None:
        """The frame of this LSN, or `None` if there is none any more."""
        headers = list(self._headers)
        index = bisect.bisect_right(headers, lsn, key=lambda header: header.first_lsn) - 1
        if index < 0:
            return None
        header = headers[index]
        path = self._directory / file_name(header.number)
        file = self._files.open(path)
        try:
            walk = _Walk(file, path, header)
            group = walk.skip_to(lsn)
            if group is not None:
                for frame in walk.read(group) or ():
                    if frame.lsn == lsn:
                        return header, frame
        finally:
            file.close()
        return None


class _Walk:
    """Goes from group to group of one file, and stops at the first that is not whole or begins at LSN `until`.

    Groups of frames up to `covered_lsn` are passed over, damaged ones too: a checkpoint has what they said, and their payloads are checked when
    they are read. `durable_lsn` is the last that the groups so far name as durable.
    """

    def __init__(self, file: File, path: Path, header: FileHeader, until: int | None = None, covered_lsn: int = 0) -> None:
        self._file = file
        self._path = path
        self._header = header
        self._until = until
        self._covered_lsn = covered_lsn
        self._size = file.size()
        self.offset = PAGE_BYTES
        self.next_lsn = header.first_lsn
        self.durable_lsn = header.first_lsn - 1
        self.sealed = False

    def __iter__(self) -> Iterator[tuple[GroupHeader, list[Frame]]]:
        while self.next_lsn != self._until and ((header := self._next_header()) is not None or self._skip_covered_damage()):
            if header is None:
                continue
            covered = header.frames and header.next_lsn - 1 <= self._covered_lsn
            if covered and header.offset + header.size_bytes <= self._size:
                self._pass(header)
                continue
            if (frames := self.read(header)) is None:
                return
            self._pass(header)
            yield header, frames

    def skip_to(self, lsn: int) -> GroupHeader | None:
        """The header of the group that holds this LSN; the frames before it are not looked at."""
        while (header := self._next_header()) is not None:
            if header.first_lsn <= lsn < header.next_lsn:
                return header
            self._pass(header)
        return None

    def read(self, header: GroupHeader) -> list[Frame] | None:
        """The frames of a group, or `None` if one of them is bad."""
        if header.offset + header.size_bytes > self._size:
            return None
        data = self._file.pread(header.size_bytes, header.offset)
        return decode_frames(memoryview(data), header)

    def _skip_covered_damage(self) -> bool:
        """Goes on behind a group header that is damaged, if a checkpoint covers all up to the next whole one."""
        if self.next_lsn > self._covered_lsn:
            return False
        for later in _later_groups(self._file, self.offset, self._header.generation):
            if self.next_lsn < later.first_lsn <= self._covered_lsn + 1:
                self.offset, self.next_lsn = later.offset, later.first_lsn
                return True
        return False

    def _next_header(self) -> GroupHeader | None:
        header = decode_group_header(self._file.pread(64, self.offset), self._header.generation, self.offset)
        if header is not None and header.first_lsn != self.next_lsn:
            raise _damage(self._path, self.offset, f"frame {self.next_lsn} should be here, but it is {header.first_lsn}")
        return header

    def _pass(self, header: GroupHeader) -> None:
        self.offset = header.end
        self.next_lsn = header.next_lsn
        self.durable_lsn = max(self.durable_lsn, header.durable_lsn)
        self.sealed = header.kind is GroupKind.SEAL


def _headers(files: Files, directory: Path) -> tuple[tuple[FileHeader, ...], tuple[str, ...]]:
    """The headers of all journal files. A last file that was never finished is deleted: nothing was in it yet."""
    numbers = sorted(number for name in files.list(directory) if (number := file_number(name)) is not None)
    headers: list[FileHeader] = []
    notes: tuple[str, ...] = ()
    for index, number in enumerate(numbers):
        path = directory / file_name(number)
        if number != numbers[0] + index:
            raise StateDamaged(
                f"{directory / file_name(numbers[0] + index)} is missing, but later journal files are there. "
                "`linkd repair` goes on without it and says what is lost; or restore a backup"
            )
        file = files.open(path)
        try:
            page = file.pread(PAGE_BYTES, 0)
            header = decode_file_header(page, number)
            was_written = index + 1 < len(numbers) or any(page[:FILE_HEADER_BYTES]) or any(_later_groups(file, 0, None))
            if header is None and was_written:
                raise _damage(path, 0, "the file header is damaged")
        finally:
            file.close()
        if header is None:
            files.unlink(path)
            files.sync_directory(directory)
            notes = (f"{path}: deleted, its creation was interrupted and nothing was in it",)
        else:
            headers.append(header)
    if headers and headers[0].number == 1 and headers[0].first_lsn != 1:
        raise _damage(directory / file_name(1), 0, f"the first frame ought to be 1, but it is {headers[0].first_lsn}")
    return tuple(headers), notes


@frozen()
class _End:
    """Where the last file ends. `voids`: whole groups lie behind it that must not come back."""

    offset: int
    next_lsn: int
    sealed: bool
    voids: bool


def _find_end(file: File, path: Path, header: FileHeader, covered_lsn: int, tail: TailPayloads | None) -> _End:
    """Where the last file ends. Raises `StateDamaged` if a group behind that names what is missing as durable."""
    walk = _Walk(file, path, header, covered_lsn=covered_lsn)
    doubtful: list[tuple[GroupHeader, list[Frame]]] = []
    for group, frames in walk:
        doubtful = [one for one in doubtful if one[0].next_lsn - 1 > walk.durable_lsn]
        doubtful.append((group, frames))
    offset, next_lsn, sealed, voids = walk.offset, walk.next_lsn, walk.sealed, False
    for later in _later_groups(file, offset, header.generation):
        if later.durable_lsn >= next_lsn:
            raise _damage(path, offset, f"this group was durable, for another one follows at {later.offset}")
        voids = True
    if tail is not None and not sealed and (broken := tail.first_broken(doubtful)) is not None:
        offset, next_lsn, voids = broken.offset, broken.first_lsn, True
    return _End(offset, next_lsn, sealed, voids)


def _used_bytes(file: File, offset: int) -> int:
    """Bytes from `offset` on that are not zero-fill."""
    end = 0
    for at, chunk in _chunks(file, offset):
        if used := len(chunk.rstrip(b"\x00")):
            end = at + used
    return end - offset if end else 0


def _later_groups(file: File, offset: int, generation: int | None) -> Iterator[GroupHeader]:
    """The groups of this generation that start behind `offset`."""
    for at, chunk in _chunks(file, offset + PAGE_BYTES):
        for page in range(0, len(chunk), PAGE_BYTES):
            header = decode_group_header(chunk[page : page + 64], generation, at + page)
            if header is not None:
                yield header


def _chunks(file: File, offset: int) -> Iterator[tuple[int, bytes]]:
    while chunk := file.pread(MIB, offset):
        yield offset, chunk
        offset += len(chunk)


def _damage(path: Path, offset: int, what: str) -> StateDamaged:
    return StateDamaged(
        f"{path}, offset {offset}: {what}. The disk or another program has changed it; linkd does not start on it, so that nothing "
        "is lost unnoticed. `linkd repair` sets it aside and says what is lost; or restore a backup"
    )
