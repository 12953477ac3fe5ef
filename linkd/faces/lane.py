"""One connection of the lane, on the home's side: frames in, calls made of them, frames out (proto/linkd/v1/lane.proto).

The calls are the very handlers that gRPC has; `LaneContext` is to them what gRPC's context is. A connection that is lost cancels its call.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Never, Self, cast

from google.protobuf.message import DecodeError

from linkd.core.rights import Identity
from linkd.errors import InvalidArgument
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.call import translated
from linkd.faces.lane_session import LaneSession, LaneSessions
from linkd.faces.routes import Route
from linkd.limits import LANE_AHEAD_BYTES, LANE_QUEUED_MAX_BYTES, LANE_WRITE_BUFFER_BYTES
from linkd.wire.lane import HEAD, Content, FrameKind, FrameReader, frame, head, taken_bytes
from linkd.wire.methods import FILES, Kind, Method
from linkd.wire.status import ERROR_KEY, TOKEN_KEY, TOKEN_PREFIX, TRACE_KEY
from linkd.wire.v1 import lane_pb2 as pb

log = logging.getLogger("linkd.faces")
_JOIN_MAX_BYTES = 16 * 1024
"""Up to here a frame is joined and sent by one write: cheaper than two."""


class CallEndedError(Exception):
    """The call was given its status; what is left of its handler is to end."""


class LaneContext:
    """What a handler knows of its call: as much of `grpc.aio.ServicerContext` as linkd's handlers use."""

    is_stranger = False

    def __init__(self, connection: LaneConnection, asked: pb.LaneCall, sessions: LaneSessions, turns: BulkTurns) -> None:
        self._connection = connection
        self._asked = asked
        self._sessions = sessions
        self._turns = turns

    @property
    def client(self) -> Hashable:
        """Who is at the other end of this connection and others: one that takes nothing by place is of this one alone."""
        return self._asked.session or self._connection

    @property
    def session_id(self) -> bytes:
        """That of the client, which all its connections name; empty if it takes nothing by place."""
        return self._asked.session

    def session_of(self, who: Identity) -> LaneSession | None:
        """The session that the client names, if it is open. Raises NotAllowed if it is another identity's."""
        return self._sessions.get(self._asked.session, who)

    @property
    def transport(self) -> str:
        return "lane"

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        asked = self._asked
        return ((TOKEN_KEY, TOKEN_PREFIX + asked.token if asked.token else ""), (TRACE_KEY, asked.traceparent))

    async def write(self, message: Any, /, placed_bytes: int = 0) -> None:
        """Sends a response; returns when there is room for another one. One that says where so many bytes lie waits until the client has taken
        enough of what was sent so before."""
        if placed_bytes:
            await self._connection.room_ahead(placed_bytes)
        content = message.SerializeToString()
        await self._turns.take(self.client, len(content))
        await self._connection.send(content)

    @property
    def can_write(self) -> bool:
        """Whether `write_now` may be called: there is room, and no `write` is waited for."""
        return self._connection.can_write

    def write_now(self, message: Any, /) -> None:
        """As `write`, at once."""
        self._connection.send_now(message.SerializeToString())

    async def write_with_descriptor(self, message: Any, descriptor: int) -> None:
        """Sends a response and with it a descriptor, which is closed in any case. On a connection where `write` is not waited for meanwhile."""
        await self._connection.send_with_descriptor(message.SerializeToString(), descriptor)

    async def abort(self, code: Any, /, details: str = "", trailing_metadata: Any = ()) -> Never:
        said = dict(trailing_metadata).get(ERROR_KEY, "")
        self._connection.end(code.value[0], details, said if isinstance(said, str) else "")
        raise CallEndedError


