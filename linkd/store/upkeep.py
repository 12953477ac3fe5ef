"""What keeps a store small while it works: frees what was dropped, makes checkpoints, lets the oldest journal file go.

A thread of its own does it, beside the committer's, and never in the way of a commit: it writes files that the committer does not, and shares
with it only the index, a batch at a time. It waits to be told, never for a timer. Everything is in an order in which power may fail at
any point:

    free        the frame that dropped a generation is durable; its envelopes are in a file of their own, if anything was made from it;
                its files are deleted; the index forgets it. A start does again what is not known to be done.
    checkpoint  the state behind a frame is taken on the event loop; that frame is durable; what readers were let see in segments is synced,
                the index too; the checkpoint is written. From here on it counts.
    recycle     what is live in the oldest journal file is copied into segments and synced; a checkpoint, which says so; the copies are
                published; the index has their places, durably; the journal file is deleted.

A failure ends it, and with it the store's commits: a store that cannot be kept small, or not be read, must not look healthy.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from linkd.model.kept import Held, Kept
from linkd.store import checkpoint_file, envelope_file
from linkd.store.catalog import Catalog
from linkd.store.checkpoint_file import Checkpoint
from linkd.store.copying import Copied, Copier
from linkd.store.files import Files
from linkd.store.holdings import Holdings
from linkd.store.journal import Journal
from linkd.store.open_files import OpenFiles
from linkd.store.segment_format import directory_name, file_name
from linkd.store.segments import SegmentWriter
from linkd.store.store_limits import StoreLimits


@dataclass(frozen=True, slots=True)
class State:
    """What a checkpoint of the frame `lsn` says. `durable` is done when that frame is; its result is whether it ever will be."""

    lsn: int
    held: Held
    kept: Sequence[Kept]
    durable: Future[bool]


@dataclass(frozen=True, slots=True)
class Ground:
    """What upkeep works on: the parts of one store."""

    files: Files
    checkpoints: Path
    envelopes: Path
    segments_directory: Path
    limits: StoreLimits
    holdings: Holdings
    catalog: Catalog
    journal: Journal
    segments: SegmentWriter
    open_files: OpenFiles
    copier: Callable[[], Copier]


class Upkeep:
    """`look` from the event loop; the rest in a thread (`start`, `close`), or step by step (`work`) where there is none."""

    def __init__(self, ground: Ground, checkpoint_lsn: int) -> None:
        self._ground = ground
        self._wake = threading.Condition()
        self._looking = False
        self._closing = False
        self._ended = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._take: Callable[[], State] | None = None
        self._failed: Callable[[Exception], None] | None = None
        self._held_back: set[tuple[str, int]] = set()
        self._next_lsn = checkpoint_lsn + 1
        self.checkpoint_lsn = checkpoint_lsn

    def start(
        self, loop: asyncio.AbstractEventLoop, take: Callable[[], State] | None, failed: Callable[[Exception], None], *, thread: bool
    ) -> None:
        """`take` is called on the loop for the state as it is there; without it there are no checkpoints. `failed` is called in the thread."""
        self._loop, self._take, self._failed = loop, take, failed
        if thread:
            self._thread = threading.Thread(target=self._run, name="linkd-upkeep", daemon=True)
            self._thread.start()

    def hold_back(self, link: str, generation: int) -> None:
        """The frame that drops this generation is not durable yet."""
        with self._wake:
            self._held_back.add((link, generation))

    def let_go(self, link: str, generation: int) -> None:
        """The frame that drops this generation is durable."""
        with self._wake:
            self._held_back.discard((link, generation))
        self._notify()

    def frees_what_was_left(self) -> None:
        """An earlier life of the store dropped what it did not free."""
        self._notify()

    def look(self, next_lsn: int) -> None:
        """The journal ends here now; wakes the thread if something is due. Costs nothing if not."""
        self._next_lsn = next_lsn
        if self._has_surplus() or self._is_checkpoint_due():
            self._notify()

    async def close(self) -> None:
        """Leave what is not done to the next start. Again is harmless."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            await self._ended.wait()
            self._thread.join()
            self._thread = None

    def checkpoint(self, state: State) -> bool:
        """Make a checkpoint of this state when its frame is durable; whether it counts now. Blocks."""
        if not state.durable.result():
            return False
        ground = self._ground
        ground.segments.sync_published()
        ground.catalog.make_durable(state.lsn, ground.limits.catalog_batch_values)
        checkpoint_file.write(ground.files, ground.checkpoints, Checkpoint(state.lsn, state.held, tuple(state.kept)))
        self.checkpoint_lsn = state.lsn
        return True

    def work(self) -> None:
        """Do all that is due. Blocks; where there is no thread, what was put in line must be durable."""
        for link, generation in self._ground.holdings.waiting():
            if self._closing:
                return
            if (link, generation) not in self._held_back:
                self._free(link, generation)
        while self._has_surplus():
            if self._closing or not self._recycle():
                return
        if self._is_checkpoint_due() and not self._closing:
            self.checkpoint(self._state())

    # -- in the thread --------------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._looking or self._closing):
                    self._wake.wait()
                self._looking = False
                if self._closing:
                    break
            try:
                self.work()
            except Exception as problem:  # the thread's edge
                if self._failed is not None:
                    self._failed(problem)
                break
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)

    def _state(self) -> State:
        """The state as it is on the event loop: of one instant, for nothing changes it elsewhere."""
        assert self._take is not None
        assert self._loop is not None
        if self._thread is None:
            return self._take()
        taken: Future[State] = Future()
        take = self._take

        def on_loop() -> None:
            try:
                taken.set_result(take())
            except Exception as problem:  # the thread waits for an answer, whatever it is
                taken.set_exception(problem)

        self._loop.call_soon_threadsafe(on_loop)
        return taken.result()

    def _notify(self) -> None:
        with self._wake:
            self._looking = True
            self._wake.notify()

    def _is_checkpoint_due(self) -> bool:
        return self._take is not None and self._next_lsn - 1 - self.checkpoint_lsn >= self._ground.limits.checkpoint_frames

    def _has_surplus(self) -> bool:
        return self._take is not None and self._ground.journal.files_count - 1 > self._ground.limits.journal_files_kept

    def _recycle(self) -> bool:
        """Lets the oldest journal file go. False if that is not possible now."""
        ground = self._ground
        number = ground.journal.oldest
        copied: Copied | None = None
        copier = ground.copier()
        if number > ground.holdings.copied_file:
            copied = copier.copy(number, lambda: not self._closing)
            if copied is None:
                return False
            for link, file in copied.files:
                ground.holdings.copied(link, file)
            ground.holdings.copied_file = number
        if not self.checkpoint(self._state()):
            return False
        if copied is not None:
            copier.publish(copied)
            for link, incarnation, places in copied.places():
                ground.catalog.move(link, incarnation, places)
        ground.catalog.begin_at(number + 1)
        ground.open_files.forget(ground.journal.delete_oldest())
        return True

    def _free(self, link: str, generation: int) -> None:
        """Deletes what there is of a dropped generation, but its envelopes unless they are forgotten."""
        ground = self._ground
        forgotten = ground.holdings.is_forgotten(link, generation)
        ground.catalog.write_through(ground.catalog.durable_lsn, ground.limits.catalog_batch_values)
        envelopes = ground.envelopes / directory_name(link) / envelope_file.file_name(generation)
        kept = envelopes.name in ground.files.list(envelopes.parent)
        if not forgotten and not kept:
            envelope_file.write(ground.files, envelopes, ground.catalog.envelopes(link, generation))
        self._delete_segments(link, generation)
        if forgotten:
            ground.catalog.forget(link, generation)
            if kept:
                ground.files.unlink(envelopes)
                ground.files.sync_directory(envelopes.parent)
        else:
            ground.catalog.empty(link, generation)
        ground.holdings.freed(link, generation, forgotten=forgotten)

    def _delete_segments(self, link: str, generation: int) -> None:
        ground = self._ground
        directory = ground.segments_directory / directory_name(link)
        there = ground.files.list(directory)
        names = [name for number in ground.holdings.files_of(link, generation) if (name := file_name(number)) in there]
        for name in names:
            ground.files.unlink(directory / name)
            ground.open_files.forget(directory / name)
        if names:
            ground.files.sync_directory(directory)
