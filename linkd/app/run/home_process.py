"""The home of a run, as its supervisor sees it: a process that is started under the lock, and a connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkd.app.log_rotation import rotate
from linkd.app.run.lives import Restarts
from linkd.app.run.own_programs import HOME
from linkd.app.run.processes import Child, Processes
from linkd.app.state import Lock
from linkd.core.exit_codes import ending
from linkd.errors import ConnectionFault, InternalFault
from linkd.limits import HOME_START_TIMEOUT_S, LAST_WORDS_MAX_S, LOG_FILE_MAX_BYTES, MAKE_WAY_MARGIN_S

if TYPE_CHECKING:
    from linkd.client.calls import Connection


@dataclass(slots=True)
class HomeProcess:
    """A running home. `settings` are those of `supervised_home`; the connection is the supervisor's own, and outlives the process."""

    processes: Processes
    settings: Mapping[str, Any]
    child: Child
    connection: Connection
    told: dict[str, Any]
    """What it said when it served: where, and the run's token."""
    restarts: Restarts
    """Its deaths, before it served and behind that."""

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
        restarts = Restarts(time.monotonic)
        child, ready = await _started(processes, lock, settings, restarts)
        from linkd.client.calls import Connection, Endpoint

        told = dict(ready)

        async def dial() -> Endpoint:
            return Endpoint(str(told["endpoint"]), str(told["run_token"]))

        connection = Connection(dial, HOME_START_TIMEOUT_S)
        home = HomeProcess(processes, settings, child, connection, told, restarts)
        with contextlib.suppress(ConnectionFault):  # one that is gone by now is seen to when the run is to begin
            await connection.open()
        return home

    @property
    def endpoint(self) -> str:
        return str(self.told["endpoint"])

    async def start_again(self, lock: Lock, epoch: int) -> None:
        """The next process in the place of one that is gone, for the same run: its programs go on. Raises as `start`."""
        settings = {**self.settings, "http_port": self.told.get("http_port"), "epoch": epoch}
        self.child, _ = await _started(self.processes, lock, settings, self.restarts)

    async def start_anew(self, lock: Lock) -> None:
        """The next process in the place of one that died before its run had begun. Raises as `start`."""
        self.child, ready = await _started(self.processes, lock, self.settings, self.restarts)
        self.told.update(ready)

    async def stop(self) -> None:
        """Closes the pipe that keeps it alive and waits; ends it if it does not go."""
        await self.connection.close()
        if self.child.process.stdin is not None:
            self.child.process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(self.settings["drain_timeout_s"]) + MAKE_WAY_MARGIN_S):
                await self.child.process.wait()
        await self.child.end(0.0)


async def _started(processes: Processes, lock: Lock, settings: Mapping[str, Any], restarts: Restarts) -> tuple[Child, Mapping[str, Any]]:
    """The process, and what it says when it serves. One that is killed before that is started again, as often as `restarts` allows."""
    while True:
        child, ready, said = await _tried(processes, lock, settings)
        if ready is not None:
            return child, ready
        code = child.process.returncode or 0
        if code >= 0 or not restarts.allowed():
            raise InternalFault(f"linkd's home {ending(code)}: run again to go on where it stopped\n{said}\n  its log: {settings['log']}")


async def _tried(processes: Processes, lock: Lock, settings: Mapping[str, Any]) -> tuple[Child, Mapping[str, Any] | None, str]:
    """A process, and what it says when it serves; None if it does not, and it is gone. With that the last lines of its log."""
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
    assert child.process.stdout is not None
    child.process.stdin.write(json.dumps({**settings, "lock_fd": lock.descriptor}).encode() + b"\n")
    import linkd.client.calls  # noqa: F401 - gRPC, imported while the home starts

    try:
        async with asyncio.timeout(HOME_START_TIMEOUT_S):
            line = await child.process.stdout.readline()
    except TimeoutError:
        await child.end(0.0)
        said = _last_lines(log, before_bytes)
        raise InternalFault(
            f"linkd's home did not serve within {HOME_START_TIMEOUT_S:g} s and was ended: run again\n{said}\n  its log: {log}"
        ) from None
    if not line:
        await child.end(LAST_WORDS_MAX_S)
        return child, None, _last_lines(log, before_bytes)
    return child, json.loads(line), ""


def _last_lines(log: Path, before_bytes: int) -> str:
    """Of what stands behind the first `before_bytes`, which are of other homes."""
    with log.open("rb") as file:
        file.seek(before_bytes)
        said = file.read(LOG_FILE_MAX_BYTES).decode(errors="replace")
    return "\n".join(f"    {line}" for line in said.splitlines()[-10:])
