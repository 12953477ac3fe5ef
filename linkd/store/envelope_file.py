"""The envelopes of a generation that was dropped, or of values of one, kept for those who ask where a value came from. Integers are little-endian.

`envelopes/LINK/%08d.envelopes`, numbered by generation; of values of it that were dropped while it stayed, between two sequences,
`envelopes/LINK/%08d-%016d-%016d.envelopes`:
    0   8   magic "LKDENVS\\n"
    8   4   format version, 1
   12   4   zero
   16       for each value, in order: length (4 bytes), and a linkd.store.v1.Envelope (proto/linkd/store/v1/frame.proto)
            zero (4 bytes), and XXH3-64 with seed 0 of all before it (8 bytes)
Written aside (`.new`), synced and renamed before anything else that holds the envelopes is deleted; never changed. It is the
only place they are in, beside the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import xxhash

from linkd.errors import StateDamaged, StorageFull
from linkd.limits import ENVELOPE_MAX_BYTES, STORE_READ_BYTES
from linkd.store.files import File, Files

NAME_SUFFIX = ".envelopes"
ASIDE_SUFFIX = ".new"
_MAGIC = b"LKDENVS\n" + (1).to_bytes(4, "little") + bytes(4)
_LENGTH_BYTES = 4
_CHECKSUM_BYTES = 8
_ENCODED_MAX_BYTES = 2 * ENVELOPE_MAX_BYTES
"""An envelope is held to its limit where it is made; a length far above it is damage."""


def file_name(generation: int, extent: tuple[int, int] | None = None) -> str:
    """Of the whole generation, or of what lies between two sequences of it, both included."""
    of_part = f"-{extent[0]:016d}-{extent[1]:016d}" if extent is not None else ""
    return f"{generation:08d}{of_part}{NAME_SUFFIX}"


def file_generation(name: str) -> int | None:
    """The generation in the name of such a file, or `None` if it is not one's."""
    numbers = _numbers(name)
    return numbers[0] if numbers else None


def file_extent(name: str) -> tuple[int, int] | None:
    """The sequences in the name of such a file; `None` if it is that of a whole generation, or no such file's."""
    numbers = _numbers(name)
    return (numbers[1], numbers[2]) if len(numbers) == 3 else None


def _numbers(name: str) -> tuple[int, ...]:
    stem = name.removesuffix(NAME_SUFFIX)
    parts = stem.split("-")
    is_one = stem != name and len(parts) in (1, 3) and len(parts[0]) >= 8 and all(part.isdecimal() for part in parts)
    return tuple(int(part) for part in parts) if is_one else ()


def is_there(files: Files, path: Path) -> bool:
    """Whether the file was made; if so its name is durable now. (Whoever made it may have ended before it was.)"""
    if path.name not in files.list(path.parent):
        return False
    files.sync_directory(path.parent.parent)
    files.sync_directory(path.parent)
    return True


def write(files: Files, path: Path, envelopes: Iterable[bytes]) -> None:
    """Make the file, durably; its directory is made too, the one above that must be there."""
    directory = path.parent
    files.make_directory(directory)
    files.sync_directory(directory.parent)
    aside = path.with_name(path.name + ASIDE_SUFFIX)
    if aside.name in files.list(directory):
        files.unlink(aside)
    file = files.create(aside)
    try:
        _write_content(file, envelopes)
        file.datasync()
    except StorageFull:
        files.unlink(aside)
        raise
    finally:
        file.close()
    files.rename(aside, path)
    files.sync_directory(directory)


def read(files: Files, path: Path) -> Iterator[bytes]:
    """The envelopes of a file, encoded, in order. Raises `StateDamaged`, at the latest behind the last of them."""
    file = files.open(path)
    try:
        state = xxhash.xxh3_64(_expected(file, path))
        at = len(_MAGIC)
        while length := int.from_bytes(head := file.pread(_LENGTH_BYTES, at), "little"):
            envelope = file.pread(min(length, _ENCODED_MAX_BYTES + 1), at + _LENGTH_BYTES)
            if len(envelope) != length:
                raise _damage(path)
            state.update(head)
            state.update(envelope)
            at += _LENGTH_BYTES + length
            yield envelope
        state.update(head)
        if file.pread(_CHECKSUM_BYTES + 1, at + _LENGTH_BYTES) != state.intdigest().to_bytes(_CHECKSUM_BYTES, "little"):
            raise _damage(path)
    finally:
        file.close()


def _write_content(file: File, envelopes: Iterable[bytes]) -> None:
    state = xxhash.xxh3_64()
    buffer = bytearray(_MAGIC)
    at = 0
    for envelope in envelopes:
        buffer += len(envelope).to_bytes(_LENGTH_BYTES, "little") + envelope
        if len(buffer) >= STORE_READ_BYTES:
            state.update(buffer)
            file.pwrite(buffer, at)
            at += len(buffer)
            buffer = bytearray()
    buffer += bytes(_LENGTH_BYTES)
    state.update(buffer)
    file.pwrite(buffer + state.intdigest().to_bytes(_CHECKSUM_BYTES, "little"), at)


def _expected(file: File, path: Path) -> bytes:
    if file.pread(len(_MAGIC), 0) != _MAGIC:
        raise _damage(path)
    return _MAGIC


def _damage(path: Path) -> StateDamaged:
    return StateDamaged(
        f"{path} is not what was written: the disk or another program has changed it. It says where values come from that are gone: restore it "
        "from a backup, or delete it and lose that"
    )
