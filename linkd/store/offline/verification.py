"""`verify`: reads all of a store's directory and says what of it is not as it was written. Changes nothing.

In this order, each held against what came before it:

    checkpoint   every piece by its checksum; with the journal behind it, it says which segment files there are and where they end
    journal      every frame, and that none is missing between
    segments     every message: its payload against the envelope's xxh3, its envelope against checksum and index, prefixes and end marks
    envelopes    of generations that were dropped
    artifacts    every one by its digest, where their index says that it is
    quarantine   is named
    _commits     every file by its checksum, every row by the chain, and that each file leads on to the next
    index        every row by its checksum, by what the files say, and by SQLite's own check

While a home runs, only what it is done with is read: journal files but the last, segments up to where the newest checkpoint has them, each row
by itself. Memory: a group of the journal, a piece of a message, a few hundred bytes for each segment file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from linkd.errors import StateDamaged
from linkd.limits import VERIFY_TRIES_BESIDE_A_HOME
from linkd.model.kept import SegmentFileHeld
from linkd.model.records import Dropped, SchemaKept, ValueStored
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store import checkpoint_file, envelope_file
from linkd.store import directory as layout_of
from linkd.store.artifacts.naming import FOLDER
from linkd.store.damage import QUARANTINE
from linkd.store.files import Files
from linkd.store.holdings import Holdings
from linkd.store.offline.artifact_check import check_artifacts
from linkd.store.offline.catalog_scan import IndexedValue
from linkd.store.offline.commits_check import check_commits, commit_files
from linkd.store.offline.findings import Finding, Verification, ranges
from linkd.store.offline.index_check import IndexCheck
from linkd.store.offline.journal_scan import Hole, JournalScan
from linkd.store.offline.segment_scan import Message, SegmentScan
from linkd.store.segment_format import directory_name, file_name, file_number
from linkd.wire.frames import decode_envelope, decode_frame

Progress = Callable[[str, int], None]
"""Told the file that is being read, and bytes of it that were."""


def verify(files: Files, directory: Path, *, running: bool = False, progress: Progress = lambda name, size_bytes: None) -> Verification:
    """Read it all. `running`: a home has the directory open. Raises `StateForeign` for what is no store, or another version's."""
    store_id = layout_of.read_format(files, directory).id
    for _ in range(VERIFY_TRIES_BESIDE_A_HOME if running else 0):
        try:
            return _Verifier(files, directory, store_id, running, progress).run()
        except StateDamaged:  # the home has deleted a file that it is through with
            continue
    return _Verifier(files, directory, store_id, running, progress).run()


