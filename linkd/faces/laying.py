"""Bulk that comes as bytes, laid where it will stay: beyond its first megabytes a publish stream is a publisher by place, like a client of the lane.

So the committer has nothing to copy: small publishes do not wait behind bulk, the files are used again while the page cache has them, and of links
whose durability is `memory`, which alone are served like this, nothing is ever synced for the sake of others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import xxhash

from linkd.home.home import Home
from linkd.home.intake import ARROW, Incoming
from linkd.home.publishing import PublishSession
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, LAID_AFTER_BYTES, LANE_HEAD_BYTES
from linkd.model.frozen import frozen
from linkd.model.terms import NEVER_S
from linkd.store.placed_payload import PlacedPayload, SharedFile
from linkd.store.shared_files import SharedFiles
from linkd.store.staging import Piece
from linkd.wire import arrow_ipc

_ALIGNMENT_BYTES = 64


@frozen()
class _Message:
    """A record batch message as it came."""

    metadata: bytes
    body: tuple[Piece, ...]
    body_bytes: int


@dataclass(slots=True)
class _Room:
    """A file for values of one schema; free from `next` on."""

    file: SharedFile
    schema: bytes
    next: int

    def seat(self, message: _Message) -> int | None:
        """Where the body goes; None if the file has no room for it."""
        at = self.next + arrow_ipc.PREFIX_BYTES + LANE_HEAD_BYTES + len(message.metadata)
        at += -at % _ALIGNMENT_BYTES
        return at if at + message.body_bytes + len(arrow_ipc.EOS) <= self.file.size_bytes else None


class Laying:
    """For one publish stream. `close` it."""

    def __init__(self, home: Home, session: PublishSession) -> None:
        self._home = home
        self._session = session
        self._rooms: dict[str, _Room] = {}
        self._came_bytes: Counter[str] = Counter()

    async def laid(self, incoming: Incoming) -> Incoming:
        """The value with its payload in its place, or as it came. Raises as `PublishSession.room_for`, InvalidArgument, StorageFailed."""
        link = incoming.link
        if incoming.placed is not None or incoming.form != ARROW or incoming.size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
            return incoming
        self._came_bytes[link] += incoming.size_bytes
        if self._came_bytes[link] <= LAID_AFTER_BYTES or self._home.terms(link).sync_within_s < NEVER_S:
            return incoming
        message = _message(incoming.parts)
        room = None if message is None else await self._room(incoming, message)
        at = None if room is None or message is None else room.seat(message)
        if message is None or room is None or at is None:
            return incoming
        room.next = at + message.body_bytes
        placed = await self._lay(room.file, at, message)
        self._home.kept.recent.keep(link, room.file.number, at, incoming.parts)
        return replace(incoming, parts=(), placed=placed)

    def close(self) -> None:
        """The stream is gone: what it has laid and was not published is nothing."""
        self._home.store.shared.forsake(self)

    async def _room(self, incoming: Incoming, message: _Message) -> _Room | None:
        room = self._rooms.get(incoming.link)
        if room is not None and room.schema == incoming.schema and room.seat(message) is not None:
            return room
        if room is not None:
            self._home.store.shared.unshare(self._rooms.pop(incoming.link).file, reusable=True)
        target, generation = await self._session.room_for(incoming.link, None)
        size_bytes = self._home.disk.shared_file_bytes()
        if not target.schema_id or target.schema != incoming.schema or incoming.size_bytes > size_bytes // 2:
            return None
        file = await self._home.store.shared.share(
            incoming.link, target.schema_id, target.schema, generation, volatile=True, owner=self, size_bytes=size_bytes, reserve=False
        )
        room = self._rooms[incoming.link] = _Room(file, incoming.schema, file.start)
        return room

    async def _lay(self, file: SharedFile, at: int, message: _Message) -> PlacedPayload:
        shared = self._home.store.shared
        laying = asyncio.create_task(asyncio.to_thread(_write, shared, file, at, message), name="linkd publish: lay")
        try:
            xxh3 = await asyncio.shield(laying)
        except asyncio.CancelledError:  # the file is not to be closed under the thread
            await asyncio.wait([laying])
            raise
        return await shared.placed(file, at, message.body_bytes, message.metadata, xxh3=xxh3)


def _write(shared: SharedFiles, file: SharedFile, at: int, message: _Message) -> int:
    """Returns the xxh3 of the message."""
    state = xxhash.xxh3_64(arrow_ipc.prefix(len(message.metadata)) + message.metadata)
    for part in message.body:  # one by one: what was written is in the cache yet
        shared.write(file, (part,), at)
        state.update(part)
        at += len(part)
    return int(state.intdigest())


def _message(parts: Sequence[Piece]) -> _Message | None:
    """The message that came in these parts; None if it ends inside its metadata."""
    rest = deque(memoryview(part) for part in parts if len(part))
    head = _taken(rest, arrow_ipc.PREFIX_BYTES)
    metadata_bytes = arrow_ipc.metadata_length(head) if len(head) == arrow_ipc.PREFIX_BYTES else 0
    metadata = _taken(rest, metadata_bytes)
    if not metadata or len(metadata) < metadata_bytes:
        return None
    return _Message(metadata, tuple(rest), sum(map(len, rest)))


def _taken(rest: deque[memoryview], size_bytes: int) -> bytes:
    """The first bytes of these parts, which keep the others."""
    taken = b""
    while rest and len(taken) < size_bytes:
        part = rest.popleft()
        missing_bytes = size_bytes - len(taken)
        taken += part[:missing_bytes]
        if len(part) > missing_bytes:
            rest.appendleft(part[missing_bytes:])
    return taken
