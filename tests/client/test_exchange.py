"""How much of a flow of publishes is on its way at once."""

from __future__ import annotations

import asyncio

from linkd.client.exchange import Window
from linkd.client.payloads import Payload, Publish
from linkd.wire.messages import BYTES


def publish(size_bytes: int) -> Publish:
    content = b"x" * size_bytes
    return Publish("events", (Payload(BYTES, 1, size_bytes, lambda: (content,)),))


async def gone_in(waiting: list[asyncio.Task[None]]) -> int:
    """How many have their room when all that can happen has."""
    for _ in range(3 * len(waiting)):
        await asyncio.sleep(0)
    return sum(task.done() for task in waiting)


async def test_who_waits_for_room_goes_on_when_half_of_the_window_is_free_and_several_at_a_time() -> None:
    window, one = Window(max_values=8, max_bytes=8_000), publish(1_000)
    for _ in range(8):
        await window.enter(one)
    waiting = [asyncio.create_task(window.enter(one)) for _ in range(6)]
    assert await gone_in(waiting) == 0
    for answered, gone in ((1, 0), (2, 0), (3, 0), (4, 4)):
        window.leave(one)
        assert await gone_in(waiting) == gone, f"with {answered} of 8 answered"
    for _ in range(4):
        window.leave(one)
    assert await gone_in(waiting) == 6


async def test_a_publish_that_is_larger_than_the_window_goes_when_it_is_alone_and_holds_its_place() -> None:
    window, small, large = Window(max_values=8, max_bytes=8_000), publish(1_000), publish(20_000)
    await window.enter(small)
    await window.enter(small)
    waiting = [asyncio.create_task(window.enter(one)) for one in (large, small)]
    assert await gone_in(waiting) == 0
    window.leave(small)
    assert await gone_in(waiting) == 0
    window.leave(small)
    assert await gone_in(waiting) == 1
    window.leave(large)
    assert await gone_in(waiting) == 2
