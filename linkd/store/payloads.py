"""Reading payloads back, exactly as they were published, and only if they still are: every read is held against the envelope's xxh3.

Files are read by pread and never mapped: an unreadable sector is then an error and no signal, and the page cache does
not count as memory of this process. Reads above `INLINE_PAYLOAD_MAX_BYTES`, and the hashing of them, run in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from linkd import limits
from linkd.errors import InvalidArgument, StateDamaged
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store import journal_format, segment_format
from linkd.store.open_files import OpenFiles
from linkd.wire import arrow_ipc


@dataclass(frozen=True, slots=True)
class _Source:
    """A message as published: `head`, and behind it `length` bytes of a file from `offset`."""

    path: Path
    head: bytes
    offset: int
    length: int

    @property
    def size_bytes(self) -> int:
        return len(self.head) + self.length


class PayloadReader:
    """Reads payloads by their places. For the event loop."""

    def __init__(self, files: OpenFiles, journal: Path, segments: Path) -> None:
        self._files = files
        self._journal = journal
        self._segments = segments

    async def read(self, envelope: Envelope, place: Place) -> tuple[bytes, memoryview]:
        """Metadata and body of the message. Raises `StateDamaged` if it is not what was published, `StorageFailed` if it cannot be read."""
        if place.size_bytes <= limits.INLINE_PAYLOAD_MAX_BYTES:
            return self._read(envelope, place)
        return await asyncio.to_thread(self._read, envelope, place)

    async def chunks(self, envelope: Envelope, place: Place, chunk_bytes: int) -> AsyncIterator[bytes]:
        """The whole message in pieces of `chunk_bytes`, the last one shorter; it is handed out only if all of them fit the envelope.

        Raises as `read` does, at the latest in the place of the last piece. May be left at any piece.
        """
        source = await asyncio.to_thread(self._source, envelope, place)
        state = xxhash.xxh3_64()
        for start in range(0, source.size_bytes, chunk_bytes):
            end = min(start + chunk_bytes, source.size_bytes)
            if end - start <= limits.INLINE_PAYLOAD_MAX_BYTES:
                piece = self._piece(source, start, end, state)
            else:
                piece = await asyncio.to_thread(self._piece, source, start, end, state)
            if end == source.size_bytes and state.intdigest() != envelope.payload_xxh3:
                raise _damage(envelope, source.path, place)
            yield piece

    def _read(self, envelope: Envelope, place: Place) -> tuple[bytes, memoryview]:
        source = self._source(envelope, place)
        with self._files.reading(source.path) as file:
            content = file.pread(source.length, source.offset)
        state = xxhash.xxh3_64(source.head)
        state.update(content)
        if state.intdigest() != envelope.payload_xxh3:
            raise _damage(envelope, source.path, place)
        if source.head:
            return source.head[arrow_ipc.PREFIX_BYTES :], memoryview(content)
        body_at = arrow_ipc.PREFIX_BYTES + arrow_ipc.metadata_length(content[: arrow_ipc.PREFIX_BYTES])
        return content[arrow_ipc.PREFIX_BYTES : body_at], memoryview(content)[body_at:]

    def _piece(self, source: _Source, start: int, end: int, state: xxhash.xxh3_64) -> bytes:
        """Bytes [start, end) of the message; they are added to the hash."""
        piece = source.head[start:end]
        if len(piece) < end - start:
            at = source.offset + start + len(piece) - len(source.head)
            with self._files.reading(source.path) as file:
                piece += file.pread(end - start - len(piece), at)
        state.update(piece)
        return piece

    def _source(self, envelope: Envelope, place: Place) -> _Source:
        if place.kind is PlaceKind.JOURNAL:
            return _Source(self._journal / journal_format.file_name(place.file), b"", place.offset, place.size_bytes)
        path = self._segments / segment_format.directory_name(envelope.link) / segment_format.file_name(place.file)
        stamped_at = place.offset + arrow_ipc.PREFIX_BYTES
        with self._files.reading(path) as file:
            stamped = file.pread(place.metadata_bytes, stamped_at)
        try:
            metadata = arrow_ipc.unstamp(stamped, place.size_bytes - place.body_bytes - arrow_ipc.PREFIX_BYTES)
        except InvalidArgument as problem:
            raise _damage(envelope, path, place) from problem
        head = arrow_ipc.prefix(len(metadata)) + metadata
        return _Source(path, head, stamped_at + place.metadata_bytes, place.body_bytes)


def _damage(envelope: Envelope, path: Path, place: Place) -> StateDamaged:
    return StateDamaged(
        f"{envelope.name}: its payload in {path} at {place.offset} is not what was published. The disk or another program has changed it; "
        "restore the file from a backup, or produce the value again"
    )
