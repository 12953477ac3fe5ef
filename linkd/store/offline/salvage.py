"""Getting out of a directory every value of a link that is whole, whatever else is damaged. Changes nothing, and needs neither index nor checkpoint.

What is found is noted in a database without a name, which SQLite keeps on disk and deletes: a few hundred bytes a value, in memory nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import xxhash

from linkd.errors import InvalidArgument, LinkNotFound
from linkd.model.frozen import frozen
from linkd.model.kept import GenerationKept, SchemaMessage, SegmentFileHeld
from linkd.model.records import Dropped, GenerationEnd, GenerationEnded, SchemaKept, ValueStored
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store import checkpoint_file, journal_format, segment_format
from linkd.store import directory as layout_of
from linkd.store.files import Files
from linkd.store.holdings import Holdings
from linkd.store.offline.findings import ranges
from linkd.store.offline.journal_scan import JournalScan
from linkd.store.offline.segment_scan import SegmentScan
from linkd.wire import arrow_ipc
from linkd.wire.frames import decode_frame

_NOTED = """
CREATE TABLE noted (generation, incarnation, sequence, rows, schema_id, kind, file, offset, size_bytes, metadata_bytes, body_bytes,
                    PRIMARY KEY (generation, incarnation, sequence)) WITHOUT ROWID
