"""The payloads in segments of frames that nothing names as durable: whether an interrupted write, or a power cut, left them whole. Blocking.

A frame of a link whose durability is not `fsync` is written before its payload is synced, so after a power cut the one may be there without the
other. Frames that are acked when they are durable never fail here: their payloads were synced first. So were all that lie in shared files, or they
are volatile: those are not looked at, for whoever wrote them may have changed them since, and that is no reason to take a frame back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xxhash

from linkd.errors import InvalidArgument, StateDamaged
from linkd.limits import STORE_READ_BYTES
from linkd.model.records import Dropped, Record, ValueStored
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.files import File, Files
from linkd.store.journal_format import Frame, GroupHeader
from linkd.store.segment_format import directory_name, envelope_of, file_name
from linkd.wire import arrow_ipc
from linkd.wire.frames import decode_frame


class TailPayloads:
    """Looks at the payloads of frames (`first_broken`), then makes those it found whole durable (`sync`)."""

    def __init__(self, files: Files, segments: Path) -> None:
        self._files = files
        self._segments = segments
        self._seen: set[Path] = set()

    def first_broken(self, groups: Sequence[tuple[GroupHeader, Sequence[Frame]]]) -> GroupHeader | None:
        """The first of these groups, which are the last of the journal, that has a payload in a segment which is not whole."""
        records = [(group, [record for frame in frames for record in decode_frame(frame.records)]) for group, frames in groups]
        broken: GroupHeader | None = None
        while True:
            drops = [one for _, said in records for one in said if isinstance(one, Dropped)]
            found = next((group for group, said in records if not all(self._is_whole(one, drops) for one in said)), None)
            if found is None:
                return broken
            broken = found
            records = [(group, said) for group, said in records if group.first_lsn < found.first_lsn]

    def _is_whole(self, record: Record, drops: Sequence[Dropped]) -> bool:
        """Whether the payload is what its envelope says, in a file that begins as it must. What is dropped later may be gone."""
        if not isinstance(record, ValueStored) or record.place.kind is not PlaceKind.SEGMENT or record.shared:
            return True
        envelope, place = record.envelope, record.place
        if any(_drops(one, envelope) for one in drops):
            return True
        path = self._segments / directory_name(envelope.link) / file_name(place.file)
        try:
            file = self._files.open(path)
        except StateDamaged:
            return False
        try:
            self._seen.add(path)
            return _begins_right(file, envelope) and _is_whole(file, envelope, place)
        finally:
            file.close()

    def sync(self) -> None:
        """What was found whole may be in the page cache only."""
        for path in sorted(self._seen):
            file = self._files.open(path, writable=True)
            try:
                file.datasync()
            finally:
                file.close()
        self._seen.clear()


def _drops(record: Dropped, envelope: Envelope) -> bool:
    """Whether the value goes with that: a generation as a whole, also with what a later part of the same frame put into it."""
    within = record.first_sequence <= envelope.position.sequence <= record.last_sequence
    return record.link == envelope.link and (within or record.generation == envelope.generation)


def _begins_right(file: File, envelope: Envelope) -> bool:
    """The schema message, which was synced with the first value of the file."""
    try:
        length = arrow_ipc.metadata_length(file.pread(arrow_ipc.PREFIX_BYTES, 0))
    except InvalidArgument:
        return False
    return arrow_ipc.schema_id(file.pread(arrow_ipc.PREFIX_BYTES + length, 0)) == envelope.schema_id


def _is_whole(file: File, envelope: Envelope, place: Place) -> bool:
    """The message behind its prefix, which comes later: the stamp says the envelope, the rest is the payload as published."""
    at = place.offset + arrow_ipc.PREFIX_BYTES
    stamped = file.pread(place.metadata_bytes, at)
    try:
        metadata = arrow_ipc.unstamp(stamped, place.size_bytes - place.body_bytes - arrow_ipc.PREFIX_BYTES)
        if envelope_of(arrow_ipc.custom_metadata(stamped)["linkd.envelope"]) != envelope:
            return False
    except (InvalidArgument, KeyError):
        return False
    state = xxhash.xxh3_64(arrow_ipc.prefix(len(metadata)) + metadata)
    at += place.metadata_bytes
    end = at + place.body_bytes
    while at < end and (piece := file.pread(min(STORE_READ_BYTES, end - at), at)):
        state.update(piece)
        at += len(piece)
    return at == end and state.intdigest() == envelope.payload_xxh3
