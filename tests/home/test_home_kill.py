"""A home as a process, killed with SIGKILL again and again while three clients publish: what was acked is there, once and in order.

Of links of every durability: what a process has written is there as long as the machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from figures import keep_figure
from raw_client import RawClient, client_of, rows_value

from linkd.errors import Error
from linkd.testing.forked_programs import Program, start_linkd
from linkd.testing.home_process import plain_environment
from linkd.wire import methods

PIPELINE = """
pipeline: killed
wiring: |
  (one* whole, two* whole, three* whole, shared* whole)  nobody  (nothing)
links:
  one: {durability: memory}
  two: {durability: interval, interval: 20ms}
tasks:
  nobody: {run: "true"}
"""
LOAD_MAX_S = 0.15
LIVES = int(os.environ.get("LINKD_KILLS", "10"))  # `make soak` has more
SHARED = "shared"
BULK_EVERY = 40
BULK_ROWS, BULK_FILL = 80, "x" * 1_000
"""Of every so many values one is large enough for a segment."""


@dataclass(slots=True)
class Publisher:
    """Publishes its own link and the shared one by turns, without waiting for acks. A value whose outcome is unknown is never sent again."""

    name: str
    sent: int = 0
    acked: list[tuple[str, int, int]] = field(default_factory=list)
    """(link, sequence, number) of each value, as the ack had it."""
    going: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first ack of the home's present life."""

    async def publish(self, client: RawClient) -> None:
        """Until the home is gone."""
        self.going.clear()
        stream = client.stream(methods.PUBLISH)
        unacked: list[tuple[str, int]] = []

        async def send() -> None:
            while True:
                self.sent += 1
                link = SHARED if self.sent % 2 else self.name
                unacked.append((link, self.sent))
                rows, fill = (BULK_ROWS, BULK_FILL) if self.sent % BULK_EVERY == 0 else (1, "")
                await stream.write(rows_value(link, *({"by": self.name, "n": self.sent, "fill": fill} for _ in range(rows))))

        sending = asyncio.create_task(send())
        try:
            with contextlib.suppress(Error):
                while (ack := await stream.read()) is not None:
                    link, number = unacked.pop(0)
                    assert ack.link == link
                    self.acked.append((link, ack.first.sequence, number))
                    self.going.set()
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Error):
                await sending


@asynccontextmanager
async def home_process(directory: Path, socket: Path, pipeline: Path, log: Path) -> AsyncIterator[Program]:
    """A home that serves; killed at the end, however that comes."""
    with log.open("ab") as complaints:
        words = ["serve", "--dir", str(directory), "--socket", str(socket), "--pipeline", str(pipeline)]
        process = await start_linkd(words, plain_environment(), stdin=subprocess.DEVNULL, stderr=complaints.fileno())
    try:
        assert process.stdout is not None
        assert await process.stdout.readline(), log.read_text()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.communicate()


@pytest.mark.slow
async def test_every_acked_value_survives_kill_9_once_and_in_order(tmp_path: Path) -> None:
    chance = random.Random(9)
    publishers = [Publisher(name) for name in ("one", "two", "three")]
    directory, pipeline, log = tmp_path / "state", tmp_path / "killed.yaml", tmp_path / "home.log"
    pipeline.write_text(PIPELINE)
    with tempfile.TemporaryDirectory(prefix="linkd-") as private:
        socket = Path(private) / "socket"
        for _ in range(LIVES):
            async with home_process(directory, socket, pipeline, log) as process, contextlib.AsyncExitStack() as clients:
                connected = [await clients.enter_async_context(client_of(f"unix:{socket}")) for _ in publishers]
                publishing = [asyncio.create_task(p.publish(client)) for p, client in zip(publishers, connected, strict=True)]
                for publisher in publishers:
                    await publisher.going.wait()
                await asyncio.sleep(chance.uniform(0.0, LOAD_MAX_S))
                process.kill()
                await asyncio.gather(*publishing)
        async with home_process(directory, socket, pipeline, log), client_of(f"unix:{socket}") as client:
            found = {link: await stored(client, link) for link in (SHARED, *(p.name for p in publishers))}
    figures = judged(found, publishers)
    keep_figure("kill -9 of the home under load", kills=LIVES, acked=sum(len(one.acked) for one in publishers), **figures)
    assert all(len(publisher.acked) >= LIVES for publisher in publishers)
    assert figures == {"acked_values_lost": 0, "effects_twice": 0, "out_of_order": 0}


def judged(found: dict[str, list[tuple[int, str, int]]], publishers: list[Publisher]) -> dict[str, int]:
    """Acked values that are not where their ack had them, values that are there twice, and places at which the order is broken."""
    lost = twice = out_of_order = 0
    for values in found.values():
        out_of_order += sum(sequence != expected for expected, (sequence, _, _) in enumerate(values, 1))
        twice += len(values) - len({(by, number) for _, by, number in values})
        for publisher in publishers:
            numbers = [number for _, by, number in values if by == publisher.name]
            out_of_order += sum(later <= earlier for earlier, later in itertools.pairwise(numbers))
    for publisher in publishers:
        there = {link: {sequence: (by, number) for sequence, by, number in values} for link, values in found.items()}
        lost += sum(there[link].get(sequence) != (publisher.name, number) for link, sequence, number in publisher.acked)
    return {"acked_values_lost": lost, "effects_twice": twice, "out_of_order": out_of_order}


async def stored(client: RawClient, link: str) -> list[tuple[int, str, int]]:
    """(sequence, publisher, number) of every value of a link."""
    found = []
    for value in await client.read(link):
        rows = value.rows()
        assert len(rows) == (BULK_ROWS if rows[0]["n"] % BULK_EVERY == 0 else 1)
        found.append((value.sequence, rows[0]["by"], rows[0]["n"]))
    return found
