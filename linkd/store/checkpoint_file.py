"""Checkpoints: the state behind one frame, so that what stands before it in the journal need not be read, nor be there. Little-endian.

`checkpoints/%016d.checkpoint`, named by the LSN of that frame, and the same bytes again in `checkpoints/%016d.copy`:
    0   8   magic "LKDCHKPT"
    8   4   format version, 1
   12   4   zero
   16   8   LSN: the state is that behind this frame
   24   8   XXH3-64 with seed 0 of bytes 0 to 24
   32       pieces, one behind the other:
                0   4   length of the content
                4   4   kind: 1 what the store holds (one, the first), 2 a part of the home's state, 3 the end (the last)
                8       content: a linkd.store.v1.Held, a linkd.store.v1.CheckpointPiece (proto/linkd/store/v1/frame.proto), or
                        8 bytes: how many pieces stand before the end
                    8   XXH3-64 with seed 0 of the piece before this checksum
The file ends with its end piece.

Both are written aside (`.new`) and synced when the frame they are named by is durable, and with it all that is said to be in segments; then
renamed. From then on it counts: the one before it is deleted, and journal files of which it says that they are not needed. Those are gone then,
so one damaged sector must not be the end: a file that is not whole does not count, either of the two will do, and a start writes the other one
again (a store of an earlier version has no copies).

What lies in segments is described by their own messages, so a checkpoint names files and where they end, never values.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import xxhash

from linkd.errors import StateDamaged, StateForeign, StorageFull
from linkd.limits import CHECKPOINT_PIECE_ITEMS
from linkd.model.frozen import frozen
from linkd.model.kept import Held, Kept
from linkd.store.files import File, Files
from linkd.wire.checkpoints import decode_held, decode_piece, encode_held, encode_piece

NAME_SUFFIX = ".checkpoint"
COPY_SUFFIX = ".copy"
ASIDE_SUFFIX = ".new"
_MAGIC = b"LKDCHKPT"
_VERSION = 1
_HEADER = struct.Struct("<8sIIQ")
_PIECE = struct.Struct("<II")
_CHECKSUM = struct.Struct("<Q")
_HELD, _KEPT, _END = 1, 2, 3


@frozen()
class Checkpoint:
    """The state behind the frame of this LSN: what the store holds, and the home's."""

    lsn: int
    held: Held
    kept: tuple[Kept, ...]


@frozen()
class CheckpointRecovery:
    """What a start found: the newest whole checkpoint, and the files beside it that do not count. `lacking` are files of this checkpoint
    that are damaged, not there, or of one before it of the same frame (power failed between the two names); `damaged` are not what was written."""

    checkpoint: Checkpoint
    surplus: tuple[Path, ...] = ()
    damaged: tuple[Path, ...] = ()
    lacking: tuple[Path, ...] = ()


NONE = Checkpoint(0, Held(), ())
"""The state before the first frame."""


def file_name(lsn: int) -> str:
    return f"{lsn:016d}{NAME_SUFFIX}"


def copy_name(lsn: int) -> str:
    return f"{lsn:016d}{COPY_SUFFIX}"


def write(files: Files, directory: Path, checkpoint: Checkpoint) -> None:
    """Make the checkpoint count, and those before it not any more. Everything it says must be durable."""
    names = file_name(checkpoint.lsn), copy_name(checkpoint.lsn)
    before = [name for name in files.list(directory) if name not in names]
    _put(files, directory, checkpoint, names)
    for name in before:
        if name in files.list(directory):
            files.unlink(directory / name)


def recover(files: Files, directory: Path) -> CheckpointRecovery:
    """The newest checkpoint that is whole, `NONE` if there is none. Changes nothing. Raises `StateForeign` for another format version."""
    names = files.list(directory)
    damaged: list[Path] = []
    for name in sorted((name for name in names if name.endswith((NAME_SUFFIX, COPY_SUFFIX))), reverse=True):
        first = _read(files, directory / name)
        found = _checkpoint(first)
        if first is None or found is None:
            damaged.append(directory / name)
            continue
        own = file_name(found.lsn), copy_name(found.lsn)
        other = directory / own[name == own[0]]
        second = _read(files, other) if other.name in names else None
        is_same = second == first  # what is the same is not decoded again
        if not is_same and other.name in names and other not in damaged and _checkpoint(second) is None:
            damaged.append(other)
        surplus = tuple(directory / one for one in names if one not in own)
        return CheckpointRecovery(found, surplus, tuple(damaged), () if is_same else (other,))
    return CheckpointRecovery(NONE, tuple(directory / name for name in names), tuple(damaged))


