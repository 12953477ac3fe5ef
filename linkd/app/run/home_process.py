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
from linkd.limits import DRAIN_TIMEOUT_S, HOME_START_TIMEOUT_S, LOG_FILE_MAX_BYTES, MAKE_WAY_MARGIN_S

if TYPE_CHECKING:
    from linkd.client.calls import Connection


@dataclass(slots=True)
class HomeProcess:
    """A running home. `run_token` is the supervisor's own."""

    child: Child
    connection: Connection
    endpoint: str
    http_port: int | None

    @staticmethod
    async def start(
        processes: Processes, lock: Lock, directory: Path, pipeline: Path, params: Mapping[str, str], log: Path, http_port: int | None
    ) -> HomeProcess:
        """Starts it and waits until it serves. Raises InternalFault with the last lines of its log if it does not."""
        settings = {
            "directory": str(directory),
            "pipeline": str(pipeline),
            "params": dict(params),
            "lock_fd": lock.descriptor,
            "http_port": http_port,
            "log": str(log),
        }
        env = {name: value for name, value in os.environ.items() if not name.startswith("LINKD_")}
        if log.is_file() and log.stat().st_size >= LOG_FILE_MAX_BYTES:
            rotate(log)
        with log.open("ab") as output:
            before_bytes = output.tell()
            child = await processes.start_own(
                "home", HOME, env=env, cwd=Path.cwd(), stdin=subprocess.PIPE, stderr=output.fileno(), pass_fds=(lock.descriptor,)
            )
        assert child.process.stdin is not None
        child.process.stdin.write(json.dumps(settings).encode() + b"\n")
        from linkd.client.calls import Connection, Endpoint  # gRPC, imported while the home starts

        ready = await _first_line(child)
        if ready is None:
            await child.end(0.0)
            what = f"linkd's home {ending(child.process.returncode or 0)}"
            raise InternalFault(f"{what}: run again to go on where it stopped\n{_last_lines(log, before_bytes)}\n  its log: {log}")
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
            async with asyncio.timeout(DRAIN_TIMEOUT_S + MAKE_WAY_MARGIN_S):
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


def _last_lines(log: Path, before_bytes: int) -> str:
    """Of what stands behind the first `before_bytes`, which are of other homes."""
    with log.open("rb") as file:
        file.seek(before_bytes)
        said = file.read(LOG_FILE_MAX_BYTES).decode(errors="replace")
    return "\n".join(f"    {line}" for line in said.splitlines()[-10:])
