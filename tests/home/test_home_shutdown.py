"""A home as a process that is told to end under load: it drains, says so, exits 0 in time, and what was acked is there afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from raw_client import Stream, client_of

import linkd.aio
from linkd.testing.home_process import plain_environment
from linkd.testing.plain_arrow import rows_in_segments
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb

SERVE = """
import sys
from pathlib import Path
from linkd.app.serve import ServeOptions, serve
directory, socket, drain_timeout_s = sys.argv[1:]
sys.exit(serve(ServeOptions(Path(directory), Path(socket), None, http_port=0, drain_timeout_s=float(drain_timeout_s))))
"""
BULK_ROWS = 2_000_000
"""More than gRPC takes for a reader that does not read."""


@dataclass(slots=True)
class Serving:
    process: Process
    http_port: int

    async def http(self, path: str) -> tuple[int, str]:
        """Status and body."""

        def get() -> tuple[int, str]:
            try:
                with urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode().strip()
            except HTTPError as error:
                return error.code, error.read().decode().strip()

        return await asyncio.to_thread(get)


@asynccontextmanager
async def serving(directory: Path, socket: Path, drain_timeout_s: float) -> AsyncIterator[Serving]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, str(directory), str(socket), str(drain_timeout_s)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=plain_environment(),
    )
    try:
        assert process.stdout is not None
        yield Serving(process, json.loads(await process.stdout.readline())["http_port"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@dataclass(slots=True)
class Load:
    """Programs that publish one value after the other, and never learn of an end of the home."""

    client: linkd.aio.Client
    acked: dict[str, int] = field(default_factory=dict)
    going: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, link: str) -> None:
        while True:
            number = self.acked.get(link, 0)
            await self.client.publish(link, [{"n": number}])
            self.acked[link] = number + 1
            self.going.set()


async def stuck_reader(stream: Stream) -> None:
    """Begins to read, and takes no more."""
    assert (await stream.read()).WhichOneof("message") == "opened"
    await stream.read()


@pytest.mark.slow
async def test_a_home_that_is_told_to_end_drains_and_nothing_acked_is_lost(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="linkd-") as private:
        socket = Path(private) / "socket"
        bulk = pb.ReadRequest(link="bulk")
        async with contextlib.AsyncExitStack() as stack:
            async with serving(tmp_path, socket, 60.0) as home, client_of(f"unix:{socket}") as raw:
                client = await stack.enter_async_context(linkd.aio.connect(f"unix:{socket}", timeout_s=60))
                await client.publish("bulk", {"n": list(range(BULK_ROWS))})
                load = Load(client)
                group = await stack.enter_async_context(asyncio.TaskGroup())
                work = [group.create_task(load.publish(link)) for link in ("one", "two", "three")]
                reader = raw.stream(methods.READ, bulk)
                await stuck_reader(reader)
                await load.going.wait()
                await drains_visibly(home, raw.channel)
                reader.cancel()
                assert await home.process.wait() == 0
                there = {link: [row["n"] for row in rows_in_segments(tmp_path, link)] for link in load.acked}
                assert all(numbers == list(range(len(numbers))) for numbers in there.values()), "any Arrow program sees every value"
                assert all(len(there[link]) >= acked for link, acked in load.acked.items())
            async with serving(tmp_path, socket, 1.0) as home, client_of(f"unix:{socket}") as raw:
                await goes_on(load)
                await stuck_reader(raw.stream(methods.READ, bulk))
                began_s = time.monotonic()
                home.process.send_signal(signal.SIGTERM)
                assert await home.process.wait() == 0
                assert time.monotonic() - began_s < 5.0
            async with serving(tmp_path, socket, 60.0) as home, client_of(f"unix:{socket}") as raw:
                await goes_on(load)
                await stuck_reader(raw.stream(methods.READ, bulk))
                home.process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(30):
                    while await home.http("/readyz") != (503, "draining"):
                        pass
                home.process.send_signal(signal.SIGINT)
                assert await home.process.wait() == -signal.SIGINT
            async with serving(tmp_path, socket, 60.0):
                await goes_on(load)
                for task in work:
                    task.cancel()
                for link, acked in load.acked.items():
                    numbers = [row["n"] for row in await client.read(link).rows()]
                    assert numbers[:acked] == list(range(acked))
                    assert numbers == list(range(len(numbers)))
                await client.close()


async def goes_on(load: Load) -> None:
    """Until something more is acked: publishes waited for this home."""
    load.going.clear()
    async with asyncio.timeout(30):
        await load.going.wait()


async def drains_visibly(home: Serving, channel: grpc.aio.Channel) -> None:
    """Readiness goes off everywhere, and liveness stays."""
    health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
    assert await home.http("/readyz") == (200, "ok")
    home.process.send_signal(signal.SIGTERM)
    assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert await home.http("/readyz") == (503, "draining")
    assert await home.http("/livez") == (200, "ok")
