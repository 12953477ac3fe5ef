"""The segment files that somebody outside of the home may have mapped, and what decides what becomes of each. Pure; its user keeps threads apart."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from linkd.errors import InvalidArgument
from linkd.limits import SHARED_NEWEST_MAX, SHARED_SPARE_FILES_MAX
from linkd.store.files import File
from linkd.wire import arrow_ipc
from linkd.wire.arrow_ipc import BatchInfo


class Use(enum.Enum):
    """What a file is at the moment."""

    NOTHING = enum.auto()  # not there yet
    SEGMENT = enum.auto()  # under its number
    SPARE = enum.auto()  # kept for its readers, or for another use


@dataclass(slots=True, eq=False)
class Inode:
    """One of them; `path` is its name as a segment. Without an `owner` it is linkd's own, an earlier life's, or its writer has gone.

    `handle` is linkd's own descriptor as long as anything may be placed, or what was placed be committed: opened before the writer has one, so that
    it learns of every failure to write. `bodies` are the lengths of what was placed and not settled, by offset; `end` is behind what was placed
    last. `holds` are the values in it that readers have.
    """

    id: int
    link: str
    number: int
    path: Path
    use: Use
    owner: object | None = None
    size_bytes: int = 0
    end: int = 0
    is_open: bool = False
    is_prepared: bool = True
    reusable: bool = True
    holds: int = 0
    handle: File | None = None
    bodies: dict[int, int] = field(default_factory=dict)
    newest: dict[int, tuple[bytes, BatchInfo]] = field(default_factory=dict)
    """The metadata of what was placed last, by the offset of the body, and what it says: readers who keep up need not look for it."""

    def described(self, metadata: bytes, body_bytes: int) -> BatchInfo | None:
        """What this metadata says, if it is that of the value before: it is, byte for byte, where rows have as many buffers of the same lengths."""
        known = next(reversed(self.newest.values()), None)
        return known[1] if known is not None and known[0] == metadata and known[1].body_bytes == body_bytes else None

    def is_newest(self, offset: int, metadata: bytes, info: BatchInfo) -> None:
        """This value was placed last."""
        self.newest[offset] = metadata, info
        if len(self.newest) > SHARED_NEWEST_MAX:
            del self.newest[next(iter(self.newest))]

    @property
    def is_written(self) -> bool:
        """Whether its writer may yet place something in it, or what it placed be committed."""
        return self.is_open or not self.is_prepared or bool(self.bodies)


class Inodes:
    """See the head of the file."""

    def __init__(self) -> None:
        self._last_id = 0
        self._by_id: dict[int, Inode] = {}
        self._by_file: dict[tuple[str, int], Inode] = {}
        self._leaving: set[tuple[str, int]] = set()

    def get(self, inode_id: int) -> Inode | None:
        return self._by_id.get(inode_id)

    def of_file(self, link: str, number: int) -> Inode | None:
        """The file that is this segment now."""
        return self._by_file.get((link, number))

    def of_owner(self, owner: object) -> list[Inode]:
        return [inode for inode in self._by_id.values() if inode.owner is owner]

    def grant(self, owner: object, link: str, number: int, path: Path, size_bytes: int) -> Inode:
        """A file for this writer under this number, which is to be prepared: one of its own that nobody uses, or a new one."""
        found = next(
            (inode for inode in self.of_owner(owner) if _waits(inode) and (inode.link, inode.size_bytes) == (link, size_bytes)), None
        )
        if found is None:
            self._last_id += 1
            found = self._by_id[self._last_id] = Inode(self._last_id, link, number, path, Use.NOTHING, owner, size_bytes)
        found.number, found.is_open, found.is_prepared, found.end = number, True, False, 0
        found.newest.clear()
        self._by_file[link, number] = found
        return found

    def placing(self, inode_id: int, number: int, offset: int, body_bytes: int) -> Inode:
        """Takes note of a body that its writer says is there. Raises `InvalidArgument` if it cannot be."""
        inode = self._by_id.get(inode_id)
        if inode is None or inode.number != number or not inode.is_open or not inode.is_prepared:
            raise InvalidArgument("a value was placed in a file that is not its writer's any more")
        first, last = inode.end + arrow_ipc.PREFIX_BYTES, inode.size_bytes - len(arrow_ipc.EOS) - body_bytes
        if offset % 8 or body_bytes < 0 or not first <= offset <= last:
            raise InvalidArgument(
                f"{inode.link}: a value of {body_bytes} bytes was placed at {offset} of its file; "
                f"it must lie on a multiple of 8 from {first} to {last}"
            )
        inode.bodies[offset] = body_bytes
        inode.end = offset + body_bytes
        return inode

    def hold(self, link: str, number: int, path: Callable[[str, int], Path]) -> Inode | None:
        """A reader has one more value in this segment, whose `path` is asked for; None if the file is leaving."""
        if (link, number) in self._leaving:
            return None
        inode = self._by_file.get((link, number))
        if inode is None:
            self._last_id += 1
            inode = Inode(self._last_id, link, number, path(link, number), Use.SEGMENT)
            self._by_id[self._last_id] = self._by_file[link, number] = inode
        inode.holds += 1
        return inode

    @property
    def held_bytes(self) -> int:
        """Of the files that readers hold."""
        return sum(inode.size_bytes for inode in self._by_id.values() if inode.holds)

    def let_go(self, link: str, number: int) -> Inode | None:
        """Nothing in this segment is live; None if nobody outside ever had it."""
        self._leaving.add((link, number))
        return self._by_file.pop((link, number), None)

    def left(self, there: Collection[tuple[str, int]]) -> None:
        """Nothing speaks of the segments any more that are not among these."""
        self._leaving.intersection_update(there)

    def leaving(self) -> list[tuple[str, int]]:
        return list(self._leaving)

    def may_be_used_again(self, inode: Inode) -> bool:
        """Whether its writer gets it once more, when nobody holds it; so many wait for each writer and link, and no more."""
        if inode.owner is None or not inode.reusable:
            return False
        spare = [one for one in self.of_owner(inode.owner) if one.link == inode.link and one.use is Use.SPARE and one is not inode]
        return len(spare) < SHARED_SPARE_FILES_MAX

    def spare(self) -> list[Inode]:
        """The files that wait to be used again."""
        return [inode for inode in self._by_id.values() if inode.owner is not None and _waits(inode)]

    def over(self) -> list[Inode]:
        """The files that are no segments, and that nobody holds or gets."""
        unused = [one for one in self._by_id.values() if one.use is not Use.SEGMENT and not one.is_written and not one.holds]
        return [one for one in unused if one.use is Use.NOTHING or not one.reusable or one.owner is None]

    def unnamed(self) -> list[Inode]:
        """The segments that a writer was given and writes to no more."""
        return [one for one in self._by_file.values() if one.size_bytes and one.use is Use.SEGMENT and not one.is_written]

    def forget(self, inode: Inode) -> None:
        del self._by_id[inode.id]


def _waits(inode: Inode) -> bool:
    return inode.use is Use.SPARE and inode.reusable and not inode.holds and not inode.is_written
