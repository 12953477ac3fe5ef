"""Frames on their way to the disk: as they are handed to the committer, and as groups of them wait to be written."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from linkd.errors import StorageFailed
from linkd.model.frozen import frozen
from linkd.model.records import ValueStored
from linkd.model.terms import NEVER_S
from linkd.model.values import Durability, Place, PlaceKind
from linkd.store.catalog_file import CatalogEntry
from linkd.store.journal_layout import FramePlace, Group
from linkd.store.segments import SegmentWrite
from linkd.store.staging import StagedPayload
from linkd.store.store_limits import StoreLimits

_SETTLED_AT_ONCE = 256
"""Futures resolved in one callback: well under a millisecond."""


@frozen()
class Committed:
    """A frame is as durable as was asked for, and `durability` says: its LSN, and where its payloads lie, in the order of its values."""

    lsn: int
    places: tuple[Place, ...]
    durability: Durability = Durability.FSYNC


@frozen()
class GroupCommitted:
    """A group was committed. `seconds` is the time of its writes and syncs; `synced` says that it was synced, and all before it."""

    frames: int
    size_bytes: int
    bulk_bytes: int
    seconds: float
    synced: bool = True


@frozen()
class FrameDraft:
    """A frame, but for its LSN. Places in the journal count from the frame's first payload byte."""

    records: bytes
    payloads: Sequence[bytes]
    values: Sequence[ValueStored] = ()
    encoded: Sequence[bytes] = ()
    """The envelopes of the values, as the index has them."""
    bulk: Sequence[SegmentWrite] = ()
    staged: Sequence[StagedPayload] = ()

    @property
    def bulk_bytes(self) -> int:
        return sum(write.stored_bytes for write in self.bulk) if self.bulk else 0

    @property
    def copied_bytes(self) -> int:
        """Of them, what the committer has to write: the rest is where it belongs."""
        return sum(write.stored_bytes for write in self.bulk if write.in_place is None) if self.bulk else 0

    @property
    def unsynced_bytes(self) -> int:
        """Of them, what the next sync makes durable."""
        return sum(write.unsynced_bytes for write in self.bulk) if self.bulk else 0


@dataclass(slots=True)
class Pending:
    """A group and everyone who waits for it. It has to be synced at `due_s` of the monotonic clock."""

    group: Group
    bulk: list[SegmentWrite] = field(default_factory=list)
    promises: list[tuple[asyncio.Future[Committed], Committed]] = field(default_factory=list)
    entries: list[CatalogEntry] = field(default_factory=list)
    staged: list[StagedPayload] = field(default_factory=list)
    bulk_bytes: int = 0
    copied_bytes: int = 0
    unsynced_bytes: int = 0
    queued_bytes: int = 0
    due_s: float = NEVER_S

    def take(self, draft: FrameDraft, place: FramePlace, future: asyncio.Future[Committed], due_s: float, durability: Durability) -> None:
        """The frame is in the group, at this place."""
        if draft.bulk:
            self.bulk_bytes += draft.bulk_bytes
            self.copied_bytes += draft.copied_bytes
            self.unsynced_bytes += draft.unsynced_bytes
            self.bulk += draft.bulk
        self.staged += draft.staged
        self.due_s = min(self.due_s, due_s)
        places: list[Place] = []
        for value, encoded in zip(draft.values, draft.encoded, strict=True):
            places.append(_resolved(value.place, place))
            self.entries.append(CatalogEntry(place.lsn, value.envelope, places[-1], encoded))
        self.promises.append((future, Committed(place.lsn, tuple(places), durability)))


class Backlog:
    """The bytes that wait for the committer, `copied_bytes` of them for it to write into segments. Belongs to the event loop."""

    def __init__(self, limits: StoreLimits) -> None:
        self._limits = limits
        self._copied_bytes = 0
        self._left = asyncio.Event()
        self.size_bytes = 0

    def is_full(self, *, bulk: bool = False) -> bool:
        """Whether a frame has to wait, or one with large payloads."""
        return self.size_bytes >= self._limits.queue_max_bytes or (bulk and self._copied_bytes >= self._limits.bulk_queue_max_bytes)

    def enter(self, size_bytes: int, copied_bytes: int) -> None:
        self.size_bytes += size_bytes
        self._copied_bytes += copied_bytes

    def leave(self, size_bytes: int, copied_bytes: int) -> None:
        self.enter(-size_bytes, -copied_bytes)
        self._left.set()

    async def left(self) -> None:
        """Returns when something has left, or the committer has failed."""
        self._left.clear()
        await self._left.wait()


class SyncsAsked:
    """Who wants to know when all up to some frame is synced. May be used in any thread."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._asked: deque[tuple[int, Future[bool]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._asked)

    def add(self, lsn: int) -> Future[bool]:
        asked: Future[bool] = Future()
        with self._lock:
            self._asked.append((lsn, asked))
        return asked

    def answer(self, lsn: float, *, durable: bool) -> None:
        """Tells those who asked for a sync up to this frame."""
        with self._lock:
            while self._asked and self._asked[0][0] <= lsn:
                self._asked.popleft()[1].set_result(durable)


class Settling:
    """Resolves futures in the order of their frames, some at a time: a group may have thousands, and the loop has others to serve."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.Future[Committed], Committed, str | None]] = deque()

    def add(self, pending: Pending, failure: str | None) -> None:
        """What was promised to those who wait for this group is kept, or broken for this reason; its payloads are let go."""
        for staged in pending.staged:
            staged.discard()
        self._waiting.extend((future, committed, failure) for future, committed in pending.promises)

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


def _resolved(place: Place, frame: FramePlace) -> Place:
    """The place of a frame's value, now that the frame has one."""
    if place.kind is not PlaceKind.JOURNAL:
        return place
    return Place(PlaceKind.JOURNAL, frame.file, frame.payload_offset + place.offset, place.size_bytes)
