"""Where a followed file is read on: the position that is committed with each batch.

Format: compact JSON, UTF-8, one object with
    inode       of the file: by it, it is found again under another name
    offset      bytes of the file before the next row
    line        number of the line, from 1, in which the byte at `offset` lies
    digest      BLAKE3 of the first `offset` bytes, 64 hexadecimal digits: what makes it that file, wherever it is
    row         rows read, rejected ones too, of this file and of those that it followed
    rejected    how many of them were rejected

The position of a file that was read to what was its end then (`position`) is taken, too: its digest is that of `size_bytes` bytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from linkd.errors import SourceChanged
from linkd.limits import FILE_DIGEST_BLOCK_BYTES
from linkd_adapters.file.position import FilePosition, decoded_position, position_damaged


@dataclass(frozen=True, slots=True)
class FollowPosition:
    inode: int
    offset: int
    line: int
    digest: str
    row: int
    rejected: int

    def encode(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, and how the file is known: by the BLAKE3 of its first `size_bytes` bytes."""

    inode: int
    size_bytes: int
    digest: str
    offset: int
    line: int
    row: int
    rejected: int
    is_cut: bool = False
    """The last row that was read had no end of line: it goes on unless one comes now."""


def mark_of(shown: str, encoded: bytes) -> Mark:
    """What a position says, of whichever kind. Raises `StateDamaged` if it is none."""
    try:
        fields = json.loads(encoded)
    except ValueError as error:
        raise position_damaged(shown, str(error)) from error
    if not isinstance(fields, dict) or "inode" not in fields:
        return _mark_of_finite(decoded_position(shown, encoded))
    try:
        position = FollowPosition(**fields)
    except TypeError as error:
        raise position_damaged(shown, str(error)) from error
    numbers = (position.inode, position.offset, position.line, position.row, position.rejected)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise position_damaged(shown, "impossible numbers")
    return Mark(position.inode, position.offset, position.digest, *numbers[1:])


def _mark_of_finite(position: FilePosition) -> Mark:
    """Behind a last line without an end stands one in the content that was read, which is not in the file."""
    beyond = position.offset > position.size_bytes
    offset, line = (position.size_bytes, position.line - 1) if beyond else (position.offset, position.line)
    return Mark(0, position.size_bytes, position.digest, offset, line, position.row, position.rejected, is_cut=beyond)


def finite_position(shown: str, path: Path, digest: str, size_bytes: int, encoded: bytes) -> FilePosition:
    """The position in the file as surveyed (`digest`, `size_bytes`), which may have been followed, or smaller, when it was made.

    Raises `SourceChanged` if that was another file.
    """
    mark = mark_of(shown, encoded)
    if not stands_in(path, mark):
        raise SourceChanged(f"{shown} is not the file that was read before; run again to read it anew")
    return FilePosition(digest, mark.row, mark.rejected, mark.offset, mark.line, size_bytes=size_bytes)


def stands_in(path: Path, mark: Mark) -> bool:
    """Whether the file has what was read up to the mark, unchanged. Operating system errors are a no."""
    try:
        with path.open("rb", buffering=0) as file:
            return prefix_hash(file, mark) is not None
    except OSError:
        return False


def prefix_hash(file: BinaryIO, mark: Mark) -> blake3 | None:
    """The BLAKE3 of the bytes before the mark, to go on with; `None` if the file is not the one of the mark."""
    size_bytes = os.fstat(file.fileno()).st_size
    if not mark.size_bytes or size_bytes < mark.size_bytes:
        return None
    if mark.is_cut and size_bytes > mark.size_bytes and os.pread(file.fileno(), 1, mark.size_bytes) not in (b"\n", b"\r"):
        return None
    before = blake3()
    hash_range(file, before, 0, mark.offset)
    whole = before.copy()
    hash_range(file, whole, mark.offset, mark.size_bytes)
    return before if whole.hexdigest() == mark.digest else None


def hash_range(file: BinaryIO, hashed: blake3, start: int, end: int) -> None:
    """Adds the bytes [start, end) of the file, as far as there are any."""
    while start < end and (data := os.pread(file.fileno(), min(FILE_DIGEST_BLOCK_BYTES, end - start), start)):
        hashed.update(data)
        start += len(data)


def where_it_is(path: Path, mark: Mark) -> Path | None:
    """The file of the mark: under its name, under another one in the same directory (it was rotated), or as a copy that was made of it
    before it was cut. `None` if it is not there any more."""
    candidates = [path, *(entry for entry in _entries(path) if entry.stat().st_ino == mark.inode), *reversed(rotated(path))]
    return next((candidate for candidate in candidates if stands_in(candidate, mark)), None)


def rotated(path: Path) -> list[Path]:
    """The files in the directory that are named as what `path` is rotated to (`app.csv.1`, `app.csv-20240131`), the oldest first."""
    pattern = re.compile(re.escape(path.name) + r"[.-][0-9][0-9T:.-]*")
    return sorted((entry for entry in _entries(path) if pattern.fullmatch(entry.name)), key=lambda entry: entry.stat().st_mtime_ns)


def _entries(path: Path) -> Iterator[Path]:
    return (entry for entry in path.parent.iterdir() if entry.is_file())
