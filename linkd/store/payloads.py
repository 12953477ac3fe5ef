"""Reading payloads back, exactly as they were published, and only if they still are: every read is held against the envelope's xxh3.

Files are read by pread and never mapped: an unreadable sector is then an error and no signal, and the page cache does
not count as memory of this process. Reads above `INLINE_PAYLOAD_MAX_BYTES`, and the hashing of them, run in a thread:
several pieces at a time, for the way there and back costs as much as reading one.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import xxhash

from linkd import limits
from linkd.errors import InvalidArgument, LinkNotFound, StateDamaged
from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store import journal_format, segment_format
from linkd.store.files import File
from linkd.store.holdings import Holdings
from linkd.store.open_files import OpenFiles
from linkd.wire import arrow_ipc


@frozen()
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
    """Reads payloads by their places. For the event loop.

    `find` gives the place of a value as it is now: one that lay in the journal may have been copied out of it since it was asked for. One that
    was dropped may be gone before the index says so: `holdings` knows.
    """

    def __init__(
        self, files: OpenFiles, journal: Path, segments: Path, find: Callable[[Envelope], Place | None], holdings: Holdings
    ) -> None:
        self._files = files
        self._journal_path, self._segment_path = _paths(journal, segments)
        self._find = find
        self._holdings = holdings
        self._ahead_bytes = 0

    async def read(self, envelope: Envelope, place: Place) -> tuple[bytes, memoryview]:
        """Metadata and body of the message.

        Raises `StateDamaged` if it is not what was published, `StorageFailed` if it cannot be read, `LinkNotFound` if it was dropped.
        """
        with ExitStack() as stack:
            file, source = await self._open(stack, envelope, place)
            try:
                if place.size_bytes <= limits.INLINE_PAYLOAD_MAX_BYTES:
                    return _whole(file, envelope, source)
                return await asyncio.to_thread(_whole, file, envelope, source)
            except StateDamaged as damage:
                raise self._seen_now(envelope, place, damage) from None

    async def chunks(self, envelope: Envelope, place: Place, chunk_bytes: int) -> AsyncGenerator[bytes, None]:
        """The whole message in pieces of `chunk_bytes`, the first one shorter; it is handed out only if all of them fit the envelope.

        Raises as `read` does, at the latest in the place of the last piece. May be left at any piece.
        """
        if (small := self._small(envelope, place)) is not None:
            yield small
            return
        with ExitStack() as stack:  # one descriptor for all pieces: the file may be deleted meanwhile
            file, source = await self._open(stack, envelope, place)
            state, size_bytes = xxhash.xxh3_64(), source.size_bytes
            at_once = stack.enter_context(self._reading_ahead(chunk_bytes)) if size_bytes > chunk_bytes else chunk_bytes
            start = 0
            while start < size_bytes:
                end = min(start + (size_bytes - start) % chunk_bytes + at_once, size_bytes)
                if size_bytes <= limits.INLINE_PAYLOAD_MAX_BYTES:
                    pieces = _pieces(file, source, start, end, chunk_bytes, state)
                else:
                    pieces = await asyncio.to_thread(_pieces, file, source, start, end, chunk_bytes, state)
                start = end
                if end == size_bytes and state.intdigest() != envelope.payload_xxh3:
                    raise self._seen_now(envelope, place, _damage(envelope, source.path, source.offset))
                while pieces:
                    yield pieces.popleft()

    def _small(self, envelope: Envelope, place: Place) -> bytes | None:
        """A small message that lies in the journal, as it was published; None for any other, and for one that is not there any more."""
        if place.kind is not PlaceKind.JOURNAL or place.size_bytes > limits.INLINE_PAYLOAD_MAX_BYTES:
            return None
        try:
            with self._files.reading(self._journal_path(place.file)) as file:
                message = file.pread(place.size_bytes, place.offset)
        except StateDamaged:
            return None
        return message if xxhash.xxh3_64_intdigest(message) == envelope.payload_xxh3 else None

    @contextmanager
    def _reading_ahead(self, chunk_bytes: int) -> Iterator[int]:
        """How much one reader may read at once, as a multiple of `chunk_bytes`: several chunks, unless many others do so already."""
        most = max(chunk_bytes, limits.READ_AHEAD_BYTES // chunk_bytes * chunk_bytes)
        at_once = most if self._ahead_bytes + most <= limits.READ_AHEAD_MAX_BYTES else chunk_bytes
        self._ahead_bytes += at_once
        try:
            yield at_once
        finally:
            self._ahead_bytes -= at_once

    def _seen_now(self, envelope: Envelope, place: Place, damage: StateDamaged) -> Exception:
        """What is wrong: a shared file is used again when the value was dropped, also under who reads it."""
        now = self._find(envelope)
        return damage if now is not None and now.file == place.file else _dropped(envelope)

    async def _open(self, stack: ExitStack, envelope: Envelope, place: Place) -> tuple[File, _Source]:
        """The file that the value lies in, open as long as `stack` is, and where in it."""
        try:
            return await self._open_at(stack, envelope, place)
        except StateDamaged:
            now = self._find(envelope)
            if now is None or not self._holdings.is_live(envelope.link, envelope.generation, envelope.position.sequence):
                raise _dropped(envelope) from None
            if now == place:
                raise
        return await self._open_at(stack, envelope, now)

    async def _open_at(self, stack: ExitStack, envelope: Envelope, place: Place) -> tuple[File, _Source]:
        if place.kind is PlaceKind.DROPPED:
            raise _dropped(envelope)
        if place.kind is PlaceKind.JOURNAL:
            path = self._journal_path(place.file)
            return stack.enter_context(self._files.reading(path)), _Source(path, b"", place.offset, place.size_bytes)
        path = self._segment_path(envelope.link, place.file)
        file = stack.enter_context(self._files.reading(path))
        if place.size_bytes <= limits.INLINE_PAYLOAD_MAX_BYTES:
            return file, _in_segment(file, path, envelope, place)
        return file, await asyncio.to_thread(_in_segment, file, path, envelope, place)


def _paths(journal: Path, segments: Path) -> tuple[Callable[[int], Path], Callable[[str, int], Path]]:
    """The paths of journal files and of segments, kept for as many as are open: to make one takes longer than to read a small payload."""

    @functools.lru_cache(limits.OPEN_FILES_MAX)
    def of_journal(number: int) -> Path:
        return journal / journal_format.file_name(number)

    @functools.lru_cache(limits.OPEN_FILES_MAX)
    def of_segment(link: str, number: int) -> Path:
        return segments / segment_format.directory_name(link) / segment_format.file_name(number)

    return of_journal, of_segment


def _in_segment(file: File, path: Path, envelope: Envelope, place: Place) -> _Source:
    stamped_at = place.offset + arrow_ipc.PREFIX_BYTES
    stamped = file.pread(place.metadata_bytes, stamped_at)
    try:
        metadata = arrow_ipc.unstamp(stamped, place.size_bytes - place.body_bytes - arrow_ipc.PREFIX_BYTES)
    except InvalidArgument as problem:
        raise _damage(envelope, path, place.offset) from problem
    head = arrow_ipc.prefix(len(metadata)) + metadata
    return _Source(path, head, stamped_at + place.metadata_bytes, place.body_bytes)


def _whole(file: File, envelope: Envelope, source: _Source) -> tuple[bytes, memoryview]:
    content = file.pread(source.length, source.offset)
    state = xxhash.xxh3_64(source.head)
    state.update(content)
    if state.intdigest() != envelope.payload_xxh3:
        raise _damage(envelope, source.path, source.offset)
    if source.head:
        return source.head[arrow_ipc.PREFIX_BYTES :], memoryview(content)
    body_at = arrow_ipc.PREFIX_BYTES + arrow_ipc.metadata_length(content[: arrow_ipc.PREFIX_BYTES])
    return content[arrow_ipc.PREFIX_BYTES : body_at], memoryview(content)[body_at:]


def _pieces(file: File, source: _Source, start: int, end: int, chunk_bytes: int, state: xxhash.xxh3_64) -> deque[bytes]:
    """The message from `start` up to `end` in pieces, the first one shorter; they are added to the hash."""
    first = start + ((end - start) % chunk_bytes or chunk_bytes)
    ends = range(first, end + 1, chunk_bytes)
    return deque(_piece(file, source, max(start, at - chunk_bytes), at, state) for at in ends)


def _piece(file: File, source: _Source, start: int, end: int, state: xxhash.xxh3_64) -> bytes:
    piece = source.head[start:end]
    if len(piece) < end - start:
        at = source.offset + start + len(piece) - len(source.head)
        piece += file.pread(end - start - len(piece), at)
    state.update(piece)
    return piece


def _dropped(envelope: Envelope) -> LinkNotFound:
    return LinkNotFound(f"{envelope.name} was dropped: its rows are not kept")


def _damage(envelope: Envelope, path: Path, offset: int) -> StateDamaged:
    return StateDamaged(
        f"{envelope.name}: its payload in {path} at {offset} is not what was published. The disk or another program has changed it; "
        "`linkd repair` sets it aside; or restore a backup, or produce the value again"
    )
