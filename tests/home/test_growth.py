"""What one more of everything costs a home, in memory: a link, a durable group, a stream that waits. Here its client's share is counted too."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

import linkd.aio
from linkd.testing.home import InProcessHome

COUNT = 40
WARM_UP = 5
LINK_MAX_BYTES = 20_000
GROUP_MAX_BYTES = 20_000
STREAM_MAX_BYTES = 150_000
Grow = Callable[[int], Awaitable[None]]


async def bytes_each(grow: Grow) -> float:
    """What each costs beyond the first few."""
    for number in range(WARM_UP):
        await grow(number)
    tracemalloc.start()
    try:
        for number in range(WARM_UP, WARM_UP + COUNT):
            await grow(number)
        gc.collect()
        grown_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return grown_bytes / COUNT


async def test_a_link_costs_little(open_home: InProcessHome) -> None:
    async with await linkd.aio.connect(open_home.endpoint) as client:

        async def grow(number: int) -> None:
            await client.publish(f"grown_{number}", [{"n": number}])

        assert await bytes_each(grow) <= LINK_MAX_BYTES


async def test_a_durable_group_that_nobody_is_connected_to_costs_little(open_home: InProcessHome) -> None:
    async with await linkd.aio.connect(open_home.endpoint) as client:
        await client.publish("events", [{"n": 1}])

        async def grow(number: int) -> None:
            async with client.subscribe("events", f"group_{number}", follow=True) as values:
                await (await anext(values)).ack()

        assert await bytes_each(grow) <= GROUP_MAX_BYTES


@pytest.mark.parametrize("transport", ["lane", "grpc"])
async def test_a_stream_that_waits_costs_little(open_home: InProcessHome, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKD_TRANSPORT", transport)
    async with await linkd.aio.connect(open_home.endpoint) as client, AsyncExitStack() as held:
        await client.publish("events", [{"n": 1}])

        async def grow(number: int) -> None:
            values = await held.enter_async_context(client.subscribe("events", f"stream_{number}", follow=True))
            await (await anext(values)).ack()

        assert await bytes_each(grow) <= STREAM_MAX_BYTES
