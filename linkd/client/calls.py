"""Connections to the home: calls and streams over a channel, of gRPC or of the lane, renewed when the home has gone away.

When it is looked for again there may be another one (an on-demand home may have made way for that of a run, at another address).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from linkd.client.lane import LaneChannel
from linkd.client.lane_artifacts import LaneArtifacts
from linkd.client.lane_files import LaneFiles
from linkd.client.process import FORK_GUARD
from linkd.client.states import ConnectionState, OnState, StateTeller
from linkd.client.tls import tls_hint
from linkd.errors import ConnectionFailed, ConnectionFault, Draining, Error, InvalidArgument, NoRoom, StorageFull
from linkd.limits import (
    CONNECT_ATTEMPT_TIMEOUT_S,
    PUBLISH_WINDOW_BYTES,
    PUBLISH_WINDOW_PLACED_BYTES,
    RECONNECT_BACKOFF_FIRST_S,
    RECONNECT_BACKOFF_MAX_S,
)
from linkd.model.frozen import frozen
from linkd.wire.lane import SOCKET_SUFFIX
from linkd.wire.methods import Method
from linkd.wire.status import retry_after_s

if TYPE_CHECKING:
    from linkd.client.artifacts import ArtifactRoad

T = TypeVar("T")
TRANSPORT_VARIABLE = "LINKD_TRANSPORT"
"""`lane` or `grpc` forces one; without it the lane is taken where it can be reached."""


@frozen()
class Endpoint:
    """Where a home listens (`unix:/path` or `host:port`) and who we are there. The token is a secret and not shown."""

    address: str
    token: str = ""
    traceparent: str = ""
    on_demand: bool = field(default=False, compare=False)
    """Its home may have been started to be found."""

    def __repr__(self) -> str:
        return f"Endpoint({self.address!r}, token={'yes' if self.token else 'no'})"


NO_ROOM = (NoRoom, StorageFull)
"""What a client waits out by itself: a link, or the disk, has no room now."""
Dial = Callable[[], Awaitable[Endpoint]]
"""Finds the home, starting one if that is called for."""


class Stream(Protocol):
    """A stream in both directions. One task writes, one reads; cancelling either in the middle of a call ends the stream."""

    async def write(self, message: Any, *, more: bool = False) -> None:
        """Sends one message, waiting for flow control. `more`: another one follows, and it may go out with that.

        Raises what ended the stream, if it has ended.
        """
        ...

    @property
    def is_ready(self) -> bool:
        """Whether `write_now` sends a message at once."""
        ...

    def write_now(self, message: Any) -> None:
        """As `write`, of a stream that `is_ready`, while no other task writes."""
        ...

    async def hand_to(self, taker: Callable[[Any], None]) -> None:
        """Has `taker` called with messages as they come, where that is sooner than to read them: with all of them, or none, which `read` gives."""
        ...

    async def read(self) -> Any | None:
        """The next message; None at the orderly end. Raises what else ended the stream."""
        ...

    async def done_writing(self) -> None: ...

    def cancel(self) -> None: ...


class Channel(Protocol):
    """A road to one home."""

    async def call(self, method: Method, request: Any, *, timeout_s: float, token: str, traceparent: str) -> Any: ...

    def open(self, method: Method, *, token: str, traceparent: str, request: Any = None) -> Stream: ...

    async def close(self) -> None: ...


class Connection:
    """A channel to the home, renewed when the home has gone away.

    `timeout_s` bounds finding the home and calls that are repeated, `flow_timeout_s` (endless if not given) what outlives its channels. While
    the home is away one task looks for it, in growing intervals, as long as somebody waits for it.
    """

    def __init__(self, dial: Dial, timeout_s: float, *, flow_timeout_s: float = math.inf, on_state: OnState | None = None) -> None:
        self.timeout_s = timeout_s
        self.flow_timeout_s = flow_timeout_s
        self._states = StateTeller(on_state)
        self._dial = dial
        self._endpoint: Endpoint | None = None
        self._channel: Channel | None = None
        self._channels = 0
        self._closed = False
        self._search: asyncio.Task[None] | None = None
        self._seekers = 0
        self._sought = asyncio.Event()
        self.road: ArtifactRoad | None = None
        """By which files that are values come and go."""
        self.on_renewed: Callable[[], None] | None = None
        """Called whenever there is a new channel after the first."""

    @property
    def address(self) -> str:
        return self._endpoint.address if self._endpoint else ""

    @property
    def publish_window_bytes(self) -> int:
        """What a stream of publishes may have unacknowledged."""
        return PUBLISH_WINDOW_BYTES if self.files is None else PUBLISH_WINDOW_PLACED_BYTES

    @property
    def files(self) -> LaneFiles | None:
        """Where payloads go by place: over a lane, in a process that can map them."""
        return self._channel.files if isinstance(self._channel, LaneChannel) else None

    def lane(self) -> LaneArtifacts | None:
        """A call that takes or gives one artifact by place; None without a lane."""
        if not isinstance(self._channel, LaneChannel):
            return None
        return LaneArtifacts(self._channel.path, *self._identity())

    @property
    def starts_homes(self) -> bool:
        """Whether looking for the home starts one."""
        return self._endpoint is not None and self._endpoint.on_demand

    @property
    def epoch(self) -> int:
        """Which channel this is; given to `recover`, it tells whether there was another one in the meantime."""
        return self._channels

    async def open(self) -> None:
        """Finds the home and waits until it answers. Raises ConnectionFailed after `timeout_s`, and what discovery raises."""
        FORK_GUARD.enter()
        patience = Patience(self.timeout_s)
        left_s = patience.left_s
        endpoint = await self._dial()
        nobody = ConnectionFailed(
            f"no linkd answers at {endpoint.address} (waited {self.timeout_s:g} s): is `linkd run` or `linkd serve` up?{tls_hint(endpoint.address)}"
        )
        while True:
            try:
                channel = await _reached(endpoint, min(max(0.1, left_s), CONNECT_ATTEMPT_TIMEOUT_S))
            except ConnectionFailed as error:
                await patience.wait(error if os.environ.get(TRANSPORT_VARIABLE) == "lane" else nobody)
                left_s = patience.left_s
            else:
                self._take(endpoint, channel)
                return

    async def recover(self, patience: Patience, seen: int, error: Error) -> None:
        """Between two tries: lets go of the channel `seen`, which failed, waits a moment, and then until there is another one.

        Raises `error` when patience ends or the client is closed, and what discovery raises, but for ConnectionFault.
        """
        if self._closed:
            raise error
        if isinstance(error, Draining):
            self._states.tell(ConnectionState.DRAINING)
        if self._channels == seen and self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close()
        await patience.wait(error)
        try:
            async with asyncio.timeout(None if math.isinf(patience.left_s) else patience.left_s):
                await self._renewed(error)
        except TimeoutError:
            raise error from None

    def drains(self) -> None:
        """The home said that it is about to go."""
        self._states.tell(ConnectionState.DRAINING)

    def is_away(self, seen: int, error: Error) -> None:
        """The channel `seen` failed, and nobody needs another one yet."""
        if self._channels == seen and not self._closed:
            self._states.tell(ConnectionState.RECONNECTING, str(error))

    def is_refused(self, error: Error) -> None:
        """The home said that this client need not come back."""
        self._states.tell(ConnectionState.CLOSED, str(error))

    async def close(self) -> None:
        self._closed = True
        if self._search is not None:
            self._search.cancel()
            await asyncio.wait([self._search])
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        self._states.tell(ConnectionState.CLOSED)

    async def call(self, method: Method, request: Any, *, timeout_s: float | None = None, traceparent: str = "") -> Any:
        """One request, one response. Cancelling cancels the call. A call for which there is no room is made again until there is."""
        while True:
            channel, (token, trace) = self._ready(), self._identity(traceparent)
            try:
                answer = await channel.call(method, request, timeout_s=timeout_s or self.timeout_s, token=token, traceparent=trace)
            except NO_ROOM as error:
                await self.room(error)
            else:
                self.has_room()
                return answer

    async def room(self, error: Error) -> None:
        """Returns when it may be tried again to do what there was no room for."""
        self._states.tell(ConnectionState.WAITING, str(error))
        await asyncio.sleep((retry_after_s(error) or 0.0) * random.uniform(0.5, 1.0))

    def has_room(self) -> None:
        """What was asked for was done."""
        if self._states.state is ConnectionState.WAITING:
            self._states.tell(ConnectionState.CONNECTED)

    def stream(self, method: Method) -> Stream:
        """Opens a stream in both directions."""
        token, traceparent = self._identity()
        return self._ready().open(method, token=token, traceparent=traceparent)

    @asynccontextmanager
    async def receive(self, method: Method, request: Any) -> AsyncIterator[Stream]:
        """One request, many responses. Leaving the block early cancels the call."""
        token, traceparent = self._identity()
        stream = self._ready().open(method, token=token, traceparent=traceparent, request=request)
        try:
            yield stream
        finally:
            stream.cancel()

    async def retry(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Does an operation that may be repeated, over new connections while the home is away, for `timeout_s`. Raises its last error."""
        patience = Patience(self.timeout_s)
        while True:
            seen = self.epoch
            try:
                return await operation()
            except (ConnectionFailed, Draining) as error:
                await self.recover(patience, seen, error)

    async def _renewed(self, error: Error) -> None:
        """Returns when there is a channel; looks for the home meanwhile."""
        while self._channel is None:
            if self._closed:
                raise error
            search = self._search = self._search or asyncio.create_task(self._look(str(error)), name="linkd reconnect")
            self._sought.set()
            self._seekers += 1
            try:
                await asyncio.wait([search])
            finally:
                self._seekers -= 1
                if not self._seekers:
                    search.cancel()  # nobody waits for what it finds; nothing if it is done
                if self._search is search and (search.done() or not self._seekers):
                    self._search = None
            if not search.cancelled():
                search.result()

    async def _look(self, reason: str) -> None:
        """Tries to reach the home until it answers; sooner if somebody new looks for it. Raises what discovery raises, but for ConnectionFault."""
        patience, attempt = Patience(math.inf), 0
        while True:
            attempt += 1
            self._sought.clear()
            self._states.tell(ConnectionState.RECONNECTING, reason, attempt)
            try:
                endpoint = await self._dial()
                self._take(endpoint, await _reached(endpoint, CONNECT_ATTEMPT_TIMEOUT_S))
                return
            except ConnectionFault as error:
                reason = str(error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience.pause_s()):
                        await self._sought.wait()

    def _take(self, endpoint: Endpoint, channel: Channel) -> None:
        self._endpoint, self._channel = endpoint, channel
        self._channels += 1
        self._states.tell(ConnectionState.CONNECTED)
        if self._channels > 1 and self.on_renewed is not None:
            self.on_renewed()

    def _ready(self) -> Channel:
        FORK_GUARD.check()
        if self._channel is None:
            where = f" at {self.address}" if self.address else ""
            raise ConnectionFailed("this client is closed: connect again" if self._closed else f"linkd{where} went away")
        return self._channel

    def _identity(self, traceparent: str = "") -> tuple[str, str]:
        """Token and trace context of a call."""
        endpoint = self._endpoint
        return (endpoint.token, traceparent or endpoint.traceparent) if endpoint else ("", traceparent)


