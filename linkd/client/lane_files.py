"""Payloads by place, on the client's side: files that linkd shows, kept mapped, and what of them the program still refers to.

A value that lies in a file is a `Region`. A table made of it is a view of the mapping and stays right as long as Python holds it, whatever
becomes of linkd; when nothing refers to it any more linkd is told, and may use the file again. See proto/linkd/v1/lane.proto, Files.
"""

from __future__ import annotations

import asyncio
import io
import mmap
import os
import socket
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from linkd.client.process import FORK_GUARD
from linkd.errors import ConnectionFailed, Error, InvalidArgument, StateDamaged
from linkd.limits import LANE_DESCRIPTORS_AT_ONCE, LANE_READ_BYTES, LANE_RELEASES_TOLD_S
from linkd.model.frozen import frozen
from linkd.wire.lane import Content, FrameKind, FrameReader, frame
from linkd.wire.methods import FILES
from linkd.wire.status import lane_error
from linkd.wire.v1 import lane_pb2 as pb

if TYPE_CHECKING:
    import pyarrow as pa

_PREFIX = b"\xff\xff\xff\xff"


@frozen()
class Mapped:
    """A file that linkd has shown: its mapping, a pyarrow buffer of all of it, and for a writer the open file to write to.

    `out` is closed when nothing will speak of the file any more, or the session is over: then nothing is written to it.
    """

    file: int
    mapping: mmap.mmap
    readable: Any
    out: io.FileIO | None = None


class Region:
    """The payload of one value, where it lies. `len` is that of the whole Arrow IPC message.

    `batch` may be called from any thread. What is made of it keeps the region, and the region is released when it is gone.
    """

    def __init__(self, files: LaneFiles, mapped: Mapped, header: Any) -> None:
        placed, envelope = header.placed, header.envelope
        self._files = files
        self._mapped = mapped
        self._metadata: bytes = placed.metadata
        self._offset: int = placed.offset
        self._body_bytes: int = placed.body_bytes
        self._xxh3: int = envelope.payload_xxh3
        self._name = f"{envelope.link}@{envelope.position.sequence}"
        self._checked = self._validated = False
        self._forks = FORK_GUARD.forks

    def __len__(self) -> int:
        return len(_PREFIX) + 4 + len(self._metadata) + self._body_bytes

    def batch(self, schema: bytes, *, validate: bool = False) -> pa.RecordBatch:
        """Its rows, sharing the mapping's memory. `validate` looks at every offset and character, once.

        Raises StateDamaged if they are not what was committed, InvalidArgument if that is no sound record batch.
        """
        import pyarrow as pa

        from linkd.core.payload import from_parts

        readable = self._mapped.readable
        if not 0 <= self._offset <= readable.size - self._body_bytes:
            raise StateDamaged(f"{self._name} is said to lie outside its file")
        body = pa.foreign_buffer(readable.address + self._offset, self._body_bytes, base=self)
        head = _PREFIX + len(self._metadata).to_bytes(4, "little")
        if not self._checked:
            self._check(head, memoryview(body))
            self._checked = True
        batch = from_parts(schema, head, self._metadata, memoryview(body), validate=validate and not self._validated)
        self._validated = self._validated or validate
        return batch

    def _check(self, head: bytes, body: memoryview) -> None:
        import xxhash

        if self._mapped.mapping.size() < self._offset + len(body):  # beyond its end a mapping is a SIGBUS
            raise StateDamaged(f"{self._name}: its file is shorter than it was: its producer has cut it off. Produce the value again")
        state = xxhash.xxh3_64(head + self._metadata)
        state.update(body)  # at once: behind each call the interpreter may be somebody else's for a while
        if state.intdigest() != self._xxh3:
            raise StateDamaged(
                f"{self._name}: its rows are not what was committed: its producer modified them afterwards, or the disk has changed them. "
                "Produce the value again; `linkd verify` tells what else is damaged"
            )

    def __del__(self) -> None:
        if (
            self._forks == FORK_GUARD.forks
        ):  # else a child may read it yet: it is held as long as the session lasts, and then never used again
            self._files.let_go(self._mapped.file)


