"""Objects as files: listed by patterns and directories, and read in ranges, each on the condition that the object is still the one that was
looked at. What was listed is looked at no second time: a stamp is a size and an etag, and the next request with that etag finds out."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, cast

from linkd.errors import InvalidArgument
from linkd.limits import OBJECT_PEEK_BYTES, OBJECT_READ_BYTES, OBJECTS_NEAR_MAX, SOURCE_FILES_MAX
from linkd.plugin.contract import SourceStat
from linkd_adapters.file.listing import require_one_format, too_many, what_is_there
from linkd_adapters.file.location import FileLocation, format_of_name
from linkd_adapters.file.stored import StoredFile, changed_while_read
from linkd_adapters.objects.bucket import Bucket, Stamp, Unmet
from linkd_adapters.objects.generations import shown_directory
from linkd_adapters.objects.location import file_of
from linkd_adapters.objects.patterns import fixed_directory, matches

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ObjectFiles:
    """The objects of one bucket, for one source."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._stamps: dict[str, Stamp] = {}

    def listed(self, location: FileLocation) -> list[FileLocation]:
        if not location.is_several:
            return [self._one(location)]
        found = self._matches(location) if location.is_pattern else self._entries(location)
        self._stamps = {stamp.key: stamp for stamp in found}
        if not found:
            raise InvalidArgument(self._nothing(location))
        require_one_format(location, [stamp.key for stamp in found])
        return [file_of(location, self._bucket.address, stamp.key) for stamp in found]

    def stat(self, file: FileLocation) -> SourceStat:
        return self._stamp(file).stat

    def open(self, file: FileLocation) -> StoredFile:
        return StoredFile(file, ObjectBytes(self._bucket, self._stamp(file), file.shown))

    def _stamp(self, file: FileLocation) -> Stamp:
        return self._stamps[file.path.as_posix()]

    def _one(self, location: FileLocation) -> FileLocation:
        key = location.path.as_posix()
        stamp = self._bucket.look(key)
        if stamp is None:
            raise self._bucket.missing(key)
        self._stamps = {key: stamp}
        return replace(location, format=location.format or file_of(location, self._bucket.address, key).format)

    def _matches(self, location: FileLocation) -> list[Stamp]:
        pattern = location.path.as_posix()
        return self._some(location, lambda key: matches(pattern, key), fixed_directory(pattern))

    def _entries(self, location: FileLocation) -> list[Stamp]:
        """Those of the format right in the directory; of what a sink of parts made, those that it shows."""
        directory = shown_directory(self._bucket, location.path.as_posix())

        def is_meant(key: str) -> bool:
            name = key.removeprefix(f"{directory}/")
            kind = format_of_name(name)
            return "/" not in name and not name.startswith((".", "_")) and kind is not None and location.format in (None, kind)

        return self._some(location, is_meant, directory)

    def _some(self, location: FileLocation, is_meant: Callable[[str], bool], directory: str) -> list[Stamp]:
        found: list[Stamp] = []
        for stamp in self._bucket.below(directory):
            if is_meant(stamp.key):
                found.append(stamp)
            if len(found) > SOURCE_FILES_MAX:
                raise too_many(location, f"more than {SOURCE_FILES_MAX:,}")
        return sorted(found, key=lambda stamp: stamp.key)

    def _nothing(self, location: FileLocation) -> str:
        """Why a pattern or a directory means no object, and what may be meant."""
        path = location.path.as_posix()
        directory = fixed_directory(path) if location.is_pattern else path
        keys = [stamp.key for stamp in islice(self._bucket.below(directory), OBJECTS_NEAR_MAX)]
        there = what_is_there(path, keys, self._bucket.address.url(directory))
        if location.is_pattern:
            return f"{location.shown} matches no object{there}"
        wanted = f"of format {location.format}" if location.format else "whose name ends in .csv, .jsonl, .parquet or .arrow"
        return f"{location.shown} has no object {wanted} in it{there}"


class ObjectBytes(io.RawIOBase):
    """The bytes of an object, as it was stamped: a file that can be sought in, and read at any place. What lies behind a read is got with it."""

    def __init__(self, bucket: Bucket, stamp: Stamp, shown: str) -> None:
        super().__init__()
        self._bucket = bucket
        self._stamp = stamp
        self._shown = shown
        self._is_known = False
        self._place = 0
        self._start = 0
        self._window = b""

    @property
    def stream(self) -> BinaryIO:
        return cast(BinaryIO, self)

    def stat(self) -> SourceStat:
        if not self._is_known:
            self._is_known = True
            return self._stamp.stat  # just listed
        now = self._bucket.look(self._stamp.key)
        return now.stat if now is not None else SourceStat()

    def known_digest(self) -> str:
        return self._stamp.digest

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """Raises `SourceChanged` if it is another object by now."""
        end = min(offset + size_bytes, self._stamp.size_bytes)
        window_end = self._start + len(self._window)
        if offset >= end:
            return b""
        ahead = self._window[offset - self._start : end - self._start] if self._start <= offset < window_end else b""
        if offset + len(ahead) == end:
            return ahead
        # Whoever reads on where the last request ended reads all of it.
        more = OBJECT_READ_BYTES if offset + len(ahead) == window_end else OBJECT_PEEK_BYTES
        start = offset + len(ahead)
        self._start, self._window = start, self._got(start, max(end, start + more))
        return ahead + self._window[: end - start]

    def _got(self, start: int, end: int) -> bytes:
        try:
            return self._bucket.read(self._stamp, start, min(end, self._stamp.size_bytes))
        except Unmet as error:
            raise changed_while_read(self._shown) from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._stamp.size_bytes}[whence]
        self._place = max(0, base + offset)
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        data = self.read_at(self._place, size if size >= 0 else self._stamp.size_bytes)
        self._place += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
