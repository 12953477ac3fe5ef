"""The journal's bytes. Integers are little-endian; checksums are XXH3-64 with seed 0; pages are 4,096 bytes.

`journal/%016d.journal`, numbered from 1 without a gap. Page 0 is the file header, then groups, each on a page boundary,
then zeros (files are zero-filled ahead of the last group, at least to the next page).

File header, 64 bytes, the rest of its page is zero:
    0   8   magic "LKDJRNL\\n"
    8   4   format version, 1
   12   4   zero
   16   8   file number, as in the name
   24   8   file generation: random, so that neither a former use of the file's bytes nor bytes inside a payload pass for this file's
   32   8   LSN of the file's first frame
   40   8   0, or: frames with this or a higher LSN in the files before this one are void, whatever they look like (a sync failed there)
   48   8   zero
   56   8   checksum of bytes 0 to 56
The header and the file's name are durable before anything else is written to the file. It is the first 64 bytes of a sector, so an interrupted
write leaves all of it or none: a header that is there and does not fit its checksum is damage, and the file may have been one that makes void.

Group header, 64 bytes:
    0   8   magic "LKDGROUP"
    8   8   file generation
   16   8   LSN of the first frame; of a seal, that of the next frame there will be
   24   8   the last LSN that was durable when this group was written, with all payloads in segments: before this group, all up to it was synced
   32   4   length of the group in bytes, from this header to the end of its last frame, without padding
   36   4   number of frames
   40   4   kind: 1 frames, 2 seal (no frames; a clean stop)
   44   4   number of the page on which the group starts
   48   8   zero
   56   8   checksum of bytes 0 to 56
Frames follow without padding between them, zeros to the next page behind them. A group is written by one write. It is synced before the next
one is begun if any of its frames is to be durable when it is acked; else a later sync, of a later group or of none, makes it durable. A file is
synced before another one follows it.

Frame, 40 bytes and its content:
    0   4   length of the frame in bytes, these 40 included
    4   4   length of the records
    8   4   length of the payloads
   12   4   zero
   16   8   LSN: 1 for the first frame ever, then one more for each
   24   8   file generation
   32   8   checksum of bytes 0 to 32, the records and the payloads
   40       records: a linkd.store.v1.Frame (proto/linkd/store/v1/frame.proto)
            payloads: those of its values that lie in the journal, one behind the other (Place.offset says where)

So a bad group is damage if a group of this file's generation follows it anywhere in the file that names a frame of it as durable, or if a
file follows. Else it is the tail that an interrupted write or a power cut left, torn or with holes: the journal ends before it. Nobody was told
that it is durable; where it was acked with less, it may be lost. Whole groups behind it are void: they are cut off, and a new file says so (its
void LSN), so that nothing that comes later passes them for what they were. The same is done with a group that nothing names as durable and that
has a payload in a segment which is not whole.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence

import xxhash

from linkd.errors import StateForeign
from linkd.limits import PAGE_BYTES
from linkd.model.frozen import frozen

FORMAT_VERSION = 1
FILE_MAGIC = b"LKDJRNL\n"
GROUP_MAGIC = b"LKDGROUP"
NAME_SUFFIX = ".journal"

Bytes = bytes | bytearray | memoryview

_FILE_HEADER = struct.Struct("<8sIIQQQQQ")
_GROUP_HEADER = struct.Struct("<8sQQQIIIIQ")
_FRAME_HEADER = struct.Struct("<IIIIQQ")
_CHECKSUM = struct.Struct("<Q")
FILE_HEADER_BYTES = _FILE_HEADER.size + _CHECKSUM.size
GROUP_HEADER_BYTES = _GROUP_HEADER.size + _CHECKSUM.size
FRAME_HEADER_BYTES = _FRAME_HEADER.size + _CHECKSUM.size

assert (FILE_HEADER_BYTES, GROUP_HEADER_BYTES, FRAME_HEADER_BYTES) == (64, 64, 40)


class GroupKind(enum.IntEnum):
    """What a group is for."""

    FRAMES = 1
    SEAL = 2


@frozen()
class FileHeader:
    """Page 0 of a journal file."""

    number: int
    generation: int
    first_lsn: int
    void_from_lsn: int = 0


@frozen()
class GroupHeader:
    """The beginning of a group. `size_bytes` is without padding."""

    generation: int
    first_lsn: int
    durable_lsn: int
    size_bytes: int
    frames: int
    kind: GroupKind
    page: int

    @property
    def offset(self) -> int:
        """Where the group starts in its file."""
        return self.page * PAGE_BYTES

    @property
    def end(self) -> int:
        """Where the next group starts."""
        return self.offset + padded(self.size_bytes)

    @property
    def next_lsn(self) -> int:
        """The LSN behind its last frame."""
        return self.first_lsn + self.frames


@frozen()
class Frame:
    """A frame as read: its records' bytes, where its first payload byte lies in the file, and the last LSN that its group names as durable."""

    lsn: int
    durable_lsn: int
    records: bytes
    payload_offset: int


