"""What keeps a store small while it works: frees what was dropped, makes checkpoints, lets the oldest journal file go.

A thread of its own does it, beside the committer's, and never in the way of a commit: it writes files that the committer does not, and shares
with it only the index, a batch at a time. It waits to be told, never for a timer. Everything is in an order in which power may fail at
any point:

    free        the frame that dropped a generation is durable; its envelopes are in a file of their own, if anything was made from it;
                its files are deleted; the index forgets it. A start does again what is not known to be done. Of values that were dropped
                by themselves the same, but their files stay until all in them is dropped, or most of it:
    move        what is live in such a segment file is copied into another one and synced; the index says that copies are on their way; a
                checkpoint, which knows the new file alone; the copies are published; the index has their places; the old file is deleted.
                So it is with shared files whose publisher has gone, if most of them was never filled. Others it may get again (`shared_files`).
    checkpoint  the state behind a frame is taken on the event loop; that frame is durable; what readers were let see in segments is synced,
                the index too; the checkpoint is written. From here on it counts.
    recycle     what is live in the oldest journal file is copied into segments and synced; the index says that copies are on their way; a
                checkpoint, which says how far the journal was copied; the copies are published; the index has their places, durably; what the
                file says of commits is in `_commits/`; it is deleted.
    fold        the same for whatever the journal still has, without deleting anything, when the store closes: some of it at a time, as long as
                there is time. What was left so is folded behind the next start.

What finds no room is tried again later, from where it stands. Frames of the oldest journal file that turn out to be damaged are set aside
and told of; the file goes when the values that are lost with them were dropped. Any other failure ends it, and with it the store's commits:
a store that cannot be kept small, or not be read, must not look healthy.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext

from linkd.errors import StateDamaged, StorageFull
from linkd.model.frozen import frozen
from linkd.model.kept import Held, Kept, SegmentFileHeld
from linkd.model.records import Dropped
from linkd.store import checkpoint_file, slack
from linkd.store.catalog_file import MOVING
from linkd.store.checkpoint_file import Checkpoint
from linkd.store.copying import Copied, Copier
from linkd.store.damage import Damage, DamagedJournalFile
from linkd.store.freeing import Freeing
from linkd.store.ground import Ground
from linkd.store.journal_format import FileHeader, Frame


@frozen()
class State:
    """What a checkpoint of the frame `lsn` says. `durable` is done when that frame is; its result is False if that will not be soon."""

    lsn: int
    held: Held
    kept: Sequence[Kept]
    durable: Future[bool]


class Upkeep:
    """`look` from the event loop; the rest in a thread (`start`, `close`), or step by step (`work`) where there is none."""

    def __init__(self, ground: Ground, checkpoint_lsn: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._ground = ground
        self._now_s = now_s
        self._fold_by_s = 0.0
        self._left_lsn = 0
        self._wake = threading.Condition()
        self._looking = False
        self._closing = False
        self._ended = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._take: Callable[[], State] | None = None
        self._failed: Callable[[Exception], None] | None = None
        self._freeing = Freeing(ground)
        self._held_back: Counter[tuple[str, int, int]] = Counter()
        self._next_lsn = checkpoint_lsn + 1
        self._behind_checkpoint: list[Callable[[], None]] = []
        self._damaged: DamagedJournalFile | None = None
        self._damage: Damage | None = None
        self.on_damage: Callable[[Damage], None] | None = None
        self.gate: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True)
        self.checkpoint_lsn = checkpoint_lsn

    def start(
        self, loop: asyncio.AbstractEventLoop, take: Callable[[], State] | None, failed: Callable[[Exception], None], *, thread: bool
    ) -> None:
        """`take` is called on the loop for the state as it is there; without it there are no checkpoints. `failed` is called in the thread."""
        self._loop, self._take, self._failed = loop, take, failed
        if thread:
            self._thread = threading.Thread(target=self._run, name="linkd-upkeep", daemon=True)
            self._thread.start()

    def hold_back(self, record: Dropped) -> None:
        """The frame with this record is not durable yet."""
        with self._wake:
            self._held_back[_what(record)] += 1

    def let_go(self, record: Dropped) -> None:
        """The frame with this record is durable."""
        with self._wake:
            self._held_back[_what(record)] -= 1
            self._held_back += Counter()
        self.notify()

    def does_what_was_left(self, fold_lsn: int = 0) -> None:
        """An earlier life of the store dropped what it did not free, or stopped before all up to this frame was folded."""
        self._left_lsn = fold_lsn
        self.notify()

    def look(self, next_lsn: int) -> None:
        """The journal ends here now; wakes the thread if something is due. Costs nothing if not."""
        self._next_lsn = next_lsn
        if self._has_surplus() or self._is_checkpoint_due():
            self.notify()

    async def close(self, fold_within_s: float = 0.0) -> None:
        """Fold as long as there is time, and leave what is not done to the next start. Again is harmless."""
        with self._wake:
            self._fold_by_s = self._now_s() + fold_within_s
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            await self._ended.wait()
            self._thread.join()
            self._thread = None

    def checkpoint(self, state: State) -> bool:
        """Make a checkpoint of this state when its frame is durable, and do what waited for one; whether it counts now. Blocks."""
        if not state.durable.result():
            return False
        ground = self._ground
        ground.segments.sync_published()
        ground.catalog.make_durable(state.lsn, ground.limits.catalog_batch_values)
        checkpoint_file.write(ground.files, ground.checkpoints, Checkpoint(state.lsn, state.held, tuple(state.kept)))
        self.checkpoint_lsn = state.lsn
        while self._behind_checkpoint:
            self._behind_checkpoint[0]()
            del self._behind_checkpoint[0]
        return True

    def work(self) -> None:
        """Do all that is due. Blocks; where there is no thread, what was put in line must be durable."""
        self._free()
        if self._take is not None:
            self._fold(self._left_lsn, lambda: not self._closing)
        while self._has_surplus():
            if self._closing or not self._recycle():
                return
        if self._is_checkpoint_due() and not self._closing:
            self.checkpoint(self._state())

    def fold(self, take: Callable[[], State]) -> None:
        """Fold all of it, with checkpoints of this state. Blocks; for a store without a thread, of which all is durable."""
        self._take, before = take, self._take
        try:
            self._fold(self._ground.journal.durable_lsn, lambda: True)
        finally:
            self._take = before

    def finish(self) -> None:
        """The last there is to do: fold, and make the checkpoint that spares the next start its reading. As `work`; a failure is no loss."""
        try:
            with self.gate() as is_open:
                if is_open and self._take is not None and self._state().durable.result():
                    self._fold(self._ground.journal.durable_lsn, lambda: self._now_s() < self._fold_by_s)
                    if self._next_lsn - 1 - self.checkpoint_lsn >= self._ground.limits.checkpoint_at_close_frames:
                        self.checkpoint(self._state())
        except StorageFull:  # the next start goes on where this ends
            pass
        except Exception as problem:  # the thread's edge
            if self._failed is not None:
                self._failed(problem)

    # -- in the thread --------------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        if self._tend():
            self.finish()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)

    def _tend(self) -> bool:
        """Do what is due whenever something is; True when the store closes, False after a failure."""
        while True:
            with self._wake:
                while not (self._looking or self._closing):
                    self._wake.wait()
                self._looking = False
                if self._closing:
                    return True
            try:
                with self.gate() as is_open:
                    if is_open:  # else somebody copies the directory: what is due is done with the next commit behind that
                        self.work()
            except StorageFull:  # what is done stays done; a commit that finds no room says so
                with self._wake:
                    self._wake.wait_for(lambda: self._closing, self._ground.limits.full_look_s)
                    self._looking = True
            except Exception as problem:  # the thread's edge
                if self._failed is not None:
                    self._failed(problem)
                return False

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

    def notify(self) -> None:
        """Something may be due."""
        with self._wake:
            self._looking = True
            self._wake.notify()

    def _is_checkpoint_due(self) -> bool:
        return self._take is not None and self._next_lsn - 1 - self.checkpoint_lsn >= self._ground.limits.checkpoint_frames

    def _has_surplus(self) -> bool:
        return self._take is not None and self._ground.journal.files_count - 1 > self._ground.limits.journal_files_kept

    def _free(self) -> None:
        """Frees what was dropped, and copies what is left of segment files that are mostly free."""
        holdings = self._ground.holdings
        for link, generation in holdings.waiting():
            if not self._closing and not self._held_back[link, generation, 0]:
                self._freeing.generation(link, generation)
        parts = [(link, part) for link, part in holdings.parts() if not self._held_back[link, 0, part.first]]
        for link, part in parts:
            if not self._closing:
                self._freeing.part(link, part)
        closed = self._ground.shared.closed()
        if parts or closed:
            self._freeing.spent_files()
        for link, file in slack.worth_copying(self._ground, {link for link, _ in parts}, closed) if self._take is not None else ():
            if not self._closing:
                self._move_rest(link, file)
        self._ground.shared.tidy()

    def _move_rest(self, link: str, file: SegmentFileHeld) -> None:
        """Copies what is live in a segment file into another one, and deletes it. A crash on the way leaves the one or the other."""
        ground = self._ground
        if file.shared:  # its last values may be newer than what was synced and entered
            state = self._state()
            if not state.durable.result():
                return
            ground.catalog.write_through(state.lsn, ground.limits.catalog_batch_values)
        copier = ground.copier()
        first = ground.holdings.first_live(link, file.first_sequence)
        values = ground.catalog.in_file(link, file.file, first, file.last_sequence)
        copied = copier.copy_rest(link, file.file, values, lambda: not self._closing)
        if copied is None:
            return
        self._take_note(copier, copied)
        ground.holdings.remove_file(link, file.file)
        self._behind_checkpoint.append(lambda: ground.delete_segments(link, [file.file]))
        self.checkpoint(self._state())

    def _take_note(self, copier: Copier, copied: Copied) -> None:
        """The next checkpoint says what was copied; behind it the copies are published. A crash on the way has them entered at the next start."""
        ground = self._ground
        ground.catalog.begin_at(MOVING)
        for link, file in copied.files:
            ground.holdings.copied(link, file)
        ground.holdings.copied_lsn = max(ground.holdings.copied_lsn, copied.lsn)

        def publish() -> None:
            copier.publish(copied)
            for link, incarnation, places in copied.places():
                ground.catalog.move(link, incarnation, places)
            ground.catalog.begin_at(ground.holdings.copied_file + 1)

        self._behind_checkpoint.append(publish)

    def _fold(self, until_lsn: int, go_on: Callable[[], bool]) -> None:
        """Copies what the journal has up to this frame and segments have not; what was copied counts, however far that came."""
        ground = self._ground
        holdings = ground.holdings
        if holdings.copied_lsn < until_lsn:
            ground.catalog.write_through(until_lsn, ground.limits.catalog_batch_values)
        while holdings.copied_lsn < until_lsn and go_on():
            if self._behind_checkpoint and not self.checkpoint(self._state()):
                return
            copier = ground.copier()
            frames = ground.reader.frames(holdings.copied_lsn, until_lsn + 1)
            there = itertools.takewhile(lambda one: one[1].lsn <= until_lsn, frames)
            uncopied = (one for one in there if one[0].number > holdings.copied_file)
            try:
                copied = copier.copy(uncopied, go_on, ground.limits.fold_part_bytes)
            except StateDamaged:
                self._left_lsn = 0  # when its file is the oldest it is looked into; nothing is deleted until then
                return
            if not copied.files:
                holdings.copied_lsn = max(holdings.copied_lsn, copied.lsn)
                if not copied.lsn:
                    return
                continue
            self._take_note(copier, copied)
            if not self.checkpoint(self._state()):
                return

    def _recycle(self) -> bool:
        """Lets the oldest journal file go. False if that is not possible now."""
        ground = self._ground
        number = ground.journal.oldest
        if self._waits_for_drops():
            return False
        if number > ground.holdings.copied_file:
            copier = ground.copier()
            try:
                copied = copier.copy(self._frames_of_oldest(ground.holdings.copied_lsn), lambda: not self._closing)
            except StateDamaged:
                if self.on_damage is None or self._damaged is not None:
                    raise
                return self._look_at_damage()
            self._take_note(copier, copied)
            if not self._closing:
                ground.holdings.copied_file = number
        if not self.checkpoint(self._state()) or number > ground.holdings.copied_file:
            return False
        ground.commits.keep(number, self._frames_of_oldest())
        self._damaged = None
        ground.open_files.forget(ground.journal.delete_oldest())
        return True

    def _frames_of_oldest(self, covered_lsn: int = 0) -> Iterator[tuple[FileHeader, Frame]]:
        """Its frames; of a file that is damaged those that are whole."""
        return self._damaged.frames(covered_lsn) if self._damaged is not None else self._ground.reader.frames_of_oldest(covered_lsn)

    def _look_at_damage(self) -> bool:
        """Sets aside what cannot be read of the oldest journal file, and tells of it. True if nothing is lost by that."""
        ground = self._ground
        ground.catalog.write_through(ground.catalog.durable_lsn, ground.limits.catalog_batch_values)
        damaged = DamagedJournalFile(ground.files, ground.segments_directory.parent, *ground.reader.first_two())
        self._damage = damaged.look(ground.catalog, ground.holdings)
        self._damaged = damaged
        self._tell(self._damage)
        return not self._damage.lost

    def _waits_for_drops(self) -> bool:
        """Whether values that were lost with a damaged journal file are still said to be there."""
        if self._damage is None:
            return False
        is_live = self._ground.holdings.is_live
        if any(is_live(one.link, one.generation, sequence) for one in self._damage.lost for sequence in (one.first, one.last)):
            self._tell(self._damage)
            return True
        self._damage = None
        return False

    def _tell(self, damage: Damage) -> None:
        assert self._loop is not None
        assert self.on_damage is not None
        self._loop.call_soon_threadsafe(self.on_damage, damage)


def _what(record: Dropped) -> tuple[str, int, int]:
    """A generation of a link, or values of it from a sequence on."""
    return record.link, record.generation, 0 if record.generation else record.first_sequence
