"""Continuous group commit: one thread that writes and syncs, and never waits for a timer.

What gathers while a group is being synced is the next group. For each group the thread does, in this order:

    1. bulk payloads behind the end marks of their segments, and one sync for each such file
    2. the group's frames: one write, one sync of the journal. From here on they are committed
    3. the prefixes that let Arrow readers see the bulk payloads
    4. one call into the event loop that resolves every waiting future of the group

and, when nothing came for a while or too much waits, writes the catalog. Frames are laid out and encoded on the event
loop, so that the thread does not run Python for each of them and holds the GIL for microseconds only.

After any failure of 1 to 3 nothing more is committed: every waiting and every later frame fails with `StorageFailed`,
and nothing is tried again. Before anyone is told, a new journal file says that the failed frames do not exist
(`Journal.void`); if even that fails, their outcome is unknown, and the error says so.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from linkd.errors import Draining, Error, Overloaded, StorageFailed
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.catalog import Catalog, CatalogEntry
from linkd.store.journal import Journal
from linkd.store.journal_format import GroupKind
from linkd.store.journal_layout import FramePlace, Group, JournalLayout
from linkd.store.segments import SegmentWrite, SegmentWriter
from linkd.store.staging import StagedPayload
from linkd.store.store_limits import StoreLimits

_SETTLED_AT_ONCE = 256
"""Futures resolved in one callback: well under a millisecond."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A frame is durable: its LSN, and where its payloads lie, in the order of its values."""

    lsn: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class GroupCommitted:
    """A group was committed. `seconds` is the time of its writes and syncs."""

    frames: int
    size_bytes: int
    bulk_bytes: int
    seconds: float


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
        return sum(write.place.metadata_bytes + write.place.body_bytes for write in self.bulk)


@dataclass(slots=True)
class _Pending:
    """A group and everyone who waits for it."""

    group: Group
    bulk: list[SegmentWrite] = field(default_factory=list)
    promises: list[tuple[asyncio.Future[Committed], Committed]] = field(default_factory=list)
    entries: list[CatalogEntry] = field(default_factory=list)
    staged: list[StagedPayload] = field(default_factory=list)
    bulk_bytes: int = 0
    queued_bytes: int = 0


