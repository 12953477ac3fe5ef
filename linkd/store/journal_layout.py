"""Where the next frame goes: pure decisions about groups, files and LSNs.

The event loop adds frames to the group that is gathering; their place is final at once, for a group begins where the
one before it ends. The committer takes whole groups. At most one group gathers; closed ones wait in line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from linkd.limits import PAGE_BYTES
from linkd.model.frozen import frozen
from linkd.store.journal_format import (
    FRAME_HEADER_BYTES,
    GROUP_HEADER_BYTES,
    FileHeader,
    GroupHeader,
    GroupKind,
    encode_frame,
    encode_group_header,
    padded,
)
from linkd.store.store_limits import StoreLimits


@frozen()
class JournalEnd:
    """Where the journal ends: the file in use and where its next group starts. `file` is `None` if there is none yet."""

    file: FileHeader | None = None
    offset: int = PAGE_BYTES
    next_lsn: int = 1
    sealed: bool = True


@frozen()
class FramePlace:
    """Where a frame lies: payload bytes begin at `payload_offset` of journal file `file`."""

    lsn: int
    file: int
    payload_offset: int


@dataclass(slots=True)
class Group:
    """A group of frames, in the bytes that will be written at `offset` of `file`. `new_file`: the file has to be created first."""

    file: FileHeader
    new_file: bool
    offset: int
    first_lsn: int
    data: bytearray = field(default_factory=lambda: bytearray(GROUP_HEADER_BYTES))
    frames: int = 0
    kind: GroupKind = GroupKind.FRAMES

    @property
    def end(self) -> int:
        """Where the next group starts."""
        return self.offset + padded(len(self.data))

    @property
    def last_lsn(self) -> int:
        return self.first_lsn + self.frames - 1

    def head(self, durable_lsn: int) -> None:
        """Write the header, with the last LSN that is durable now: nothing is added any more."""
        header = GroupHeader(
            generation=self.file.generation,
            first_lsn=self.first_lsn,
            durable_lsn=durable_lsn,
            size_bytes=len(self.data),
            frames=self.frames,
            kind=self.kind,
            page=self.offset // PAGE_BYTES,
        )
        self.data[:GROUP_HEADER_BYTES] = encode_group_header(header)


class JournalLayout:
    """Lays frames out, one behind the other. `new_generation` gives the generations of new files."""

    def __init__(self, end: JournalEnd, limits: StoreLimits, new_generation: Callable[[], int]) -> None:
        self._limits = limits
        self.new_generation = new_generation
        self._file = end.file
        self._offset = end.offset
        self._next_lsn = end.next_lsn

    @property
    def next_lsn(self) -> int:
        return self._next_lsn

    @staticmethod
    def frame_bytes(records: bytes, payloads: Sequence[bytes]) -> int:
        return FRAME_HEADER_BYTES + len(records) + sum(map(len, payloads))

    def fits(self, group: Group, frame_bytes: int) -> bool:
        """Whether a frame of this size still goes into the group; the first frame always does."""
        if not group.frames:
            return True
        size = len(group.data) + frame_bytes
        return size <= self._limits.group_max_bytes and group.offset + padded(size) <= self._limits.journal_file_max_bytes

    def begin(self, frame_bytes: int) -> Group:
        """A new group behind the last one, in a new file if a frame of this size does not fit into the present one."""
        new_file = self._file is None or self._offset + padded(GROUP_HEADER_BYTES + frame_bytes) > self._limits.journal_file_max_bytes
        if self._file is None or new_file:
            number = 1 if self._file is None else self._file.number + 1
            self._file = FileHeader(number, self.new_generation(), self._next_lsn)
            self._offset = PAGE_BYTES
        return Group(self._file, new_file, self._offset, self._next_lsn)

    def add(self, group: Group, records: bytes, payloads: Sequence[bytes]) -> FramePlace:
        """Add a frame to the group that is gathering."""
        lsn = self._next_lsn
        start = group.offset + len(group.data)
        group.data += encode_frame(lsn, group.file.generation, records, payloads)
        group.frames += 1
        self._next_lsn += 1
        return FramePlace(lsn, group.file.number, start + FRAME_HEADER_BYTES + len(records))

    def end(self, group: Group, kind: GroupKind = GroupKind.FRAMES) -> None:
        """Nothing is added to the group any more; the next one begins behind it."""
        group.kind = kind
        self._offset = group.end


def random_generation() -> int:
    """A generation for a new file."""
    return int.from_bytes(os.urandom(8), "little")
