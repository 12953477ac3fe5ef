"""Between two pieces of bulk the event loop goes round, and clients have equal shares of it."""

from __future__ import annotations

import asyncio
from collections import Counter

from linkd.faces.bulk_turns import BulkTurns
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, MIB


async def test_the_loop_goes_round_between_two_large_messages_and_small_ones_never_wait() -> None:
    turns, moved = BulkTurns(), []

    async def move(client: str, size_bytes: int) -> None:
        for _ in range(3):
            await turns.take(client, size_bytes)
            moved.append(client)

    async def look() -> None:
        for _ in range(3):
            moved.append("|")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for client in ("a", "b"):
            group.create_task(move(client, MIB))
        group.create_task(look())
        group.create_task(move("small", INLINE_PAYLOAD_MAX_BYTES))
    between = "".join(one for one in moved if one != "small").split("|")
    assert all(len(one) <= 1 for one in between[1:-1])
    assert moved.index("small") == moved.index("|") + 1


async def test_a_client_with_many_streams_gets_no_more_than_one_with_few() -> None:
    turns, moved = BulkTurns(), Counter[str]()

    async def move(client: str) -> None:
        while moved["few"] < 50:
            await turns.take(client, MIB)
            moved[client] += 1

    async with asyncio.TaskGroup() as group:
        for client in ["many"] * 10 + ["few"] * 2:
            group.create_task(move(client))
    assert abs(moved["many"] - moved["few"]) <= 10


async def test_who_has_gone_takes_nobodys_turn() -> None:
    turns = BulkTurns()
    first, gone, waits = (asyncio.create_task(turns.take(client, MIB)) for client in ("a", "b", "c"))
    await asyncio.sleep(0)
    assert (first.done(), gone.done(), waits.done()) == (True, False, False)
    gone.cancel()
    async with asyncio.timeout(5):
        await waits
        await turns.take("a", MIB)
    assert gone.cancelled()
