"""Reading a segment file from end to end, past what is damaged in it. Format: `store.segment_format`. Blocking, with a piece in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import xxhash

from linkd.errors import InvalidArgument
from linkd.limits import MESSAGE_METADATA_MAX_BYTES, STORE_READ_BYTES
from linkd.model.frozen import frozen
from linkd.model.kept import SegmentFileHeld
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.files import File
from linkd.store.segment_format import filler_body_bytes, stamped_envelope
from linkd.wire import arrow_ipc

Known = Callable[[], Mapping[int, tuple[Envelope, Place]]]
"""The values that the index knows in a file, by offset. Asked only where the file itself does not say."""


@frozen()
class Message:
    """What lies at [offset, end) of a segment file.

    `envelope` and `place` are those of its value, as far as it or the index says. `is_whole`: the payload is what was published.
    `stamp` and `prefix` say in words what is wrong with what linkd put before it, "" if nothing is; `is_gated` that there is an end mark in the
    place of its prefix, `is_filler` that a repair put it there.
    """

    offset: int
    end: int
    envelope: Envelope | None = None
    place: Place | None = None
    is_whole: bool = False
    stamp: str = ""
    prefix: str = ""
    is_gated: bool = False
    is_filler: bool = False


class SegmentScan:
    """One pass over a segment file that is held. `count` is told the bytes read."""

    def __init__(self, file: File, path: Path, held: SegmentFileHeld, known: Known, count: Callable[[int], None]) -> None:
        self._file = file
        self._path = path
        self._held = held
        self._known_places = known
        self._count = count
        self._known: Mapping[int, tuple[Envelope, Place]] | None = None
        self.schema = b""
        """The schema message, once it was read and is whole."""

    def messages(self) -> Iterator[Message]:
        """Everything between the schema and the end, in order, without a gap."""
        at = self._schema_end()
        while at < self._held.end:
            message = self._message(at)
            yield message
            at = message.end

    def ends_right(self) -> bool:
        """Whether the end mark is where it must be."""
        return self._file.pread(len(arrow_ipc.EOS), self._held.end) == arrow_ipc.EOS

    def surplus_bytes(self) -> int:
        """Bytes behind the end mark: of values that were not committed. Negative: so many are missing."""
        return self._file.size() - self._held.end - len(arrow_ipc.EOS)

    def _schema_end(self) -> int:
        """Where the first message begins: behind the schema, or where the index or a search says if that is damaged."""
        try:
            length = arrow_ipc.metadata_length(self._file.pread(arrow_ipc.PREFIX_BYTES, 0))
            schema = self._file.pread(arrow_ipc.PREFIX_BYTES + length, 0)
            if length and arrow_ipc.schema_id(schema) == self._held.schema_id:
                self._count(len(schema))
                self.schema = schema
                return len(schema)
        except InvalidArgument:
            pass
        return self._next(0)

    def _message(self, at: int) -> Message:
        head = self._file.pread(arrow_ipc.PREFIX_BYTES, at)
        try:
            length = arrow_ipc.metadata_length(head)
        except InvalidArgument:
            length = 0
        if head == arrow_ipc.EOS and at == self._held.gate_offset:
            length = self._held.gate_metadata_bytes  # the checkpoint counts, and the index need not know of it yet
        if length:
            message = self._read(at, length)
            if message.is_whole:
                return message
        known = self._places().get(at)
        if known is None:
            end = self._next(at)
            if head == arrow_ipc.EOS and self._held.shared and self._is_filler(at, end):
                return Message(at, end, is_whole=True, is_filler=True, is_gated=True)
            return Message(at, end, prefix="" if length else "it does not begin as a message does")
        envelope, place = known
        stamp = self._stamp_fault(at, place, envelope)
        right = head == arrow_ipc.prefix(place.metadata_bytes)
        return Message(
            at,
            at + arrow_ipc.PREFIX_BYTES + place.metadata_bytes + place.body_bytes,
            envelope,
            place,
            self._is_whole(at, place, envelope),
            stamp,
            "" if right else "its length is not the one that was written",
            is_gated=head == arrow_ipc.EOS,
        )

    def _is_filler(self, at: int, end: int) -> bool:
        """Whether what lies there passes over a gap, though its prefix is not written yet."""
        room = end - at - arrow_ipc.PREFIX_BYTES
        body_bytes = filler_body_bytes(self._file.pread(min(room, MESSAGE_METADATA_MAX_BYTES), at + arrow_ipc.PREFIX_BYTES))
        return body_bytes is not None and body_bytes < room

    def _read(self, at: int, length: int) -> Message:
        """The message as it describes itself."""
        stamped = self._file.pread(length, at + arrow_ipc.PREFIX_BYTES)
        filler_bytes = filler_body_bytes(stamped)
        if filler_bytes is not None and at + arrow_ipc.PREFIX_BYTES + length + filler_bytes <= self._held.end:
            return Message(at, at + arrow_ipc.PREFIX_BYTES + length + filler_bytes, is_whole=True, is_filler=True)
        try:
            envelope, published_bytes = stamped_envelope(stamped)
        except InvalidArgument as problem:
            return Message(at, at, stamp=str(problem))
        body_bytes = envelope.size_bytes - arrow_ipc.PREFIX_BYTES - published_bytes
        place = Place(PlaceKind.SEGMENT, self._held.file, at, envelope.size_bytes, length, body_bytes)
        end = at + arrow_ipc.PREFIX_BYTES + length + body_bytes
        if body_bytes < 0 or end > self._held.end:
            return Message(at, at, stamp="it says that it is longer than the file")
        return Message(at, end, envelope, place, self._is_whole(at, place, envelope))

    def _stamp_fault(self, at: int, place: Place, envelope: Envelope) -> str:
        """What is wrong with the metadata that linkd put before a value which the index knows."""
        stamped = self._file.pread(place.metadata_bytes, at + arrow_ipc.PREFIX_BYTES)
        try:
            said, _ = stamped_envelope(stamped)
        except InvalidArgument as problem:
            return str(problem)
        return "" if said == envelope else "its envelope is not the one that the index has"

    def _is_whole(self, at: int, place: Place, envelope: Envelope) -> bool:
        stamped = self._file.pread(place.metadata_bytes, at + arrow_ipc.PREFIX_BYTES)
        try:
            metadata = arrow_ipc.unstamp(stamped, place.size_bytes - place.body_bytes - arrow_ipc.PREFIX_BYTES)
        except InvalidArgument:
            return False
        state = xxhash.xxh3_64(arrow_ipc.prefix(len(metadata)) + metadata)
        body_at, left = at + arrow_ipc.PREFIX_BYTES + place.metadata_bytes, place.body_bytes
        while left > 0 and (piece := self._file.pread(min(left, STORE_READ_BYTES), body_at)):
            state.update(piece)
            body_at, left = body_at + len(piece), left - len(piece)
        self._count(arrow_ipc.PREFIX_BYTES + place.metadata_bytes + place.body_bytes)
        return not left and bool(state.intdigest() == envelope.payload_xxh3)

    def _places(self) -> Mapping[int, tuple[Envelope, Place]]:
        if self._known is None:
            self._known = self._known_places()
        return self._known

    def _next(self, at: int) -> int:
        """Where the next message behind `at` begins: as the index says, else the next bytes that are a message of this file."""
        behind = [offset for offset in self._places() if offset > at]
        if behind:
            return min(behind)
        start = at + 8
        while start < self._held.end and (chunk := self._file.pread(min(STORE_READ_BYTES, self._held.end - start), start)):
            found = chunk.find(arrow_ipc.CONTINUATION)
            while found >= 0:
                if not (start + found) % 8 and self._begins_message(start + found):
                    return start + found
                found = chunk.find(arrow_ipc.CONTINUATION, found + 1)
            start += max(len(chunk) - 8, 8) // 8 * 8
        return self._held.end

    def _begins_message(self, at: int) -> bool:
        try:
            length = arrow_ipc.metadata_length(self._file.pread(arrow_ipc.PREFIX_BYTES, at))
        except InvalidArgument:
            return False
        return bool(length) and self._read(at, length).is_whole
