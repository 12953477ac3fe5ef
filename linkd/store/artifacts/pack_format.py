"""The format of a pack file, byte by byte. Pure, but for reading.

A file begins with the 16 bytes `linkd artifacts\\n`. Records follow, each on a multiple of 8, numbers little-endian:

     0   4   `lka1`
     4   1   1: the content follows; 2: it is the file of this digest in `whole/`
     5   1   1: it is the list of a directory (`core.file_lists`), else 0
     6   2   zero
     8   8   bytes of the content
    16  32  BLAKE3 of the content
    48   8  XXH3-64 of the 48 bytes before
    56   n  the content, and zeros up to the next multiple of 8; nothing for kind 2

Records are appended and never changed. What stands between two of them, or behind the last one, is what an interrupted write left; nobody was told
of it. An artifact may stand in several records, of which each is as good.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import xxhash

from linkd.core.artifacts import DIGEST_BYTES
from linkd.limits import ARTIFACT_PACKED_MAX_BYTES, STORE_READ_BYTES
from linkd.model.artifacts import ArtifactKept
from linkd.model.frozen import frozen
from linkd.store.files import File

FILE_HEAD = b"linkd artifacts\n"
ALIGNMENT_BYTES = 8
_HEAD = struct.Struct("<4sBBHQ32sQ")
_CHECKED = struct.Struct("<4sBBHQ32s")
_MAGIC = b"lka1"
_HELD, _WHOLE = 1, 2
_DIRECTORY = 1
HEAD_BYTES = _HEAD.size


@frozen()
class PackRecord:
    """A record at `offset`; of one that `is_whole` the content is in a file of its own."""

    kept: ArtifactKept
    offset: int
    is_whole: bool

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + record_bytes(self.kept.size_bytes, is_whole=self.is_whole)

    @property
    def content_offset(self) -> int:
        return self.offset + HEAD_BYTES


def record_bytes(size_bytes: int, *, is_whole: bool) -> int:
    """What the record of an artifact of this size takes."""
    content_bytes = 0 if is_whole else size_bytes
    return HEAD_BYTES + content_bytes + -content_bytes % ALIGNMENT_BYTES


def encoded(kept: ArtifactKept, content: bytes | None) -> bytes:
    """A record; `content` of None says that it is a whole file."""
    kind = _WHOLE if content is None else _HELD
    checked = _CHECKED.pack(_MAGIC, kind, _DIRECTORY if kept.is_directory else 0, 0, kept.size_bytes, kept.digest)
    head = checked + xxhash.xxh3_64_digest(checked)[::-1]  # the digest is big-endian
    return head if content is None else b"".join((head, content, bytes(-len(content) % ALIGNMENT_BYTES)))


def decoded(data: bytes, offset: int) -> PackRecord | None:
    """The record whose head these bytes are; None if they are none."""
    if len(data) < HEAD_BYTES:
        return None
    magic, kind, flags, zero, size_bytes, digest, checksum = _HEAD.unpack_from(data)
    if magic != _MAGIC or checksum != xxhash.xxh3_64_intdigest(data[: _CHECKED.size]):
        return None
    if kind not in (_HELD, _WHOLE) or flags not in (0, _DIRECTORY) or zero or len(digest) != DIGEST_BYTES:
        return None
    if kind == _HELD and size_bytes > ARTIFACT_PACKED_MAX_BYTES:
        return None
    return PackRecord(ArtifactKept(digest, size_bytes, flags == _DIRECTORY), offset, kind == _WHOLE)


def records(file: File, start: int = 0) -> Iterator[tuple[PackRecord, bytes | None]]:
    """The records behind `start` (0: the beginning), with the content of those that have it, in order; whatever stands between them is passed over.

    A record whose content is cut off by the end of the file is none.
    """
    at, size_bytes = max(start, len(FILE_HEAD)), file.size()
    while at + HEAD_BYTES <= size_bytes:
        record = decoded(file.pread(HEAD_BYTES, at), at)
        if record is None:
            at = _next_head(file, at + ALIGNMENT_BYTES, size_bytes)
            continue
        if record.is_whole:
            yield record, None
        else:
            content = file.pread(record.kept.size_bytes, record.content_offset)
            if len(content) < record.kept.size_bytes:
                at += ALIGNMENT_BYTES
                continue
            yield record, content
        at = record.end


def _next_head(file: File, start: int, size_bytes: int) -> int:
    """Where the next record may begin."""
    for at in range(start, size_bytes, STORE_READ_BYTES):
        piece = file.pread(min(STORE_READ_BYTES, size_bytes - at), at)
        found = piece.find(_MAGIC)
        while found >= 0:
            if (at + found) % ALIGNMENT_BYTES == 0:
                return at + found
            found = piece.find(_MAGIC, found + 1)
    return size_bytes