class Committer:
    """Takes frames on the event loop (`submit`, `room`), commits them in a thread (`start`) or when told (`commit_waiting`)."""

    def __init__(
        self, layout: JournalLayout, journal: Journal, segments: SegmentWriter, catalog: Catalog, limits: StoreLimits, *, sealed: bool
    ) -> None:
        self._layout = layout
        self._journal = journal
        self._segments = segments
        self._catalog = catalog
        self._limits = limits
        self._sealed = sealed
        self._wake = threading.Condition()
        self._gathering: _Pending | None = None
        self._line: deque[_Pending] = deque()
        self._closing = False
        self._failure: str | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._has_room = asyncio.Event()
        self._queued_bytes = 0
        self._settling: deque[tuple[asyncio.Future[Committed], Committed, str | None]] = deque()
        self._on_group: Callable[[GroupCommitted], None] | None = None
        self._on_failure: Callable[[StorageFailed], None] | None = None

    # -- on the event loop ----------------------------------------------------------------------------------------------------------------

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        thread: bool,
        on_group: Callable[[GroupCommitted], None] | None,
        on_failure: Callable[[StorageFailed], None] | None,
    ) -> None:
        self._loop, self._on_group, self._on_failure = loop, on_group, on_failure
        if thread:
            self._thread = threading.Thread(target=self._run, name="linkd-committer", daemon=True)
            self._thread.start()

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    async def room(self) -> None:
        """Wait until `submit` takes a frame. Nothing is reserved: submit before the next await. Raises `StorageFailed`."""
        while self._queued_bytes >= self._limits.queue_max_bytes and self._failure is None:
            self._has_room.clear()
            await self._has_room.wait()
        self._check_failure()

    def submit(self, draft: FrameDraft) -> asyncio.Future[Committed]:
        """Put a frame in line; the future resolves when it is durable. Cancelling the future takes nothing back.

        Raises `Overloaded` if there is no room, `StorageFailed` after a failure, `Draining` when closing.
        """
        self._check_failure()
        if self._closing or self._loop is None:
            raise Draining("the store is closed and takes no more commits; connect again")
        if self._queued_bytes >= self._limits.queue_max_bytes:
            raise Overloaded(f"{self._queued_bytes} bytes wait to be written, and more are not taken; try again")
        future: asyncio.Future[Committed] = self._loop.create_future()
        with self._wake:
            pending = self._pending_for(JournalLayout.frame_bytes(draft.records, draft.payloads))
            before = len(pending.group.data)
            place = self._layout.add(pending.group, draft.records, draft.payloads)
            queued = len(pending.group.data) - before + draft.bulk_bytes
            pending.queued_bytes += queued
            pending.bulk_bytes += draft.bulk_bytes
            pending.bulk += draft.bulk
            pending.staged += draft.staged
            places = _resolved(draft.values, place)
            pending.entries += [
                CatalogEntry(place.lsn, envelope, resolved, encoded)
                for (envelope, _, encoded), resolved in zip(draft.values, places, strict=True)
            ]
            pending.promises.append((future, Committed(place.lsn, places)))
            self._wake.notify()
        self._queued_bytes += queued
        return future

    async def close(self) -> None:
        """Commit what waits, seal the journal, write the catalog, end the thread. Again is harmless."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            await self._ended.wait()
            self._thread.join()
        else:
            self.commit_waiting()
            self._end()

    def fail(self, problem: Exception) -> None:
        """Something else than a commit went wrong in the store: nothing more is committed. From any thread."""
        self._fail([], problem, None)

    def _pending_for(self, frame_bytes: int) -> _Pending:
        """The gathering group, or a new one if the frame does not go into it any more."""
        if self._gathering is not None and not self._layout.fits(self._gathering.group, frame_bytes):
            self._layout.end(self._gathering.group)
            self._line.append(self._gathering)
            self._gathering = None
        if self._gathering is None:
            self._gathering = _Pending(self._layout.begin(frame_bytes))
        return self._gathering

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise StorageFailed(self._failure)

    def _resolve(self, done: Sequence[_Pending], failure: str | None, result: GroupCommitted | None) -> None:
        """A group, or all that failed together, is over: one call for each, however many wait for it."""
        for pending in done:
            self._queued_bytes -= pending.queued_bytes
            for staged in pending.staged:
                staged.discard()
            self._settling.extend((future, committed, failure) for future, committed in pending.promises)
        self._settle()
        self._has_room.set()
        if result is not None and self._on_group is not None:
            self._on_group(result)
        if failure is not None and self._on_failure is not None:
            tell, self._on_failure = self._on_failure, None
            tell(StorageFailed(failure))

    def _settle(self) -> None:
        """Resolve futures in the order of their frames, some at a time: a group may have thousands, and the loop has others to serve."""
        for _ in range(min(_SETTLED_AT_ONCE, len(self._settling))):
            future, committed, failure = self._settling.popleft()
            if not future.done():
                if failure is None:
                    future.set_result(committed)
                else:
                    future.set_exception(StorageFailed(failure))
        if self._settling and self._loop is not None:
            self._loop.call_soon(self._settle)

    # -- in the thread --------------------------------------------------------------------------------------------------------------------

    def commit_waiting(self) -> None:
        """Commit all that waits, in the calling thread: for whoever did not start one (a simulator, an offline tool)."""
        while (pending := self._take()) is not None:
            self._commit(pending)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._line or self._gathering or self._closing):
                    idle_s = self._limits.catalog_idle_s if self._catalog.waiting and self._failure is None else None
                    if not self._wake.wait(idle_s):
                        break
                pending = self._take()
                closing = self._closing
            if pending is not None:
                self._commit(pending)
            elif closing:
                break
            else:
                self._write_catalog(0)
        self._end()
        self._post(self._ended.set)

    def _take(self) -> _Pending | None:
        """The next group, closed: nothing is added to it any more."""
        with self._wake:
            if self._line:
                return self._line.popleft()
            pending, self._gathering = self._gathering, None
            if pending is not None:
                self._layout.end(pending.group)
            return pending

    def _commit(self, pending: _Pending) -> None:
        if self._failure is not None:
            self._post(self._resolve, [pending], self._failure, None)
            return
        started = time.perf_counter()
        try:
            for write in pending.bulk:
                self._segments.write(write)
            self._segments.sync()
            self._journal.write(pending.group)
        except Exception as problem:  # the thread's edge: whatever it was, nothing may be acked after it
            self._fail([pending], problem, pending.group.first_lsn)
            return
        self._sealed = False
        self._catalog.add(pending.entries, pending.group.last_lsn)
        late: Exception | None = None
        try:
            self._segments.publish()
        except Exception as problem:  # committed all the same: recovery writes the prefixes
            late = problem
        seconds = time.perf_counter() - started
        result = GroupCommitted(pending.group.frames, len(pending.group.data), pending.bulk_bytes, seconds)
        self._post(self._resolve, [pending], None, result)
        if late is not None:
            self._fail([], late, None)
        elif self._catalog.waiting > self._limits.catalog_tail_max_values:
            self._write_catalog(self._limits.catalog_tail_max_values)

    def _write_catalog(self, leave: int) -> None:
        """Write the catalog until at most so many entries wait, or commits do."""
        try:
            while self._catalog.waiting > leave:
                self._catalog.write_waiting(self._limits.catalog_batch_values)
                if not leave and (self._line or self._gathering):
                    return
        except Exception as problem:  # the thread's edge; without its index the store would answer wrongly
            self._fail([], problem, None)

    def _fail(self, pending: list[_Pending], problem: Exception, void_from_lsn: int | None) -> None:
        """Fail these and all that wait. `void_from_lsn`: frames from here on may or may not have reached the disk."""
        unknown = ""
        if void_from_lsn is not None:
            try:
                self._journal.void(void_from_lsn, self._layout.new_generation())
            except Error:
                unknown = " Whether the commits that failed with it were kept is known only after the next start."
        what = str(problem) if isinstance(problem, Error) else f"a defect of linkd: {type(problem).__name__}: {problem}"
        with self._wake:
            self._failure = (
                f"{what}. linkd accepts nothing more; what it acknowledged is safe. Mend the cause and start linkd again.{unknown}"
            )
            while (waiting := self._take()) is not None:
                pending.append(waiting)
        self._post(self._resolve, pending, self._failure, None)

    def _end(self) -> None:
        """Seal (if commits were taken at all) and close. A failure here is no loss: the next start recovers as after any crash."""
        if self._failure is None and self._loop is not None:
            try:
                if not self._sealed:
                    seal = self._layout.begin(0)
                    self._layout.end(seal, GroupKind.SEAL)
                    self._journal.write(seal)
                    self._sealed = True
                while self._catalog.write_waiting(self._limits.catalog_batch_values):
                    pass
            except Error as problem:
                self._failure = f"{problem}. All that was acknowledged is safe"
        self._journal.close()
        self._segments.close()
        self._catalog.close()

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call back on the event loop. A loop that is closed has nobody left who waits."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)


def _resolved(values: Sequence[tuple[Envelope, Place, bytes]], frame: FramePlace) -> tuple[Place, ...]:
    """The places of a frame's values, now that the frame has one."""
    return tuple(
        Place(PlaceKind.JOURNAL, frame.file, frame.payload_offset + place.offset, place.size_bytes)
        if place.kind is PlaceKind.JOURNAL
        else place
        for _, place, _ in values
    )
