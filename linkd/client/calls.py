"""gRPC, and nothing of it beyond this file: channels, calls, and the translation of their errors.

A `Connection` holds one channel at a time. When the home goes away it is looked for again (an on-demand home may have made way for that of a
run, at another address), and there is a new channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

# gRPC reads this when it is imported. Its handlers around a fork crash a forked child now and then, before that can be told what to do
# instead (`process`), and nothing here needs them: a child never gets to gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
import grpc.aio

from linkd.client.process import FORK_GUARD
from linkd.client.states import ConnectionState, OnState, StateTeller
from linkd.errors import ConnectionFailed, ConnectionFault, Draining, Error, NoRoom, StorageFull
from linkd.limits import (
    CONNECT_ATTEMPT_TIMEOUT_S,
    GRPC_MESSAGE_MAX_BYTES,
    KEEPALIVE_S,
    RECONNECT_BACKOFF_FIRST_S,
    RECONNECT_BACKOFF_MAX_S,
)
from linkd.wire.methods import Method
from linkd.wire.status import TOKEN_KEY, TOKEN_PREFIX, TRACE_KEY, retry_after_s, to_error

T = TypeVar("T")

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", GRPC_MESSAGE_MAX_BYTES),
    ("grpc.max_receive_message_length", GRPC_MESSAGE_MAX_BYTES),
    ("grpc.enable_http_proxy", 0),  # a proxy in the environment is for the web, and would break even a unix socket
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, never the broken one of its predecessor
    ("grpc.initial_reconnect_backoff_ms", int(RECONNECT_BACKOFF_FIRST_S * 1000)),
    ("grpc.max_reconnect_backoff_ms", int(RECONNECT_BACKOFF_MAX_S * 1000)),
)
_OPTIONS_TCP: tuple[tuple[str, int], ...] = (("grpc.keepalive_time_ms", int(KEEPALIVE_S * 1000)),)


@dataclass(frozen=True, slots=True)
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


@contextmanager
def translated() -> Iterator[None]:
    """Errors of gRPC as linkd's. A call that was cancelled by other than ourselves (its channel was closed) is ConnectionFailed."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise to_error(error.code().name, error.details() or "", _pairs(error.trailing_metadata())) from None
    except grpc.aio.UsageError:
        raise ConnectionFailed("the connection to linkd is closed: connect again") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ConnectionFailed("the connection to linkd was closed while a call was waiting") from None


class Stream:
    """A stream in both directions. One task writes, one reads; cancelling either in the middle of a call ends the stream."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._responses: AsyncIterator[Any] = call.__aiter__()

    async def write(self, message: Any) -> None:
        """Sends one message, waiting for flow control. Raises what ended the stream, if it has ended."""
        FORK_GUARD.check()
        with translated():
            try:
                await self._call.write(message)
            except asyncio.InvalidStateError:
                raise await self._ending() from None

    async def read(self) -> Any | None:
        """The next message; None at the orderly end."""
        with translated():
            return await anext(self._responses, None)

    async def done_writing(self) -> None:
        with translated():
            try:
                await self._call.done_writing()
            except asyncio.InvalidStateError:
                raise await self._ending() from None

    def cancel(self) -> None:
        self._call.cancel()

    async def _ending(self) -> Error:
        code = await self._call.code()
        if code is grpc.StatusCode.OK:
            return ConnectionFailed("linkd ended the stream")
        return to_error(code.name, await self._call.details() or "", _pairs(await self._call.trailing_metadata()))


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
        self._channel: grpc.aio.Channel | None = None
        self._channels = 0
        self._closed = False
        self._search: asyncio.Task[None] | None = None
        self._seekers = 0
        self._sought = asyncio.Event()
        self.on_renewed: Callable[[], None] | None = None
        """Called whenever there is a new channel after the first."""

    @property
    def address(self) -> str:
        return self._endpoint.address if self._endpoint else ""

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
        # gRPC's core tells stderr of every connection that ends; what a program must know of it is raised.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        patience = Patience(self.timeout_s)
        left_s = patience.left_s
        endpoint = await self._dial()
        nobody = ConnectionFailed(
            f"no linkd answers at {endpoint.address} (waited {self.timeout_s:g} s): is `linkd run` or `linkd serve` up?"
        )
        while True:
            try:
                channel = await _reached(endpoint, min(max(0.1, left_s), CONNECT_ATTEMPT_TIMEOUT_S))
            except ConnectionFailed:
                await patience.wait(nobody)
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
            await channel.close(None)
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
            await channel.close(None)
        self._states.tell(ConnectionState.CLOSED)

    async def call(self, method: Method, request: Any, *, timeout_s: float | None = None, traceparent: str = "") -> Any:
        """One request, one response. Cancelling cancels the call. A call for which there is no room is made again until there is."""
        while True:
            multicallable = self._ready().unary_unary(method.path, _serialize, method.decode_response)
            try:
                with translated():
                    answer = await multicallable(request, timeout=timeout_s or self.timeout_s, metadata=self._metadata(traceparent))
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
        multicallable: Any = self._ready().stream_stream(method.path, _serialize, method.decode_response)
        return Stream(multicallable(metadata=self._metadata()))

    @asynccontextmanager
    async def receive(self, method: Method, request: Any) -> AsyncIterator[Stream]:
        """One request, many responses. Leaving the block early cancels the call."""
        call = self._ready().unary_stream(method.path, _serialize, method.decode_response)(request, metadata=self._metadata())
        try:
            yield Stream(call)
        finally:
            call.cancel()

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

    def _take(self, endpoint: Endpoint, channel: grpc.aio.Channel) -> None:
        self._endpoint, self._channel = endpoint, channel
        self._channels += 1
        self._states.tell(ConnectionState.CONNECTED)
        if self._channels > 1 and self.on_renewed is not None:
            self.on_renewed()

    def _ready(self) -> grpc.aio.Channel:
        FORK_GUARD.check()
        if self._channel is None:
            where = f" at {self.address}" if self.address else ""
            raise ConnectionFailed("this client is closed: connect again" if self._closed else f"linkd{where} went away")
        return self._channel

    def _metadata(self, traceparent: str = "") -> tuple[tuple[str, str], ...]:
        endpoint = self._endpoint
        token, traceparent = (endpoint.token, traceparent or endpoint.traceparent) if endpoint else ("", traceparent)
        pairs = ((TOKEN_KEY, TOKEN_PREFIX + token if token else ""), (TRACE_KEY, traceparent))
        return tuple((key, value) for key, value in pairs if value)


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


async def _reached(endpoint: Endpoint, timeout_s: float) -> grpc.aio.Channel:
    """A channel that is connected. Raises ConnectionFailed: at once if nobody listens, after `timeout_s` if nobody answers."""
    options = _OPTIONS if endpoint.address.startswith("unix:") else _OPTIONS + _OPTIONS_TCP
    channel = grpc.aio.insecure_channel(endpoint.address, options=options)
    try:
        with translated():
            async with asyncio.timeout(timeout_s):
                while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                    if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                        raise ConnectionFailed(f"nobody listens at {endpoint.address}")
                    await channel.wait_for_state_change(state)
    except TimeoutError:
        await channel.close(None)
        raise ConnectionFailed(f"linkd does not answer at {endpoint.address}") from None
    except BaseException:
        await channel.close(None)
        raise
    return channel


def _pairs(metadata: Any) -> list[tuple[str, str | bytes]]:
    return [(str(key), value) for key, value in metadata or ()]


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