class Requests:
    """The requests of one call, as they come. While many bytes wait the connection is not read."""

    def __init__(self, transport: asyncio.Transport, method: Method, turns: BulkTurns, client: Hashable) -> None:
        self._transport = transport
        self._method = method
        self._turns = turns
        self._client = client
        self._waiting: deque[Content] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._done = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, content: Content) -> None:
        self._waiting.append(content)
        self._waiting_bytes += HEAD.size + len(content)  # an empty one takes memory too
        if self._waiting_bytes > LANE_QUEUED_MAX_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def finish(self) -> None:
        self._done = True
        self._wake()

    def let_go(self) -> None:
        """The call is over: what waits is of no interest, and the connection is read again, for the next call."""
        self._waiting.clear()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._waiting:
            if self._done:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        content = self._waiting.popleft()
        self._waiting_bytes -= HEAD.size + len(content)
        if self._paused and self._waiting_bytes <= LANE_QUEUED_MAX_BYTES // 2:
            self._paused = False
            self._transport.resume_reading()
        await self._turns.take(self._client, len(content))
        try:
            return self._method.decode_request(content)
        except DecodeError as problem:
            raise InvalidArgument(f"a request of {self._method.path} cannot be read: {problem}") from None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class LaneConnection(asyncio.BufferedProtocol):
    """A client's connection. `spawn` starts a call's task and names it; `gone` is called once, when the connection is."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        sessions: LaneSessions,
        turns: BulkTurns,
        spawn: Callable[[Any, str], asyncio.Task[None]],
        gone: Callable[[LaneConnection], None],
    ) -> None:
        self._routes = routes
        self._sessions = sessions
        self._turns = turns
        self._spawn = spawn
        self._gone = gone
        self._frames = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._requests: Requests | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_session = False
        self._draining = False
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._ahead_bytes = 0
        self._taken: asyncio.Event | None = None

    # -- the transport's calls ------------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.set_write_buffer_limits(high=LANE_WRITE_BUFFER_BYTES)
        if self._draining:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.room()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            for kind, content in self._frames.filled(nbytes):
                self._take(kind, content)
        except (InvalidArgument, DecodeError) as problem:
            log.warning("a connection of the lane was ended: %s", problem)
            self.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._can_write.set()
        if self._task is not None:
            self._task.cancel()
        self._gone(self)

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    # -- calls ----------------------------------------------------------------------------------------------------------------------------

    @property
    def call(self) -> asyncio.Task[None] | None:
        """What is in hand and comes to an end by itself: a session does not, for it lasts as long as its client."""
        return None if self._is_session else self._task

    async def room_ahead(self, size_bytes: int) -> None:
        """Returns when the client may be told where so many bytes more lie. One message may always go, whatever it speaks of."""
        if self._taken is None:
            return
        while self._ahead_bytes and self._ahead_bytes + size_bytes > LANE_AHEAD_BYTES:
            self._taken.clear()
            await self._taken.wait()
        self._ahead_bytes += size_bytes

    @property
    def can_write(self) -> bool:
        """Whether there is room for a message."""
        return self._transport is not None and self._can_write.is_set()

    async def send(self, content: bytes) -> None:
        """Sends a message; returns when there is room for another one. Cancelled when the connection is lost."""
        self.send_now(content)
        if not self._can_write.is_set():
            await self._can_write.wait()

    def send_now(self, content: bytes) -> None:
        """Sends a message. Raises CancelledError when the connection is lost."""
        transport = self._transport
        if transport is None:
            raise asyncio.CancelledError
        if len(content) <= _JOIN_MAX_BYTES:
            transport.write(frame(FrameKind.MESSAGE, content))
        else:
            transport.writelines((head(FrameKind.MESSAGE, len(content)), content))

    async def send_with_descriptor(self, content: bytes, descriptor: int) -> None:
        """Sends a message that a descriptor comes with (SCM_RIGHTS), and closes ours. Nothing else may be on its way out."""
        try:
            transport = self._transport
            if transport is None:
                raise asyncio.CancelledError
            with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as own:
                own.setblocking(False)
                await _send_descriptor(own, frame(FrameKind.MESSAGE, content), descriptor)
        finally:
            os.close(descriptor)

    def end(self, status: int, details: str = "", code: str = "") -> None:
        """Ends the call in hand; the client may make another one."""
        if self._requests is not None:
            self._requests.let_go()
        self._requests = self._task = None
        if self._transport is not None:
            said = pb.LaneStatus(status=status, details=details, code=code)
            self._transport.write(frame(FrameKind.STATUS, said.SerializeToString()))
            if self._draining:
                self._transport.close()

    def drain(self) -> None:
        """No more calls over this connection; it closes behind the one in hand."""
        self._draining = True
        if self._task is None:
            self.close()

    def close(self) -> None:
        """At once; the call in hand is cancelled."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, kind: FrameKind, content: Content) -> None:
        if kind is FrameKind.CALL:
            if self._requests is not None:
                raise InvalidArgument("a call began before the one before it had ended")
            self._begin(pb.LaneCall.FromString(bytes(content)))
        elif kind is FrameKind.STATUS:
            raise InvalidArgument("a client sent a status")
        elif kind is FrameKind.TAKEN:
            self._ahead_bytes = max(self._ahead_bytes - taken_bytes(content), 0)
            if self._taken is not None:
                self._taken.set()
        elif self._requests is not None:  # else the call is over, and its client does not know it yet
            if kind is FrameKind.MESSAGE:
                self._requests.put(content)
            else:
                self._requests.finish()

    def _begin(self, asked: pb.LaneCall) -> None:
        assert self._transport is not None
        route = self._routes.get(asked.method)
        if route is None:
            raise InvalidArgument(f"{asked.method!r} is no method of this version of linkd")
        context = LaneContext(self, asked, self._sessions, self._turns)
        self._requests = Requests(self._transport, route.method, self._turns, context.client)
        self._is_session = route.method is FILES
        self._ahead_bytes, self._taken = 0, asyncio.Event() if asked.tells_taken else None
        self._task = self._spawn(self._call(route, self._requests, context), f"linkd lane {route.method.name}")

    async def _call(self, route: Route, requests: Requests, context: LaneContext) -> None:
        """Answers one call."""
        try:
            if route.method.kind is Kind.STREAM_STREAM:
                await route.handler(requests, context)
            else:
                async with translated(context):
                    request = await anext(requests, None)
                    if request is None:
                        raise InvalidArgument(f"a call of {route.method.path} came without its request")
                response = await route.handler(request, context)
                if route.method.kind is Kind.UNARY_UNARY:
                    await context.write(response)
        except CallEndedError:
            return
        except Exception:  # the task's edge
            log.exception("a call over the lane failed for a reason of linkd's own")
            self.close()
            return
        self.end(0)


async def _send_descriptor(own: socket.socket, data: bytes, descriptor: int) -> None:
    """All of `data`, the descriptor with its first byte."""
    loop = asyncio.get_running_loop()
    descriptors = [descriptor]
    while data:
        try:
            sent = socket.send_fds(own, [data], descriptors)
        except BlockingIOError:
            writable = loop.create_future()
            loop.add_writer(own, _wake, writable)
            try:
                await writable
            finally:
                loop.remove_writer(own)
        except OSError:
            raise asyncio.CancelledError from None  # the client is gone, and the call with it
        else:
            data, descriptors = data[sent:], []


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
