"""A publisher over connections that are lost again and again: everything it was given arrives once and in order, and every future is right."""

from __future__ import annotations

import asyncio
import random

import pytest

import linkd
import linkd.aio
from linkd.testing.cutting_proxy import CuttingProxy, Way
from linkd.testing.home import InProcessHome

ROWS = 400
FIRST_CUT_FRAMES = 30


async def tell(publisher: linkd.aio.Publisher, way: str, number: int, kind: str) -> asyncio.Future[linkd.Ack] | None:
    row = {"dict": {"n": number}, "tuple": (number,)}[kind]
    if way == "submit":
        return publisher.submit(row)
    if way == "send":
        await publisher.send(row)
    else:
        publisher.send_nowait(row)
    return None


@pytest.mark.parametrize("seed", range(3))
async def test_all_of_it_arrives_once_and_in_order_whatever_the_calls_and_the_cuts(open_home: InProcessHome, seed: int) -> None:
    chance = random.Random(seed)
    proxy = CuttingProxy(open_home.socket.with_name("proxy"), open_home.socket)
    promised: dict[int, asyncio.Future[linkd.Ack]] = {}
    async with proxy.serving(), linkd.aio.connect(proxy.endpoint, timeout_s=20) as client:
        async with client.publisher("events", columns=["n"]) as events:
            for number in range(ROWS):
                if number % 40 == 10:
                    proxy.cut_at(chance.choice(list(Way)), chance.randint(1, FIRST_CUT_FRAMES))
                way, kind = chance.choice(["send", "send_nowait", "submit"]), chance.choice(["dict", "tuple"])
                future = await tell(events, way, number, kind)
                if future is not None:
                    promised[number] = future
                if chance.random() < 0.2:
                    await asyncio.sleep(0)
                if chance.random() < 0.05:
                    await events.flush()
                    assert all(future.done() for future in promised.values()), "flushed is durable"
        async with linkd.aio.connect(open_home.endpoint, timeout_s=10) as witness:
            values = {value.envelope.position.sequence: value.rows() async for value in witness.read("events")}
    assert proxy.cuts > 1, "connections were lost"
    assert [row["n"] for sequence in sorted(values) for row in values[sequence]] == list(range(ROWS))
    for number, future in promised.items():
        ack = future.result()
        assert {"n": number} in [row for sequence in range(ack.first.sequence, ack.last.sequence + 1) for row in values[sequence]]


@pytest.mark.parametrize("crash", [True, False])
async def test_bytes_that_gather_survive_restarts_of_the_home_over_the_lane(open_home: InProcessHome, crash: bool) -> None:
    contents = [b"%d" % number for number in range(ROWS)]
    async with linkd.aio.connect(open_home.endpoint, timeout_s=20) as client:
        async with client.publisher("blobs") as blobs:
            for number, content in enumerate(contents):
                blobs.send_nowait(content)
                if number % 10 == 0:
                    await asyncio.sleep(0)
                if number % 150 == 149:
                    await open_home.restart(crash=crash)
        assert [row["bytes"] for row in await client.read("blobs").rows()] == contents
