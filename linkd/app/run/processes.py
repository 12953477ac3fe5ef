"""Processes of a run: started in groups of their own, ended politely, and found again if an earlier supervisor left them.

A group is recorded before anything depends on it (`groups.json`: pid, start time, name), because a supervisor that is killed cannot end its
children; the next run does. The start time tells the process from another one that got the same number.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from linkd.app.run.executed_process import execute_process
from linkd.app.run.fork_server import ForkServer, OwnProgram
from linkd.app.run.forked_process import fork_process
from linkd.app.run.own_programs import OWN_ENVIRONMENT
from linkd.app.run.process_table import process_table
from linkd.app.state import read_json, write_json
from linkd.errors import InternalFault
from linkd.limits import TASK_TERM_GRACE_S

Command = str | Sequence[str]
FORK_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"
"""Set to 0 in linkd's own processes, which fork only to execute something else; a program of the user's has its own."""


class Process(Protocol):
    """What an executed process and a forked one have in common."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None

    async def wait(self) -> int: ...

    def close(self) -> None:
        """Closes our ends of its pipes, when it is gone and nothing of its output is wanted any more."""
        ...


@dataclass(slots=True)
class Child:
    """A process of the run and its group."""

    name: str
    process: Process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        """To the whole group; nothing if it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    async def end(self, grace_s: float = TASK_TERM_GRACE_S) -> None:
        """TERM, `grace_s`, KILL, to the whole group; returns when the process is gone."""
        if self.running:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self.process.wait()
        self.signal(signal.SIGKILL)
        await self.process.wait()


class Processes:
    """Starts processes and records their groups in `directory`. linkd's own are forked where there is a server for it."""

    def __init__(self, directory: Path, forks: ForkServer | None = None) -> None:
        self._path = directory / "groups.json"
        self._forks = forks
        self._table = process_table()
        self._groups: list[dict[str, Any]] = []

    def end_leftovers(self) -> list[str]:
        """Kills the groups that an earlier supervisor left behind; returns their names."""
        ended = []
        for group in read_json(self._path) or []:
            pid = int(group["pid"])
            if self._is_left(pid, str(group["started"])):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                    ended.append(str(group["name"]))
        write_json(self._path, [])
        return ended

    def _is_left(self, group: int, started: str) -> bool:
        """Whether the group is one of ours: its leader began when ours did, or is gone, and a member has a token of this directory."""
        if started and self._table.start_time(group) == started:
            return True
        return bool(self._table.members(group, "LINKD_TOKEN_FILE", f"{self._path.parent}{os.sep}"))

    async def start(
        self,
        name: str,
        command: Command,
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: int = subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.STDOUT,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Starts a command: a text by `sh -c`, a list without a shell. Raises OSError if there is no such program."""
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        process = await execute_process(words, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds)
        return self._recorded(name, process)

    async def start_own(
        self,
        name: str,
        program: OwnProgram,
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: int = subprocess.DEVNULL,
        stderr: int = asyncio.subprocess.STDOUT,
        pass_fds: Sequence[int] = (),
    ) -> Child:
        """Starts a program of linkd's, its output in a pipe."""
        env = {**OWN_ENVIRONMENT, **env}
        if self._forks is not None:
            with contextlib.suppress(InternalFault):  # the server is gone, or must not fork any more: the program can still be executed
                process = await fork_process(
                    self._forks, program, f"linkd {name}", env=env, cwd=cwd, stdin=stdin, stderr=stderr, pass_fds=pass_fds
                )
                return self._recorded(name, process)
        command = [sys.executable, "-m", program.module]
        return await self.start(name, command, env=env, cwd=cwd, stdin=stdin, stderr=stderr, pass_fds=pass_fds)

    def _recorded(self, name: str, process: Process) -> Child:
        self._groups = [group for group in self._groups if _exists(group["pid"])]  # a run that follows starts programs again for days
        self._groups.append({"pid": process.pid, "started": self._table.start_time(process.pid), "name": name})
        write_json(self._path, self._groups)
        return Child(name, process)

    def forget(self) -> None:
        """Everything has been ended."""
        self._groups.clear()
        write_json(self._path, [])


def _exists(group: int) -> bool:
    """Whether the process group has a member, or another user's has its number by now."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def task_environment(base: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a task's program: the user's, with linkd's own interpreter first on PATH if no virtual environment is active."""
    env = {name: value for name, value in base.items() if not name.startswith(("LINKD_", FORK_SUPPORT))}
    if not (env.get("VIRTUAL_ENV") or env.get("CONDA_PREFIX")):
        env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), env.get("PATH", os.defpath)))
    env["PYTHONUNBUFFERED"] = "1"
    env.update(extra)
    return env
