"""A connection of the lane: messages that are handed over as they come, and the end that is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linkd.client.lane import _Connection
from linkd.errors import ConnectionFailed, InternalFault
from linkd.wire.lane import Content, FrameKind, frame


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[_Connection, asyncio.StreamWriter]]:
    """A connection, and what its server writes with."""
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_unix_server(lambda _, writer: accepted.set_result(writer), path)
    async with server:
        _, connection = await asyncio.get_running_loop().create_unix_connection(lambda: _Connection(lambda _: None), str(path))
        writer = await accepted
        connection.begin(b"")
        try:
            yield connection, writer
        finally:
            connection.close()
            writer.close()


async def test_what_has_come_and_what_comes_is_handed_over_and_the_end_is_waited_for(short_dir: Path) -> None:
    async with connected(short_dir / "s") as (connection, writer):
        writer.write(frame(FrameKind.MESSAGE, b"1") + frame(FrameKind.MESSAGE, b"2"))
        kind, first = await connection.receive()
        assert (kind, bytes(first)) == (FrameKind.MESSAGE, b"1")
        got: list[bytes] = []
        connection.hand_to(lambda content: got.append(bytes(content)))
        assert got == [b"2"]
        writer.write(frame(FrameKind.MESSAGE, b"3") + frame(FrameKind.STATUS, b"") + frame(FrameKind.MESSAGE, b"behind the end"))
        assert (await connection.receive())[0] is FrameKind.STATUS
        assert got == [b"2", b"3"]


async def test_an_answer_that_cannot_be_taken_ends_the_call_for_who_waits(short_dir: Path) -> None:
    def refuse(content: Content) -> None:
        raise InternalFault(f"linkd said {bytes(content)!r}")

    async with connected(short_dir / "s") as (connection, writer):
        connection.hand_to(refuse)
        writer.write(frame(FrameKind.MESSAGE, b"nonsense"))
        with pytest.raises(InternalFault, match="nonsense"):
            await connection.receive()
        assert not connection.is_open


async def test_the_next_call_over_the_connection_is_not_the_last_one_s(short_dir: Path) -> None:
    async with connected(short_dir / "s") as (connection, writer):
        got: list[Content] = []
        connection.hand_to(got.append)
        writer.write(frame(FrameKind.STATUS, b""))
        await connection.receive()
        connection.begin(b"")
        writer.write(frame(FrameKind.MESSAGE, b"mine"))
        assert bytes((await connection.receive())[1]) == b"mine"
        assert got == []


async def test_who_waits_is_told_that_the_server_has_gone(short_dir: Path) -> None:
    async with connected(short_dir / "s") as (connection, writer):
        connection.hand_to(lambda _: None)
        writer.close()
        with pytest.raises(ConnectionFailed, match="closed the connection"):
            await connection.receive()