def complete(files: Files, found: CheckpointRecovery) -> tuple[str, ...]:
    """Write what the checkpoint lacks again, if there is room; notes for people of what was damaged. Raises `StorageFailed`."""
    notes: list[str] = []
    for path in found.lacking:
        with contextlib.suppress(StorageFull):  # the next checkpoint is written twice
            _put(files, path.parent, found.checkpoint, (path.name,))
            if path in found.damaged:
                notes.append(f"{path} was not what had been written; nothing is lost, for it was written twice, and is again")
    return tuple(notes)


def _put(files: Files, directory: Path, checkpoint: Checkpoint, names: Sequence[str]) -> None:
    """The checkpoint in files of these names, all of them or none."""
    asides = [directory / (name + ASIDE_SUFFIX) for name in names]
    for aside in asides:
        if aside.name in files.list(directory):
            files.unlink(aside)
    try:
        _write_aside(files, asides, checkpoint)
    except StorageFull:
        for aside in asides:
            if aside.name in files.list(directory):
                files.unlink(aside)
        raise
    for aside in asides:
        files.rename(aside, aside.with_name(aside.name.removesuffix(ASIDE_SUFFIX)))
    files.sync_directory(directory)


def _write_aside(files: Files, paths: Sequence[Path], checkpoint: Checkpoint) -> None:
    """The same into each of these files, piece by piece: encoding it is what takes long."""
    with contextlib.ExitStack() as stack:
        asides: list[File] = []
        for path in paths:
            asides.append(files.create(path))
            stack.callback(asides[-1].close)
        at = 0
        for data in _encoded(checkpoint):
            for file in asides:
                file.pwrite(data, at)
            at += len(data)
        for file in asides:
            file.datasync()


def _encoded(checkpoint: Checkpoint) -> Iterator[bytes]:
    header = _HEADER.pack(_MAGIC, _VERSION, 0, checkpoint.lsn)
    yield header + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(header))
    yield _piece(_HELD, encode_held(checkpoint.held))
    pieces = 1
    for start in range(0, len(checkpoint.kept), CHECKPOINT_PIECE_ITEMS):
        yield _piece(_KEPT, encode_piece(checkpoint.kept[start : start + CHECKPOINT_PIECE_ITEMS]))
        pieces += 1
    yield _piece(_END, _CHECKSUM.pack(pieces))


def _piece(kind: int, content: bytes) -> bytes:
    data = _PIECE.pack(len(content), kind) + content
    return data + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(data))


@frozen()
class _Raw:
    """What a file holds that is whole: pieces (kind and content) without the end piece."""

    lsn: int
    pieces: tuple[tuple[int, bytes], ...]


def _read(files: Files, path: Path) -> _Raw | None:
    """What is in a file, or `None` if the file is not whole."""
    file = files.open(path)
    try:
        header = file.pread(_HEADER.size + _CHECKSUM.size, 0)
        if not _fits(header):
            return None
        magic, version, _, lsn = _HEADER.unpack_from(header)
        if magic != _MAGIC or path.name not in (file_name(lsn), copy_name(lsn)):
            return None
        if version != _VERSION:
            raise StateForeign(f"{path} has format {version}; this version of linkd reads format {_VERSION}. Use the version that wrote it")
        pieces = _pieces(file, len(header))
        return _Raw(lsn, tuple(pieces)) if pieces is not None else None
    finally:
        file.close()


def _pieces(file: File, at: int) -> list[tuple[int, bytes]] | None:
    """The pieces of a file, up to its end piece and without it; `None` unless every one is right and nothing follows."""
    found: list[tuple[int, bytes]] = []
    while True:
        head = file.pread(_PIECE.size, at)
        if len(head) < _PIECE.size:
            return None
        length, kind = _PIECE.unpack(head)
        if at + len(head) + length > file.size():  # a damaged length would ask for any amount of memory
            return None
        data = file.pread(_PIECE.size + length + _CHECKSUM.size, at)
        if len(data) != _PIECE.size + length + _CHECKSUM.size or not _fits(data):
            return None
        at += len(data)
        content = data[_PIECE.size : -_CHECKSUM.size]
        if kind == _END:
            return found if content == _CHECKSUM.pack(len(found)) and at == file.size() else None
        found.append((kind, content))


def _checkpoint(raw: _Raw | None) -> Checkpoint | None:
    """What the pieces say; `None` for those of no checkpoint, or that fit their checksums and cannot be read all the same."""
    if raw is None or not raw.pieces or raw.pieces[0][0] != _HELD or any(kind != _KEPT for kind, _ in raw.pieces[1:]):
        return None
    try:
        kept = tuple(one for _, content in raw.pieces[1:] for one in decode_piece(content))
        return Checkpoint(raw.lsn, decode_held(raw.pieces[0][1]), kept)
    except StateDamaged:
        return None


def _fits(data: bytes) -> bool:
    """Whether the last 8 bytes are the checksum of those before."""
    split = len(data) - _CHECKSUM.size
    return split > 0 and bool(xxhash.xxh3_64_intdigest(data[:split]) == _CHECKSUM.unpack_from(data, split)[0])
