"""Consumers that die, hang, or were ahead of what a link still has: real processes, the real client, one home."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import linkd
import linkd.aio
from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.model.terms import LinkTerms
from linkd.model.values import Durability
from linkd.store.store_limits import StoreLimits
from linkd.testing.home import InProcessHome, running_home
from linkd.testing.home_process import plain_environment

LEASE_S = 1.0
CONSUMER = f"""
import sys, linkd
subscription = linkd.connect(sys.argv[1]).subscribe("events", "g", lease_s={LEASE_S})
value = next(iter(subscription))
print(value.envelope.position.sequence, flush=True)
sys.stdin.read()
"""
LAZY = StoreLimits(catalog_idle_s=1_000)
"""Nothing but commits has anything synced."""
LOOSE = Layout("loose", {"events": LinkShape("events", "", terms=LinkTerms(Durability.MEMORY))}, {}, frozenset({"events"}))


@asynccontextmanager
async def consumer_at_work(home: InProcessHome) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that has the next value in its hands, and never settles it."""
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONSUMER, home.endpoint, stdin=pipe, stdout=pipe, env=plain_environment()
    )
    assert process.stdout is not None
    try:
        assert int(await process.stdout.readline()) == 1
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_consumer_killed_by_kill_9_is_seen_at_once_and_a_hung_one_by_its_lease(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint) as client:
        await client.publish("events", [{"n": 1}])
        for signal_number, within_s in ((signal.SIGKILL, 1.0), (signal.SIGSTOP, LEASE_S + 1.0)):
            async with consumer_at_work(open_home) as process:
                other = client.subscribe("events", "g")
                taking = asyncio.ensure_future(anext(other))
                group = open_home.home.ledger.groups["g", "events"]
                while len(group.members) < 2:
                    await asyncio.sleep(0)
                assert not taking.done()
                began_s = time.monotonic()
                process.send_signal(signal_number)
                value = await taking
                assert time.monotonic() - began_s < within_s
                assert value.attempt == (2 if signal_number == signal.SIGKILL else 4)
                await value.nack()
                other.close()
                while group.members and signal_number == signal.SIGKILL:
                    await asyncio.sleep(0)


async def test_a_consumer_that_was_ahead_of_what_the_power_left_is_told_what_is_lost(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    async with (
        running_home(tmp_path / "state", layout=LOOSE, supervised=False, store_limits=LAZY) as home,
        linkd.aio.connect(home.endpoint) as client,
    ):
        await client.publish("events", [{"n": 1}])
        shutil.copytree(home.directory, kept)  # what the disk had when the power was gone
        for number in (2, 3, 4):
            await client.publish("events", [{"n": number}])
        values = client.subscribe("events", "g", follow=True)
        for _ in range(3):
            await (await anext(values)).ack()
        await home.stop(crash=True)
        shutil.rmtree(home.directory)
        kept.rename(home.directory)
        home.boot = "next boot"
        await home.start()
        async with linkd.aio.connect(home.endpoint) as another:
            await another.publish("events", [{"n": 20}])
        assert [(await anext(values)).rows()[0]["n"] for _ in range(2)] == [1, 20], "no group of that disk has begun"
        assert values.lost_values == 2, "of the three that it had taken"
        values.close()
        later = client.subscribe("events", "later", start=linkd.Position(1, 4))
        value = await anext(later)
        assert (value.rows()[0]["n"], later.lost_values) == (20, 2), "what came in the place of those that are lost"
        later.close()
