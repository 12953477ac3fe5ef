"""The pack files, as they are written and found again. Blocking; one thread at a time writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from linkd.errors import Error, StorageFull
from linkd.limits import ARTIFACT_PACK_FILE_BYTES
from linkd.model.frozen import frozen
from linkd.store.artifacts.index import Place
from linkd.store.artifacts.naming import Paths, pack_number
from linkd.store.artifacts.pack_format import FILE_HEAD, PackRecord, records
from linkd.store.files import File, Files


@frozen()
class FoundRecord:
    """A record in a pack file, with its content unless it is of a whole file."""

    pack: int
    record: PackRecord
    content: bytes | None


class Packs:
    """Appends records to the newest pack file, and begins another one when that is full."""

    def __init__(self, files: Files, paths: Paths, file_max_bytes: int = ARTIFACT_PACK_FILE_BYTES) -> None:
        self._files = files
        self._paths = paths
        self._file_max_bytes = file_max_bytes
        self._file: File | None = None
        self._number = 0
        self._end = 0
        self._unsynced = False

    @property
    def end(self) -> Place:
        """All records are before it."""
        return self._number, self._end

    def numbers(self) -> list[int]:
        """Of the files there are."""
        return [number for name in self._files.list(self._paths.packs) if (number := pack_number(name)) is not None]

    def found(self, start: Place) -> Iterator[FoundRecord]:
        """All records behind this place, in order; afterwards the packs go on behind the last of them. What was not synced by then is."""
        numbers = self.numbers()
        self._number = max([start[0], *numbers])
        for number in [number for number in numbers if number >= start[0]]:
            file = self._files.open(self._paths.pack(number), writable=True)
            try:
                end = max(start[1] if number == start[0] else 0, len(FILE_HEAD))
                for record, content in records(file, end):
                    end = record.end
                    yield FoundRecord(number, record, content)
                if number == self._number:
                    self._go_on(file, end)
                file.datasync()
            finally:
                file.close()

    def _go_on(self, file: File, end: int) -> None:
        """The newest file goes on at this place, behind which an interrupted write may have left something."""
        if file.size() > end or end == len(FILE_HEAD):
            file.truncate(end)
            file.pwrite(FILE_HEAD, 0)
        self._end = end

    def append(self, written: Sequence[bytes]) -> list[Place]:
        """Where these records lie now. If one does not get there none counts; raises StorageFull, StorageFailed."""
        places: list[Place] = []
        start = 0
        while start < len(written):
            file, room = self._room()
            count, size_bytes = 0, 0
            for record in written[start:]:
                if count and size_bytes + len(record) > room:
                    break
                places.append((self._number, self._end + size_bytes))
                count, size_bytes = count + 1, size_bytes + len(record)
            self._write(file, written[start : start + count])
            self._end += size_bytes
            start += count
        return places

    def _write(self, file: File, parts: Sequence[bytes]) -> None:
        self._unsynced = True
        try:
            file.pwritev(parts, self._end)
        except StorageFull:
            with contextlib.suppress(Error):  # what is left behind the end is written over, or passed over
                file.truncate(self._end)
            raise

    def _room(self) -> tuple[File, int]:
        """The file to write to, and how much goes into it; one record always does."""
        if self._file is not None and self._end < self._file_max_bytes:
            return self._file, self._file_max_bytes - self._end
        if self._file is None and self._number and 0 < self._end < self._file_max_bytes:
            self._file = self._files.open(self._paths.pack(self._number), writable=True)
            return self._file, self._file_max_bytes - self._end
        self.sync()
        file = self._files.create(self._paths.pack(self._number + 1))
        try:
            file.pwrite(FILE_HEAD, 0)
            self._files.sync_directory(self._paths.packs)
        except BaseException:
            file.close()
            self._number += 1  # the name is taken
            self._end = self._file_max_bytes
            raise
        if self._file is not None:
            self._file.close()
        self._file, self._number, self._end = file, self._number + 1, len(FILE_HEAD)
        return file, self._file_max_bytes - self._end

    def sync(self) -> None:
        """All that was appended is durable. Raises StorageFailed."""
        if self._file is not None and self._unsynced:
            self._file.datasync()
        self._unsynced = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
