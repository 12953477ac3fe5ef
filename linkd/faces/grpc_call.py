"""Calls of `linkd.v1` over gRPC: messages as bytes, so that their sizes are known, and bulk in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from typing import Any, Never, Self

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from linkd.errors import InvalidArgument
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.call import translated
from linkd.faces.routes import Route
from linkd.limits import GRPC_MESSAGE_MAX_BYTES
from linkd.wire.methods import Kind, Method
from linkd.wire.status import CLIENT_KEY

_CERTIFICATE = "x509_pem_cert"
_MAKERS = {
    Kind.UNARY_UNARY: grpc.unary_unary_rpc_method_handler,
    Kind.UNARY_STREAM: grpc.unary_stream_rpc_method_handler,
    Kind.STREAM_STREAM: grpc.stream_stream_rpc_method_handler,
}


class GrpcContext:
    """What a handler knows of its call: as much of gRPC's own context as linkd's handlers use."""

    def __init__(self, context: Any, turns: BulkTurns) -> None:
        self._context = context
        self._turns = turns
        self.client = client_of(context)

    def invocation_metadata(self) -> Any:
        return self._context.invocation_metadata()

    @property
    def is_stranger(self) -> bool:
        return is_stranger(self._context)

    async def write(self, message: Any, /) -> None:
        """Sends a response; returns when there is room for another one."""
        data = message.SerializeToString()
        await self._turns.take(self.client, len(data))
        await self._context.write(data)

    async def abort(self, code: Any, /, details: str = "", trailing_metadata: Any = ()) -> Never:
        await self._context.abort(code, details, trailing_metadata)
        raise AssertionError("unreachable: gRPC's abort raises")


class GrpcRequests:
    """The requests of one call, as they come."""

    def __init__(self, requests: AsyncIterator[bytes], method: Method, turns: BulkTurns, client: Hashable) -> None:
        self._requests = requests
        self._method = method
        self._turns = turns
        self._client = client
        self._last_bytes = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        await self._turns.take(self._client, self._last_bytes)  # how large the next one is only shows when it has been taken
        data = await anext(self._requests)
        self._last_bytes = len(data)
        return _decoded(self._method, data)


def grpc_handler(route: Route, turns: BulkTurns) -> Any:
    """What gRPC calls for a method."""
    method, kind = route.method, route.method.kind

    async def stream(requests: AsyncIterator[bytes], context: Any) -> None:
        own = GrpcContext(context, turns)
        await route.handler(GrpcRequests(requests, method, turns, own.client), own)

    async def single(data: bytes, context: Any) -> bytes | None:
        own = GrpcContext(context, turns)
        async with translated(own):
            request = _decoded(method, data)
        response = await route.handler(request, own)
        answer: bytes | None = response.SerializeToString() if kind is Kind.UNARY_UNARY else None
        return answer

    return _MAKERS[kind](stream if kind is Kind.STREAM_STREAM else single)


def client_of(context: Any) -> Hashable:
    """Who is at the other end: as it says itself, or by its address; of a unix socket that says nothing, and each call is by itself."""
    said = dict(context.invocation_metadata() or ()).get(CLIENT_KEY)
    peer: str = context.peer()
    return said or (object() if peer.startswith("unix:") else peer)


def is_stranger(context: Any) -> bool:
    """As `call.Context` has it. A certificate that is shown was checked by gRPC."""
    return not context.peer().startswith("unix:") and not context.auth_context().get(_CERTIFICATE)


def _decoded(method: Method, data: bytes) -> Any:
    if len(data) > GRPC_MESSAGE_MAX_BYTES:
        raise InvalidArgument(f"a message of {method.name} has {len(data):,} bytes; at most {GRPC_MESSAGE_MAX_BYTES:,} are taken")
    try:
        return method.decode_request(data)
    except DecodeError as problem:
        raise InvalidArgument(f"a request of {method.path} cannot be read: {problem}") from None
