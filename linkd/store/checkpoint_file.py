"""Checkpoints: the state behind one frame, so that what stands before it in the journal need not be read, nor be there. Little-endian.

`checkpoints/%016d.checkpoint`, named by the LSN of that frame:
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

It is written aside (`.new`) and synced when the frame it is named by is durable, and with it all that it says is in segments; then renamed.
From then on it counts: the one before it is deleted, and journal files of which it says that they are not needed. A file that is not whole
does not count. What lies in segments is described by their own messages, so a checkpoint names files and where they end, never values.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash

from linkd.errors import StateDamaged, StateForeign, StorageFull
from linkd.limits import CHECKPOINT_PIECE_ITEMS
from linkd.model.kept import Held, Kept
from linkd.store.files import File, Files
from linkd.wire.checkpoints import decode_held, decode_piece, encode_held, encode_piece

NAME_SUFFIX = ".checkpoint"
ASIDE_SUFFIX = ".new"
_MAGIC = b"LKDCHKPT"
_VERSION = 1
_HEADER = struct.Struct("<8sIIQ")
_PIECE = struct.Struct("<II")
_CHECKSUM = struct.Struct("<Q")
_HELD, _KEPT, _END = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state behind the frame of this LSN: what the store holds, and the home's."""

    lsn: int
    held: Held
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class CheckpointRecovery:
    """What a start found: the newest whole checkpoint, and the files beside it that do not count (`damaged` are among them)."""

    checkpoint: Checkpoint
    surplus: tuple[Path, ...] = ()
    damaged: tuple[Path, ...] = ()


NONE = Checkpoint(0, Held(), ())
"""The state before the first frame."""


def file_name(lsn: int) -> str:
    return f"{lsn:016d}{NAME_SUFFIX}"


def write(files: Files, directory: Path, checkpoint: Checkpoint) -> None:
    """Make the checkpoint count, and those before it not any more. Everything it says must be durable."""
    path = directory / file_name(checkpoint.lsn)
    before = [name for name in files.list(directory) if name != path.name]
    aside = path.with_name(path.name + ASIDE_SUFFIX)
    if aside.name in before:
        files.unlink(aside)
        before.remove(aside.name)
    file = files.create(aside)
    try:
        at = 0
        for data in _encoded(checkpoint):
            file.pwrite(data, at)
            at += len(data)
        file.datasync()
    except StorageFull:
        files.unlink(aside)
        raise
    finally:
        file.close()
    files.rename(aside, path)
    files.sync_directory(directory)
    for name in before:
        files.unlink(directory / name)


def recover(files: Files, directory: Path) -> CheckpointRecovery:
    """The newest checkpoint that is whole, `NONE` if there is none. Changes nothing. Raises `StateForeign` for another format version."""
    names = files.list(directory)
    whole: list[str] = sorted((name for name in names if name.endswith(NAME_SUFFIX)), reverse=True)
    damaged: list[Path] = []
    for name in whole:
        found = _read(files, directory / name)
        if found is not None:
            surplus = tuple(directory / other for other in names if other != name)
            return CheckpointRecovery(found, surplus, tuple(damaged))
        damaged.append(directory / name)
    return CheckpointRecovery(NONE, tuple(directory / name for name in names), tuple(damaged))


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


def _read(files: Files, path: Path) -> Checkpoint | None:
    """The checkpoint in a file, or `None` if the file is not whole."""
    file = files.open(path)
    try:
        header = file.pread(_HEADER.size + _CHECKSUM.size, 0)
        if not _fits(header):
            return None
        magic, version, _, lsn = _HEADER.unpack_from(header)
        if magic != _MAGIC or path.name != file_name(lsn):
            return None
        if version != _VERSION:
            raise StateForeign(f"{path} has format {version}; this version of linkd reads format {_VERSION}. Use the version that wrote it")
        pieces = _pieces(file, len(header))
        return _checkpoint(lsn, pieces) if pieces is not None else None
    except StateDamaged:  # a piece that fits its checksum and cannot be read all the same
        return None
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


def _checkpoint(lsn: int, pieces: Sequence[tuple[int, bytes]]) -> Checkpoint | None:
    if not pieces or pieces[0][0] != _HELD or any(kind != _KEPT for kind, _ in pieces[1:]):
        return None
    kept = tuple(one for _, content in pieces[1:] for one in decode_piece(content))
    return Checkpoint(lsn, decode_held(pieces[0][1]), kept)


def _fits(data: bytes) -> bool:
    """Whether the last 8 bytes are the checksum of those before."""
    split = len(data) - _CHECKSUM.size
    return split > 0 and bool(xxhash.xxh3_64_intdigest(data[:split]) == _CHECKSUM.unpack_from(data, split)[0])
