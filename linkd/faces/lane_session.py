"""Payloads by place: which client has which segment files, and what it was handed in them (proto/linkd/v1/lane.proto, Files)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from linkd.core.rights import Identity
from linkd.errors import Conflict, InvalidArgument, NotAllowed
from linkd.home.disk import DiskBudget
from linkd.home.home import Home
from linkd.home.intake import Target
from linkd.limits import LANE_HEAD_BYTES, LANE_SESSION_BYTES
from linkd.model.values import Envelope, Place
from linkd.store.shared_files import PlacedPayload, SharedFile
from linkd.store.store import Store
from linkd.wire.v1 import lane_pb2, links_pb2, value_pb2


class LaneSessions:
    """The sessions of the clients that are connected. Belongs to one event loop."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._sessions: dict[bytes, LaneSession] = {}

    def open(self, session_id: bytes, who: Identity) -> LaneSession:
        """A client's `Files` call begins. Raises InvalidArgument for what is no id, Conflict if there is such a session."""
        if len(session_id) != LANE_SESSION_BYTES:
            raise InvalidArgument(f"a client that takes payloads by place names its session in {LANE_SESSION_BYTES} bytes")
        if session_id in self._sessions:
            raise Conflict("this session is open already: another client has made up the same id")
        session = self._sessions[session_id] = LaneSession(self._home.store, self._home.disk, who)
        return session

    def get(self, session_id: bytes, who: Identity) -> LaneSession | None:
        """The session of a call; None for a client without. Raises NotAllowed if it is somebody else's."""
        session = self._sessions.get(session_id) if session_id else None
        if session is not None and session.who != who:
            raise NotAllowed("this session of the lane belongs to another identity")
        return session

    def gone(self, file: int) -> None:
        """Nothing will speak of this file any more: clients need not keep it mapped."""
        for session in self._sessions.values():
            session.gone(file)

    def close(self, session_id: bytes) -> None:
        """The client is gone: what it held is never used again, what it was granted is written to no more."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.close()


@dataclass(slots=True, eq=False)
class LaneSession:
    """One client. Its descriptors are in `shows`, to be sent in this order."""

    store: Store
    disk: DiskBudget
    who: Identity
    shows: asyncio.Queue[lane_pb2.FilesResponse] = field(default_factory=asyncio.Queue)
    _shown: dict[int, tuple[bool, int]] = field(default_factory=dict)
    _held: Counter[int] = field(default_factory=Counter)
    _granted: dict[object, dict[str, list[SharedFile]]] = field(default_factory=dict)
    """By publish stream and link: the newest, and the one before it."""
    _writing: dict[int, SharedFile] = field(default_factory=dict)

    # -- what it reads --------------------------------------------------------------------------------------------------------------------

    def by_place(self, envelope: Envelope, place: Place) -> value_pb2.Placed | None:
        """Where the value lies, for a client that will map it; it is held until `released`.

        None if it lies in no segment file, or in one more than clients may hold.
        """
        located = self.store.shared.located(envelope, place)
        if located is None:
            return None
        if not self._held[located.id] and not self._may_hold(located.size_bytes):
            self.store.shared.released(located.id, 1)
            return None
        self._show(located.id, located.size_bytes, writable=False)
        self._held[located.id] += 1
        return value_pb2.Placed(file=located.id, offset=located.offset, body_bytes=located.body_bytes, metadata=located.metadata)

    def released(self, file: int, count: int) -> None:
        """The client lets go of so many values of a file. Raises InvalidArgument if it does not hold so many."""
        if not 0 < count <= self._held[file]:
            raise InvalidArgument("a client released what it does not hold")
        self._held[file] -= count
        self.store.shared.released(file, count)

    # -- what it writes -------------------------------------------------------------------------------------------------------------------

    async def grant(
        self,
        stream: object,
        link: str,
        target: Target,
        generation: int,
        *,
        volatile: bool,
        schema: bytes,
        size_bytes: int,
        file_bytes: int,
    ) -> links_pb2.Granted:
        """Room on this publish stream for values of this link, generation and schema, in a file of this size.

        Without room by place the file is 0: the schema is not the link's, or the value is too large for such a file.
        """
        granted = self._granted.setdefault(stream, {}).setdefault(link, [])
        while len(granted) > 1:
            self.store.shared.unshare(granted.pop(0), reusable=True)
        if not target.schema_id or schema != target.schema or not 0 < size_bytes <= file_bytes // 2:
            return links_pb2.Granted()
        file = await self.store.shared.share(
            link, target.schema_id, target.schema, generation, volatile=volatile, owner=self, size_bytes=file_bytes
        )
        granted.append(file)
        self._writing[file.id] = file
        self._show(file.id, file.size_bytes, writable=True)
        return links_pb2.Granted(file=file.id, start=file.start, end=file.size_bytes, head_bytes=LANE_HEAD_BYTES, fresh=file.is_fresh)

    def ended(self, stream: object) -> None:
        """Nothing is published on this stream any more. Its client may not know that yet, and write: the files are never used again."""
        for granted in self._granted.pop(stream, {}).values():
            for file in granted:
                self.store.shared.unshare(file, reusable=False)

    async def placed(self, link: str, said: value_pb2.Placed) -> PlacedPayload:
        """What the client says it has written there, checked. Raises InvalidArgument."""
        if said.HasField("xxh3"):
            return self.placed_at_once(link, said)
        file = self._written(link, said.file)
        return await self.store.shared.placed(file, said.offset, said.body_bytes, said.metadata)

    def placed_at_once(self, link: str, said: value_pb2.Placed) -> PlacedPayload:
        """As `placed`, where the client says the hash, too."""
        file = self._written(link, said.file)
        return self.store.shared.placed_at_once(file, said.offset, said.body_bytes, said.metadata, xxh3=said.xxh3)

    def _written(self, link: str, file_id: int) -> SharedFile:
        file = self._writing.get(file_id)
        if file is None or file.link != link:
            raise InvalidArgument(f"{link}: a value was said to lie in a file that was not granted for it")
        return file

    def gone(self, file: int) -> None:
        """Nothing will speak of this file any more."""
        self._writing.pop(file, None)
        del self._held[file]
        if self._shown.pop(file, None) is not None:
            self.shows.put_nowait(lane_pb2.FilesResponse(gone=file))

    def close(self) -> None:
        self.store.shared.forsake(self)
        self._granted.clear()
        for file_id, count in self._held.items():
            if count:
                self.store.shared.tainted(file_id)
                self.store.shared.released(file_id, count)
        self._held.clear()

    def _may_hold(self, size_bytes: int) -> bool:
        """Whether there is room for one file more that goes only when the client wants."""
        own_bytes = sum(self._shown[file][1] for file, count in self._held.items() if count)
        return self.disk.may_be_held(own_bytes + size_bytes, self.store.shared.held_bytes)

    def _show(self, file: int, size_bytes: int, *, writable: bool) -> None:
        """Each file once; again if it has grown, or is to be written to."""
        was_writable, was_bytes = self._shown.get(file, (False, -1))
        if size_bytes > was_bytes or (writable and not was_writable):
            writable = writable or was_writable
            self._shown[file] = writable, size_bytes
            self.shows.put_nowait(lane_pb2.FilesResponse(shown=lane_pb2.FileShown(file=file, size_bytes=size_bytes, writable=writable)))
