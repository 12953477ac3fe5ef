"""Copying small payloads out of the journal, so that its oldest file can go, and what is left of a segment file, so that it can. Blocking.

Where and how: `segment_format`. What was left of a segment file goes to files of its own, so that values of a file are in order.

Nothing of it counts, and no Arrow reader sees it, until a checkpoint names the new ends of the files; only then `publish` opens their gates.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from linkd.errors import StateDamaged, StorageFull
from linkd.limits import COPY_WRITE_BYTES, STORE_READ_BYTES
from linkd.model.kept import SegmentFileHeld
from linkd.model.records import ValueStored
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store import journal_format
from linkd.store.files import File, Files
from linkd.store.holdings import Holdings
from linkd.store.journal_format import FileHeader, Frame
from linkd.store.segment_format import SegmentHead, directory_name, file_name, place_value, stamped_metadata
from linkd.store.segments import create_segment
from linkd.store.store_limits import StoreLimits
from linkd.wire import arrow_ipc
from linkd.wire.frames import decode_frame

_MOVE = 5
"""Numbers that say where one value lies now: its sequence, offset, size, metadata bytes, body bytes. (40 bytes; a journal file has many.)"""
_MOVES_AT_ONCE = 256


@dataclass(slots=True)
class _Target:
    """A file that is being written. `start` is where the bytes that are held in `buffer` belong."""

    path: Path
    held: SegmentFileHeld
    schema: bytes | None
    start: int
    buffer: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Copied:
    """What was copied, of the journal up to frame `lsn`: the segment files as they are now, and by (link, incarnation, file) the `_MOVE`s."""

    lsn: int = 0
    files: list[tuple[str, SegmentFileHeld]] = field(default_factory=list)
    moves: dict[tuple[str, int, int], array[int]] = field(default_factory=dict)

    def places(self) -> Iterator[tuple[str, int, Mapping[int, Place]]]:
        """Link, incarnation, and the new places of some values by sequence."""
        for (link, incarnation, number), moves in self.moves.items():
            for start in range(0, len(moves), _MOVE * _MOVES_AT_ONCE):
                some = moves[start : start + _MOVE * _MOVES_AT_ONCE]
                yield (
                    link,
                    incarnation,
                    {some[at]: Place(PlaceKind.SEGMENT, number, *some[at + 1 : at + _MOVE]) for at in range(0, len(some), _MOVE)},
                )


class Copier:
    """Copies what is live in some of the journal, or in a segment file. One use for each."""

    def __init__(
        self,
        files: Files,
        journal_directory: Path,
        directory: Path,
        holdings: Holdings,
        schemas: Callable[[], Mapping[bytes, bytes]],
        limits: StoreLimits,
    ) -> None:
        self._files = files
        self._journal_directory = journal_directory
        self._directory = directory
        self._holdings = holdings
        self._schemas = schemas
        self._limits = limits
        self._targets: dict[str, _Target] = {}
        self._open: OrderedDict[Path, File] = OrderedDict()
        self._buffered_bytes = self._copied_bytes = 0
        self._source: File | None = None
        self._source_number = 0
        self._made: list[Path] = []
        self._rest = False

    def copy(self, frames: Iterable[tuple[FileHeader, Frame]], go_on: Callable[[], bool], most_bytes: float = math.inf) -> Copied:
        """Copies what these frames of the journal have, and syncs: so many bytes and the rest of a frame, or until it is told to stop.

        Raises `StateDamaged` where the journal is damaged, `StorageFailed`.
        """
        copied = Copied()
        try:
            for header, frame in frames:
                if self._copied_bytes >= most_bytes or not go_on():
                    break
                self._copied_bytes += len(frame.records)
                for record in decode_frame(frame.records, header.number, frame.payload_offset):
                    if isinstance(record, ValueStored) and record.place.kind is PlaceKind.JOURNAL:
                        self._copy_value(record, self._source_of(header), copied)
                copied.lsn = frame.lsn
            self._finish_all(copied)
        except (StorageFull, StateDamaged):
            self._undo()
            raise
        finally:
            self._close()
        return copied

    def copy_rest(self, link: str, number: int, values: Iterable[tuple[Envelope, Place]], go_on: Callable[[], bool]) -> Copied | None:
        """Copies these values out of a segment file, and syncs; as `copy` does."""
        self._rest = True
        copied = Copied()
        source = self._source = self._files.open(self._path(link, number))
        try:
            for envelope, place in values:
                if not go_on():
                    return None
                at = place.offset + arrow_ipc.PREFIX_BYTES
                body = _pieces(source, at + place.metadata_bytes, place.body_bytes)
                self._copy(envelope, source.pread(place.metadata_bytes, at), body, place.body_bytes, copied)
            self._finish_all(copied)
        except StorageFull:
            self._undo()
            raise
        finally:
            self._close()
        return copied

    def _finish_all(self, copied: Copied) -> None:
        for link in list(self._targets):
            self._finish(link, copied)
        self._write_buffers()
        for file in self._open.values():
            file.datasync()

    def _undo(self) -> None:
        """There was no room: give back what was taken. (In files that were there, what was written lies behind their ends.)"""
        for path in self._made:
            self._files.unlink(path)

    def _close(self) -> None:
        for file in self._open.values():
            file.close()
        if self._source is not None:
            self._source.close()

    def _source_of(self, header: FileHeader) -> File:
        """The journal file that is being read."""
        if self._source is None or header.number != self._source_number:
            if self._source is not None:
                self._source.close()
            self._source = self._files.open(self._journal_directory / journal_format.file_name(header.number))
            self._source_number = header.number
        return self._source

    def publish(self, copied: Copied) -> None:
        """The files' new ends are in a checkpoint that counts: let readers see the copies. What was dropped before that is not there any more."""
        for link, held in copied.files:
            if self._holdings.file(link, held.file) is None:
                continue
            path = self._path(link, held.file)
            file = self._files.open(path, writable=True)
            try:
                file.pwrite(arrow_ipc.prefix(held.gate_metadata_bytes), held.gate_offset)
                file.datasync()
            finally:
                file.close()
            self._holdings.published(link, held.file)

    def _copy_value(self, record: ValueStored, source: File, copied: Copied) -> None:
        envelope, place = record.envelope, record.place
        if not self._holdings.is_live(envelope.link, envelope.generation, envelope.position.sequence):
            return
        self._copied_bytes += place.size_bytes
        payload = source.pread(place.size_bytes, place.offset)
        body_at = arrow_ipc.PREFIX_BYTES + arrow_ipc.metadata_length(payload[: arrow_ipc.PREFIX_BYTES])
        body = memoryview(payload)[body_at:]
        self._copy(envelope, stamped_metadata(envelope, payload[arrow_ipc.PREFIX_BYTES : body_at]), [body], len(body), copied)

    def _copy(self, envelope: Envelope, stamped: bytes, body: Iterable[bytes | memoryview], body_bytes: int, copied: Copied) -> None:
        target = self._targets.get(envelope.link)
        known = None if self._rest else self._holdings.head(envelope.link, copies=True)
        head = _head(target.held) if target is not None else known
        schemas, most = self._schemas(), self._limits.segment_file_max_bytes
        chosen = place_value(head, envelope, len(stamped), body_bytes, schemas, most, lambda: self._holdings.new_file(envelope.link))
        if target is None or target.held.file != chosen.head.file:
            self._finish(envelope.link, copied)
            target = self._begin(envelope, chosen.head, chosen.place, chosen.schema)
        gated = chosen.place.offset == target.held.gate_offset
        self._add(target, arrow_ipc.EOS if gated else arrow_ipc.prefix(len(stamped)), stamped)
        for piece in body:
            self._add(target, piece)
            if len(target.buffer) >= COPY_WRITE_BYTES:
                self._write(target)
        target.held = replace(target.held, end=chosen.head.end, last_sequence=envelope.position.sequence)
        moved = chosen.place
        copied.moves.setdefault((envelope.link, envelope.position.incarnation, moved.file), array("Q")).extend(
            (envelope.position.sequence, moved.offset, moved.size_bytes, moved.metadata_bytes, moved.body_bytes)
        )
        if self._buffered_bytes >= COPY_WRITE_BYTES:
            self._write_buffers()

    def _begin(self, envelope: Envelope, head: SegmentHead, place: Place, schema: bytes | None) -> _Target:
        link, sequence = envelope.link, envelope.position.sequence
        known = self._holdings.file(link, head.file)
        held = SegmentFileHeld(
            head.file,
            head.generation,
            head.schema_id,
            place.offset,
            True,
            place.offset,
            place.metadata_bytes,
            sequence if known is None else known.first_sequence,
            sequence,
            self._rest,
        )
        target = self._targets[link] = _Target(self._path(link, head.file), held, schema, place.offset)
        return target

    def _finish(self, link: str, copied: Copied) -> None:
        """Nothing more comes to the file that the link's copies go to now: its end mark."""
        target = self._targets.pop(link, None)
        if target is not None:
            self._add(target, arrow_ipc.EOS)
            self._write(target)
            copied.files.append((link, target.held))

    def _add(self, target: _Target, *parts: bytes | memoryview) -> None:
        for part in parts:
            target.buffer += part
            self._buffered_bytes += len(part)

    def _write_buffers(self) -> None:
        for target in self._targets.values():
            self._write(target)

    def _write(self, target: _Target) -> None:
        if target.buffer:
            self._file(target).pwrite(target.buffer, target.start)
            target.start += len(target.buffer)
            self._buffered_bytes -= len(target.buffer)
            target.buffer = bytearray()

    def _file(self, target: _Target) -> File:
        """The target's file, open; one that is closed for it is synced first."""
        file = self._open.pop(target.path, None)
        if file is None:
            if target.schema is None:
                file = self._files.open(target.path, writable=True)
            else:
                file = create_segment(self._files, target.path, target.schema)
                self._made.append(target.path)
                target.schema = None
        self._open[target.path] = file
        while len(self._open) > self._limits.open_files_max:
            _, least = self._open.popitem(last=False)
            least.datasync()
            least.close()
        return file

    def _path(self, link: str, number: int) -> Path:
        return self._directory / directory_name(link) / file_name(number)


def _head(held: SegmentFileHeld) -> SegmentHead:
    return SegmentHead(held.file, held.end, held.schema_id, held.generation)


def _pieces(file: File, offset: int, size_bytes: int) -> Iterator[bytes]:
    """So many bytes of a file, some at a time."""
    for start in range(0, size_bytes, STORE_READ_BYTES):
        yield file.pread(min(STORE_READ_BYTES, size_bytes - start), offset + start)
