"""What a repair would do to a directory, decided before anything is changed: which bytes it replaces, which files it sets aside, what is lost."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from linkd.core.checkpoint import restored
from linkd.errors import Error, InvalidArgument, StateDamaged
from linkd.model.frozen import frozen
from linkd.model.kept import SchemaMessage, SegmentFileHeld
from linkd.model.records import Dropped, Record, SchemaKept, ValueStored
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store import checkpoint_file, commit_log, envelope_file
from linkd.store import directory as layout_of
from linkd.store.files import Files
from linkd.store.holdings import Holdings
from linkd.store.journal_format import FRAME_HEADER_BYTES, FileHeader, Frame, encode_file_header
from linkd.store.journal_format import file_name as journal_file_name
from linkd.store.offline.artifact_check import check_artifacts, index_files
from linkd.store.offline.catalog_scan import CatalogScan, IndexUnreadable
from linkd.store.offline.commits_check import check_commits, commit_files
from linkd.store.offline.journal_scan import JournalScan
from linkd.store.offline.mending import empty_frames, filler, mended_region
from linkd.store.offline.segment_scan import Message, SegmentScan
from linkd.store.segment_format import directory_name, file_name, stamped_metadata
from linkd.wire import arrow_ipc
from linkd.wire.frames import decode_frame

DAMAGED = "damaged"
"""The reason of the records that drop what a repair could not keep."""


@frozen()
class Edit:
    """`data`, and zeros up to `size_bytes`, take the place of what is at `offset`. A file that is not there is made; `why` is for the note."""

    path: Path
    offset: int
    data: bytes
    size_bytes: int
    why: str


@frozen()
class Loss:
    """Values that cannot be kept."""

    link: str
    incarnation: int
    first: int
    last: int


@dataclass(slots=True)
class Plan:
    """`edits` in place, `aside` whole files, of which `envelopes` are written again from the index and `rewritten` with this content; `renew`: the
    index does not know how far the links whose last commits are lost had come, so that they go on in a new incarnation. `lost` is what is known
    to be lost by now, `commits` how many frames that no checkpoint covers. `store_id` is what `format.json` must say again."""

    edits: list[Edit] = field(default_factory=list)
    aside: list[Path] = field(default_factory=list)
    envelopes: dict[Path, tuple[bytes, ...]] = field(default_factory=dict)
    rewritten: dict[Path, bytes] = field(default_factory=dict)
    lost: list[Loss] = field(default_factory=list)
    commits: int = 0
    store_id: str | None = None
    renew: bool = False
    notes: list[str] = field(default_factory=list)


def plan_repair(files: Files, directory: Path) -> Plan:
    """Decide it, changing nothing. Raises `StateDamaged` if what is missing cannot be made up for."""
    return _Planner(files, directory).plan()


class _Planner:
    def __init__(self, files: Files, directory: Path) -> None:
        self._files = files
        self._directory = directory
        self._plan = Plan()
        self._index: CatalogScan | None = None
        self._schemas: dict[bytes, bytes] = {}
        self._named: dict[tuple[str, int], dict[int, tuple[Envelope, Place]]] = {}

    def plan(self) -> Plan:
        found = checkpoint_file.recover(self._files, self._directory / layout_of.CHECKPOINTS)
        self._plan.aside += found.damaged
        self._checkpoint = found.checkpoint
        self._holdings = Holdings(found.checkpoint.held)
        for one in found.checkpoint.kept:
            if isinstance(one, SchemaMessage):
                self._schemas[one.schema_id] = one.schema
        self._open_index()
        if layout_of.format_is_damaged(self._files, self._directory):
            meta = self._index.meta() if self._index is not None else None
            self._plan.store_id = meta.store_id if meta is not None else os.urandom(16).hex()
            self._plan.aside += [path for name in (layout_of.FORMAT_FILE,) if (path := self._directory / name).exists()]
        try:
            self._journal()
            for link, held in self._holdings.files():
                self._segment(link, held)
            self._envelope_files()
            self._commits()
            self._artifacts()
        finally:
            if self._index is not None:
                self._index.close()
        return self._plan

    def _artifacts(self) -> None:
        """What is damaged goes, and the next start reads the packs again, of which only what is whole counts."""
        faults = list(check_artifacts(self._files, self._directory, read=lambda path: None, progress=lambda size_bytes: None))
        if faults:
            self._plan.aside += [fault.aside for fault in faults if fault.aside is not None] + index_files(self._directory)
            self._plan.notes += [f"{fault.finding.file}: {fault.finding.what}" for fault in faults]

    def _open_index(self) -> None:
        path = self._directory / layout_of.CATALOG_FILE
        if not path.exists():
            return
        self._plan.aside += [beside for suffix in ("", "-wal", "-shm") if (beside := path.with_name(path.name + suffix)).exists()]
        try:
            self._index = CatalogScan(path, running=False)
            if self._index.meta() is None:
                self._index = None
        except IndexUnreadable:
            self._index = None

    # -- journal --------------------------------------------------------------------------------------------------------------------------

    def _journal(self) -> None:
        journal = self._directory / layout_of.JOURNAL
        frames: list[tuple[FileHeader, Frame, tuple[Record, ...]]] = []
        scan = JournalScan(self._files, journal)
        for header, frame in scan.frames():
            if frame.lsn > self._checkpoint.lsn:
                frames.append((header, frame, decode_frame(frame.records, header.number, frame.payload_offset)))
        self._check_reach(scan)
        self._replace_missing(scan)
        for header in scan.derived:
            self._edit(journal / journal_file_name(header.number), 0, encode_file_header(header), why="the file header was damaged")
        if scan.unknown is not None:
            self._plan.aside.append(scan.unknown)
            self._plan.notes.append(
                f"{scan.unknown}: set aside, its header is damaged. Commits that failed when a sync did, right before it was made, may be there now"
            )
        for region in scan.regions:
            data = _read(self._files, region.path, region.offset, region.end)
            goes_on = _goes_on(self._files, region.path, region.end)
            self._edit(region.path, region.offset, mended_region(region, data, goes_on=goes_on), why="frames could not be read")
        lsns = [lsn for hole in scan.holes for lsn in range(hole.first_lsn, hole.last_lsn + 1)]
        for hole in scan.holes:
            self._lose_indexed(hole.first_lsn, hole.last_lsn, hole.header.number)
        uncovered = [lsn for lsn in lsns if lsn > self._checkpoint.lsn]
        self._plan.commits += len(uncovered)
        if uncovered:
            self._plan.renew = self._index is None
            frames = self._without_those_that_need_them(frames)
        for _, _, records in frames:
            self._hold(records)

    def _check_reach(self, scan: JournalScan) -> None:
        first = scan.headers[0].first_lsn if scan.headers else scan.next_lsn
        if not first <= self._checkpoint.lsn + 1 <= scan.next_lsn:
            raise StateDamaged(
                f"{self._directory} cannot be mended: the journal has frames {first} to {scan.next_lsn - 1}, and the checkpoint is that of frame "
                f"{self._checkpoint.lsn}: what was between is nowhere. Nothing was changed. `linkd restore` brings back a backup; "
                "`linkd cat --salvage LINK` gets out the values that are whole"
            )

    def _replace_missing(self, scan: JournalScan) -> None:
        """Files without frames take the place of those that are gone; frames that a later file goes on from are empty in the one before."""
        first = scan.headers[0].number if scan.headers else self._holdings.copied_file + 1
        missing = [*range(self._holdings.copied_file + 1, first), *scan.missing]
        for number in missing:
            following = next(header for header in scan.headers if header.number > number)
            made = FileHeader(number, int.from_bytes(os.urandom(8), "little"), following.first_lsn)
            path = self._directory / layout_of.JOURNAL / journal_file_name(number)
            self._edit(path, 0, encode_file_header(made), why="the file was missing")
            if self._index is not None:
                for value in self._index.in_journal(number, number):
                    if self._is_live(value.envelope):
                        self._lose(value.envelope)

    def _without_those_that_need_them(
        self, frames: list[tuple[FileHeader, Frame, tuple[Record, ...]]]
    ) -> list[tuple[FileHeader, Frame, tuple[Record, ...]]]:
        """The frames that still mean something without those that are lost; the others go too: what they speak of never began."""
        kept = frames
        while True:
            ledger = restored(self._checkpoint.kept, {})
            good, bad = [], []
            for entry in kept:
                try:
                    ledger.restore(entry[2])
                except (KeyError, AttributeError, Error):
                    bad.append(entry)
                else:
                    good.append(entry)
            for header, frame, records in bad:
                start = frame.payload_offset - len(frame.records) - FRAME_HEADER_BYTES
                path = self._directory / layout_of.JOURNAL / journal_file_name(header.number)
                length = int.from_bytes(_read(self._files, path, start, start + 4), "little")
                self._edit(path, start, empty_frames(frame.lsn, 1, header.generation, length), why="a commit speaks of what is lost")
                self._plan.commits += 1
                for record in records:
                    if isinstance(record, ValueStored):
                        self._lose(record.envelope)
            kept = good
            if not bad:
                return kept

    def _hold(self, records: tuple[Record, ...]) -> None:
        for record in records:
            if isinstance(record, SchemaKept):
                self._schemas[record.schema_id] = record.schema
            elif isinstance(record, ValueStored):
                self._holdings.stored(record.envelope, record.place, shared=record.shared, volatile=record.volatile)
                if record.place.kind is PlaceKind.SEGMENT:
                    named = self._named.setdefault((record.envelope.link, record.place.file), {})
                    named[record.place.offset] = (record.envelope, record.place)
            elif isinstance(record, Dropped):
                self._holdings.dropped(record)

    def _lose_indexed(self, first_lsn: int, last_lsn: int, file: int) -> None:
        """The values of frames that cannot be read, as far as the index knows them. Those that a checkpoint covers may lie elsewhere by now."""
        if self._index is None:
            return
        try:
            values = self._index.in_frames(first_lsn, last_lsn)
        except IndexUnreadable:
            self._index = None
            return
        for value in values:
            covered = value.lsn <= self._checkpoint.lsn
            here = value.place.kind is PlaceKind.JOURNAL and value.place.file == file
            if (here and file > self._holdings.copied_file) or (not covered and value.place.kind is not PlaceKind.DROPPED):
                self._lose(value.envelope)

    # -- segments -------------------------------------------------------------------------------------------------------------------------

    def _segment(self, link: str, held: SegmentFileHeld) -> None:
        path = self._directory / layout_of.SEGMENTS / directory_name(link) / file_name(held.file)
        schema = self._schemas.get(held.schema_id)
        if path.name not in self._files.list(path.parent):
            if schema is None:
                raise StateDamaged(f"{path} is missing, and its schema is nowhere: it cannot be made up for. Nothing was changed")
            self._edit(path, 0, schema, why="the file was missing")
            self._fill(path, schema, len(schema), held.end)
            self._edit(path, held.end, arrow_ipc.EOS, why="the file was missing")
            for envelope, _ in self._indexed(link, held.file).values():
                if self._is_live(envelope):
                    self._lose(envelope)
            return
        file = self._files.open(path)
        try:
            scan = SegmentScan(file, path, held, lambda: self._indexed(link, held.file), lambda size_bytes: None)
            for message in scan.messages():
                schema = scan.schema or schema
                self._message(path, schema, held, message)
            if not scan.schema and schema is not None:
                self._edit(path, 0, schema, why="the schema was damaged")
            if scan.surplus_bytes() < 0:
                self._edit(path, held.end, arrow_ipc.EOS, why="the file was too short")
        finally:
            file.close()

    def _message(self, path: Path, schema: bytes | None, held: SegmentFileHeld, message: Message) -> None:
        envelope, place = message.envelope, message.place
        named = held.gate_metadata_bytes if message.offset == held.gate_offset else None
        metadata_bytes = place.metadata_bytes if place is not None else named
        if envelope is None or place is None or not message.is_whole:
            if message.is_filler:
                return
            if envelope is not None and self._is_live(envelope):
                self._lose(envelope)
            elif envelope is None:
                self._plan.notes.append(f"{path}, offset {message.offset}: values of this file may be lost; which, is told when it is done")
            self._fill(path, schema, message.offset, message.end, metadata_bytes)
            return
        if message.stamp:
            published = place.size_bytes - place.body_bytes - arrow_ipc.PREFIX_BYTES
            stamped = _read(self._files, path, message.offset + 8, message.offset + 8 + place.metadata_bytes)
            again = stamped_metadata(envelope, arrow_ipc.unstamp(stamped, published), place.metadata_bytes)
            if len(again) == place.metadata_bytes:
                self._edit(path, message.offset + arrow_ipc.PREFIX_BYTES, again, why="what was added to a value was damaged")
            else:
                self._lose(envelope)
                self._fill(path, schema, message.offset, message.end, metadata_bytes)
                return
        if message.prefix and not message.is_gated:
            self._edit(path, message.offset, arrow_ipc.prefix(place.metadata_bytes), why="the length before a value was damaged")

    def _fill(self, path: Path, schema: bytes | None, offset: int, end: int, metadata_bytes: int | None = None) -> None:
        if end <= offset:
            return
        if schema is None:
            raise StateDamaged(f"{path}: a value and the schema are damaged, and the schema is nowhere else. Nothing was changed")
        try:
            data = filler(schema, end - offset, DAMAGED, metadata_bytes)
        except InvalidArgument as problem:
            raise StateDamaged(f"{path}, offset {offset}: cannot be mended: {problem}. Nothing was changed") from problem
        self._plan.edits.append(Edit(path, offset, data, end - offset, "a value was damaged"))

    def _indexed(self, link: str, file: int) -> dict[int, tuple[Envelope, Place]]:
        named = self._named.get((link, file), {})
        try:
            return {**(self._index.in_segment(link, file) if self._index is not None else {}), **named}
        except IndexUnreadable:
            return named

    def _envelope_files(self) -> None:
        directory = self._directory / layout_of.ENVELOPES
        for link in self._files.list(directory):
            for name in self._files.list(directory / link):
                generation = envelope_file.file_generation(name)
                if generation is None:
                    continue
                path = directory / link / name
                try:
                    for _ in envelope_file.read(self._files, path):
                        pass
                except StateDamaged:
                    self._envelope_file(path, link, generation)

    def _commits(self) -> None:
        """Files that are damaged go; one that does not lead on from what is before it now says so."""
        faults = {fault.path: fault for fault in check_commits(self._files, self._directory)}
        cut = False
        for path in commit_files(self._files, self._directory):
            fault = faults.get(path)
            if fault is not None and fault.leads_on:
                self._plan.aside.append(path)
                self._plan.notes.append(f"{path}: what was committed in it is lost for audits; values and cursors are not touched")
                cut = True
            elif cut or fault is not None:
                self._plan.rewritten[path] = commit_log.written_again(commit_log.content(self._files, path), DAMAGED)
                self._plan.aside.append(path)
                cut = False

    def _envelope_file(self, path: Path, link: str, generation: int) -> None:
        self._plan.aside.append(path)
        try:
            envelopes = tuple(self._index.dropped_of(link, generation)) if self._index is not None else ()
        except IndexUnreadable:
            envelopes = ()
        if envelopes:
            self._plan.envelopes[path] = envelopes
        else:
            self._plan.notes.append(
                f"{path}: where the values of generation {generation} of {link} came from is lost; they themselves were dropped"
            )

    # -- telling --------------------------------------------------------------------------------------------------------------------------

    def _is_live(self, envelope: Envelope) -> bool:
        return self._holdings.is_live(envelope.link, envelope.generation, envelope.position.sequence)

    def _lose(self, envelope: Envelope) -> None:
        position = envelope.position
        self._plan.lost.append(Loss(envelope.link, position.incarnation, position.sequence, position.sequence))

    def _edit(self, path: Path, offset: int, data: bytes, *, why: str) -> None:
        self._plan.edits.append(Edit(path, offset, data, len(data), why))


def _read(files: Files, path: Path, offset: int, end: int) -> bytes:
    file = files.open(path)
    try:
        return file.pread(end - offset, offset)
    finally:
        file.close()


def _goes_on(files: Files, path: Path, end: int) -> bool:
    """Whether anything but zeros begins there."""
    file = files.open(path)
    try:
        return any(file.pread(64, end))
    finally:
        file.close()
