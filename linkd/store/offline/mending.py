"""The bytes that take the place of damaged ones, so that what is whole around them keeps its place. Pure.

In the journal empty frames stand where frames were that cannot be read, and in segments record batches without rows where values were: LSNs,
offsets and the ends of files stay what they are, and every place that anything names.
"""

from __future__ import annotations

import struct

from linkd.errors import StateDamaged
from linkd.limits import PAGE_BYTES
from linkd.store.journal_format import (
    FRAME_HEADER_BYTES,
    GROUP_HEADER_BYTES,
    GroupHeader,
    GroupKind,
    encode_frame,
    encode_group_header,
    padded,
)
from linkd.store.offline.journal_scan import Region
from linkd.store.segment_format import FILLER_KEY
from linkd.wire import arrow_ipc

_LENGTH = struct.Struct("<I")


def empty_frames(first_lsn: int, frames: int, generation: int, size_bytes: int) -> bytes:
    """So many frames without records in so many bytes; the last one takes what is left. Raises `StateDamaged` if there is no room."""
    last_bytes = size_bytes - (frames - 1) * FRAME_HEADER_BYTES
    if not frames or last_bytes < FRAME_HEADER_BYTES:
        raise StateDamaged(f"{frames} empty frames have no room in {size_bytes} bytes")
    small = b"".join(encode_frame(first_lsn + index, generation, b"") for index in range(frames - 1))
    return small + encode_frame(first_lsn + frames - 1, generation, b"", [bytes(last_bytes - FRAME_HEADER_BYTES)])


def mended_region(region: Region, data: bytes, *, goes_on: bool) -> bytes:
    """The bytes of a region in which every frame is whole, or empty where it was not. `goes_on`: another group follows the region in its file.

    Raises `StateDamaged` if what is whole in it does not leave the room.
    """
    made = _Groups(region, len(data))
    lsn = region.first_lsn
    for frame in region.frames:
        start = frame.payload_offset - len(frame.records) - FRAME_HEADER_BYTES - region.offset
        made.take_missing(lsn, frame.lsn - lsn, start)
        made.take(data[start : start + _LENGTH.unpack_from(data, start)[0]])
        lsn = frame.lsn + 1
    missing = region.last_lsn - lsn + 1
    if missing:
        room = len(data) if goes_on else made.at + missing * FRAME_HEADER_BYTES
        made.take_missing(lsn, missing, room)
    made.close()
    if goes_on and made.end != len(data):
        raise StateDamaged(f"{region.path}, offset {region.offset}: what follows the damaged bytes does not join what is before them")
    return bytes(made.data)


class _Groups:
    """Frames put at given places, in groups that begin on pages."""

    def __init__(self, region: Region, size_bytes: int) -> None:
        self._region = region
        self._begin = 0
        self._lsn = region.first_lsn
        self._frames = 0
        self.data = bytearray(size_bytes)  # a region at the end of a file grows
        self.at = GROUP_HEADER_BYTES
        self.end = 0

    def take(self, frame: bytes) -> None:
        self.data[self.at : self.at + len(frame)] = frame
        self.at += len(frame)
        self._frames += 1

    def take_missing(self, lsn: int, frames: int, until: int) -> None:
        """Empty frames up to `until`; without any, the next group if that begins there."""
        if frames:
            filled = empty_frames(lsn, frames, self._region.header.generation, until - self.at)
            self.data += bytes(max(until - len(self.data), 0))
            self.data[self.at : until] = filled
            self.at = until
            self._frames += frames
        elif until != self.at:
            if (until - GROUP_HEADER_BYTES) % PAGE_BYTES or until < self.at:
                raise StateDamaged(f"{self._region.path}: the frames behind offset {self._region.offset + self.at} are not where they were")
            self.close()
            self._begin, self.at, self._frames = until - GROUP_HEADER_BYTES, until, 0
            self._lsn = lsn

    def close(self) -> None:
        """Write the header of the group, which says of itself only what the next one will: that all before it was durable."""
        region = self._region
        page = (region.offset + self._begin) // PAGE_BYTES
        size_bytes = self.at - self._begin
        head = GroupHeader(region.header.generation, self._lsn, self._lsn - 1, size_bytes, self._frames, GroupKind.FRAMES, page)
        self.data[self._begin : self._begin + GROUP_HEADER_BYTES] = encode_group_header(head)
        self.end = self._begin + padded(size_bytes)


def filler(schema: bytes, size_bytes: int, reason: str, metadata_bytes: int | None = None) -> bytes:
    """The beginning of a message of `size_bytes` without rows, for a stream of this schema (an encapsulated message); the rest is zeros.

    `metadata_bytes` is how long its metadata must be: what still names a value there may write the prefix again.
    Raises `InvalidArgument` if it has no room.
    """
    import pyarrow as pa

    found = pa.ipc.read_schema(pa.py_buffer(schema))
    empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in found], schema=found).serialize().to_pybytes()
    length = arrow_ipc.metadata_length(empty[: arrow_ipc.PREFIX_BYTES])
    metadata = empty[arrow_ipc.PREFIX_BYTES : arrow_ipc.PREFIX_BYTES + length]
    return arrow_ipc.filler(metadata, {FILLER_KEY: reason}, size_bytes, metadata_bytes)