"""
_AHEAD_BYTES = 8


@frozen()
class Salvaged:
    """A value that is whole: its position, its schema (an encapsulated message), and its payload."""

    sequence: int
    schema: bytes
    payload: bytes


class Salvage:
    """What is whole of one link. `look` first; then `generation` is the one that was asked for, or the newest that was sealed, or the newest."""

    def __init__(self, files: Files, directory: Path, link: str) -> None:
        self._files = files
        self._journal = directory / layout_of.JOURNAL
        self._checkpoints = directory / layout_of.CHECKPOINTS
        self._segments = directory / layout_of.SEGMENTS / segment_format.directory_name(link)
        self._link = link
        self._schemas: dict[bytes, bytes] = {}
        self._sealed: set[int] = set()
        self._dropped: list[tuple[int, int]] = []
        self._database = sqlite3.connect("")
        self._database.execute(_NOTED)
        self.generation = 0

    def close(self) -> None:
        self._database.close()

    def look(self, generation: int | None = None) -> None:
        """Read everything there is. Raises `LinkNotFound` if nothing of the link is whole, `StateForeign`."""
        holdings = self._checkpoint()
        self._follow(holdings)
        held = {file.file: file for link, file in holdings.files() if link == self._link}
        for name in self._files.list(self._segments):
            number = segment_format.file_number(name)
            if number is not None:
                self._look_at_segment(self._segments / name, number, held.get(number))
        for header, frame in JournalScan(self._files, self._journal).frames():
            for record in decode_frame(frame.records, header.number, frame.payload_offset):
                if isinstance(record, ValueStored):
                    if record.envelope.link == self._link and record.place.kind is PlaceKind.JOURNAL:
                        self._note(record.envelope, record.place)
                elif isinstance(record, SchemaKept):
                    self._schemas[record.schema_id] = record.schema
                elif isinstance(record, GenerationEnded) and record.link == self._link and record.end is GenerationEnd.SEALED:
                    self._sealed.add(record.generation)
                elif isinstance(record, Dropped) and record.link == self._link:
                    self._dropped.append((record.first_sequence, record.last_sequence))
        there = [number for (number,) in self._database.execute("SELECT DISTINCT generation FROM noted ORDER BY generation")]
        if not there or (generation is not None and generation not in there):
            of_it = f"generation {generation} of {self._link}" if generation is not None else self._link
            raise LinkNotFound(f"no value of {of_it} was found whole in {self._journal.parent} (generations: {there or 'none'})")
        sealed = [number for number in there if number in self._sealed]
        self.generation = generation or (sealed[-1] if sealed else there[-1])

    def rows(self) -> int:
        """Of the values that are whole."""
        found = self._database.execute("SELECT sum(rows) FROM noted WHERE generation = ?", (self.generation,)).fetchone()
        return int(found[0] or 0)

    def schemas(self) -> list[bytes]:
        """Those of the values, the oldest first."""
        found = self._database.execute(
            "SELECT schema_id FROM noted WHERE generation = ? GROUP BY schema_id ORDER BY min(sequence)", (self.generation,)
        ).fetchall()
        return [self._schemas[schema_id] for (schema_id,) in found if schema_id in self._schemas]

    def missing(self) -> list[tuple[int, int]]:
        """Sequences between the first and the last that is whole that are not, and were not dropped either, as ranges."""
        gaps: list[tuple[int, int]] = []
        before: int | None = None
        for (sequence,) in self._database.execute("SELECT sequence FROM noted WHERE generation = ? ORDER BY sequence", (self.generation,)):
            if before is not None and sequence > before + 1:
                gaps += ranges(n for n in range(before + 1, sequence) if not any(first <= n <= last for first, last in self._dropped))
            before = sequence
        return gaps

    def values(self, first: int = 1, last: int | None = None) -> Iterator[Salvaged]:
        """The values that are whole, in order."""
        order = "WHERE generation = ? AND sequence BETWEEN ? AND ? ORDER BY incarnation, sequence"
        rows = self._database.execute(f"SELECT * FROM noted {order}", (self.generation, first, last if last is not None else 2**62))
        for _, _, sequence, _, schema_id, kind, *numbers in rows:
            place = Place(PlaceKind(kind), *numbers)
            payload = self._payload(place)
            if schema_id in self._schemas:
                yield Salvaged(sequence, self._schemas[schema_id], payload)

    def _checkpoint(self) -> Holdings:
        found = checkpoint_file.recover(self._files, self._checkpoints).checkpoint
        for one in found.kept:
            if isinstance(one, SchemaMessage):
                self._schemas[one.schema_id] = one.schema
            elif isinstance(one, GenerationKept) and one.link == self._link and one.was_sealed:
                self._sealed.add(one.generation)
        return Holdings(found.held)

    def _follow(self, holdings: Holdings) -> None:
        """Where shared files end now: behind that may lie what was there before they were used again."""
        for header, frame in JournalScan(self._files, self._journal).frames():
            for record in decode_frame(frame.records, header.number, frame.payload_offset):
                if isinstance(record, ValueStored) and record.shared and record.envelope.link == self._link:
                    holdings.stored(record.envelope, record.place, shared=True, volatile=record.volatile)

    def _look_at_segment(self, path: Path, number: int, held: SegmentFileHeld | None) -> None:
        file = self._files.open(path)
        try:
            end = held.end if held is not None and held.shared else max(file.size() - len(arrow_ipc.EOS), 0)
            schema_id = held.schema_id if held is not None else self._schema_id(file.pread(_AHEAD_BYTES, 0), path)
            extent = SegmentFileHeld(number, held.generation if held is not None else 0, schema_id, end)
            scan = SegmentScan(file, path, extent, dict, lambda size_bytes: None)
            for message in scan.messages():
                if message.is_whole and message.envelope is not None and message.place is not None and message.envelope.link == self._link:
                    self._note(message.envelope, message.place)
            if scan.schema:
                self._schemas[schema_id] = scan.schema
        finally:
            file.close()

    def _schema_id(self, head: bytes, path: Path) -> bytes:
        """As the file itself has it."""
        try:
            length = arrow_ipc.metadata_length(head)
        except InvalidArgument:
            return b""
        file = self._files.open(path)
        try:
            return arrow_ipc.schema_id(file.pread(arrow_ipc.PREFIX_BYTES + length, 0))
        finally:
            file.close()

    def _note(self, envelope: Envelope, place: Place) -> None:
        if place.kind is PlaceKind.JOURNAL and xxhash.xxh3_64_intdigest(self._payload(place)) != envelope.payload_xxh3:
            return
        position = envelope.position
        numbers = place.file, place.offset, place.size_bytes, place.metadata_bytes, place.body_bytes
        row = envelope.generation, position.incarnation, position.sequence, envelope.rows, envelope.schema_id, int(place.kind), *numbers
        self._database.execute("INSERT OR IGNORE INTO noted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _payload(self, place: Place) -> bytes:
        """The message as it was published."""
        in_journal = place.kind is PlaceKind.JOURNAL
        path = self._journal / journal_format.file_name(place.file) if in_journal else self._segments / segment_format.file_name(place.file)
        file = self._files.open(path)
        try:
            if in_journal:
                return file.pread(place.size_bytes, place.offset)
            stamped = file.pread(place.metadata_bytes, place.offset + arrow_ipc.PREFIX_BYTES)
            metadata = arrow_ipc.unstamp(stamped, place.size_bytes - place.body_bytes - arrow_ipc.PREFIX_BYTES)
            body = file.pread(place.body_bytes, place.offset + arrow_ipc.PREFIX_BYTES + place.metadata_bytes)
            return arrow_ipc.prefix(len(metadata)) + metadata + body
        finally:
            file.close()
