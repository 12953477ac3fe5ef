"""Calls over gRPC share the event loop: one piece of bulk at a time, equal shares for every client."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linkd.errors import InvalidArgument
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.grpc_call import GrpcContext, GrpcRequests
from linkd.limits import GRPC_MESSAGE_MAX_BYTES, MIB
from linkd.wire.chunks import ChunkMessage
from linkd.wire.methods import PUBLISH
from linkd.wire.status import CLIENT_KEY
from linkd.wire.v1 import links_pb2 as pb

CHUNK = ChunkMessage(pb.PublishRequest, (bytes(MIB),)).SerializeToString()
SMALL = pb.PublishRequest(value=pb.PublishValue(link="events")).SerializeToString()


class Call:
    """gRPC's own context of a call, as far as it is used here."""

    def __init__(self, client: str = "", peer: str = "unix:") -> None:
        self._client = client
        self._peer = peer
        self.written: list[bytes] = []

    def invocation_metadata(self) -> Any:
        return ((CLIENT_KEY, self._client),) if self._client else ()

    def peer(self) -> str:
        return self._peer

    async def write(self, data: bytes) -> None:
        self.written.append(data)


async def ready(*messages: bytes) -> AsyncIterator[bytes]:
    """Messages that are all there already."""
    for message in messages:
        yield message


def client_of(call: Call) -> object:
    return GrpcContext(call, BulkTurns()).client


def test_a_client_is_who_it_says_or_where_it_is_and_on_a_unix_socket_each_call_is_by_itself() -> None:
    assert client_of(Call("a")) == client_of(Call("a")) != client_of(Call("b"))
    assert client_of(Call(peer="ipv4:10.0.0.1:5")) == client_of(Call(peer="ipv4:10.0.0.1:5")) != client_of(Call(peer="ipv4:10.0.0.1:6"))
    assert client_of(Call()) != client_of(Call())


async def test_a_client_that_sends_bulk_on_many_streams_starves_nobody() -> None:
    turns, came = BulkTurns(), Counter[str]()

    async def take(client: str, message: bytes, count: int) -> None:
        async for _ in GrpcRequests(ready(*[message] * count), PUBLISH, turns, client):
            came[client] += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        bulk = [group.create_task(take("bulk", CHUNK, 1_000)) for _ in range(16)]
        other = group.create_task(take("other", CHUNK, 20))
        small = group.create_task(take("small", SMALL, 20))
        await small
        assert came["bulk"] <= 16 + 20
        await other
        assert came["bulk"] <= 16 + 3 * 20
        for task in bulk:
            task.cancel()


async def test_what_goes_out_takes_turns_with_what_comes_in() -> None:
    turns, call, order = BulkTurns(), Call("reader"), list[str]()

    async def take() -> None:
        async for _ in GrpcRequests(ready(*[CHUNK] * 5), PUBLISH, turns, "writer"):
            order.append("in")

    async def give() -> None:
        context = GrpcContext(call, turns)
        for _ in range(5):
            await context.write(ChunkMessage(pb.ReadResponse, (bytes(MIB),)))
            order.append("out")

    async with asyncio.TaskGroup() as group:
        group.create_task(take())
        group.create_task(give())
    assert len(call.written) == 5
    assert all(order[at : at + 3] not in (["in"] * 3, ["out"] * 3) for at in range(7))


@pytest.mark.parametrize("data", [b"\xff\xff", bytes(GRPC_MESSAGE_MAX_BYTES + 1)])
async def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        await anext(GrpcRequests(ready(data), PUBLISH, BulkTurns(), "a"))
