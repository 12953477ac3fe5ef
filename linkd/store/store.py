"""The store as the home sees it: frames of records in, envelopes and payloads out.

    store = Store.open(directory)
    store.kept                                   # the home's state of the newest checkpoint
    for lsn, records in store.replay(): ...      # all that is durable behind it, once
    store.start(asyncio.get_running_loop(), keep=...)
    await store.room()
    committed = await store.append(records, payloads)
    metadata, body = await store.read_payload(envelope, committed.places[0])
    await store.close()

One process, one `Store`, one event loop: a lock on the directory is the caller's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from linkd.errors import InternalFault, StorageFailed, StorageFull, ValueTooLarge
from linkd.limits import DRAIN_TIMEOUT_S
from linkd.model.kept import Kept, SchemaMessage
from linkd.model.records import Dropped, Record
from linkd.model.terms import AT_ONCE_S, NEVER_S, durability_of
from linkd.model.values import Durability, Envelope, Place
from linkd.store import checkpoint_file, commit_log
from linkd.store import directory as layout_of
from linkd.store.catalog import Catalog
from linkd.store.checkpoint_file import Checkpoint
from linkd.store.commit_log import CommitLog
from linkd.store.commit_records import CommitRecords
from linkd.store.committer import Committed, Committer, GroupCommitted
from linkd.store.copying import Copier
from linkd.store.damage import Damage
from linkd.store.files import Files, LocalFiles
from linkd.store.ground import Ground
from linkd.store.holdings import Holdings
from linkd.store.journal import Journal
from linkd.store.journal_layout import JournalLayout, random_generation
from linkd.store.journal_reader import JournalReader, JournalRecovery, recover
from linkd.store.open_files import OpenFiles
from linkd.store.payloads import PayloadReader
from linkd.store.placement import Placement
from linkd.store.recovering import RecoveryReport, Replay, check_reach, reread
from linkd.store.segments import SegmentWriter
from linkd.store.shared_files import SharedFiles
from linkd.store.staging import IncomingPayload, Memory, Spool, StagedPayload, Staging
from linkd.store.standstill import working
from linkd.store.store_limits import StoreLimits
from linkd.store.tail import TailPayloads
from linkd.store.upkeep import State, Upkeep
from linkd.store.volatile import volatile_values


class Store:
    """See the head of the file. All calls from one event loop, except `open` and `replay`, which block and come before it."""

    def __init__(
        self,
        directory: Path,
        files: Files,
        limits: StoreLimits,
        checkpoint: Checkpoint,
        journal: JournalRecovery,
        catalog_path: Path,
        store_id: str,
        memory: Memory | None = None,
        now_s: Callable[[], float] = time.monotonic,
        *,
        volatile: bool = False,
    ) -> None:
        self._files = files
        self._directory = directory
        self._limits = limits
        self._volatile = volatile
        self._recovered = journal
        self._checkpoint = checkpoint
        self._replayed = False
        self._threaded = False
        self._keep: Callable[[], Sequence[Kept]] | None = None
        headers = list(journal.headers)
        journal_directory, segments_directory = directory / layout_of.JOURNAL, directory / layout_of.SEGMENTS
        self._reader = JournalReader(files, journal_directory, headers)
        self._holdings = Holdings(checkpoint.held, limits.segment_roll_min_bytes)
        self._staging = Staging(files, directory / layout_of.STAGING, limits.staged_in_memory_max_bytes, memory)
        self._open_files = OpenFiles(files, limits.open_files_max)
        self._catalog = Catalog(catalog_path, store_id, functools.partial(reread, self._reader))
        self._payloads = PayloadReader(self._open_files, journal_directory, segments_directory, self._catalog.place_of, self._holdings)
        self._layout = JournalLayout(journal.end, limits, random_generation)
        written = Journal(files, journal_directory, limits.preallocate_bytes, headers, journal.end.next_lsn - 1)
        segments = self._segments = SegmentWriter(files, segments_directory, limits.open_files_max)
        self._written = written
        self.shared = SharedFiles(files, segments_directory, self._holdings, self._open_files, segments)
        self._placement = Placement(limits, self._holdings, self.shared)
        self._committer = Committer(self._layout, written, segments, self._catalog, limits, sealed=journal.end.sealed, now_s=now_s)
        envelopes = directory / layout_of.ENVELOPES
        self._replay = Replay(
            files, segments_directory, envelopes, checkpoint, self._reader, self._holdings, self._placement, self._catalog, limits
        )
        ground = Ground(
            files,
            directory / layout_of.CHECKPOINTS,
            envelopes,
            segments_directory,
            limits,
            self._holdings,
            self._catalog,
            written,
            self._reader,
            segments,
            self._open_files,
            self.shared,
            lambda: Copier(files, journal_directory, segments_directory, self._holdings, self._schemas, limits),
            CommitLog(files, directory / commit_log.DIRECTORY, limits),
        )
        self._upkeep = Upkeep(ground, checkpoint.lsn, now_s)

    @staticmethod
    def open(
        directory: Path,
        files: Files | None = None,
        *,
        limits: StoreLimits | None = None,
        catalog_path: Path | None = None,
        memory: Memory | None = None,
        now_s: Callable[[], float] = time.monotonic,
        volatile: bool = False,
    ) -> Store:
        """Open the store in `directory`, making it if it is not there (its parent must be). Cuts what an interrupted write left.

        `files` stands in for the file system; the catalog is a real file all the same, at `catalog_path`. What is staged in memory is
        taken of `memory`, too. Where syncs have no effect (`volatile`) no frame is said to be durable. Raises `StateForeign`,
        `StateDamaged`, `StorageFailed`. Blocks.
        """
        is_real = catalog_path is None
        files, limits = files or LocalFiles(), limits or StoreLimits()
        store_id = layout_of.open_directory(files, directory, os.urandom(16).hex())
        found = checkpoint_file.recover(files, directory / layout_of.CHECKPOINTS)
        tail = TailPayloads(files, directory / layout_of.SEGMENTS)
        journal = recover(files, directory / layout_of.JOURNAL, found.checkpoint.lsn, tail)
        check_reach(directory, found, journal)
        if found.surplus or not journal.end.sealed:  # whoever wrote it may have ended before its name was durable
            files.sync_directory(directory / layout_of.CHECKPOINTS)
        for path in found.surplus:
            files.unlink(path)
        journal = dataclasses.replace(journal, notes=checkpoint_file.complete(files, found) + journal.notes)
        catalog_path = catalog_path or directory / layout_of.CATALOG_FILE
        store = Store(directory, files, limits, found.checkpoint, journal, catalog_path, store_id, memory, now_s, volatile=volatile)
        if is_real:
            store._upkeep.gate = functools.partial(working, directory)
        try:
            store._staging.clear()
        except BaseException:
            store._catalog.close()
            raise
        return store

    @property
    def kept(self) -> tuple[Kept, ...]:
        """The state that the newest checkpoint has of the home; none if there is no checkpoint."""
        return self._checkpoint.kept

    @property
    def recovery(self) -> RecoveryReport:
        journal = self._recovered
        return RecoveryReport(
            self._replay.frames, journal.cut_bytes, journal.notes + self._replay.notes, journal.end.sealed, journal.voided
        )

    @property
    def full(self) -> str:
        """Why nothing can be written now, though it will be when there is room; "" if it can."""
        return self._committer.full

    def replay(self) -> Iterator[tuple[int, tuple[Record, ...]]]:
        """(LSN, records) of everything durable behind the checkpoint, in order. To be read to its end, once, before `start`; it blocks.

        The same pass brings catalog and segments up to date. Raises `StateDamaged` naming file and offset,
        `StateForeign`.
        """
        yield from self._replay.records(self._layout.next_lsn, settled=self._recovered.end.sealed)
        self._segments.was_published(self._replay.published)
        self._replayed = True

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        thread: bool = True,
        keep: Callable[[], Sequence[Kept]] | None = None,
        on_group: Callable[[GroupCommitted], None] | None = None,
        on_failure: Callable[[StorageFailed], None] | None = None,
        on_full: Callable[[str], None] | None = None,
        on_damage: Callable[[Damage], None] | None = None,
    ) -> None:
        """Begin to take commits. `on_group` and `on_failure` are called on the loop, for telemetry and for going read-only.

        `on_full` is called there with the reason when there is no room for what waits, and with "" when it was written after all.

        `on_damage` is called there when the oldest journal file is damaged, and again until what is lost was dropped; without it that is a failure.

        `keep` is called on the loop for the home's state behind all frames that were appended so far; without it no checkpoints are made, and
        the journal grows. Without `thread`, nothing is committed but by `commit_waiting`, nothing freed but by `tidy`.
        """
        if not self._replayed:
            raise InternalFault("a store was started before its replay was read to the end")
        self._keep, self._threaded = keep, thread
        if keep is not None:
            self._checkpoint = checkpoint_file.NONE  # whoever wanted it has it
        self._committer.start(loop, thread=thread, on_group=on_group, on_failure=on_failure, on_full=on_full)
        self._upkeep.start(loop, self._state if keep is not None else None, self._committer.fail, thread=thread)
        self._upkeep.on_damage = on_damage
        left_lsn = self._recovered.end.next_lsn - 1 if self._recovered.end.sealed else 0
        left = self.shared.start(loop, self._upkeep.notify)
        if left or self._holdings.waiting() or self._holdings.parts() or self._holdings.spent() or self._holdings.copied_lsn < left_lsn:
            self._upkeep.does_what_was_left(left_lsn)

    def commit_waiting(self) -> None:
        """Commit all that waits, and sync if that is due, in this thread: for a store that was started without one."""
        self._committer.commit_waiting()

    def tidy(self) -> None:
        """Free, checkpoint and recycle what is due, in this thread, when all is committed: for a store that was started without one."""
        self._committer.commit_waiting(sync=True)
        self._upkeep.work()

    def fold(self) -> None:
        """Copy what is kept and in the journal only into segments, in this thread, as far as there is room: for a tool that started the store
        without one, and cannot say the home's state. That stays the one of the newest checkpoint."""
        self._committer.commit_waiting(sync=True)
        durable: Future[bool] = Future()
        durable.set_result(True)
        was = self._checkpoint
        with contextlib.suppress(StorageFull):  # the next start goes on where this ends
            self._upkeep.fold(lambda: State(was.lsn, self._holdings.held_since(was.held), was.kept, durable))

    async def close(self, fold_within_s: float = DRAIN_TIMEOUT_S) -> None:
        """Commit what waits, seal the journal, close everything. Later appends raise `Draining`. Again is harmless.

        Before that all values that are kept and are in the journal only are copied into segments, as long as there is time: what is left then
        is copied behind the next start. (A store that makes no checkpoints copies nothing.)
        """
        await self._upkeep.close(fold_within_s)
        if not self._threaded:
            self._committer.commit_waiting(sync=True)
            self._upkeep.finish()
        self._keep = None
        await self._committer.close()
        self._open_files.close()

    # -- writing --------------------------------------------------------------------------------------------------------------------------

    def stage(self, xxh3: int | None = None) -> IncomingPayload:
        """A payload that will arrive in pieces, of this hash if that is known; `finish` makes it ready for `append`."""
        return self._staging.stage(xxh3)

    def spool(self) -> Spool:
        """Room on disk for what a reader takes slowly."""
        return Spool(self._staging)

    @property
    def has_room(self) -> bool:
        """Whether `append` takes a small frame now."""
        return self._committer.has_room

    async def room(self, *, bulk: bool = False) -> None:
        """Wait until `append` takes another frame; append before the next await. `bulk`: with large payloads. Raises `StorageFailed`."""
        await self._committer.room(bulk=bulk)

    def append(
        self,
        records: Sequence[Record],
        payloads: Sequence[StagedPayload | bytes] = (),
        *,
        durable: bool = True,
        sync_within_s: float = AT_ONCE_S,
        bulk_within_s: float | None = None,
    ) -> asyncio.Future[Committed]:
        """Commit records as one atomic frame. The future resolves when it is durable; cancelling it takes nothing back.

        With `sync_within_s` it resolves when it is written: that survives the end of the process, and power loss not before the sync that
        is made so many seconds later at the latest (`NEVER_S`: not for this frame; sooner for any reason). What drops values is synced at once.
        `bulk_within_s` is what the payloads need where that is less; those that need none stay in volatile files, others are copied out of them.

        The k-th `ValueStored` takes the k-th payload: one whole encapsulated record batch message, of which the
        envelope says size and xxh3; the places in the records are provisional. Frames become durable in the order of
        these calls. `durable=False` says that nobody waits for it; it is written with the next group like any other.
        Staged payloads are the store's once this returns.

        Raises, having changed nothing, `InvalidArgument`, `ValueTooLarge`, `Overloaded` (without `room`),
        `StorageFailed`, `Draining`.
        """
        is_lasting = (sync_within_s if bulk_within_s is None else bulk_within_s) < NEVER_S
        planned = self._placement.plan(records, payloads, is_lasting=is_lasting)
        draft = planned.draft
        if JournalLayout.frame_bytes(draft.records, draft.payloads) > self._limits.frame_max_bytes:
            raise ValueTooLarge(
                f"a commit of {len(draft.values)} values needs {len(draft.records)} bytes in the journal, at most "
                f"{self._limits.frame_max_bytes} are possible; commit fewer values at once"
            )
        drops = [record for record in records if isinstance(record, Dropped)]
        within_s = AT_ONCE_S if drops or planned.syncs_at_once else sync_within_s
        future = self._committer.submit(draft, within_s, self.durability(within_s))
        self._placement.keep(planned)
        if drops:
            self._drop(drops, future)
        self._upkeep.look(self._layout.next_lsn)
        if not durable:
            future.add_done_callback(_observed)
        return future

    def _drop(self, records: Sequence[Dropped], future: asyncio.Future[Committed]) -> None:
        """What these drop is freed when they are durable."""
        for record in records:
            self._holdings.dropped(record)
            self._upkeep.hold_back(record)
        future.add_done_callback(lambda done: self._free(records, done))

    def _free(self, records: Sequence[Dropped], done: asyncio.Future[Committed]) -> None:
        if _succeeded(done):
            for record in records:
                self._upkeep.let_go(record)

    def durability(self, sync_within_s: float) -> Durability:
        """What is true of a frame that was appended so and is committed."""
        return Durability.MEMORY if self._volatile else durability_of(sync_within_s)

    # -- reading --------------------------------------------------------------------------------------------------------------------------

    async def read_payload(self, envelope: Envelope, place: Place) -> tuple[bytes, memoryview]:
        """Metadata (the flatbuffer) and body of a value, as published. Raises `StateDamaged`, `StorageFailed`."""
        return await self._payloads.read(envelope, place)

    def read_chunks(self, envelope: Envelope, place: Place, chunk_bytes: int) -> AsyncGenerator[bytes, None]:
        """The encapsulated message of a value, as published, in pieces; the last one comes only if all of them are right."""
        return self._payloads.chunks(envelope, place, chunk_bytes)

    def values(
        self, link: str, first: int = 1, last: int | None = None, *, incarnation: int | None = None, generation: int | None = None
    ) -> Iterator[tuple[Envelope, Place]]:
        """Durable values of a link by sequence (both included), in order. See `Catalog.values`."""
        return self._catalog.values(link, first, last, incarnation=incarnation, generation=generation)

    def payload_bytes(self, link: str, first: int, last: int) -> int:
        """Payload bytes of these durable values of a link. See `Catalog.payload_bytes`."""
        return self._catalog.payload_bytes(link, first, last)

    def find(self, id_prefix: str, most: int = 2) -> list[tuple[Envelope, Place]]:
        """Values whose id begins so. See `Catalog.find`."""
        return self._catalog.find(id_prefix, most)

    def last_before(self, link: str, created_at_ns: int) -> tuple[Envelope, Place] | None:
        """The newest value of a link at that time."""
        return self._catalog.last_before(link, created_at_ns)

    def volatile_values(self) -> list[tuple[str, int, int]]:
        """The values (link, first and last sequence) that a power cut may have taken, whatever is on disk: see `segment_format`."""
        return volatile_values(self._holdings, self._catalog)

    def usage(self) -> dict[str, int]:
        """Bytes on disk of each link's payloads."""
        return self._holdings.used_bytes()

    @property
    def written_lsn(self) -> int:
        """All up to this frame is in the journal."""
        return self._written.written_lsn

    def commit_records(self, until_lsn: int) -> CommitRecords:
        """What is known of commits up to a frame that was `written_lsn` once. To be read in another thread."""
        return CommitRecords(self._files, self._directory / commit_log.DIRECTORY, self._reader, until_lsn)

    # -- for the parts --------------------------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        """What a checkpoint says that is made now."""
        assert self._keep is not None
        kept = self._keep()
        self._placement.forget_schemas({one.schema_id for one in kept if isinstance(one, SchemaMessage)})
        return State(self._layout.next_lsn - 1, self._holdings.held(), kept, self._committer.sync_soon())

    def _schemas(self) -> Mapping[bytes, bytes]:
        return self._placement.schemas


def _succeeded(done: asyncio.Future[Committed]) -> bool:
    return not done.cancelled() and done.exception() is None


def _observed(future: asyncio.Future[Committed]) -> None:
    """Take note of a failure that nobody awaits: `on_failure` has told it."""
    if not future.cancelled():
        future.exception()
