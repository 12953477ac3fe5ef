"""gRPC, and nothing of it beyond this file: channels, calls, and the translation of their errors.

A `Connection` holds one channel at a time. When the home goes away `renew` looks for it again (an on-demand home may have made way for that
of a run, at another address) and opens a new channel.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

# gRPC reads this when it is imported. Its handlers around a fork crash a forked child now and then, before that can be told what to do
# instead (`process`), and nothing here needs them: a child never gets to gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
import grpc.aio

from linkd.client.process import FORK_GUARD
from linkd.errors import ConnectionFailed, Draining, Error
from linkd.limits import GRPC_MESSAGE_MAX_BYTES, KEEPALIVE_S, RECONNECT_BACKOFF_FIRST_S, RECONNECT_BACKOFF_MAX_S
from linkd.wire.methods import Method
from linkd.wire.status import TOKEN_KEY, TOKEN_PREFIX, TRACE_KEY, to_error

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

    def __repr__(self) -> str:
        return f"Endpoint({self.address!r}, token={'yes' if self.token else 'no'})"


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
    """A channel to the home, renewed when the home has gone away. `timeout_s` bounds finding the home and calls that are repeated."""

    def __init__(self, dial: Dial, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._dial = dial
        self._endpoint: Endpoint | None = None
        self._channel: grpc.aio.Channel | None = None
        self._renewing = asyncio.Lock()
        self._closed = False
        self.on_renewed: Callable[[], None] | None = None
        """Called whenever there is a new channel after the first."""

    @property
    def address(self) -> str:
        return self._endpoint.address if self._endpoint else ""

    @property
    def epoch(self) -> object:
        """Which channel this is; given to `renew`, it tells whether somebody else renewed in the meantime."""
        return self._channel

    async def open(self) -> None:
        """Finds the home and waits until it answers. Raises ConnectionFailed after `timeout_s`, and what discovery raises."""
        FORK_GUARD.enter()
        # gRPC's core tells stderr of every connection that ends; what a program must know of it is raised.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        deadline = time.monotonic() + self.timeout_s
        self._endpoint = await self._dial()
        options = _OPTIONS if self._endpoint.address.startswith("unix:") else _OPTIONS + _OPTIONS_TCP
        channel = grpc.aio.insecure_channel(self._endpoint.address, options=options)
        try:
            with translated():
                await asyncio.wait_for(channel.channel_ready(), max(0.1, deadline - time.monotonic()))
        except TimeoutError:
            await channel.close(None)
            raise ConnectionFailed(
                f"no linkd answers at {self._endpoint.address} (waited {self.timeout_s:g} s): is `linkd run` or `linkd serve` up?"
            ) from None
        except BaseException:
            await channel.close(None)
            raise
        self._channel = channel

    async def renew(self, seen: object) -> None:
        """A new channel in place of `seen`, unless that was done already. Raises as `open`."""
        async with self._renewing:
            if self._closed or self._channel is not seen:
                return
            before, self._channel = self._channel, None
            if before is not None:
                await before.close(None)
            await self.open()
            if self.on_renewed is not None:
                self.on_renewed()

    async def close(self) -> None:
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)

    async def call(self, method: Method, request: Any, *, timeout_s: float | None = None, traceparent: str = "") -> Any:
        """One request, one response. Cancelling cancels the call."""
        multicallable = self._ready().unary_unary(method.path, _serialize, method.decode_response)
        with translated():
            return await multicallable(request, timeout=timeout_s or self.timeout_s, metadata=self._metadata(traceparent))

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

    async def recover(self, patience: Patience, seen: object, error: Error) -> None:
        """Between two tries: waits, then renews the channel `seen` that failed. Raises `error` when patience ends or the client is closed.

        That the home is still away is no error here: the next try will learn it.
        """
        if self._closed:
            raise error
        await patience.wait(error)
        try:
            await self.renew(seen)
        except (ConnectionFailed, Draining):
            return

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
    """Waits between tries: doubling, with jitter, until `timeout_s` have passed since the first failure."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._deadline: float | None = None
        self._wait_s = RECONNECT_BACKOFF_FIRST_S

    async def wait(self, error: Error) -> None:
        """Waits before the next try, or raises `error` if there is no time left for one."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._timeout_s
        if now + self._wait_s >= self._deadline:
            raise error
        await asyncio.sleep(self._wait_s * random.uniform(0.5, 1.0))
        self._wait_s = min(2 * self._wait_s, RECONNECT_BACKOFF_MAX_S)


def _pairs(metadata: Any) -> list[tuple[str, str | bytes]]:
    return [(str(key), value) for key, value in metadata or ()]


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
