"""The journal's reading side: finds its end after a stop of any kind, and reads frames back. Format: `journal_format`.

`recover` looks at the last file only and repairs its tail; everything before it is checked as it is read. What a checkpoint covers need not
be read at all: of groups that stand before it only the headers are looked at. Blocking.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from linkd.errors import StateDamaged
from linkd.limits import MIB, PAGE_BYTES
from linkd.store.files import File, Files
from linkd.store.journal_format import (
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
from linkd.store.journal_layout import JournalEnd


@dataclass(frozen=True, slots=True)
class JournalRecovery:
    """What `recover` found: the files in order, where the journal ends, and what it had to do."""

    headers: tuple[FileHeader, ...]
    end: JournalEnd
    cut_bytes: int = 0
    notes: tuple[str, ...] = ()


def recover(files: Files, directory: Path, covered_lsn: int = 0) -> JournalRecovery:
    """Find the journal's end, and cut what an interrupted write left behind it. Frames up to `covered_lsn` are in a checkpoint.

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
        walk = _Walk(file, path, last, covered_lsn=covered_lsn)
        for _ in walk:
            pass
        cut_bytes = _tail_bytes(file, path, last, walk.offset)
        if cut_bytes:
            file.truncate(walk.offset)
            file.datasync()
            cut = f"{path}: cut {cut_bytes} bytes at {walk.offset}, a write that was interrupted. It was not acknowledged,"
            notes += (f"{cut} unless the disk has lost what it had confirmed",)
    finally:
        file.close()
    return JournalRecovery(headers, JournalEnd(last, walk.offset, walk.next_lsn, walk.sealed), cut_bytes, notes)


class JournalReader:
    """Reads the frames of a recovered journal. `headers` are its files, in order, and may grow or lose the first (`journal.Journal`)."""

    def __init__(self, files: Files, directory: Path, headers: Sequence[FileHeader]) -> None:
        self._files = files
        self._directory = directory
        self._headers = headers

    def frames(self, covered_lsn: int = 0, next_lsn: int | None = None) -> Iterator[tuple[FileHeader, Frame]]:
        """Every durable frame behind `covered_lsn` and before `next_lsn` (where `recover` found the end), in order.

        Raises `StateDamaged` naming file and offset where one is bad or missing.
        """
        headers = list(self._headers)
        for header, following in zip_longest(headers, headers[1:]):
            until = next_lsn if following is None else following.first_lsn
            if until is None or until > covered_lsn + 1:
                yield from self._frames_of(header, until, covered_lsn)

    def frames_of_oldest(self) -> Iterator[tuple[FileHeader, Frame]]:
        """The frames of the first file; there must be another one behind it. Raises as `frames` does."""
        return self._frames_of(self._headers[0], self._headers[1].first_lsn, 0)

    def _frames_of(self, header: FileHeader, until: int | None, covered_lsn: int) -> Iterator[tuple[FileHeader, Frame]]:
        path = self._directory / file_name(header.number)
        file = self._files.open(path)
        try:
            walk = _Walk(file, path, header, until, covered_lsn)
            for frames in walk:
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

    Groups of frames up to `covered_lsn` are passed over.
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
        self.sealed = False

    def __iter__(self) -> Iterator[list[Frame]]:
        while self.next_lsn != self._until and (header := self._next_header()) is not None:
            covered = header.frames and header.first_lsn + header.frames - 1 <= self._covered_lsn
            if covered and header.offset + header.size_bytes <= self._size:
                self._pass(header)
                continue
            if (frames := self.read(header)) is None:
                return
            self._pass(header)
            yield frames

    def skip_to(self, lsn: int) -> GroupHeader | None:
        """The header of the group that holds this LSN; the frames before it are not looked at."""
        while (header := self._next_header()) is not None:
            if header.first_lsn <= lsn < header.first_lsn + header.frames:
                return header
            self._pass(header)
        return None

    def read(self, header: GroupHeader) -> list[Frame] | None:
        """The frames of a group, or `None` if one of them is bad."""
        if header.offset + header.size_bytes > self._size:
            return None
        data = self._file.pread(header.size_bytes, header.offset)
        return decode_frames(memoryview(data), header)

    def _next_header(self) -> GroupHeader | None:
        header = decode_group_header(self._file.pread(64, self.offset), self._header.generation, self.offset)
        if header is not None and header.first_lsn != self.next_lsn:
            raise _damage(self._path, self.offset, f"frame {self.next_lsn} should be here, but it is {header.first_lsn}")
        return header

    def _pass(self, header: GroupHeader) -> None:
        self.offset = header.end
        self.next_lsn = header.first_lsn + header.frames
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
                f"{directory / file_name(numbers[0] + index)} is missing, but later journal files are there. Restore it from a backup"
            )
        file = files.open(path)
        try:
            header = decode_file_header(file.pread(PAGE_BYTES, 0), number)
            if header is None and (index + 1 < len(numbers) or _later_group(file, 0, None) is not None):
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


def _tail_bytes(file: File, path: Path, header: FileHeader, offset: int) -> int:
    """Bytes behind the last whole group that are not zero-fill. Raises `StateDamaged` if a later group proves that they were durable."""
    later = _later_group(file, offset, header.generation)
    if later is not None:
        raise _damage(path, offset, f"this group was durable, for another one follows at {later.offset}")
    end = 0
    for at, chunk in _chunks(file, offset):
        if used := len(chunk.rstrip(b"\x00")):
            end = at + used
    return end - offset if end else 0


def _later_group(file: File, offset: int, generation: int | None) -> GroupHeader | None:
    """The first group of this generation that starts behind `offset`."""
    for at, chunk in _chunks(file, offset + PAGE_BYTES):
        for page in range(0, len(chunk), PAGE_BYTES):
            header = decode_group_header(chunk[page : page + 64], generation, at + page)
            if header is not None:
                return header
    return None


def _chunks(file: File, offset: int) -> Iterator[tuple[int, bytes]]:
    while chunk := file.pread(MIB, offset):
        yield offset, chunk
        offset += len(chunk)


def _damage(path: Path, offset: int, what: str) -> StateDamaged:
    return StateDamaged(
        f"{path}, offset {offset}: {what}. The disk or another program has changed it; linkd does not start on it, so that nothing "
        "is lost unnoticed. Restore the directory from a backup, or start with a new one"
    )
