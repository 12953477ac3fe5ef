"""What a start does: reads what the checkpoint does not cover, and brings segments and index up to date with it. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from linkd.errors import StateDamaged
from linkd.model.frozen import frozen
from linkd.model.kept import SchemaMessage, SegmentFileHeld
from linkd.model.records import Dropped, Record, SchemaKept, ValueStored
from linkd.model.values import PlaceKind
from linkd.store import directory as layout_of
from linkd.store import journal_format, rebuilding
from linkd.store.catalog import Catalog, CatalogEntry
from linkd.store.catalog_file import MOVING
from linkd.store.checkpoint_file import Checkpoint, CheckpointRecovery
from linkd.store.files import Files
from linkd.store.holdings import Holdings
from linkd.store.journal_format import FileHeader, Frame
from linkd.store.journal_reader import JournalReader, JournalRecovery
from linkd.store.placement import Placement
from linkd.store.segment_format import directory_name, file_name
from linkd.store.segment_recovery import SegmentRecovery
from linkd.store.store_limits import StoreLimits
from linkd.wire.frames import decode_frame, encode_envelope


@frozen()
class RecoveryReport:
    """What opening a store met. `notes` are for people: what was cut or deleted, and why that is no loss. Complete after `replay`.

    `clean`: it was closed properly. `voided`: frames that were written and not synced are void, and nothing was committed since.
    """

    frames: int
    cut_bytes: int
    notes: tuple[str, ...]
    clean: bool = True
    voided: bool = False


def check_reach(directory: Path, found: CheckpointRecovery, journal: JournalRecovery) -> None:
    """The journal must lead on from the checkpoint, without a gap. Raises `StateDamaged`."""
    lsn, needed_file = found.checkpoint.lsn, found.checkpoint.held.copied_file + 1
    first_lsn = journal.headers[0].first_lsn if journal.headers else journal.end.next_lsn
    reaches = first_lsn <= lsn + 1 <= journal.end.next_lsn
    if reaches and (not journal.headers or journal.headers[0].number <= needed_file):
        return
    if found.damaged:
        where = f"the checkpoint {found.damaged[0]} is not what was written"
    elif reaches:
        where = (
            f"{directory / layout_of.JOURNAL / journal_format.file_name(needed_file)} is missing, and it has values that are nowhere else"
        )
    elif lsn + 1 < first_lsn:
        where = f"{directory}: the journal begins with frame {first_lsn}, and no checkpoint covers what was before"
    else:
        where = f"{directory}: the journal ends before frame {lsn}, which a checkpoint covers"
    raise StateDamaged(f"{where}. The disk or another program has changed it; `linkd repair` sees what can be kept; or restore a backup")


class Replay:
    """The one pass over the journal that a start makes. `notes` and `frames` say afterwards what it met."""

    def __init__(
        self,
        files: Files,
        segments: Path,
        envelopes: Path,
        checkpoint: Checkpoint,
        journal: JournalReader,
        holdings: Holdings,
        placement: Placement,
        catalog: Catalog,
        limits: StoreLimits,
    ) -> None:
        self._files = files
        self._segments_directory = segments
        self._envelopes = envelopes
        self._lsn = checkpoint.lsn
        self._journal = journal
        self._holdings = holdings
        self._placement = placement
        self._catalog = catalog
        self._limits = limits
        self._segments = SegmentRecovery(files, segments)
        self.frames = 0
        self.notes: tuple[str, ...] = ()
        self._index_notes: tuple[str, ...] = ()
        for one in checkpoint.kept:
            if isinstance(one, SchemaMessage):
                placement.saw_schema(one.schema_id, one.schema)

    @property
    def published(self) -> Set[tuple[str, int]]:
        """Segment files (link and number) that a checkpoint has to sync before it counts."""
        return self._segments.published

    def records(self, next_lsn: int, *, settled: bool) -> Iterator[tuple[int, tuple[Record, ...]]]:
        """(LSN, records) of every frame behind the checkpoint, in order; the journal goes on at `next_lsn`. `settled`: it was closed properly."""
        is_usable = not self._must_be_made_again(next_lsn)
        applied_lsn = self._catalog.applied_lsn
        for header, frame in self._journal.frames(self._lsn, next_lsn):
            records = decode_frame(frame.records, header.number, frame.payload_offset)
            self.frames += 1
            self._take(frame, records)
            if is_usable and frame.lsn > applied_lsn:
                is_usable = self._entered(frame, _values(records))
            yield frame.lsn, records
        is_usable = is_usable and self._written()
        there, leaving = self._holdings.files(), self._leaving()
        self.notes = self._segments.repair(there, leaving, settled=settled)
        if not is_usable:
            self._make_again([*there, *leaving], next_lsn)
        elif self._catalog.journal_from == MOVING:
            self._move_again(there)
        self._holdings.close_shared(settled=settled)

    def _entered(self, frame: Frame, values: Sequence[ValueStored]) -> bool:
        """Enters them; False if the index is damaged, which is no reason not to start: it is made again."""
        try:
            self._enter(frame, values)
        except StateDamaged as damage:
            self._index_notes = (str(damage),)
            return False
        return True

    def _written(self) -> bool:
        """Writes what waits; False if the index is damaged."""
        try:
            while self._catalog.write_waiting(self._limits.catalog_batch_values):
                pass
        except StateDamaged as damage:
            self._index_notes = (str(damage),)
            return False
        return True

    def _make_again(self, there: Sequence[tuple[str, SegmentFileHeld]], next_lsn: int) -> None:
        """The whole index, from the journal as far as it goes back, the segments and the envelope files."""
        self._catalog.start_over()
        for header, frame in self._journal.frames(0, next_lsn):
            values = _values(decode_frame(frame.records, header.number, frame.payload_offset))
            self._enter(frame, [value for value in values if self._is_needed(header, frame.lsn, value)])
        while self._catalog.write_waiting(self._limits.catalog_batch_values):
            pass
        batch_values, needed = self._limits.catalog_batch_values, self._holdings.is_known
        rebuilding.find_again(self._catalog, self._files, self._segments_directory, self._envelopes, there, batch_values, needed)
        self._catalog.make_durable(next_lsn - 1, batch_values)
        self._catalog.begin_at(self._holdings.copied_file + 1)
        self.notes += self._index_notes

    def _move_again(self, there: Sequence[tuple[str, SegmentFileHeld]]) -> None:
        """The process ended while copies were entered into the index: all of them that the checkpoint names, which may be none."""
        for link, file in there:
            if file.gate_offset:
                rebuilding.move_again(self._catalog, self._files, self._segments_directory, link, file, self._limits.catalog_batch_values)
        self._catalog.begin_at(self._holdings.copied_file + 1)

    def _must_be_made_again(self, next_lsn: int) -> bool:
        """The index is of an earlier time than the rest, or was being made again when the process ended."""
        self._check_end(next_lsn)
        return self._catalog.applied_lsn < self._lsn or self._catalog.journal_from not in (self._holdings.copied_file + 1, MOVING)

    def _check_end(self, next_lsn: int) -> None:
        """The index is written behind the journal: frames that it has and the journal has not were durable and are lost."""
        lost = self._catalog.applied_lsn - next_lsn + 1
        if lost > 0:
            index = layout_of.CATALOG_FILE
            raise StateDamaged(
                f"{self._segments_directory.parent}: the journal ends with frame {next_lsn - 1}, but {lost} more were durable, as {index} there "
                f"knows. The disk or another program has changed it; restore a backup, or delete {index} and go on without them"
            )

    def _is_needed(self, header: FileHeader, lsn: int, value: ValueStored) -> bool:
        """Whether the index has to say of a value that the journal has it: it is there or not freed yet, and was not copied."""
        envelope, holdings = value.envelope, self._holdings
        which = envelope.link, envelope.generation, envelope.position.sequence
        in_journal = value.place.kind is PlaceKind.JOURNAL
        if lsn > self._lsn:
            return not in_journal or lsn > holdings.copied_lsn or not holdings.is_live(*which)
        if not in_journal or header.number <= holdings.copied_file:
            return False
        return holdings.is_known(*which) and (lsn > holdings.copied_lsn or not holdings.is_live(*which))

    def _take(self, frame: Frame, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, SchemaKept):
                self._placement.saw_schema(record.schema_id, record.schema)
            elif isinstance(record, ValueStored):
                before = self._holdings.file(record.envelope.link, record.place.file) if record.shared else None
                self._holdings.stored(record.envelope, record.place, shared=record.shared, volatile=record.volatile)
                if record.place.kind is PlaceKind.SEGMENT:
                    behind = (before.end if before is not None else 0) if record.shared else None
                    self._segments.saw(record.envelope, record.place, frame.durable_lsn, behind)
            elif isinstance(record, Dropped):
                self._holdings.dropped(record)

    def _enter(self, frame: Frame, values: Sequence[ValueStored]) -> None:
        self._catalog.add([entry_of(frame.lsn, value) for value in values])
        self._catalog.durable(frame.lsn)
        if self._catalog.waiting >= self._limits.catalog_batch_values:
            self._catalog.write_waiting(self._limits.catalog_batch_values)

    def _leaving(self) -> list[tuple[str, SegmentFileHeld]]:
        """The segment files of values that were dropped, as far as they are not gone already."""
        return [
            (link, file)
            for link, file in self._holdings.leaving()
            if file_name(file.file) in self._files.list(self._segments_directory / directory_name(link))
        ]


def reread(journal: JournalReader, lsn: int, link: str, incarnation: int, sequence: int) -> CatalogEntry | None:
    """A value from the journal, where the index is not to be trusted."""
    found = journal.frame(lsn)
    if found is None:
        return None
    header, frame = found
    for value in _values(decode_frame(frame.records, header.number, frame.payload_offset)):
        envelope = value.envelope
        if (envelope.link, envelope.position.incarnation, envelope.position.sequence) == (link, incarnation, sequence):
            return entry_of(lsn, value)
    return None


def entry_of(lsn: int, record: ValueStored) -> CatalogEntry:
    return CatalogEntry(lsn, record.envelope, record.place, encode_envelope(record.envelope))


def _values(records: Sequence[Record]) -> list[ValueStored]:
    return [record for record in records if isinstance(record, ValueStored)]
