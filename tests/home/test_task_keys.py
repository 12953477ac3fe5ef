"""Several workers of one task with `order: key`, over the protocol: keys go on beside each other, and one that is given back waits alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from leased_pipeline import home_with, pass_time
from small_pipeline import Connect

import linkd.aio
from linkd.errors import InvalidArgument
from linkd.model.terms import Order
from linkd.testing.home import InProcessHome

KEYS = ["red", "green", "red", "green", "blue", "red"]


async def begun(home: InProcessHome, connect: Connect) -> None:
    outsider = await connect(home)
    for n, key in enumerate(KEYS, 1):
        await outsider.publish("numbers", {"n": n, "colour": key})
    await (await connect(home, "@run")).begin()


def worker(home: InProcessHome) -> linkd.aio.Client:
    return linkd.aio.connect(home.endpoint, token=home.token("double"))


def number_of(snap: linkd.aio.Snapshot) -> int:
    return int(snap["numbers"].rows()[0]["n"])


async def done(snap: linkd.aio.Snapshot) -> int:
    async with snap:
        await snap.publish("doubled", [{"n": number_of(snap)}])
    return number_of(snap)


async def test_a_key_that_is_held_or_given_back_holds_back_itself_only(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, order=Order.KEY, key="colour") as (home, clock):
        await begun(home, connect)
        async with worker(home) as one, worker(home) as two:
            reds = one.snapshots()
            first = await anext(reds)
            assert number_of(first) == 1
            others = two.snapshots()
            beside = [await done(await anext(others)) for _ in range(3)]
            assert [n for n in beside if n != 5] == [2, 4]
            waiting = asyncio.ensure_future(anext(others))
            await first.nack(delay_s=60.0, reason="not yet")
            again = asyncio.ensure_future(anext(reds))
            assert (await asyncio.wait((waiting, again), timeout=0.05))[0] == set(), "the reds behind the first wait for it"
            pass_time(home, clock, 60.0)
            taken, _ = await asyncio.wait((waiting, again), return_when=asyncio.FIRST_COMPLETED)
            [winner] = taken
            rest = reds if winner is again else others
            (waiting if winner is again else again).cancel()
            assert [await done(winner.result()), *[await done(snap) async for snap in rest]] == [1, 3, 6]
        made = await (await connect(home)).numbers("doubled")
        assert made == [*beside, 1, 3, 6]


async def test_a_restart_keeps_the_order_of_keys(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, order=Order.KEY, key="colour") as (home, _):
        await begun(home, connect)
        home.supervised = False
        async with worker(home) as one, worker(home) as two:
            first = await anext(one.snapshots())
            others = two.snapshots()
            beside = await done(await anext(others))
            await home.restart(crash=True)
            assert await done(first) == 1
            assert sorted([beside, *[await done(snap) async for snap in others]]) == [2, 3, 4, 5, 6]
        made = await (await connect(home)).numbers("doubled")
        assert [n for n in made if KEYS[n - 1] == "red"] == [1, 3, 6]
        assert [n for n in made if KEYS[n - 1] == "green"] == [2, 4]


async def test_a_link_without_the_key_is_named(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, order=Order.KEY, key="shape") as (home, _):
        await begun(home, connect)
        async with worker(home) as client:
            with pytest.raises(InvalidArgument, match="numbers@1 has no column 'shape'"):
                await anext(client.snapshots())
