"""Payloads that lie in shared files, where their publishers have laid them, and what those and their readers know of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import xxhash

from linkd import limits
from linkd.errors import InvalidArgument, StateDamaged
from linkd.model.frozen import frozen
from linkd.store.inodes import Inode
from linkd.store.staging import Piece, StagedPayload
from linkd.wire import arrow_ipc


@frozen()
class SharedFile:
    """What a writer session holds: room for values of one link, schema and generation, from `start` on up to `size_bytes`.

    `id` names the inode in this life of the home: it stays when the file is used again, under another `number`.
    """

    id: int
    link: str
    number: int
    schema_id: bytes
    generation: int
    volatile: bool
    start: int
    size_bytes: int
    is_fresh: bool = False
    """Nothing was ever written to it."""


@frozen()
class Located:
    """Where a value lies, for a reader that maps the file: its body, and the metadata as it was published. `size_bytes` are the file's now."""

    id: int
    size_bytes: int
    offset: int
    body_bytes: int
    metadata: bytes


class PlacedPayload(StagedPayload):
    """A payload that its publisher wrote into a shared file, and has described: the description is checked."""

    def __init__(self, region: Region, metadata: bytes, info: arrow_ipc.BatchInfo, xxh3: int) -> None:
        super().__init__(region, metadata, info, xxh3)
        self.file = region.file
        self.inode = region.inode
        self.body_offset = region.offset


class Region:
    """The body of a payload, where its publisher laid it."""

    def __init__(self, file: SharedFile, inode: Inode, offset: int, size_bytes: int, settled: Callable[[Inode, int], None]) -> None:
        self._settled = settled
        self.file = file
        self.inode = inode
        self.offset = offset
        self._size_bytes = size_bytes

    def parts(self) -> Iterator[Piece]:
        """All of it; zeros for what is not there any more, for whoever took it away spoils nothing but this value."""
        handle = self.inode.handle
        if handle is None:
            raise StateDamaged(f"a payload in file {self.file.number} of {self.file.link} was asked for behind its commit")
        for at in range(0, self._size_bytes, limits.STORE_READ_BYTES):
            length = min(limits.STORE_READ_BYTES, self._size_bytes - at)
            yield handle.pread(length, self.offset + at).ljust(length, b"\x00")

    def check_there(self) -> None:
        """Raises `InvalidArgument` if the file is not as long as it was made: its writer can make it shorter."""
        if self.inode.handle is None or self.inode.handle.size() < self.offset + self._size_bytes:
            raise InvalidArgument(f"{self.file.link}: whoever writes to file {self.file.number} has made it shorter")

    def discard(self) -> None:
        self._settled(self.inode, self.offset)


def payload_xxh3(region: Region, metadata: bytes) -> int:
    """That of the message as it would have been sent. Blocks. Raises `InvalidArgument` if its writer took it away, `StorageFailed`."""
    state = xxhash.xxh3_64(arrow_ipc.prefix(len(metadata)) + metadata)
    for piece in region.parts():
        state.update(piece)
    region.check_there()
    return int(state.intdigest())
