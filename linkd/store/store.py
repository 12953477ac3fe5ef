"""The store as the home sees it: frames of records in, envelopes and payloads out.

    store = Store.open(directory)
    for lsn, records in store.replay(): ...      # all that is durable, once
    store.start(asyncio.get_running_loop())
    await store.room()
    committed = await store.append(records, payloads)
    metadata, body = await store.read_payload(envelope, committed.places[0])
    await store.close()

One process, one `Store`, one event loop: a lock on the directory is the caller's business.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from linkd.errors import InternalFault, StorageFailed, ValueTooLarge
from linkd.model.records import Record, SchemaKept, ValueStored
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store import directory as layout_of
from linkd.store.catalog import Catalog, CatalogEntry
from linkd.store.committer import Committed, Committer, GroupCommitted
from linkd.store.files import Files, LocalFiles
from linkd.store.journal import Journal
from linkd.store.journal_format import Frame
from linkd.store.journal_layout import JournalLayout
from linkd.store.journal_reader import JournalReader, JournalRecovery, recover
from linkd.store.open_files import OpenFiles
from linkd.store.payloads import PayloadReader
from linkd.store.placement import Placement
from linkd.store.segments import SegmentRecovery, SegmentWriter
from linkd.store.staging import IncomingPayload, StagedPayload, Staging
from linkd.store.store_limits import StoreLimits
from linkd.wire.frames import decode_frame, encode_envelope


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What opening a store met. `notes` are for people: what was cut or deleted, and why that is no loss. Complete after `replay`."""

    frames: int
    cut_bytes: int
    notes: tuple[str, ...]


