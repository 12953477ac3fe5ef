"""Those who look on: reading that follows, and descriptions that are pushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from raw_client import next_snapshot
from small_pipeline import Connect

import linkd.aio
from linkd.client.description import Description
from linkd.client.values import Value
from linkd.errors import InvalidArgument, LinkNotFound, NotAllowed
from linkd.testing.home import InProcessHome

DEADLINE_S = 20.0


async def numbers_of(values: AsyncIterator[Value], count: int) -> list[int]:
    """`n` of each row, of the next `count` values."""
    found: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(count):
            found += [row["n"] for row in (await anext(values)).rows()]
    return found


async def first(descriptions: AsyncIterator[Description], what: str, state: str) -> Description:
    """The first description in which the task `what` is in that state."""
    async with asyncio.timeout(DEADLINE_S):
        async for found in descriptions:
            if any(task.name == what and task.state == state for task in found.tasks):
                return found
    raise AssertionError("the descriptions ended")


async def double(home: InProcessHome, connect: Connect, *numbers: int) -> None:
    """One run of `double` over what is in `numbers`, which publishes these."""
    await (await connect(home, "@run")).begin(f"run of epoch {home.home.ledger.epoch}")
    task = await connect(home, "double")
    stream = await task.snapshots()
    given = iter(numbers)
    while (snapshot := await next_snapshot(stream)) is not None:
        staged = (await task.publish("doubled", {"n": next(given)}, stage=snapshot.ready)).staged
        await task.commit(snapshot.ready, staged)
    await (await connect(home, "@run")).task_exited("double")


async def test_reading_on_gives_what_is_there_and_then_what_comes(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint) as client:
        await client.publish("events", [{"n": 1}])
        await client.publish("events", [{"n": 2}])
        async with aclosing(aiter(client.read("events", follow=True))) as values:
            assert await numbers_of(values, 2) == [1, 2]
            await client.publish("events", [{"n": 3}])
            assert await numbers_of(values, 1) == [3]
        async with aclosing(aiter(client.read("events", follow=True, last_values=1))) as values:
            assert await numbers_of(values, 1) == [3]
        assert [row["n"] for row in await client.read("events").rows()] == [1, 2, 3]


async def test_who_reads_on_may_come_before_the_first_value(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint) as client, aclosing(aiter(client.read("later", follow=True))) as values:
        waiting = asyncio.create_task(numbers_of(values, 1))
        await client.publish("events", [{"n": 0}])
        await client.publish("later", [{"n": 1}])
        assert await waiting == [1]


async def test_the_next_generation_follows_behind_a_sealed_one_also_at_the_next_home(home: InProcessHome, connect: Connect) -> None:
    async with linkd.aio.connect(home.endpoint) as client, aclosing(aiter(client.read("doubled", follow=True))) as values:
        await client.publish("numbers", [{"n": 1}])
        await double(home, connect, 2)
        assert await numbers_of(values, 1) == [2]
        reading = asyncio.create_task(numbers_of(values, 2))
        await home.restart()
        await (await connect(home, "@run")).begin("another", fresh=True)
        task = await connect(home, "double")
        snapshot = await next_snapshot(await task.snapshots())
        assert snapshot is not None
        staged = [*(await task.publish("doubled", {"n": 20}, stage=snapshot.ready)).staged]
        staged += (await task.publish("doubled", {"n": 21}, stage=snapshot.ready)).staged
        await task.commit(snapshot.ready, staged)
        assert await reading == [20, 21]


async def test_reading_on_has_no_end_and_so_no_table(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint) as client:
        await client.publish("events", [{"n": 1}])
        with pytest.raises(InvalidArgument, match="has no end: iterate it"):
            await client.read("events", follow=True).to_table()
        with pytest.raises(InvalidArgument, match="has no end"):
            await anext(aiter(client.read("events", follow=True, last=1)))


async def test_reading_on_holds_nothing_when_it_is_left(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint) as client:
        await client.publish("events", [{"n": 1}])
        values = aiter(client.read("events", follow=True))
        await anext(values)
        await values.aclose()
        watches = open_home.home.changes._watches
        async with asyncio.timeout(DEADLINE_S):
            while watches.get("link events"):
                with open_home.home.changes.watch("*") as watch:
                    await client.publish("events", [{"n": 2}])
                    await watch.wait(0.1)
        assert not watches.get("link events")


async def test_onlookers_are_told_of_what_tasks_hold_and_since_when(home: InProcessHome, connect: Connect) -> None:
    async with linkd.aio.connect(home.endpoint) as client, aclosing(client.observe()) as descriptions:
        await client.publish("numbers", [{"n": 1}])
        assert (await first(descriptions, "double", "not begun")).run is None
        await (await connect(home, "@run")).begin("r")
        await first(descriptions, "double", "starting")
        task = await connect(home, "double")
        stream = await task.snapshots()
        snapshot = await next_snapshot(stream)
        assert snapshot is not None
        found = next(each for each in (await first(descriptions, "double", "running")).tasks if each.name == "double")
        [lease] = found.leases
        assert lease.snapshot_id == snapshot.ready.snapshot_id.hex()
        assert [(portion.link, portion.first_sequence) for portion in lease.portions] == [("numbers", 1)]
        assert 0 < lease.since_ns <= home.clock.now_ns()
        staged = (await task.publish("doubled", {"n": 2}, stage=snapshot.ready)).staged
        await task.commit(snapshot.ready, staged)
        await (await connect(home, "@run")).task_exited("double")
        after = await first(descriptions, "double", "done")
        doubled = next(link for link in after.links if link.name == "doubled")
        assert doubled.last_created_at_ns > 0
        assert doubled.rate is not None
        assert doubled.rate.rows_per_s > 0


async def test_a_program_that_failed_is_told_as_failed(home: InProcessHome, connect: Connect) -> None:
    async with linkd.aio.connect(home.endpoint) as client, aclosing(client.observe()) as descriptions:
        run = await connect(home, "@run")
        await run.begin("r")
        await run.task_exited("double", code=3)
        failed = await first(descriptions, "double", "failed")
        assert [task.name for task in failed.tasks if task.state == "failed"] == ["double"]


async def test_onlookers_stay_from_home_to_home(home: InProcessHome, connect: Connect) -> None:
    async with linkd.aio.connect(home.endpoint) as client, aclosing(client.observe("doubled")) as descriptions:
        await (await connect(home, "@run")).begin("r")
        await first(descriptions, "double", "starting")
        await home.restart()
        found = await first(descriptions, "double", "stopped")
        assert [link.name for link in found.links] == ["doubled"]
        assert found.run is not None
        assert found.run.outcome == "interrupted"  # whoever ran it is gone, and could not say so


async def test_a_task_sees_what_it_may_and_nobody_an_unknown_link(home: InProcessHome) -> None:
    async with linkd.aio.connect(home.endpoint, token=home.token("double")) as client:
        with pytest.raises(NotAllowed):
            await anext(client.observe("total"))
        with pytest.raises(NotAllowed):
            await anext(aiter(client.read("total", follow=True)))
        with pytest.raises(LinkNotFound):
            await anext(aiter(client.read("absent", follow=True)))
