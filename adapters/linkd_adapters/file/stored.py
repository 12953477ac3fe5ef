"""A stored file, open once: its bytes as they lie where it is stored, its content unpacked as a stream, and the digest of what was read.

Whether a file is packed is told by its first bytes, not by its name: `1f 8b` is gzip (RFC 1952), `PK` 03 04 a zip archive (APPNOTE 4.3.7),
which must hold exactly one file. Nothing is unpacked to disk, and never more than a read asks for.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import zipfile
import zlib
from pathlib import PurePosixPath
from types import TracebackType
from typing import IO, BinaryIO, Protocol, Self

from blake3 import blake3

from linkd.errors import DataFault, InvalidArgument, SourceChanged
from linkd.limits import CSV_BLOCK_BYTES
from linkd.plugin.contract import SourcePart, SourceStat
from linkd_adapters.file.location import FileLocation, reading_failed, reading_problem

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_ZIP_EMPTY = b"PK\x05\x06"
_MEMBERS_SHOWN = 3
_SPREADSHEET = "[Content_Types].xml"
"""A member of every document of Office Open XML (ECMA-376 part 2)."""
_DAMAGE = (zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError)


class HashedReader(io.RawIOBase):
    """Reads a file from its start to its end and keeps the BLAKE3 of what went by."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._hash = blake3()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        """The digest of the whole file: what has not been read is read now."""
        while self.read(CSV_BLOCK_BYTES):
            pass
        return str(self._hash.hexdigest())


class OpenBytes(Protocol):
    """The bytes of one file, wherever it lies, while it is open. What cannot be read raises an error of ours, or an `OSError`."""

    @property
    def stream(self) -> BinaryIO:
        """Read in order, and sought in. Closed with the file."""

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """So many bytes from there on, fewer only at the end."""

    def stat(self) -> SourceStat:
        """As it is now."""

    def known_digest(self) -> str | None:
        """What stands for a digest of the bytes, where that can be had without reading them."""


class StoredFile:
    """An open file. `open` raises `InvalidArgument` if it cannot be; close it, or use it as a context manager."""

    def __init__(self, location: FileLocation, opened: OpenBytes) -> None:
        self.location = location
        self._opened = opened
        self._file = opened.stream
        self._hashed: HashedReader | None = None
        self.stat = opened.stat()

    @classmethod
    def open(cls, location: FileLocation) -> Self:
        """A file of this machine."""
        # Asked first, for opening a FIFO would wait for its writer.
        problem = reading_problem(location)
        if problem is not None:
            raise InvalidArgument(problem)
        try:
            # Unbuffered: reads are of a MiB, and a buffer between would only copy.
            return cls(location, _LocalBytes(open(location.path, "rb", buffering=0)))  # noqa: PTH123
        except OSError as error:
            raise reading_failed(location, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    @property
    def raw(self) -> BinaryIO:
        """The bytes as stored, for formats that seek in them."""
        return self._file

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """So many bytes as stored, from there on, fewer only at the end."""
        try:
            return self._opened.read_at(offset, size_bytes)
        except OSError as error:
            raise reading_failed(self.location, error) from error

    @property
    def size_bytes(self) -> int:
        return self.stat.size_bytes

    def content(self) -> ContentReader:
        """The content from its start, unpacked. One at a time."""
        self._file.seek(0)
        start = self._file.read(len(_ZIP))
        self._file.seek(0)
        if start in (_ZIP, _ZIP_EMPTY):
            return ContentReader(self.location, self._zip_member())
        self._hashed = HashedReader(self._file)
        if start.startswith(_GZIP):
            return ContentReader(self.location, gzip.GzipFile(fileobj=self._hashed, mode="rb"))
        return ContentReader(self.location, self._hashed)

    def _zip_member(self) -> IO[bytes]:
        shown = self.location.shown
        try:
            archive = zipfile.ZipFile(self._file)
            members = [info for info in archive.infolist() if not info.is_dir() and not _is_clutter(info.filename)]
            if len(members) == 1:
                return archive.open(members[0])
        except (*_DAMAGE, RuntimeError, NotImplementedError) as error:
            raise DataFault(f"{shown}: the zip archive cannot be read: {error}; unpack it yourself and name the file") from error
        if any(info.filename == _SPREADSHEET for info in members):
            raise DataFault(f"{shown} is a spreadsheet by its content; save the sheet as CSV (UTF-8) and name that")
        names = ", ".join(info.filename for info in members[:_MEMBERS_SHOWN])
        more = f" and {len(members) - _MEMBERS_SHOWN} more" if len(members) > _MEMBERS_SHOWN else ""
        held = f"holds {len(members)} files ({names}{more})" if members else "holds no file"
        raise DataFault(f"{shown} {held}; a zip archive must hold exactly one, so unpack it and name the file you mean")

    def digest(self) -> str:
        """BLAKE3 of the file as stored, in hexadecimal: of the bytes `content` read where it read them all in order."""
        known = self._opened.known_digest()
        if known is not None:
            return known
        try:
            return self._hashed.digest() if self._hashed is not None else self._digest_of_all()
        except OSError as error:
            raise reading_failed(self.location, error) from error

    def _digest_of_all(self) -> str:
        known = self._opened.known_digest()
        if known is not None:
            return known
        hashed, offset = blake3(), 0
        while data := self._opened.read_at(offset, CSV_BLOCK_BYTES):
            hashed.update(data)
            offset += len(data)
        return str(hashed.hexdigest())

    def require_unchanged_so_far(self, part: SourcePart) -> None:
        """Raise `SourceChanged` if the file just opened is not the surveyed one: by size, and if it was touched or replaced, by digest."""
        if self.stat == part.stat:
            return
        if self.stat.size_bytes != part.stat.size_bytes or self._digest_of_all() != part.digest:
            raise self._changed()

    def require_unchanged(self, part: SourcePart) -> None:
        """Raise `SourceChanged` if the bytes that were read are not those that were surveyed."""
        if self._opened.stat() != self.stat or self.digest() != part.digest:
            raise self._changed()

    def unchanged_digest(self) -> str:
        """The digest of what was read. Raises `SourceChanged` if the file has changed since it was opened."""
        digest = self._digest_of_all()
        if self._opened.stat() != self.stat:
            raise self._changed()
        return digest

    def _changed(self) -> SourceChanged:
        return changed_while_read(self.location.shown)


def changed_while_read(shown: str) -> SourceChanged:
    """The error for a file that is not what it was when reading began."""
    return SourceChanged(f"{shown} changed while it was read; nothing of it is complete, so run again to read it anew")


class _LocalBytes:
    """A file of this machine."""

    def __init__(self, file: BinaryIO) -> None:
        self.stream = file

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        return os.pread(self.stream.fileno(), size_bytes, offset)

    def stat(self) -> SourceStat:
        stat = os.fstat(self.stream.fileno())
        return SourceStat(stat.st_size, stat.st_mtime_ns, stat.st_ino)

    def known_digest(self) -> None:
        return None


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class ContentReader:
    """A stream of content that gives as much as was asked for, and names the file in every error."""

    def __init__(self, location: FileLocation, stream: _Readable) -> None:
        self._location = location
        self._stream = stream

    def read(self, size_bytes: int) -> bytes:
        """`size_bytes` bytes, fewer only at the end. Raises `DataFault` for damaged packing."""
        parts: list[bytes] = []
        missing = size_bytes
        while missing and (part := self._part(missing)):
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, size_bytes: int) -> None:
        """Read and forget; fewer bytes than that is not an error here, for the digest will tell."""
        while size_bytes > 0 and (part := self._part(min(size_bytes, CSV_BLOCK_BYTES))):
            size_bytes -= len(part)

    def _part(self, size_bytes: int) -> bytes:
        shown = self._location.shown
        try:
            return self._stream.read(size_bytes)
        except _DAMAGE as error:
            raise DataFault(f"{shown}: the compressed data is damaged or cut short ({error}); get the file again") from error
        except (RuntimeError, NotImplementedError) as error:
            raise DataFault(f"{shown}: the zip archive cannot be read: {error}; unpack it yourself and name the file") from error
        except OSError as error:
            if error.errno is None:  # as bz2 has it
                raise DataFault(f"{shown}: the compressed data is damaged or cut short ({error}); get the file again") from error
            raise reading_failed(self._location, error) from error


def _is_clutter(name: str) -> bool:
    """What archivers of macOS add to every archive."""
    path = PurePosixPath(name)
    return path.parts[:1] == ("__MACOSX",) or path.name == ".DS_Store"