class Store:
    """See the head of the file. All calls from one event loop, except `open` and `replay`, which block and come before it."""

    def __init__(
        self, directory: Path, files: Files, limits: StoreLimits, journal: JournalRecovery, catalog_path: Path, store_id: str
    ) -> None:
        self._directory = directory
        self._files = files
        self._limits = limits
        self._recovered = journal
        self._frames_read = 0
        self._notes = journal.notes
        self._replayed = False
        headers = list(journal.headers)
        journal_directory, segments_directory = directory / layout_of.JOURNAL, directory / layout_of.SEGMENTS
        self._reader = JournalReader(files, journal_directory, headers)
        self._journal = Journal(files, journal_directory, limits.preallocate_bytes, headers)
        self._segment_recovery = SegmentRecovery(files, segments_directory)
        self._placement = Placement(limits)
        self._staging = Staging(files, directory / layout_of.STAGING, limits.staged_in_memory_max_bytes)
        self._open_files = OpenFiles(files, limits.open_files_max)
        self._payloads = PayloadReader(self._open_files, journal_directory, segments_directory)
        self._catalog = Catalog(catalog_path, store_id, self._reread)
        layout = JournalLayout(journal.end, limits, _new_generation)
        segments = SegmentWriter(files, segments_directory, limits.open_files_max)
        self._committer = Committer(layout, self._journal, segments, self._catalog, limits, sealed=journal.end.sealed)

    @staticmethod
    def open(directory: Path, files: Files | None = None, *, limits: StoreLimits | None = None, catalog_path: Path | None = None) -> Store:
        """Open the store in `directory`, making it if it is not there (its parent must be). Cuts what an interrupted write left.

        `files` stands in for the file system; the catalog is a real file all the same, at `catalog_path`. Raises
        `StateForeign`, `StateDamaged`, `StorageFailed`. Blocks.
        """
        files, limits = files or LocalFiles(), limits or StoreLimits()
        store_id = layout_of.open_directory(files, directory, os.urandom(16).hex())
        journal = recover(files, directory / layout_of.JOURNAL)
        catalog_path = catalog_path or directory / layout_of.CATALOG_FILE
        store = Store(directory, files, limits, journal, catalog_path, store_id)
        try:
            if store._catalog.applied_lsn >= journal.end.next_lsn:  # it knows frames that are not there: a copy of another time
                store._catalog.start_over()
            store._staging.clear()
        except BaseException:
            store._catalog.close()
            raise
        return store

    @property
    def recovery(self) -> RecoveryReport:
        return RecoveryReport(self._frames_read, self._recovered.cut_bytes, self._notes)

    def replay(self) -> Iterator[tuple[int, tuple[Record, ...]]]:
        """(LSN, records) of everything durable, in order. To be read to its end, once, before `start`; it blocks.

        The same pass brings catalog and segments up to date. Raises `StateDamaged` naming file and offset,
        `StateForeign`.
        """
        applied_lsn = self._catalog.applied_lsn
        for header, frame in self._reader.frames():
            records = decode_frame(frame.records, header.number, frame.payload_offset)
            self._recover(frame, records, applied_lsn)
            yield frame.lsn, records
        while self._catalog.write_waiting(self._limits.catalog_batch_values):
            pass
        heads, notes = self._segment_recovery.repair()
        self._placement.continue_at(heads)
        self._notes += notes
        self._replayed = True

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        thread: bool = True,
        on_group: Callable[[GroupCommitted], None] | None = None,
        on_failure: Callable[[StorageFailed], None] | None = None,
    ) -> None:
        """Begin to take commits. `on_group` and `on_failure` are called on the loop, for telemetry and for going read-only.

        Without `thread`, nothing is committed but by `commit_waiting`.
        """
        if not self._replayed:
            raise InternalFault("a store was started before its replay was read to the end")
        self._committer.start(loop, thread=thread, on_group=on_group, on_failure=on_failure)

    def commit_waiting(self) -> None:
        """Commit all that waits, in this thread: for a store that was started without one."""
        self._committer.commit_waiting()

    async def close(self) -> None:
        """Commit what waits, seal the journal, close everything. Later appends raise `Draining`. Again is harmless."""
        await self._committer.close()
        self._open_files.close()

    # -- writing --------------------------------------------------------------------------------------------------------------------------

    def stage(self) -> IncomingPayload:
        """A payload that will arrive in pieces; `finish` makes it ready for `append`."""
        return self._staging.stage()

    async def room(self) -> None:
        """Wait until `append` takes another frame; append before the next await. Raises `StorageFailed`."""
        await self._committer.room()

    def append(
        self, records: Sequence[Record], payloads: Sequence[StagedPayload | bytes] = (), *, durable: bool = True
    ) -> asyncio.Future[Committed]:
        """Commit records as one atomic frame. The future resolves when it is durable; cancelling it takes nothing back.

        The k-th `ValueStored` takes the k-th payload: one whole encapsulated record batch message, of which the
        envelope says size and xxh3; the places in the records are provisional. Frames become durable in the order of
        these calls. `durable=False` says that nobody waits for it; it is written with the next group like any other.
        Staged payloads are the store's once this returns.

        Raises, having changed nothing, `InvalidArgument`, `ValueTooLarge`, `Overloaded` (without `room`),
        `StorageFailed`, `Draining`.
        """
        planned = self._placement.plan(records, payloads)
        draft = planned.draft
        if JournalLayout.frame_bytes(draft.records, draft.payloads) > self._limits.frame_max_bytes:
            raise ValueTooLarge(
                f"a commit of {len(draft.values)} values needs {len(draft.records)} bytes in the journal, at most "
                f"{self._limits.frame_max_bytes} are possible; commit fewer values at once"
            )
        future = self._committer.submit(draft)
        self._placement.keep(planned)
        if not durable:
            future.add_done_callback(_observed)
        return future

    # -- reading --------------------------------------------------------------------------------------------------------------------------

    async def read_payload(self, envelope: Envelope, place: Place) -> tuple[bytes, memoryview]:
        """Metadata (the flatbuffer) and body of a value, as published. Raises `StateDamaged`, `StorageFailed`."""
        return await self._payloads.read(envelope, place)

    def read_chunks(self, envelope: Envelope, place: Place, chunk_bytes: int) -> AsyncIterator[bytes]:
        """The encapsulated message of a value, as published, in pieces; the last one comes only if all of them are right."""
        return self._payloads.chunks(envelope, place, chunk_bytes)

    def values(
        self, link: str, first: int = 1, last: int | None = None, *, incarnation: int | None = None, generation: int | None = None
    ) -> Iterator[tuple[Envelope, Place]]:
        """Durable values of a link by sequence (both included), in order. See `Catalog.values`."""
        return self._catalog.values(link, first, last, incarnation=incarnation, generation=generation)

    def find(self, id_prefix: str, most: int = 2) -> list[tuple[Envelope, Place]]:
        """Values whose id begins so. See `Catalog.find`."""
        return self._catalog.find(id_prefix, most)

    def last_before(self, link: str, created_at_ns: int) -> tuple[Envelope, Place] | None:
        """The newest value of a link at that time."""
        return self._catalog.last_before(link, created_at_ns)

    def usage(self) -> dict[str, int]:
        """Bytes on disk of each link's payloads."""
        return dict(self._placement.used_bytes)

    # -- recovery -------------------------------------------------------------------------------------------------------------------------

    def _recover(self, frame: Frame, records: Sequence[Record], applied_lsn: int) -> None:
        self._frames_read += 1
        entries = []
        for record in records:
            if isinstance(record, SchemaKept):
                self._placement.saw_schema(record)
            elif isinstance(record, ValueStored):
                self._placement.saw_value(record)
                if record.place.kind is PlaceKind.SEGMENT:
                    self._segment_recovery.saw(record.envelope, record.place, frame.group_lsn)
                if frame.lsn > applied_lsn:
                    entries.append(_entry(frame.lsn, record))
        if frame.lsn > applied_lsn:
            self._catalog.add(entries, frame.lsn)
            if self._catalog.waiting >= self._limits.catalog_batch_values:
                self._catalog.write_waiting(self._limits.catalog_batch_values)

    def _reread(self, lsn: int, link: str, incarnation: int, sequence: int) -> CatalogEntry | None:
        """A value from the journal, where the catalog's row is not to be trusted."""
        found = self._reader.frame(lsn)
        if found is None:
            return None
        header, frame = found
        for record in decode_frame(frame.records, header.number, frame.payload_offset):
            if isinstance(record, ValueStored):
                envelope = record.envelope
                if (envelope.link, envelope.position.incarnation, envelope.position.sequence) == (link, incarnation, sequence):
                    return _entry(lsn, record)
        return None


def _entry(lsn: int, record: ValueStored) -> CatalogEntry:
    return CatalogEntry(lsn, record.envelope, record.place, encode_envelope(record.envelope))


def _observed(future: asyncio.Future[Committed]) -> None:
    """Take note of a failure that nobody awaits: `on_failure` has told it."""
    if not future.cancelled():
        future.exception()


def _new_generation() -> int:
    return int.from_bytes(os.urandom(8), "little")
