"""Cancelling a query from outside: it is over when the answer comes, whatever the one who fetches it is doing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from linkd.core.rights import OUTSIDER, Identity, Role
from linkd.errors import QueryCancelled
from linkd.faces.flight_sql_running import RunningQueries

QUERY = b"query"
CLEAN = Identity(Role.TASK, "clean", 1)


class Rows:
    """A query that gives `ready` messages and then computes for ever; ending it takes a turn of the loop, as that of a process does."""

    def __init__(self, ready: int) -> None:
        self.ready = ready
        self.ended = 0

    async def messages(self) -> AsyncGenerator[bytes, None]:
        try:
            for number in range(self.ready):
                yield bytes([number])
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.ended += 1


async def _fetch(running: RunningQueries, rows: Rows, fetched: list[bytes], gate: asyncio.Event | None = None) -> None:
    async for message in running.fetched(OUTSIDER, QUERY, rows.messages()):
        fetched.append(message)
        if gate is not None:
            await gate.wait()


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("cancels", [1, 3])
async def test_one_that_computes_is_ended(cancels: int) -> None:
    running, rows, fetched = RunningQueries(), Rows(2), list[bytes]()
    fetching = asyncio.create_task(_fetch(running, rows, fetched))
    await _settled()
    assert all(await asyncio.gather(*(running.cancel(OUTSIDER, QUERY) for _ in range(cancels))))
    assert rows.ended == 1
    with pytest.raises(QueryCancelled):
        await fetching
    assert fetched == [b"\x00", b"\x01"]
    assert not await running.cancel(OUTSIDER, QUERY)


async def test_one_whose_reader_is_slow_is_ended_at_once_and_told_when_he_asks() -> None:
    running, rows, fetched, gate = RunningQueries(), Rows(2), list[bytes](), asyncio.Event()
    fetching = asyncio.create_task(_fetch(running, rows, fetched, gate))
    await _settled()
    assert await running.cancel(OUTSIDER, QUERY)
    assert rows.ended == 1
    gate.set()
    with pytest.raises(QueryCancelled):
        await fetching
    assert fetched == [b"\x00"]


async def test_who_leaves_ends_his_query_himself() -> None:
    running, rows = RunningQueries(), Rows(2)
    fetching = asyncio.create_task(_fetch(running, rows, []))
    await _settled()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    await _settled()
    assert rows.ended == 1
    assert not await running.cancel(OUTSIDER, QUERY)


async def test_others_cannot_cancel_it() -> None:
    running, rows = RunningQueries(), Rows(1)
    fetching = asyncio.create_task(_fetch(running, rows, []))
    await _settled()
    assert not await running.cancel(CLEAN, QUERY)
    assert not await running.cancel(OUTSIDER, b"another")
    assert not rows.ended
    assert await running.cancel(OUTSIDER, QUERY)
    with pytest.raises(QueryCancelled):
        await fetching
