"""Programs of every kind at work through restarts of their home, clean ones and kills: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from leased_pipeline import pipeline
from small_pipeline import Connect

import linkd.aio
from linkd import ConnectionState, StateChange
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import runs_pb2

VALUES = 60
RESTARTS = 6


async def publish(home: InProcessHome, behind: asyncio.Semaphore) -> None:
    """Publishes all numbers, one value each; `behind` counts them."""
    async with linkd.aio.connect(home.endpoint) as client:
        for number in range(1, VALUES + 1):
            await client.publish("numbers", [{"n": number}])
            behind.release()


async def double(home: InProcessHome, attempts: list[tuple[int, int]]) -> None:
    """The task: twice each number, in two values."""
    async with linkd.aio.connect(home.endpoint, token=home.token("double")) as client:
        async for snap in client.snapshots():
            async with snap:
                [row] = snap["numbers"].rows()
                attempts.append((row["n"], snap.attempt))
                await snap.publish("doubled", [{"n": row["n"]}])
                await asyncio.sleep(0)
                await snap.publish("doubled", [{"n": 2 * row["n"]}])
            if row["n"] == VALUES:
                return


async def consume(home: InProcessHome, group: str, told: list[StateChange]) -> list[int]:
    """A consumer of what the task made: the numbers that it has acked, in order."""
    done: list[int] = []
    async with linkd.aio.connect(home.endpoint, on_state=told.append) as client:
        async for value in client.subscribe("doubled", group, follow=True):
            [row] = value.rows()
            await value.ack()
            done.append(row["n"])
            if row["n"] == 2 * VALUES:
                return done
    raise AssertionError("a subscription that follows does not end")


async def restart(home: InProcessHome, behind: asyncio.Semaphore) -> None:
    """Again and again, while numbers are published."""
    for number in range(RESTARTS):
        for _ in range(VALUES // (RESTARTS + 1)):
            await behind.acquire()
        await home.restart(crash=number % 2 == 0)


async def test_nothing_is_lost_and_nothing_is_done_twice(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=pipeline()) as home:
        await (await connect(home, "@run")).call(methods.RUN_BEGIN, runs_pb2.BeginRequest(run_id="r1", fresh=True, follow=True))
        home.supervised = False  # the run's programs live on, and so does its epoch
        behind, attempts, told = asyncio.Semaphore(0), list[tuple[int, int]](), list[StateChange]()
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(publish(home, behind))
            group.create_task(double(home, attempts))
            consuming = group.create_task(consume(home, "readers", told))
            group.create_task(restart(home, behind))
        expected = [n for number in range(1, VALUES + 1) for n in (number, 2 * number)]
        assert consuming.result() == expected
        assert await (await connect(home)).numbers("doubled") == expected
        assert [number for number, _ in attempts] == list(range(1, VALUES + 1))
        states = [change.state for change in told]
        assert {ConnectionState.DRAINING, ConnectionState.RECONNECTING} <= set(states)
        assert states.count(ConnectionState.CONNECTED) > RESTARTS / 2
