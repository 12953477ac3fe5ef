"""The home of a run, as its supervisor sees it: a process that is started under the lock, and a connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkd.app.log_rotation import rotate
from linkd.app.run.own_programs import HOME
from linkd.app.run.processes import Child, Processes, ending
from linkd.app.state import Lock
from linkd.errors import InternalFault
from linkd.limits import HOME_START_TIMEOUT_S, LOG_FILE_MAX_BYTES, MAKE_WAY_MARGIN_S

if TYPE_CHECKING:
    from linkd.client.calls import Connection


@dataclass(slots=True)
class HomeProcess:
    """A running home. `settings` are those of `supervised_home`; the connection is the supervisor's own, and outlives the process."""

    processes: Processes
    settings: Mapping[str, Any]
    child: Child
    connection: Connection
    endpoint: str
    http_port: int | None

    @staticmethod
    async def start(
        processes: Processes,
        lock: Lock,
        directory: Path,
        pipeline: Path,
        params: Mapping[str, str],
        log: Path,
        http_port: int | None,
        budgets: Mapping[str, float | None],
    ) -> HomeProcess:
        """Starts it and waits until it serves. Raises InternalFault with the last lines of its log if it does not.

        `budgets` are settings of `supervised_home`, by name.
        """
        settings = {
            "directory": str(directory),
            "pipeline": str(pipeline),
            "params": dict(params),
            "http_port": http_port,
            "log": str(log),
            **budgets,
        }
        child, ready = await _started(processes, lock, settings)
        from linkd.client.calls import Connection, Endpoint

        endpoint, token = str(ready["endpoint"]), str(ready["run_token"])

        async def dial() -> Endpoint:
            return Endpoint(endpoint, token)

        connection = Connection(dial, HOME_START_TIMEOUT_S)
        await connection.open()
        return HomeProcess(processes, settings, child, connection, endpoint, ready.get("http_port"))

    async def start_again(self, lock: Lock, epoch: int) -> None:
        """The next process in the place of one that is gone, for the same run: its programs go on. Raises as `start`."""
        settings = {**self.settings, "http_port": self.http_port, "epoch": epoch}
        self.child, _ = await _started(self.processes, lock, settings)

    async def stop(self) -> None:
        """Closes the pipe that keeps it alive and waits; ends it if it does not go."""
        await self.connection.close()
        if self.child.process.stdin is not None:
            self.child.process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(self.settings["drain_timeout_s"]) + MAKE_WAY_MARGIN_S):
                await self.child.process.wait()
        await self.child.end(0.0)


async def _started(processes: Processes, lock: Lock, settings: Mapping[str, Any]) -> tuple[Child, Mapping[str, Any]]:
    """The process, and what it says when it serves."""
    log = Path(settings["log"])
    env = {name: value for name, value in os.environ.items() if not name.startswith("LINKD_")}
    if log.is_file() and log.stat().st_size >= LOG_FILE_MAX_BYTES:
        rotate(log)
    with log.open("ab") as output:
        before_bytes = output.tell()
        child = await processes.start_own(
            "home", HOME, env=env, cwd=Path.cwd(), stdin=subprocess.PIPE, stderr=output.fileno(), pass_fds=(lock.descriptor,)
        )
    assert child.process.stdin is not None
    child.process.stdin.write(json.dumps({**settings, "lock_fd": lock.descriptor}).encode() + b"\n")
    import linkd.client.calls  # noqa: F401 - gRPC, imported while the home starts

    ready = await _first_line(child)
    if ready is None:
        await child.end(0.0)
        what = f"linkd's home {ending(child.process.returncode or 0)}"
        raise InternalFault(f"{what}: run again to go on where it stopped\n{_last_lines(log, before_bytes)}\n  its log: {log}")
    return child, ready


async def _first_line(child: Child) -> dict[str, Any] | None:
    assert child.process.stdout is not None
    try:
        async with asyncio.timeout(HOME_START_TIMEOUT_S):
            line = await child.process.stdout.readline()
    except TimeoutError:
        return None
    return json.loads(line) if line else None


def _last_lines(log: Path, before_bytes: int) -> str:
    """Of what stands behind the first `before_bytes`, which are of other homes."""
    with log.open("rb") as file:
        file.seek(before_bytes)
        said = file.read(LOG_FILE_MAX_BYTES).decode(errors="replace")
    return "\n".join(f"    {line}" for line in said.splitlines()[-10:])