class _Verifier:
    def __init__(self, files: Files, directory: Path, store_id: str, running: bool, progress: Progress) -> None:
        self._files = files
        self._directory = directory
        self._segments = directory / layout_of.SEGMENTS
        self._store_id = store_id
        self._progress = progress
        self._found = Verification(directory, running)
        self._is_settled = True
        self._index = IndexCheck(directory / layout_of.CATALOG_FILE, store_id, self._found)

    def run(self) -> Verification:
        """All of it, once."""
        checkpoint = self._checkpoint()
        self._lsn = checkpoint.lsn
        self._holdings = Holdings(checkpoint.held)
        try:
            self._index.open(self._lsn, self._holdings.copied_file)
            if self._found.running:
                self._holes(self._journal(self._holdings.copied_file))
            else:
                scan = self._journal(self._holdings.copied_file)
                self._is_settled = scan.sealed
                self._holes(scan)
                self._check_reach(scan)
                self._journal_rows()
            for link, held in self._holdings.files():
                self._segment(link, held)
            if not self._found.running:
                self._unknown_segments()
            self._envelope_files()
            self._commits()
            self._artifacts()
            self._quarantine()
            self._index.check_rows(self._is_live)
        finally:
            self._index.close()
        return self._found

    # -- checkpoint and journal -----------------------------------------------------------------------------------------------------------

    def _checkpoint(self) -> checkpoint_file.Checkpoint:
        directory = self._directory / layout_of.CHECKPOINTS
        recovery = checkpoint_file.recover(self._files, directory)
        for path in recovery.damaged:
            if path.name in self._files.list(directory):  # a home may have replaced it meanwhile
                whole = recovery.checkpoint.lsn
                there = f"there is one of frame {whole}" if whole else "there is no other one"
                instead = f"the state is read from the journal instead, where it reaches: {there}"
                if path in recovery.lacking:
                    instead = "nothing is lost: it was written twice, and the other file is whole. A start writes this one again"
                self._damage(path, "the checkpoint is not what was written", instead, 0)
        lsn = recovery.checkpoint.lsn
        for name in (checkpoint_file.file_name(lsn), checkpoint_file.copy_name(lsn)) if lsn else ():
            if directory / name not in recovery.lacking:
                self._read(directory / name)
        return recovery.checkpoint

    def _journal(self, copied_file: int) -> JournalScan:
        scan = self._scan()
        for header, frame in scan.frames():
            self._found.frames += 1
            if frame.lsn <= self._lsn:
                continue
            for record in decode_frame(frame.records, header.number, frame.payload_offset):
                if isinstance(record, ValueStored):
                    if not self._found.running:
                        self._holdings.stored(record.envelope, record.place, shared=record.shared, volatile=record.volatile)
                    self._index.saw(frame.lsn, record.envelope)
                elif isinstance(record, Dropped):
                    self._holdings.dropped(record)
                elif isinstance(record, SchemaKept):
                    continue
        self._found.findings += scan.findings
        for header in scan.headers:
            self._read(self._directory / layout_of.JOURNAL / f"{header.number:016d}.journal")
        return scan

    def _scan(self) -> JournalScan:
        journal = self._directory / layout_of.JOURNAL
        return JournalScan(
            self._files, journal, sealed_only=self._found.running, count=lambda size_bytes: self._progress("journal", size_bytes)
        )

    def _check_reach(self, scan: JournalScan) -> None:
        """The journal leads on from the checkpoint."""
        first = scan.headers[0].first_lsn if scan.headers else 1
        if first > self._lsn + 1:
            path = self._directory / layout_of.JOURNAL
            said = f"it begins with frame {first}, and no checkpoint covers the {first - self._lsn - 1} before"
            self._damage(path, said, "cursors, generations and what else they said is lost: restore a backup, or `linkd cat --salvage`")
        for number in range(self._holdings.copied_file + 1, scan.headers[0].number if scan.headers else 0):
            missing = self._directory / layout_of.JOURNAL / f"{number:016d}.journal"
            self._damage(missing, "the file is missing", "the values that were in it and nowhere else are lost")
        if first <= self._lsn + 1 and scan.next_lsn <= self._lsn:
            path = self._directory / layout_of.JOURNAL
            self._damage(path, f"it ends before frame {self._lsn}, which a checkpoint covers", "files of it are missing, or were cut")

    def _holes(self, scan: JournalScan) -> None:
        """What the frames that cannot be read mean for the data."""
        for hole in _joined(scan.holes):
            which = f"frame {hole.first_lsn}" if hole.first_lsn == hole.last_lsn else f"frames {hole.first_lsn} to {hole.last_lsn}"
            what = f"{which} cannot be read: not what was written"
            if hole.header.number <= self._holdings.copied_file or hole.last_lsn <= min(self._holdings.copied_lsn, self._lsn):
                self._damage(hole.path, what, "nothing is lost: the checkpoint and segments have it", hole.offset)
                continue
            lost = [value for value in self._lost_values(hole) if self._is_live(value.envelope)]
            covered = hole.last_lsn <= self._lsn
            rest = "" if covered else "; with them what else these commits did: cursors, positions of sources, generations"
            if not lost:
                said = "nothing is lost: a checkpoint covers them" if covered else f"these commits are lost{rest}"
                self._damage(hole.path, what, said, hole.offset)
            for link, first, last in _extents(lost):
                meaning = f"{_values(link, first, last)} lost{rest}"
                self._damage(hole.path, what, meaning, hole.offset, link, first, last)

    def _lost_values(self, hole: Hole) -> list[IndexedValue]:
        values = self._index.in_frames(hole.first_lsn, hole.last_lsn)
        return [value for value in values if value.place.kind is PlaceKind.JOURNAL or value.lsn > self._lsn]

    def _journal_rows(self) -> None:
        """What the journal holds of payloads must be in the index as it is."""
        for header, frame in self._scan().frames():
            if header.number <= self._holdings.copied_file or frame.lsn <= self._holdings.copied_lsn:
                continue
            for record in decode_frame(frame.records, header.number, frame.payload_offset):
                if isinstance(record, ValueStored) and record.place.kind is PlaceKind.JOURNAL and self._is_live(record.envelope):
                    self._found.values += 1
                    self._index.compare(record.envelope, record.place, frame.lsn)

    def _is_live(self, envelope: Envelope) -> bool:
        return self._holdings.is_live(envelope.link, envelope.generation, envelope.position.sequence)

    # -- segments -------------------------------------------------------------------------------------------------------------------------

    def _segment(self, link: str, held: SegmentFileHeld) -> None:
        path = self._segments / directory_name(link) / file_name(held.file)
        if held.volatile and not self._is_settled:  # the next start knows whether the power failed, and what that took
            for envelope, place in self._index.in_segment(link, held.file).values():
                self._index.compare(envelope, place, 0)
            return
        if path.name not in self._files.list(path.parent):
            if not self._found.running:
                self._damage(path, "the file is missing", f"values of {link} are lost with it", link=link)
            return
        self._read(path)
        before = len(self._found.findings)
        file = self._files.open(path)
        try:
            scan = SegmentScan(
                file, path, held, lambda: self._index.in_segment(link, held.file), lambda size_bytes: self._progress(path.name, size_bytes)
            )
            if (surplus := scan.surplus_bytes()) < 0:
                self._damage(path, f"the file is {-surplus} bytes too short", f"values of {link} at its end are lost", link=link)
            begun = False
            for message in scan.messages():
                if not begun and not scan.schema:
                    self._damage(path, "the schema is damaged", "Arrow programs cannot read the file; linkd can, and can mend it", 0, link)
                begun = True
                self._message(link, path, held, message)
            if self._found.running:
                if held.shared and path.name not in self._files.list(path.parent):  # it was used again meanwhile
                    del self._found.findings[before:]
                return
            if surplus >= 0 and not scan.ends_right():
                self._damage(path, "the end mark is damaged", "nothing is lost; the next start mends it", held.end, link)
            if surplus > 0 and not held.shared:
                said = f"{surplus} bytes behind the end mark were not committed"
                self._harmless(path, said, "the next start cuts them off", held.end + 8)
        finally:
            file.close()

    def _message(self, link: str, path: Path, held: SegmentFileHeld, message: Message) -> None:
        envelope = message.envelope
        if message.is_filler:
            return
        if envelope is None:
            what = message.prefix or message.stamp or "bytes that are no message"
            self._damage(path, what, f"values of {link} may be lost", message.offset, link)
            return
        name, sequence = envelope.name, envelope.position.sequence
        self._found.values += 1
        if not self._is_live(envelope):
            return
        if not message.is_whole:
            self._damage(
                path, f"the payload of {name} is not what was published", f"{name} is lost", message.offset, link, sequence, sequence
            )
            return
        if message.stamp:
            said = "nothing is lost: its rows are whole"
            self._damage(path, f"what says of {name} where it comes from is damaged: {message.stamp}", said, message.offset, link)
        elif envelope.generation != held.generation or envelope.link != link or envelope.schema_id != held.schema_id:
            self._damage(path, f"{name} is in a file where it does not belong", "the index is right where it says so", message.offset, link)
        if message.prefix and not (message.is_gated and not self._found.running and self._may_lack_prefix(held, message.offset, envelope)):
            self._damage(
                path,
                f"the length before {name} is damaged",
                "nothing is lost: linkd does not read it, and can mend it",
                message.offset,
                link,
            )
        if message.place is not None and not self._found.running:
            self._index.compare(envelope, message.place, 0)

    def _may_lack_prefix(self, held: SegmentFileHeld, offset: int, envelope: Envelope) -> bool:
        position = envelope.position
        return offset == held.gate_offset or (envelope.link, position.incarnation, position.sequence) in self._behind_checkpoint()

    def _behind_checkpoint(self) -> set[tuple[str, int, int]]:
        """The values in segments that the journal has behind the checkpoint: asked only where a message has no prefix."""
        found = set()
        for header, frame in self._scan().frames():
            if frame.lsn > self._lsn:
                for record in decode_frame(frame.records, header.number, frame.payload_offset):
                    if isinstance(record, ValueStored) and record.place.kind is PlaceKind.SEGMENT:
                        found.add((record.envelope.link, record.envelope.position.incarnation, record.envelope.position.sequence))
        return found

    def _unknown_segments(self) -> None:
        known = {(link, file.file) for link, file in [*self._holdings.files(), *self._holdings.leaving()]}
        for link in self._files.list(self._segments):
            for name in self._files.list(self._segments / link):
                number = file_number(name)
                if number is not None and (link, number) not in known:
                    self._harmless(self._segments / link / name, "nothing durable names this file", "the next start deletes it")

    def _envelope_files(self) -> None:
        directory = self._directory / layout_of.ENVELOPES
        for link in self._files.list(directory):
            for name in self._files.list(directory / link):
                if envelope_file.file_generation(name) is not None:
                    self._envelope_file(directory / link / name, link)

    def _envelope_file(self, path: Path, link: str) -> None:
        self._read(path)
        try:
            for data in envelope_file.read(self._files, path):
                self._progress(path.name, len(data))
                envelope = decode_envelope(data)
                if not self._found.running:
                    self._index.compare(envelope, Place(PlaceKind.DROPPED, 0, 0, envelope.size_bytes), 0)
        except StateDamaged:
            if path.name in self._files.list(path.parent):
                meaning = "it says only where values come from that are gone; while the index is whole, that has it too"
                self._damage(path, "it is not what was written", meaning, link=link)

    def _commits(self) -> None:
        for path in commit_files(self._files, self._directory):
            self._read(path)
        self._found.findings += [fault.finding for fault in check_commits(self._files, self._directory)]

    def _artifacts(self) -> None:
        faults = check_artifacts(
            self._files, self._directory, running=self._found.running, read=self._read, progress=partial(self._progress, FOLDER)
        )
        self._found.findings += [fault.finding for fault in faults]

    def _quarantine(self) -> None:
        """What was set aside, for whoever has forgotten it."""
        directory = self._directory / QUARANTINE
        for name in self._files.list(directory):
            aside = directory / name
            size_bytes = sum(path.stat().st_size for path in (aside, *aside.rglob("*")) if path.is_file())
            said = f"{size_bytes} bytes are here that were damaged, or in the way of a repair"
            self._harmless(directory / name, said, "linkd reads nothing of it: delete it when nobody needs it")

    # -- telling --------------------------------------------------------------------------------------------------------------------------

    def _read(self, path: Path) -> None:
        self._found.files += 1
        if path.name in self._files.list(path.parent):
            self._found.size_bytes += self._files.size(path)

    def _damage(
        self, path: Path, what: str, meaning: str, offset: int | None = None, link: str = "", first: int = 0, last: int = 0
    ) -> None:
        self._found.findings.append(Finding(path, what, meaning, offset, link, first, last))

    def _harmless(self, path: Path, what: str, meaning: str, offset: int | None = None) -> None:
        self._found.findings.append(Finding(path, what, meaning, offset, harmless=True))


def _joined(holes: list[Hole]) -> Iterator[Hole]:
    """Holes of one place in the journal, as one."""
    last: Hole | None = None
    for hole in holes:
        if last is not None and (hole.path, hole.offset, hole.first_lsn) == (last.path, last.offset, last.last_lsn + 1):
            last = Hole(last.path, last.header, last.offset, hole.end, last.first_lsn, hole.last_lsn)
            continue
        if last is not None:
            yield last
        last = hole
    if last is not None:
        yield last


def _extents(values: list[IndexedValue]) -> Iterator[tuple[str, int, int]]:
    """Link, first and last sequence of values that follow one another."""
    by_link: dict[str, list[int]] = {}
    for value in values:
        by_link.setdefault(value.envelope.link, []).append(value.envelope.position.sequence)
    for link, sequences in by_link.items():
        for first, last in ranges(sorted(sequences)):
            yield link, first, last


def _values(link: str, first: int, last: int) -> str:
    return f"{link}@{first} is" if first == last else f"{link}@{first}..{last} are"
