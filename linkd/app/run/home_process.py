"""The home of a run, as its supervisor sees it: a process that is started under the lock, and a connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkd.app.run.processes import Child, Processes
from linkd.app.state import Lock, holder
from linkd.client.calls import Connection, Endpoint
from linkd.errors import InternalFault, StateLocked
from linkd.limits import DRAIN_TIMEOUT_S, HOME_START_TIMEOUT_S

ON_DEMAND = "a linkd home started for a reader"


async def take_lock(directory: Path) -> Lock:
    """The lock of the home's directory. A home that was started for a reader is asked to go, and finishes the calls in hand first.

    Raises StateLocked if somebody else has it, or that home does not go.
    """
    path = directory / "lock"
    try:
        return Lock.take(path, "linkd run")
    except StateLocked:
        held_by = holder(path)
        if held_by.kind != ON_DEMAND or not held_by.pid:
            raise StateLocked(f"{directory} is in use by {held_by}: end it first, or give it another directory") from None
    with contextlib.suppress(ProcessLookupError):
        os.kill(held_by.pid, signal.SIGTERM)
    return await _wait_for_lock(path, str(held_by))


async def _wait_for_lock(path: Path, held_by: str) -> Lock:
    """Waits in the kernel. If that takes too long the thread is left to it; it ends with the process."""
    loop = asyncio.get_running_loop()
    taken: asyncio.Future[Lock] = loop.create_future()

    def took(lock: Lock) -> None:
        if not taken.done():
            taken.set_result(lock)

    def wait() -> None:
        loop.call_soon_threadsafe(took, Lock.wait(path, "linkd run"))

    threading.Thread(target=wait, name="linkd lock", daemon=True).start()
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S + 5.0):
            return await taken
    except TimeoutError:
        raise StateLocked(f"{path.parent} is in use by {held_by}, which does not go: end it, and run again") from None


@dataclass(slots=True)
class HomeProcess:
    """A running home. `run_token` is the supervisor's own."""

    child: Child
    connection: Connection
    endpoint: str
    http_port: int | None

    @staticmethod
    async def start(processes: Processes, lock: Lock, directory: Path, pipeline: Path, log: Path, http_port: int | None) -> HomeProcess:
        """Starts it and waits until it serves. Raises InternalFault with the last lines of its log if it does not."""
        command = [sys.executable, "-m", "linkd", "serve", "--supervised", f"--lock-fd={lock.descriptor}"]
        command += [f"--dir={directory}", f"--pipeline={pipeline}"]
        if http_port is not None:
            command.append(f"--http-port={http_port}")
        env = {name: value for name, value in os.environ.items() if not name.startswith("LINKD_")}
        with log.open("wb") as output:
            child = await processes.start(
                "home", command, env=env, cwd=Path.cwd(), stdin=subprocess.PIPE, stderr=output.fileno(), pass_fds=(lock.descriptor,)
            )
        ready = await _first_line(child)
        if ready is None:
            await child.end(0.0)
            raise InternalFault(f"the home did not start (exit code {child.process.returncode}):\n{_last_lines(log)}\n  its log: {log}")
        endpoint, token = str(ready["endpoint"]), str(ready["run_token"])

        async def dial() -> Endpoint:
            return Endpoint(endpoint, token)

        connection = Connection(dial, HOME_START_TIMEOUT_S)
        await connection.open()
        return HomeProcess(child, connection, endpoint, ready.get("http_port"))

    async def stop(self) -> None:
        """Closes the pipe that keeps it alive and waits; ends it if it does not go."""
        await self.connection.close()
        if self.child.process.stdin is not None:
            self.child.process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT_S + 5.0):
                await self.child.process.wait()
        await self.child.end(0.0)


async def _first_line(child: Child) -> dict[str, Any] | None:
    assert child.process.stdout is not None
    try:
        async with asyncio.timeout(HOME_START_TIMEOUT_S):
            line = await child.process.stdout.readline()
    except TimeoutError:
        return None
    return json.loads(line) if line else None


def _last_lines(log: Path) -> str:
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-10:])
