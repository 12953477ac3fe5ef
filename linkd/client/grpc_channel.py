"""gRPC, and nothing of it beyond this file: channels, calls, and the translation of their errors. For hosts without a lane, and other hosts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

# gRPC reads these when it is imported. Its handlers around a fork crash a forked child now and then, before that can be told what to do
# instead (`process`), and nothing here needs them: a child never gets to gRPC. Its core tells stderr of every connection that ends; what a
# program must know of it is raised.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc
import grpc.aio

from linkd.client.process import FORK_GUARD
from linkd.client.tls import host_port, is_tls, tls_files, tls_hint
from linkd.errors import ConnectionFailed, Error, InternalFault
from linkd.limits import GRPC_MESSAGE_MAX_BYTES, KEEPALIVE_S, RECONNECT_BACKOFF_FIRST_S, RECONNECT_BACKOFF_MAX_S
from linkd.wire.methods import Kind, Method
from linkd.wire.status import CLIENT_KEY, TOKEN_KEY, TOKEN_PREFIX, TRACE_KEY, to_error

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", GRPC_MESSAGE_MAX_BYTES),
    ("grpc.max_receive_message_length", GRPC_MESSAGE_MAX_BYTES),
    ("grpc.enable_http_proxy", 0),  # a proxy in the environment is for the web, and would break even a unix socket
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, never the broken one of its predecessor
    ("grpc.initial_reconnect_backoff_ms", int(RECONNECT_BACKOFF_FIRST_S * 1000)),
    ("grpc.max_reconnect_backoff_ms", int(RECONNECT_BACKOFF_MAX_S * 1000)),
)
_CLIENT_BYTES = 16
"""Of the name that a channel has for the home: nobody else's."""
_OPTIONS_TCP: tuple[tuple[str, int], ...] = (("grpc.keepalive_time_ms", int(KEEPALIVE_S * 1000)),)


class GrpcChannel:
    """A channel to the home at one address."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._client = os.urandom(_CLIENT_BYTES).hex()

    @staticmethod
    async def reach(address: str, timeout_s: float) -> GrpcChannel:
        """A channel that is connected. Raises ConnectionFailed: at once if nobody listens, after `timeout_s` if nobody answers.

        Raises InvalidArgument for files of `tls:` that cannot be read.
        """
        channel = _channel(address)
        try:
            with translated():
                async with asyncio.timeout(timeout_s):
                    while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                            raise ConnectionFailed(f"nobody listens at {address}{tls_hint(address)}")
                        await channel.wait_for_state_change(state)
        except TimeoutError:
            await channel.close(None)
            raise ConnectionFailed(f"linkd does not answer at {address}") from None
        except BaseException:
            await channel.close(None)
            raise
        return GrpcChannel(channel)

    async def call(self, method: Method, request: Any, *, timeout_s: float, token: str, traceparent: str) -> Any:
        """One request, one response. Raises what the home refuses it with; ConnectionFailed after `timeout_s`."""
        multicallable = self._channel.unary_unary(method.path, _serialize, method.decode_response)
        with translated():
            return await multicallable(request, timeout=timeout_s, metadata=self._metadata(token, traceparent))

    def open(self, method: Method, *, token: str, traceparent: str, request: Any = None) -> GrpcStream:
        """A call with a stream in both directions, or with one `request` and a stream of responses."""
        metadata = self._metadata(token, traceparent)
        if method.kind is Kind.STREAM_STREAM:
            both: Any = self._channel.stream_stream(method.path, _serialize, method.decode_response)
            return GrpcStream(both(metadata=metadata))
        one: Any = self._channel.unary_stream(method.path, _serialize, method.decode_response)
        return GrpcStream(one(request, metadata=metadata))

    async def close(self) -> None:
        """Ends every call; those who wait are told ConnectionFailed."""
        await self._channel.close(None)

    def _metadata(self, token: str, traceparent: str) -> tuple[tuple[str, str], ...]:
        pairs = ((TOKEN_KEY, TOKEN_PREFIX + token if token else ""), (TRACE_KEY, traceparent), (CLIENT_KEY, self._client))
        return tuple((key, value) for key, value in pairs if value)


def _channel(address: str) -> grpc.aio.Channel:
    if address.startswith("unix:"):
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    if not is_tls(address):
        return grpc.aio.insecure_channel(address, options=_OPTIONS + _OPTIONS_TCP)
    files = tls_files(os.environ)
    credentials = grpc.ssl_channel_credentials(files.authority, files.key, files.certificate)
    return grpc.aio.secure_channel(host_port(address), credentials, options=_OPTIONS + _OPTIONS_TCP)


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


class GrpcStream:
    """A stream in both directions. One task writes, one reads; cancelling either in the middle of a call ends the stream."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._responses: AsyncIterator[Any] = call.__aiter__()

    async def write(self, message: Any, *, more: bool = False) -> None:
        """Sends one message, now, waiting for flow control. Raises what ended the stream, if it has ended."""
        FORK_GUARD.check()
        with translated():
            try:
                await self._call.write(message)
            except asyncio.InvalidStateError:
                raise await self._ending() from None

    is_ready = False
    """gRPC says when a message is sent only to who waits for it."""

    def write_now(self, message: Any) -> None:
        raise InternalFault("a stream of gRPC is written to by who waits for it")

    async def hand_to(self, taker: Callable[[Any], None]) -> None:
        """gRPC gives a message only to who waits for it."""

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


def _pairs(metadata: Any) -> list[tuple[str, str | bytes]]:
    return [(str(key), value) for key, value in metadata or ()]


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
