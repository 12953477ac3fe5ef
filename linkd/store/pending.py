"""Frames on their way to the disk: as they are handed to the committer, and as groups of them wait to be written."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from linkd.errors import StorageFailed
from linkd.model.terms import NEVER_S
from linkd.model.values import Durability, Envelope, Place, PlaceKind
from linkd.store.catalog_file import CatalogEntry
from linkd.store.journal_layout import FramePlace, Group
from linkd.store.segments import SegmentWrite
from linkd.store.staging import StagedPayload

_SETTLED_AT_ONCE = 256
"""Futures resolved in one callback: well under a millisecond."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A frame is as durable as was asked for, and `durability` says: its LSN, and where its payloads lie, in the order of its values."""

    lsn: int
    places: tuple[Place, ...]
    durability: Durability = Durability.FSYNC


@dataclass(frozen=True, slots=True)
class GroupCommitted:
    """A group was committed. `seconds` is the time of its writes and syncs; `synced` says that it was synced, and all before it."""

    frames: int
    size_bytes: int
    bulk_bytes: int
    seconds: float
    synced: bool = True


@dataclass(frozen=True, slots=True)
class FrameDraft:
    """A frame, but for its LSN. Places in the journal count from the frame's first payload byte."""

    records: bytes
    payloads: Sequence[bytes]
    values: Sequence[tuple[Envelope, Place, bytes]] = ()
    bulk: Sequence[SegmentWrite] = ()
    staged: Sequence[StagedPayload] = ()

    @property
    def bulk_bytes(self) -> int:
        return sum(write.stored_bytes for write in self.bulk)

    @property
    def unsynced_bytes(self) -> int:
        """Of them, what the next sync makes durable."""
        return sum(write.unsynced_bytes for write in self.bulk)


@dataclass(slots=True)
class Pending:
    """A group and everyone who waits for it. It has to be synced at `due_s` of the monotonic clock."""

    group: Group
    bulk: list[SegmentWrite] = field(default_factory=list)
    promises: list[tuple[asyncio.Future[Committed], Committed]] = field(default_factory=list)
    entries: list[CatalogEntry] = field(default_factory=list)
    staged: list[StagedPayload] = field(default_factory=list)
    bulk_bytes: int = 0
    unsynced_bytes: int = 0
    queued_bytes: int = 0
    due_s: float = NEVER_S

    def take(self, draft: FrameDraft, place: FramePlace, future: asyncio.Future[Committed], due_s: float, durability: Durability) -> None:
        """The frame is in the group, at this place."""
        self.bulk_bytes += draft.bulk_bytes
        self.unsynced_bytes += draft.unsynced_bytes
        self.bulk += draft.bulk
        self.staged += draft.staged
        self.due_s = min(self.due_s, due_s)
        places = _resolved(draft.values, place)
        self.entries += [
            CatalogEntry(place.lsn, envelope, resolved, encoded)
            for (envelope, _, encoded), resolved in zip(draft.values, places, strict=True)
        ]
        self.promises.append((future, Committed(place.lsn, places, durability)))


class Settling:
    """Resolves futures in the order of their frames, some at a time: a group may have thousands, and the loop has others to serve."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.Future[Committed], Committed, str | None]] = deque()

    def add(self, promises: Iterable[tuple[asyncio.Future[Committed], Committed]], failure: str | None) -> None:
        """These are kept, or broken for this reason."""
        self._waiting.extend((future, committed, failure) for future, committed in promises)

    def settle(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(_SETTLED_AT_ONCE, len(self._waiting))):
            future, committed, failure = self._waiting.popleft()
            if not future.done():
                if failure is None:
                    future.set_result(committed)
                else:
                    future.set_exception(StorageFailed(failure))
        if self._waiting:
            loop.call_soon(self.settle, loop)


def _resolved(values: Sequence[tuple[Envelope, Place, bytes]], frame: FramePlace) -> tuple[Place, ...]:
    """The places of a frame's values, now that the frame has one."""
    return tuple(
        Place(PlaceKind.JOURNAL, frame.file, frame.payload_offset + place.offset, place.size_bytes)
        if place.kind is PlaceKind.JOURNAL
        else place
        for _, place, _ in values
    )