class LaneFiles:
    """The `Files` call of one channel. `open` it before anything names its session; belongs to the loop in which that is done."""

    def __init__(self, path: str, session: bytes, token: str) -> None:
        self._path = path
        self._session = session
        self._token = token
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._frames = FrameReader()
        self._descriptors: deque[int] = deque()
        self._mapped: dict[int, Mapped] = {}
        self._shown = asyncio.Event()
        self._is_open: asyncio.Future[None] | None = None
        self._released: Counter[int] = Counter()
        self._let_go: deque[int] = deque()
        self._telling = False
        self._failure: Error | None = None

    async def open(self) -> None:
        """Returns when linkd knows the session. Raises ConnectionFailed, and what linkd refuses it with."""
        loop = self._loop = asyncio.get_running_loop()
        own = self._socket = socket.socket(socket.AF_UNIX)
        own.setblocking(False)
        self._is_open = loop.create_future()
        asked = pb.LaneCall(method=FILES.path, token=self._token, session=self._session)
        try:
            await loop.sock_connect(own, self._path)
            await loop.sock_sendall(own, frame(FrameKind.CALL, asked.SerializeToString()))
        except OSError as error:
            self.close()
            raise ConnectionFailed(f"no linkd answers at {self._path} ({error.strerror or error})") from None
        loop.add_reader(own, self._read)
        await self._is_open

    async def mapped(self, file: int, end: int = 0) -> Mapped:
        """The file of this number, up to `end` at least, as soon as linkd has shown it. Raises ConnectionFailed."""
        while (found := self._mapped.get(file)) is None or found.readable.size < end:
            if self._failure is not None:
                raise self._failure
            self._shown.clear()
            await self._shown.wait()
        return found

    async def region(self, header: Any) -> Region:
        """The payload of the value with this header."""
        placed = header.placed
        mapped = await self.mapped(placed.file, placed.offset + placed.body_bytes)
        if not self._telling and self._loop is not None:
            self._telling = True
            self._loop.call_later(LANE_RELEASES_TOLD_S, self._tell)
        return Region(self, mapped, header)

    def let_go(self, file: int) -> None:
        """Nothing refers to a value in this file any more. From any thread, in the middle of anything.

        linkd is told soon: while values come, those of some milliseconds together, for which no thread wakes another.
        """
        self._let_go.append(file)
        loop = self._loop
        if not self._telling and loop is not None and not loop.is_closed() and self._failure is None:
            self._telling = True
            try:
                loop.call_soon_threadsafe(self._tell)
            except RuntimeError:  # the loop was closed meanwhile
                return

    def close(self) -> None:
        """The session is over. What is mapped stays so for as long as tables refer to it."""
        self._fail(ConnectionFailed("the connection to linkd is closed: connect again"))

    def _tell(self) -> None:
        """Tells what was released since the last time. What the socket does not take now is told with the next."""
        self._telling = False  # before the look: what is let go of behind it has another call
        while self._let_go:
            self._released[self._let_go.popleft()] += 1
        own = self._socket
        if own is None:
            return
        for file, count in list(self._released.items()):
            data = frame(FrameKind.MESSAGE, pb.FilesRequest(file=file, released=count).SerializeToString())
            try:
                sent = own.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._fail(ConnectionFailed("linkd closed the connection"))
                return
            if sent != len(data):
                self._fail(ConnectionFailed("linkd does not read what this client releases"))
                return
            del self._released[file]

    def _read(self) -> None:
        """The socket has something."""
        assert self._socket is not None
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, LANE_READ_BYTES, LANE_DESCRIPTORS_AT_ONCE, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self._descriptors.extend(descriptors)
        if not data:
            self._fail(ConnectionFailed("linkd closed the connection"))
            return
        try:
            for kind, content in self._frames.feed(data):
                self._take(kind, content)
        except (InvalidArgument, OSError, ValueError) as error:
            self._fail(ConnectionFailed(f"what linkd showed cannot be used: {error}"))

    def _take(self, kind: FrameKind, content: Content) -> None:
        if kind is not FrameKind.MESSAGE:
            self._fail(lane_error(content) or ConnectionFailed("linkd ended the session"))
            return
        message = pb.FilesResponse.FromString(bytes(content))
        if message.HasField("shown"):
            self._map(message.shown, self._descriptors.popleft())
        elif message.gone:
            _close(self._mapped.pop(message.gone, None))
        elif self._is_open is not None and not self._is_open.done():
            self._is_open.set_result(None)

    def _map(self, shown: pb.FileShown, descriptor: int) -> None:
        import pyarrow as pa

        before = self._mapped.get(shown.file)
        if shown.writable:
            out = io.FileIO(descriptor, "r+b")
            mapping = mmap.mmap(descriptor, shown.size_bytes)
            self._mapped[shown.file] = Mapped(shown.file, mapping, pa.py_buffer(mapping), out)
        else:
            try:
                mapping = mmap.mmap(descriptor, shown.size_bytes, prot=mmap.PROT_READ)
            finally:
                os.close(descriptor)
            self._mapped[shown.file] = Mapped(shown.file, mapping, pa.py_buffer(mapping), before.out if before is not None else None)
        self._shown.set()

    def _fail(self, error: Error) -> None:
        self._failure = self._failure or error
        own, self._socket = self._socket, None
        if own is not None:
            if self._loop is not None:
                self._loop.remove_reader(own)
            own.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())
        if self._is_open is not None and not self._is_open.done():
            self._is_open.set_exception(self._failure)
        for mapped in self._mapped.values():
            _close(mapped)
        self._mapped.clear()
        self._shown.set()


def _close(mapped: Mapped | None) -> None:
    """Nothing is written to it any more; what is mapped stays so for as long as tables refer to it."""
    if mapped is not None and mapped.out is not None:
        mapped.out.close()
