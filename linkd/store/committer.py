"""Continuous group commit: one thread that writes and syncs, and never waits for a timer before it does.

What gathers while a group is synced is the next group. For each group the thread does, in this order:

    1. bulk payloads behind the end marks of their segments, and one sync for each such file
    2. the group's frames: one write, one sync of the journal. From here on they are committed
    3. the prefixes that let Arrow readers see the bulk payloads
    4. one call into the event loop that resolves every waiting future of the group

and, when nothing came for a while, writes the catalog. Frames are laid out on the event loop: the thread runs no Python for each of them.

Of a group whose frames may all be acked before they are durable the syncs of 1 and 2, and with them 3, are left to the next sync: that of a
group that needs one, the one that is due, or the one before the catalog is written, for the index never knows what the journal may lose. A
sync makes all durable that was written. A few small frames that are alone the event loop commits by itself (`inline_commits`).

Where there is no room for 1 or 2 the group stays first in line, the store says that it is full, and the same group is written again from
its start when a look every `full_look_s` finds room (no system tells). After any other failure of 1 to 3 nothing more is committed, and
nothing is tried again: every waiting and every later frame fails with `StorageFailed`. Before anyone is told, a new journal file says that
what was not synced does not exist (`Journal.void`); if even that fails, the outcome is unknown, and the error says so.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from linkd.errors import Draining, Error, Overloaded, StorageFailed, StorageFull
from linkd.model.terms import AT_ONCE_S, NEVER_S
from linkd.model.values import Durability
from linkd.store.catalog import Catalog
from linkd.store.group_line import GroupLine
from linkd.store.inline_commits import InlineCommits
from linkd.store.journal import Journal
from linkd.store.journal_format import GroupKind
from linkd.store.journal_layout import JournalLayout
from linkd.store.pending import Backlog, Committed, FrameDraft, GroupCommitted, Pending, Settling
from linkd.store.segments import SegmentWriter
from linkd.store.store_limits import StoreLimits

__all__ = ["Committed", "Committer", "GroupCommitted"]


class Committer:
    """Takes frames on the event loop (`submit`, `room`), commits them in a thread (`start`) or when told (`commit_waiting`)."""

    def __init__(
        self,
        layout: JournalLayout,
        journal: Journal,
        segments: SegmentWriter,
        catalog: Catalog,
        limits: StoreLimits,
        *,
        sealed: bool,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layout = layout
        self._journal = journal
        self._segments = segments
        self._catalog = catalog
        self._limits = limits
        self._sealed = sealed
        self._now_s = now_s
        self._line = GroupLine(layout)
        self._wake, self._asked = self._line.lock, self._line.asked
        self._due_s = NEVER_S
        self._unsynced_bytes = 0
        self._full = ""
        self._closing = False
        self._failure: str | None = None
        self._thread: threading.Thread | None = None
        self._inline = InlineCommits(limits)
        self._wakes_at_s = math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._backlog = Backlog(limits)
        self._settling = Settling()
        self._on_group: Callable[[GroupCommitted], None] | None = None
        self._on_failure: Callable[[StorageFailed], None] | None = None
        self._on_full: Callable[[str], None] | None = None

    # -- on the event loop ----------------------------------------------------------------------------------------------------------------

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        thread: bool,
        on_group: Callable[[GroupCommitted], None] | None,
        on_failure: Callable[[StorageFailed], None] | None,
        on_full: Callable[[str], None] | None,
    ) -> None:
        self._loop, self._on_group, self._on_failure, self._on_full = loop, on_group, on_failure, on_full
        if thread:
            self._thread = threading.Thread(target=self._run, name="linkd-committer", daemon=True)
            self._thread.start()

    @property
    def full(self) -> str:
        """Why nothing can be written now, though it will be when there is room; "" if it can."""
        return self._full

    @property
    def has_room(self) -> bool:
        """Whether `submit` takes a small frame now."""
        return self._failure is None and not self._backlog.is_full()

    async def room(self, *, bulk: bool = False) -> None:
        """Wait until `submit` takes a frame. Nothing is reserved: submit before the next await. Raises `StorageFailed`.

        `bulk`: it has payloads that the committer is to write. Few of them are in line at once, so that small frames are never far behind.
        """
        while self._failure is None and self._backlog.is_full(bulk=bulk):
            await self._backlog.left()
        self._check_failure()

    def submit(
        self, draft: FrameDraft, sync_within_s: float = AT_ONCE_S, durability: Durability = Durability.FSYNC
    ) -> asyncio.Future[Committed]:
        """Put a frame in line; the future resolves when it is durable. Cancelling the future takes nothing back.

        If it need not be durable at once but `sync_within_s` of now (or `NEVER_S`), the future resolves when the frame is written. `durability`
        is what it is told. Raises `Overloaded` if there is no room, `StorageFailed` after a failure, `Draining` when closing.
        """
        self._check_failure()
        if self._closing or self._loop is None:
            raise Draining("the store is closed and takes no more commits; connect again")
        if self._backlog.is_full():
            raise Overloaded(f"{self._backlog.size_bytes} bytes wait to be written, and more are not taken; try again")
        future: asyncio.Future[Committed] = self._loop.create_future()
        due_s = self._now_s() + sync_within_s if sync_within_s > AT_ONCE_S else -math.inf
        with self._wake:
            pending, queued = self._line.add(draft, future, due_s, durability)
            if self._thread is None or self._line.has_closed or not self._inline.suits(pending, self._catalog.waiting):
                self._wake.notify()
            elif not self._inline.soon:
                self._inline.soon = True
                self._loop.call_soon(self._commit_inline)
        self._backlog.enter(queued, draft.copied_bytes)
        return future

    def sync_soon(self) -> Future[bool]:
        """Done when all that was submitted so far is synced, which it is next; False if it will not be soon. From the event loop."""
        with self._wake:
            asked = self._asked.add(self._layout.next_lsn - 1)
            if self._failure is not None or self._full:
                self._asked.answer(NEVER_S, durable=False)
            else:
                self._asked.answer(self._journal.durable_lsn, durable=True)
                self._wake.notify()
        return asked

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
        self._fail([], problem, void=False)

    def _commit_inline(self) -> None:
        """Commits what gathered in this turn of the loop, unless that is for the thread after all."""
        self._inline.soon = False
        pending = self._line.gathering
        suits = (
            pending is not None
            and not (self._line.has_closed or self._full or self._closing)
            and self._inline.suits(pending, self._catalog.waiting)
        )
        if suits and self._inline.writing.acquire(blocking=False):
            try:
                self._inline.begin()
                while (pending := self._line.take()) is not None and self._commit(pending):
                    pass
            finally:
                self._inline.writing.release()
            if not self._line and self._now_s() + self._wait_s() >= self._wakes_at_s:
                return
        with self._wake:
            self._wake.notify()

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise StorageFailed(self._failure)

    def _resolve(self, done: Sequence[Pending], failure: str | None, result: GroupCommitted | None) -> None:
        """A group, or all that failed together, is over: one call for each, however many wait for it."""
        self._backlog.leave(sum(pending.queued_bytes for pending in done), sum(pending.copied_bytes for pending in done))
        for pending in done:
            self._settling.add(pending, failure)
        if self._loop is not None:
            self._settling.settle(self._loop)
        if result is not None and self._on_group is not None and self._loop is not None:
            self._loop.call_soon(self._on_group, result)  # behind those who wait
        if failure is not None and self._on_failure is not None:
            tell, self._on_failure = self._on_failure, None
            tell(StorageFailed(failure))

    # -- in the thread --------------------------------------------------------------------------------------------------------------------

    def commit_waiting(self, *, sync: bool = False) -> None:
        """Commit all that waits, in the calling thread: for whoever started none (a simulator, a tool). What is due is synced, with `sync` all
        of it is. What there is no room for goes on waiting."""
        while (pending := self._line.take()) is not None and self._commit(pending):
            pass
        if sync or self._asked or self._due_s <= self._now_s():
            self._catch_up()

    def _run(self) -> None:
        while True:
            self._await_work()
            with self._inline.writing:
                closing = self._closing
                pending = self._line.take()
                if pending is not None:
                    self._commit(pending)
                elif closing:
                    self._end()
                    break
                elif self._catch_up():
                    self._write_catalog(0)
        self._post(self._ended.set)

    def _await_work(self) -> None:
        """Returns when there is something to commit, or nothing was committed for so long that something else is to be done."""
        with self._wake:
            if self._full:
                self._wake.wait_for(lambda: self._closing, self._limits.full_look_s)
            while not (self._line or self._closing or self._asked):
                wait_s, made = self._wait_s(), self._inline.made
                self._wakes_at_s = self._now_s() + wait_s
                if not self._wake.wait(wait_s if wait_s < NEVER_S else None) and made == self._inline.made:
                    return

    def _wait_s(self) -> float:
        """How long to wait for a commit before something else is to be done; `NEVER_S`: there is nothing else."""
        if self._failure is not None:
            return NEVER_S
        idle_s = self._limits.catalog_idle_s if self._catalog.waiting else NEVER_S
        return min(idle_s, max(self._due_s - self._now_s(), 0.0))

    def _commit(self, pending: Pending) -> bool:
        """False if there was no room: the group is first in line again."""
        if self._failure is not None:
            self._post(self._resolve, [pending], self._failure, None)
            return True
        started, started_cpu = time.perf_counter(), time.thread_time()
        try:
            synced = self._write(pending)
        except Exception as problem:  # the thread's edge: whatever it was, nothing may be acked after it
            return self._refused(pending, problem)
        self._say_full("")
        self._sealed = False
        self._catalog.add(pending.entries)
        if synced:
            late = self._synced()
        else:
            late = self._segments.publish_volatile()
            self._due_s = min(self._due_s, pending.due_s)
            self._unsynced_bytes += len(pending.group.data) + pending.unsynced_bytes
        seconds = time.perf_counter() - started
        self._inline.took(seconds, time.thread_time() - started_cpu, synced=synced)
        result = GroupCommitted(pending.group.frames, len(pending.group.data), pending.bulk_bytes, seconds, synced)
        self._post(self._resolve, [pending], None, result)
        if late is not None:
            self._fail([], late, void=False)
        elif self._catalog.waiting > self._limits.catalog_tail_max_values:
            self._write_catalog(self._limits.catalog_tail_max_values)
        return True

    def _write(self, pending: Pending) -> bool:
        """Steps 1 and 2; whether they were made durable, and all before them, as is what follows a seal: after a power cut that is not the end."""
        if pending.group.new_file:
            self._sync()  # no file follows one that is not synced
        for write in pending.bulk:
            self._segments.write(write)
        too_much = self._unsynced_bytes + len(pending.group.data) + pending.unsynced_bytes > self._limits.unsynced_max_bytes
        synced = self._sealed or bool(self._asked) or too_much or min(self._due_s, pending.due_s) <= self._now_s()
        if synced:
            self._segments.sync()
        self._journal.write(pending.group, sync=synced)
        return synced

    def _refused(self, pending: Pending, problem: Exception) -> bool:
        """The group was not written. If that is for want of room it waits for some, unless nobody is there to wait."""
        if isinstance(problem, StorageFull) and not self._closing:
            try:
                self._segments.take_back(pending.bulk)
            except Error as worse:
                problem = worse
            else:
                self._line.put_back(pending)
                self._say_full(str(problem))
                return False
        self._fail([pending], problem, void=True)
        return True

    def _say_full(self, why: str) -> None:
        if why != self._full:
            self._full = why
            if why:
                self._asked.answer(NEVER_S, durable=False)
            if self._on_full is not None:
                self._post(self._on_full, why)

    def _sync(self) -> None:
        """Make durable all that was written, and let Arrow readers see it."""
        if self._journal.written_lsn > self._journal.durable_lsn:
            self._segments.sync()
            self._journal.sync()
        late = self._synced()
        if late is not None:
            raise late

    def _synced(self) -> Exception | None:
        """All that was written is durable: tells those who asked. Returns what kept step 3 from being done; recovery does it then."""
        self._due_s, self._unsynced_bytes = NEVER_S, 0
        self._catalog.durable(self._journal.durable_lsn)
        late = self._segments.publish()
        if late is None:
            self._asked.answer(self._journal.durable_lsn, durable=True)
        return late

    def _catch_up(self) -> bool:
        """A sync for no group. Whether the store goes on."""
        if self._failure is None:
            try:
                self._sync()
            except Exception as problem:  # the thread's edge
                self._fail([], problem, void=True)
        return self._failure is None

    def _write_catalog(self, leave: int) -> None:
        """Write the catalog until at most so many entries wait, or commits do."""
        try:
            self._sync()
            while self._catalog.waiting > leave and self._catalog.write_waiting(self._limits.catalog_batch_values):
                if not leave and self._line:
                    return
            self._say_full("")
        except StorageFull as problem:  # what waits is in the journal, and is served from memory
            self._say_full(str(problem))
        except Exception as problem:  # the thread's edge; without its index the store would answer wrongly
            self._fail([], problem, void=True)

    def _fail(self, pending: list[Pending], problem: Exception, *, void: bool) -> None:
        """Fail these and all that wait. `void`: what was not synced may or may not have reached the disk."""
        unknown = ""
        if void:
            try:
                self._journal.void(self._layout.new_generation())
            except Error:
                unknown = " Whether the commits that failed with it were kept is known only after the next start."
        what = str(problem) if isinstance(problem, Error) else f"a defect of linkd: {type(problem).__name__}: {problem}"
        with self._wake:
            self._failure = (
                f"{what}. linkd accepts nothing more; what it acknowledged is safe. Mend the cause and start linkd again.{unknown}"
            )
            while (waiting := self._line.take()) is not None:
                pending.append(waiting)
        self._asked.answer(NEVER_S, durable=False)
        self._post(self._resolve, pending, self._failure, None)

    def _end(self) -> None:
        """Sync, seal (if commits were taken at all) and close. A failure here is no loss: the next start recovers as after any crash."""
        if self._failure is None and self._loop is not None:
            try:
                self._sync()
                if not self._sealed:
                    self._segments.sync_volatile()
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
        """Call back on the event loop: at once if it is what commits. A loop that is closed has nobody left who waits."""
        if threading.get_ident() == self._inline.thread:
            callback(*arguments)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)