def padded(size_bytes: int) -> int:
    """`size_bytes`, rounded up to whole pages."""
    return -(-size_bytes // PAGE_BYTES) * PAGE_BYTES


def file_name(number: int) -> str:
    return f"{number:016d}{NAME_SUFFIX}"


def file_number(name: str) -> int | None:
    """The number in a journal file's name, or `None` if it is not one's."""
    stem = name.removesuffix(NAME_SUFFIX)
    return int(stem) if stem != name and len(stem) == 16 and stem.isdecimal() else None


def encode_file_header(header: FileHeader) -> bytes:
    """The whole first page."""
    head = _FILE_HEADER.pack(FILE_MAGIC, FORMAT_VERSION, 0, header.number, header.generation, header.first_lsn, header.void_from_lsn, 0)
    return (head + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(head))).ljust(PAGE_BYTES, b"\x00")


def decode_file_header(page: Bytes, number: int) -> FileHeader | None:
    """The header in `page`, or `None` if it is damaged or another file's. Raises `StateForeign` for another format version."""
    if not _checked(page, FILE_HEADER_BYTES):
        return None
    magic, version, _, found, generation, first_lsn, void_from_lsn, _ = _FILE_HEADER.unpack_from(page)
    if magic != FILE_MAGIC or found != number:
        return None
    if version != FORMAT_VERSION:
        raise StateForeign(
            f"journal file {file_name(number)} has format {version}; this version of linkd reads format {FORMAT_VERSION}. "
            "Use the version of linkd that wrote it"
        )
    return FileHeader(number, generation, first_lsn, void_from_lsn)


def mended_file_header(page: Bytes, number: int) -> FileHeader | None:
    """The header of a file that begins with a damaged one, if a single flipped bit is all that is wrong: then there is no doubt what it was."""
    head = bytearray(page[:FILE_HEADER_BYTES])
    for bit in range(8 * len(head)):
        head[bit // 8] ^= 1 << bit % 8
        if (header := decode_file_header(head, number)) is not None:
            return header
        head[bit // 8] ^= 1 << bit % 8
    return None


def encode_group_header(header: GroupHeader) -> bytes:
    head = _GROUP_HEADER.pack(
        GROUP_MAGIC,
        header.generation,
        header.first_lsn,
        header.durable_lsn,
        header.size_bytes,
        header.frames,
        header.kind,
        header.page,
        0,
    )
    return head + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(head))


def decode_group_header(data: Bytes, generation: int | None, offset: int) -> GroupHeader | None:
    """The header of a group at `offset` of a file of this generation (`None`: of any), or `None` if there is no whole one."""
    if not _checked(data, GROUP_HEADER_BYTES):
        return None
    magic, found, first_lsn, durable_lsn, size_bytes, frames, kind, page, _ = _GROUP_HEADER.unpack_from(data)
    if magic != GROUP_MAGIC or generation not in (None, found) or page * PAGE_BYTES != offset or kind not in (1, 2):
        return None
    return GroupHeader(found, first_lsn, durable_lsn, size_bytes, frames, GroupKind(kind), page)


def encode_frame(lsn: int, generation: int, records: Bytes, payloads: Sequence[Bytes] = ()) -> bytes:
    """One frame, whole."""
    payload_bytes = sum(map(len, payloads))
    length = FRAME_HEADER_BYTES + len(records) + payload_bytes
    head = _FRAME_HEADER.pack(length, len(records), payload_bytes, 0, lsn, generation)
    state = xxhash.xxh3_64(head)
    state.update(records)
    for payload in payloads:
        state.update(payload)
    return b"".join((head, _CHECKSUM.pack(state.intdigest()), records, *payloads))


def decode_frames(group: memoryview, header: GroupHeader) -> list[Frame] | None:
    """The frames of a group, given all of its `size_bytes`; `None` unless every one of them is whole and in its place."""
    frames: list[Frame] = []
    at = GROUP_HEADER_BYTES
    for lsn in range(header.first_lsn, header.first_lsn + header.frames):
        taken = frame_at(group, at, lsn, header)
        if taken is None:
            return None
        frame, at = taken
        frames.append(frame)
    return frames if at == len(group) else None


def frame_at(group: memoryview, at: int, lsn: int, header: GroupHeader) -> tuple[Frame, int] | None:
    """The frame of this LSN that begins at `at` of a group, and where it ends; `None` unless it is whole."""
    if at + FRAME_HEADER_BYTES > len(group):
        return None
    length, records, payloads, _, found_lsn, generation = _FRAME_HEADER.unpack_from(group, at)
    end, content = at + length, at + FRAME_HEADER_BYTES
    if content + records + payloads != end or end > len(group) or (found_lsn, generation) != (lsn, header.generation):
        return None
    state = xxhash.xxh3_64(group[at : at + _FRAME_HEADER.size])
    state.update(group[content:end])
    if state.intdigest() != _CHECKSUM.unpack_from(group, at + _FRAME_HEADER.size)[0]:
        return None
    return Frame(lsn, header.durable_lsn, bytes(group[content : content + records]), header.offset + content + records), end


def _checked(data: Bytes, size: int) -> bool:
    """Whether the last 8 of `size` bytes are the checksum of those before."""
    if len(data) < size:
        return False
    head = memoryview(data)[: size - _CHECKSUM.size]
    return bool(xxhash.xxh3_64_intdigest(head) == _CHECKSUM.unpack_from(data, size - _CHECKSUM.size)[0])
