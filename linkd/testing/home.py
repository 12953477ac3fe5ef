"""A home inside this process: the ledger, the store and the gRPC face on a unix socket, for tests that look at both sides.

    async with running_home(tmp_path, layout=OPEN) as home:
        channel = grpc.aio.insecure_channel(home.endpoint)
        ...
        await home.restart()            # a clean stop, and the same directory again
        await home.restart(crash=True)  # without draining: what was not durable is lost, connections break

What a program does to a home of its own process is in `testing.home_process`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from linkd.core.layout import OPEN, Layout
from linkd.device import SOLID, Device
from linkd.faces.call import Presence
from linkd.faces.links import LinksService
from linkd.faces.runs import RunsService
from linkd.faces.server import Server
from linkd.faces.tcp import TcpPort
from linkd.home.clock import Clock, SystemClock
from linkd.home.home import Home
from linkd.home.tokens import RUN_NAME
from linkd.limits import MEMORY_BUDGET_BYTES
from linkd.query.children import QueryChildren
from linkd.store.store_limits import StoreLimits
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.tracing import open_tracing
from linkd.testing.events import EventRecorder

DRAIN_TIMEOUT_S = 5.0


@dataclass(slots=True, repr=False)
class InProcessHome:
    """A serving home. `home`, `links` and `events` are those of its present life; `endpoint` stays the same through restarts."""

    directory: Path
    socket: Path
    layout: Layout
    clock: Clock
    memory_bytes: int
    supervised: bool
    store_limits: StoreLimits | None = None
    device: Device = SOLID
    boot: str = "this boot"
    disk_budget_bytes: int | None = None
    tcp: TcpPort | None = None
    home: Home = field(init=False)
    links: LinksService = field(init=False)
    face: Server = field(init=False)
    events: EventRecorder = field(init=False)

    @property
    def endpoint(self) -> str:
        return f"unix:{self.socket}"

    def token(self, name: str = RUN_NAME) -> str:
        """The token of a task, of `@run` or of `@adapters`, under the present epoch."""
        return self.home.tokens.make(name, self.home.ledger.epoch)

    async def start(self) -> None:
        """Recovers, binds and serves; a new epoch begins if the home is supervised, as under `linkd run`."""
        self.events = EventRecorder()
        telemetry = Telemetry()
        telemetry.attach(self.events)
        tracing = open_tracing({}, telemetry, "linkd", "test")
        self.home = Home.open(
            self.layout,
            self.directory,
            telemetry,
            self.clock,
            tracing,
            memory_bytes=self.memory_bytes,
            store_limits=self.store_limits,
            device=self.device,
            disk_budget_bytes=self.disk_budget_bytes,
        )
        if self.supervised:
            self.home.new_epoch()
        self.links = LinksService(self.home, QueryChildren(self.home, self.endpoint, self.directory / "spill"))
        self.face = await Server.build(self.socket, self.links, RunsService(self.home), Presence(), self.tcp)
        self.home.start(boot=self.boot)
        await self.face.start()

    async def stop(self, *, crash: bool = False) -> None:
        """Drains as `linkd serve` does. With `crash` every call is cut off where it stands; frames in line may still be written."""
        if not crash:
            self.home.stop_sessions()
        await self.links.queries.close()
        await self.face.drain(0.0 if crash else DRAIN_TIMEOUT_S)
        await self.home.close(0.0 if crash else DRAIN_TIMEOUT_S)

    async def restart(self, *, layout: Layout | None = None, crash: bool = False) -> None:
        """Another life in the same directory, perhaps of a pipeline file that was edited meanwhile."""
        await self.stop(crash=crash)
        self.layout = layout or self.layout
        await self.start()

    @property
    def is_idle(self) -> bool:
        """No call is in hand, and none that was has left anything: no memory, nothing staged that waits for the rest of its publish."""
        staging = self.home.store._staging
        held_bytes = self.home.memory.used_bytes, staging.in_memory_bytes, staging.in_files_bytes
        return not any(held_bytes) and not self.tasks_of_calls()

    def tasks_of_calls(self) -> list[str]:
        """Names of the asyncio tasks that serve a call now."""
        return sorted(task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("linkd "))


@asynccontextmanager
async def running_home(
    directory: Path,
    *,
    layout: Layout = OPEN,
    clock: Clock | None = None,
    memory_bytes: int = MEMORY_BUDGET_BYTES,
    supervised: bool = True,
    store_limits: StoreLimits | None = None,
    device: Device = SOLID,
    boot: str = "this boot",
    disk_budget_bytes: int | None = None,
    tcp: TcpPort | None = None,
) -> AsyncIterator[InProcessHome]:
    """Serves `layout` from `directory` until the block is left. The socket has a short directory of its own: its path is bounded."""
    private = Path(tempfile.mkdtemp(prefix=f"linkd-{os.getpid()}-"))
    socket = private / "socket"
    home = InProcessHome(
        directory, socket, layout, clock or SystemClock(), memory_bytes, supervised, store_limits, device, boot, disk_budget_bytes, tcp
    )
    try:
        await home.start()
        try:
            yield home
        finally:
            await home.stop()
    finally:
        shutil.rmtree(private, ignore_errors=True)