class Patience:
    """Waits between tries: each time for anything up to a bound that doubles, until `timeout_s` have passed since it was first asked."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._deadline: float | None = None
        self._bound_s = RECONNECT_BACKOFF_FIRST_S

    @property
    def left_s(self) -> float:
        """Until it ends."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._timeout_s
        return self._deadline - now

    async def wait(self, error: Error) -> None:
        """Waits before the next try, or raises `error` if there is no time left for one."""
        pause_s = self.pause_s()
        if pause_s >= self.left_s:
            raise error
        await asyncio.sleep(pause_s)

    def pause_s(self) -> float:
        """How long to wait before the next try."""
        bound_s, self._bound_s = self._bound_s, min(2 * self._bound_s, RECONNECT_BACKOFF_MAX_S)
        return random.uniform(0.0, bound_s)


async def _reached(endpoint: Endpoint, timeout_s: float) -> Channel:
    """A channel that is connected. Raises ConnectionFailed: at once if nobody listens, after `timeout_s` if nobody answers."""
    wanted = os.environ.get(TRANSPORT_VARIABLE, "")
    if wanted not in ("", "lane", "grpc"):
        raise InvalidArgument(f"{TRANSPORT_VARIABLE} is {wanted!r}: it can be lane or grpc")
    path = endpoint.address.removeprefix("unix:")
    has_lane = path != endpoint.address and os.path.exists(path + SOCKET_SUFFIX)  # noqa: PTH110 - imported already
    if wanted == "lane" and not has_lane:
        raise ConnectionFailed(f"{endpoint.address} has no lane, and {TRANSPORT_VARIABLE}=lane asks for it")
    if has_lane and wanted != "grpc":
        try:
            return await _lane(endpoint, path + SOCKET_SUFFIX, timeout_s)
        except ConnectionFailed:
            if wanted == "lane" or not _listens(path):  # a home that comes up opens its lane before anything else
                raise
    from linkd.client.grpc_channel import GrpcChannel  # the lane does without it, and it takes long to import

    return await GrpcChannel.reach(endpoint.address, timeout_s)


async def _lane(endpoint: Endpoint, path: str, timeout_s: float) -> LaneChannel:
    lane = LaneChannel(path, endpoint.token)
    try:
        await lane.reach(timeout_s)
    except BaseException:
        await lane.close()
        raise
    return lane


def _listens(path: str) -> bool:
    """Whether anybody listens on this unix socket. Does not wait: that is the kernel's answer."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (0, errno.EAGAIN)
