"""Acks and nacks whose answer got lost: the subscription finds out by itself what became of them, and nothing is worked on twice."""

from __future__ import annotations

import asyncio

import pytest
from raw_client import until

import linkd.aio
from linkd.errors import LeaseLost, OutcomeUnknown
from linkd.testing.cutting_proxy import CuttingProxy, Way
from linkd.testing.home import InProcessHome

FRAMES_MAX = 12
"""Of a connection: more than an ack and its answer take, so that each of them is cut."""
VALUES = 3


async def published(home: InProcessHome, values: int = VALUES) -> None:
    async with linkd.aio.connect(home.endpoint) as client:
        for number in range(values):
            await client.publish("events", [{"n": number}])
        await client.seal("events")


async def begun(home: InProcessHome, group: str) -> None:
    """The home knows that the program has the group's value."""
    await until(lambda: any(lease.started_s is not None for lease in home.home.ledger.groups[group, "events"].leases.values()))


@pytest.mark.parametrize("way", list(Way))
async def test_wherever_an_ack_or_its_answer_is_cut_off_it_happens_once(open_home: InProcessHome, way: Way) -> None:
    await published(open_home)
    proxy = CuttingProxy(open_home.socket.with_name("proxy"), open_home.socket)
    async with proxy.serving(), linkd.aio.connect(proxy.endpoint, timeout_s=10) as client:
        for frame in range(1, FRAMES_MAX):
            seen = []
            async for value in client.subscribe("events", f"g{frame}"):
                seen.append((value.rows()[0]["n"], value.attempt))
                if len(seen) == 2:
                    proxy.cut_at(way, frame)
                await value.ack()
            assert seen == [(number, 1) for number in range(VALUES)], frame
    assert proxy.cuts >= 3


async def test_a_nack_whose_answer_is_cut_off_is_counted_once(open_home: InProcessHome) -> None:
    await published(open_home, 1)
    proxy = CuttingProxy(open_home.socket.with_name("proxy"), open_home.socket)
    async with proxy.serving(), linkd.aio.connect(proxy.endpoint, timeout_s=10) as client:
        for way in Way:
            for frame in (1, 2):
                attempts = []
                group = f"{way.name}-{frame}"
                async for value in client.subscribe("events", group):
                    attempts.append(value.attempt)
                    if len(attempts) == 1:
                        await begun(open_home, group)
                        proxy.cut_at(way, frame)
                        await value.nack(reason="not yet")
                        [lease] = open_home.home.ledger.groups[group, "events"].leases.values()
                        assert (lease.failures, lease.reason) == (1, "not yet")
                    else:
                        await value.ack()
                assert attempts == [1, 2]


@pytest.mark.usefixtures("road")
@pytest.mark.parametrize("crash", [True, False])
async def test_acks_of_many_values_at_once_survive_a_restart(open_home: InProcessHome, crash: bool) -> None:
    await published(open_home, 20)
    async with linkd.aio.connect(open_home.endpoint, timeout_s=10) as client:
        subscription = client.subscribe("events", "g", order="none")
        values = [await anext(subscription) for _ in range(20)]
        acks = asyncio.gather(*(value.ack() for value in values))
        await asyncio.sleep(0)
        await open_home.restart(crash=crash)
        await acks
        assert [value async for value in subscription] == []


async def test_what_another_has_settled_is_not_taken_for_ones_own(open_home: InProcessHome) -> None:
    await published(open_home, 1)
    proxy = CuttingProxy(open_home.socket.with_name("proxy"), open_home.socket)
    async with proxy.serving(), linkd.aio.connect(proxy.endpoint) as cut, linkd.aio.connect(open_home.endpoint) as other:
        mine = await anext(cut.subscribe("events", "g"))
        await begun(open_home, "g")
        waiting = asyncio.ensure_future(anext(other.subscribe("events", "g")))
        proxy.cut_at(Way.TO_HOME, 1)
        acking = asyncio.ensure_future(mine.ack())
        theirs = await waiting
        assert theirs.attempt == 2
        await theirs.ack()
        with pytest.raises(LeaseLost):
            await acking


async def test_a_home_that_stays_away_leaves_the_outcome_open(open_home: InProcessHome) -> None:
    await published(open_home, 1)
    async with linkd.aio.connect(open_home.endpoint, timeout_s=0.3) as client:
        value = await anext(client.subscribe("events", "g"))
        await open_home.stop()
        with pytest.raises(OutcomeUnknown, match="events@1"):
            await value.ack()
        await open_home.start()


async def test_an_ack_behind_the_end_of_its_subscription_is_refused(open_home: InProcessHome) -> None:
    await published(open_home, 1)
    async with linkd.aio.connect(open_home.endpoint) as client:
        subscription = client.subscribe("events", "g")
        value = await anext(subscription)
        subscription.close()
        with pytest.raises(LeaseLost, match="was closed before"):
            await value.ack()
