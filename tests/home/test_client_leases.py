"""The client's snapshots against a real home: given back, recalled, renewed, and in order through all of it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from doubling import begun
from leased_pipeline import LEASE_S, home_with, pass_time
from raw_client import until
from small_pipeline import Connect

import linkd.aio
from linkd.core.tasks import Task
from linkd.errors import InvalidArgument, LeaseLost, SnapshotNotSettled
from linkd.model.terms import Order
from linkd.testing.home import InProcessHome


def task_of(home: InProcessHome) -> Task:
    return home.home.ledger.tasks["double"]


def connected(home: InProcessHome) -> linkd.aio.Client:
    return linkd.aio.connect(home.endpoint, token=home.token("double"))


def number_of(snap: linkd.aio.Snapshot) -> int:
    [row] = snap["numbers"].to_table().to_pylist()
    return int(row["n"])


@pytest.mark.usefixtures("road")
async def test_what_is_given_back_comes_again_before_anything_newer(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        await begun(home, connect, 5)
        seen: list[tuple[int, int]] = []
        async with connected(home) as client:
            async for snap in client.snapshots():
                seen.append((number_of(snap), snap.attempt))
                async with snap:
                    if number_of(snap) in (1, 3) and snap.attempt < 3:
                        await snap.publish("doubled", {"n": [0]})
                        await snap.nack(reason="not yet")
                    else:
                        await snap.publish("doubled", {"n": [2 * number_of(snap)]})
        assert seen == [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2), (3, 3), (4, 1), (5, 1)]
        assert await (await connect(home)).numbers("doubled") == [2, 4, 6, 8, 10]


async def test_a_delay_holds_back_what_is_newer_where_there_is_an_order(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        await begun(home, connect, 2)
        async with connected(home) as client:
            snapshots = client.snapshots()
            first = await anext(snapshots)
            await first.nack(delay_s=60.0, reason="later")
            coming = asyncio.ensure_future(anext(snapshots))
            await until(lambda: not task_of(home).holders.recalled())
            pass_time(home, clock, 59.0)
            assert not any(lease.session for lease in task_of(home).leases.values())
            pass_time(home, clock, 1.0)
            again = await coming
            assert number_of(again) == 1
            async with again:
                pass


async def test_without_an_order_newer_ones_go_on_meanwhile(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, order=Order.NONE) as (home, clock):
        await begun(home, connect, 3)
        seen = []
        async with connected(home) as client:
            async for snap in client.snapshots():
                seen.append(number_of(snap))
                async with snap:
                    if number_of(snap) == 1 and snap.attempt == 1:
                        await snap.nack(delay_s=60.0)
                if len(seen) == 3:
                    pass_time(home, clock, 60.0)
        assert seen == [1, 2, 3, 1]


async def test_a_program_that_works_keeps_its_lease(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        await begun(home, connect, 1)
        async with connected(home) as client:
            snap = await anext(client.snapshots())
            snap._feed._lease_s = 0.03  # the home's is by the fake clock; the client renews by the real one
            deadlines = home.home.deadlines._leases
            await until(lambda: len(deadlines) == 1)
            async with snap:
                for _ in range(5):
                    clock.advance(LEASE_S * 0.9)
                    before_s = deadlines.next_s()
                    await until(lambda before_s=before_s: deadlines.next_s() != before_s)
                home.home.deadlines.poke()
        assert task_of(home).commits == 1


@pytest.mark.usefixtures("road")
async def test_a_program_that_lost_its_lease_is_told_and_goes_on(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        await begun(home, connect, 2)
        async with connected(home) as slow, connected(home) as quick:
            mine = slow.snapshots()
            first = await anext(mine)
            await until(lambda: len(home.home.deadlines._leases) == 1)
            theirs = quick.snapshots()
            coming = asyncio.ensure_future(anext(theirs))
            pass_time(home, clock, LEASE_S)
            again = await coming
            assert (number_of(again), again.attempt) == (1, 2)
            with pytest.raises(LeaseLost):
                async with first:
                    pass
            async with again:
                pass
            quick_rest = [number_of(snap) async for snap in _committed(theirs)]
            assert quick_rest == [2]
            assert [number_of(snap) async for snap in _committed(mine)] == []


async def test_a_failure_counts_however_soon_its_program_ends(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, max_attempts=2) as (home, _):
        await begun(home, connect, 2)
        seen = []
        for _ in range(3):
            with contextlib.suppress(ValueError):
                async with connected(home) as client:
                    snap = await anext(client.snapshots())
                    seen.append((number_of(snap), snap.attempt))
                    async with snap:
                        if number_of(snap) == 1:
                            raise ValueError
        assert seen == [(1, 1), (1, 2), (2, 1)]


async def test_an_interrupted_program_has_not_failed(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, max_attempts=1) as (home, _):
        await begun(home, connect, 1)
        async with connected(home) as client:
            snapshots = client.snapshots()
            with pytest.raises(KeyboardInterrupt):
                async with await anext(snapshots):
                    raise KeyboardInterrupt
            again = await anext(snapshots)
            assert again.attempt == 1
            async with again:
                pass


async def test_a_settled_snapshot_cannot_be_given_back(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        await begun(home, connect, 1)
        async with connected(home) as client:
            snap = await anext(client.snapshots())
            with pytest.raises(InvalidArgument, match="delay_s is -1"):
                await snap.nack(delay_s=-1)
            async with snap:
                pass
            with pytest.raises(SnapshotNotSettled, match="is settled"):
                await snap.nack()


async def _committed(snapshots: linkd.aio.Snapshots):  # type: ignore[no-untyped-def]
    async for snap in snapshots:
        async with snap:
            yield snap
