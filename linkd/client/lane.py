"""The lane, on the client's side: calls over a unix socket, without gRPC (proto/linkd/v1/lane.proto).

Each call has a connection to itself while it lasts; those whose call has ended are used again. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from linkd.client.extras import is_installed
from linkd.client.lane_files import LaneFiles
from linkd.client.payloads import ByPlace
from linkd.client.process import FORK_GUARD
from linkd.errors import ConnectionFailed, ConnectionFault, Error, InvalidArgument
from linkd.limits import (
    LANE_IDLE_CONNECTIONS_MAX,
    LANE_QUEUED_MAX_BYTES,
    LANE_SEND_BUFFER_BYTES,
    LANE_SESSION_BYTES,
    LANE_TAKEN_TOLD_BYTES,
    LANE_WRITE_BUFFER_BYTES,
)
from linkd.wire.lane import Content, FrameKind, FrameReader, frame, head, taken_frame
from linkd.wire.methods import READ, SNAPSHOTS, SUBSCRIBE, Method
from linkd.wire.status import lane_error
from linkd.wire.v1 import lane_pb2 as pb

_WITH_VALUES = (READ, SUBSCRIBE, SNAPSHOTS)
_JOIN_MAX_BYTES = 16 * 1024
"""Up to here a frame is joined and sent by one write: cheaper than two."""


class LaneChannel:
    """Calls to the home that listens at `path`. `reach` it before the first one."""

    def __init__(self, path: str, token: str = "") -> None:
        self._path = self.path = path
        self._token = token
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
        self._closed = False
        self._session = b""
        self.files: LaneFiles | None = None
        """What this process maps; None if it cannot (that takes pyarrow and xxhash)."""

    async def reach(self, timeout_s: float) -> None:
        """Returns when the home listens. Raises ConnectionFailed."""
        try:
            async with asyncio.timeout(timeout_s):
                self._put(await self._connect())
                if is_installed("pyarrow") and is_installed("xxhash"):
                    await self._take_by_place()
        except TimeoutError:
            raise ConnectionFailed(f"no linkd answers at {self._path}") from None

    async def _take_by_place(self) -> None:
        """Opens a session. Where linkd refuses it for what is wrong with this client, the client's first call tells."""
        session = os.urandom(LANE_SESSION_BYTES)
        files = LaneFiles(self._path, session, self._token)
        try:
            await files.open()
        except ConnectionFault:
            raise
        except Error:
            return
        self._session, self.files = session, files

    async def call(self, method: Method, request: Any, *, timeout_s: float, token: str, traceparent: str) -> Any:
        """One request, one response. Raises what the home refuses it with; ConnectionFailed after `timeout_s`."""
        stream = self.open(method, token=token, traceparent=traceparent, request=request)
        try:
            async with asyncio.timeout(timeout_s):
                response = await stream.read()
                await stream.read()
        except TimeoutError:
            raise ConnectionFailed(f"linkd did not answer within {timeout_s:g} s") from None
        finally:
            stream.cancel()
        return response

    def open(self, method: Method, *, token: str, traceparent: str, request: Any = None) -> LaneStream:
        """A call with a stream in both directions, or with one `request`. It begins with the first message that is written, or read."""
        if self._closed:
            raise ConnectionFailed("the connection to linkd is closed: connect again")
        asked = pb.LaneCall(method=method.path, token=token, traceparent=traceparent, session=self._session, tells_taken=True)
        opening = frame(FrameKind.CALL, asked.SerializeToString())
        if request is not None:
            opening += frame(FrameKind.MESSAGE, request.SerializeToString())
        return LaneStream(self, method, opening)

    async def close(self) -> None:
        """Ends every call; those who wait are told ConnectionFailed."""
        self._closed = True
        for connection in list(self._open):
            connection.close()
        self._idle.clear()
        if self.files is not None:
            self.files.close()

    async def take(self) -> _Connection:
        """A connection on which no call is in hand. Raises ConnectionFailed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return await self._connect()

    def give(self, connection: _Connection) -> None:
        """The call on it has ended in order."""
        self._put(connection)

    def _put(self, connection: _Connection) -> None:
        if self._closed or not connection.is_open or len(self._idle) >= LANE_IDLE_CONNECTIONS_MAX:
            connection.close()
        else:
            self._idle.append(connection)

    async def _connect(self) -> _Connection:
        if self._closed:
            raise ConnectionFailed("the connection to linkd is closed: connect again")
        try:
            _, connection = await asyncio.get_running_loop().create_unix_connection(lambda: _Connection(self._open.discard), self._path)
        except OSError as error:
            raise ConnectionFailed(f"no linkd answers at {self._path} ({error.strerror or error})") from None
        self._open.add(connection)
        return connection


class LaneStream:
    """One call. One task writes, one reads; cancelling either in the middle of it ends the call."""

    def __init__(self, channel: LaneChannel, method: Method, opening: bytes) -> None:
        self._channel = channel
        self._method = method
        self._has_values = method in _WITH_VALUES
        self._opening = opening
        self._connection: _Connection | None = None
        self._connecting: asyncio.Lock = asyncio.Lock()
        self._ended: Error | None = None
        self._over = False

    async def write(self, message: Any, *, more: bool = False) -> None:
        """Sends one message, waiting for flow control; with `more` a small one goes out with the next. Raises what ended the call."""
        FORK_GUARD.check()
        connection = await self._connected()
        if self._over:
            raise self._ended or ConnectionFailed("linkd ended the stream")
        content = message.SerializeToString()
        if not more or not connection.hold(content):
            await connection.send(content)

    @property
    def is_ready(self) -> bool:
        """Whether `write_now` sends a message at once."""
        return self._connection is not None and not self._over and self._connection.can_write

    def write_now(self, message: Any) -> None:
        """As `write`, of a stream that `is_ready`, while no other task writes."""
        FORK_GUARD.check()
        if self._connection is not None:
            self._connection.send_now(message.SerializeToString())

    async def hand_to(self, taker: Callable[[Any], None]) -> None:
        """Hands each message to `taker` as it comes, sooner by a turn of the loop than to who waits for it; `read` only gives the end then."""
        (await self._connected()).hand_to(lambda content: taker(self._method.decode_response(content)))

    async def read(self) -> Any | None:
        """The next message; None at the orderly end."""
        connection = await self._connected()
        if self._over:
            if self._ended is not None:
                raise self._ended
            return None
        try:
            kind, content = await connection.receive()
        except Error as error:
            self._end(error)
            raise
        if kind is FrameKind.MESSAGE:
            message = self._method.decode_response(content)
            files = self._channel.files
            if self._has_values and files is not None and message.WhichOneof("message") == "value" and message.value.HasField("placed"):
                region = await files.region(message.value)
                connection.took(message.value.placed.body_bytes)
                return ByPlace(message, region)
            return message
        self._end(lane_error(content))
        if self._ended is not None:
            raise self._ended
        return None

    async def done_writing(self) -> None:
        connection = await self._connected()
        if not self._over:
            connection.done()

    def cancel(self) -> None:
        """Ends the call, unless it has ended; whoever reads is told ConnectionFailed."""
        connection, self._connection = self._connection, None
        if connection is not None and not self._over:
            connection.close()
        self._over = True
        self._ended = self._ended or ConnectionFailed("the connection to linkd was closed while a call was waiting")

    async def _connected(self) -> _Connection:
        if self._connection is not None:
            return self._connection
        async with self._connecting:
            if self._connection is None:
                if self._over:
                    raise self._ended or ConnectionFailed("linkd ended the stream")
                connection = await self._channel.take()
                connection.begin(self._opening)
                self._connection = connection
        return self._connection

    def _end(self, error: Error | None) -> None:
        """The call is over, in order or not."""
        connection = self._connection
        self._over, self._ended = True, error
        if connection is not None and connection.is_idle:
            self._channel.give(connection)


class _Connection(asyncio.BufferedProtocol):
    """One connection: frames out, frames in. While many bytes wait to be read the socket is not read."""

    def __init__(self, gone: Any) -> None:
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._frames = FrameReader()
        self._waiting: deque[tuple[FrameKind, Content]] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._held = b""
        self._in_call = False
        self._taken_bytes = 0
        self._failure: Error | None = None
        self._reader: asyncio.Future[None] | None = None
        self._taker: Callable[[Content], None] | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()

    # -- the transport's calls ------------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.set_write_buffer_limits(high=LANE_WRITE_BUFFER_BYTES)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LANE_SEND_BUFFER_BYTES)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.room()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            for kind, content in self._frames.filled(nbytes):
                self._waiting.append((kind, content))
                self._waiting_bytes += len(content)
            self._hand_over()
        except Error as problem:
            self._fail(ConnectionFailed(str(problem)) if isinstance(problem, InvalidArgument) else problem)
        if self._waiting_bytes > LANE_QUEUED_MAX_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._failure = self._failure or ConnectionFailed("linkd closed the connection")
        self._can_write.set()
        self._wake()
        self._gone(self)

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    # -- a call ---------------------------------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_idle(self) -> bool:
        """Whether it is open and its call has ended in order."""
        return self.is_open and not self._in_call and not self._waiting

    def begin(self, opening: bytes) -> None:
        """A call begins: `opening` goes out with its first message, or before anything is read."""
        self._held, self._in_call, self._taken_bytes, self._taker = opening, True, 0, None

    def hand_to(self, taker: Callable[[Content], None]) -> None:
        """The messages of this call are not waited for: `taker` is called with each as it comes. Raises what it raises."""
        self._taker = taker
        self._hand_over()

    def _hand_over(self) -> None:
        while self._taker is not None and self._waiting and self._waiting[0][0] is FrameKind.MESSAGE:
            _, content = self._waiting.popleft()
            self._waiting_bytes -= len(content)
            self._taker(content)

    @property
    def can_write(self) -> bool:
        """Whether there is room for a message."""
        return self.is_open and self._can_write.is_set()

    async def send(self, content: bytes) -> None:
        """Sends a message, and returns when there is room for another one. Raises ConnectionFailed."""
        self.send_now(content)
        if not self._can_write.is_set():
            await self._can_write.wait()

    def hold(self, content: bytes) -> bool:
        """Has a message go out with the next one, if that comes in this turn of the loop, or else at its end; False, and it was not taken, if that
        would be much."""
        if len(self._held) + len(content) > _JOIN_MAX_BYTES:
            return False
        self._held += frame(FrameKind.MESSAGE, content)
        asyncio.get_running_loop().call_soon(self._let_go)  # who places the next one may have to wait for room that this one gives back
        return True

    def _let_go(self) -> None:
        if self._held and self._in_call and self.is_open:
            self._writable().write(self._held)
            self._held = b""

    def send_now(self, content: bytes) -> None:
        """Sends a message. Raises ConnectionFailed."""
        transport = self._writable()
        if len(content) <= _JOIN_MAX_BYTES:
            transport.write(self._held + frame(FrameKind.MESSAGE, content))
        else:
            transport.write(self._held + head(FrameKind.MESSAGE, len(content)))
            transport.write(content)  # not joined to what comes before it: that would be a copy
        self._held = b""

    def took(self, size_bytes: int) -> None:
        """So much of what lies by place is with the program; linkd is told now and then."""
        self._taken_bytes += size_bytes
        if self._taken_bytes >= LANE_TAKEN_TOLD_BYTES and self._transport is not None:
            self._transport.write(taken_frame(self._taken_bytes))
            self._taken_bytes = 0

    def done(self) -> None:
        """No more messages."""
        self._writable().write(self._held + frame(FrameKind.DONE))
        self._held = b""

    async def receive(self) -> tuple[FrameKind, Content]:
        """The next frame. Raises ConnectionFailed."""
        if self._held:
            self._writable().write(self._held)
            self._held = b""
        while not self._waiting:
            if self._failure is not None:
                raise self._failure
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        kind, content = self._waiting.popleft()
        self._waiting_bytes -= len(content)
        if self._paused and self._waiting_bytes <= LANE_QUEUED_MAX_BYTES // 2 and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        if kind is FrameKind.STATUS:
            self._in_call = False
        return kind, content

    def close(self) -> None:
        """At once; the home cancels what it does for it."""
        if self._transport is not None:
            self._transport.abort()

    def _writable(self) -> asyncio.Transport:
        if self._transport is None:
            raise self._failure or ConnectionFailed("linkd closed the connection")
        return self._transport

    def _fail(self, error: Error) -> None:
        self._failure = self._failure or error
        self.close()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
