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
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linkd.app.state import read_json, write_json
from linkd.limits import MIB, TASK_TERM_GRACE_S

Command = str | Sequence[str]
FORK_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"
"""Set to 0 in linkd's own processes, which fork only to execute something else; a program of the user's has its own."""


@dataclass(slots=True)
class Child:
    """A process of the run and its group."""

    name: str
    process: asyncio.subprocess.Process

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
    """Starts processes and records their groups in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "groups.json"
        self._groups: list[dict[str, object]] = []

    def end_leftovers(self) -> list[str]:
        """Kills the groups that an earlier supervisor left behind; returns their names."""
        ended = []
        for group in read_json(self._path) or []:
            pid = int(group["pid"])
            if start_time(pid) == group["started"] or orphans(pid, str(self._path.parent)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                    ended.append(str(group["name"]))
        write_json(self._path, [])
        return ended

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
        process = await asyncio.create_subprocess_exec(
            *words, env=dict(env), cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds, start_new_session=True, limit=MIB
        )
        self._groups.append({"pid": process.pid, "started": start_time(process.pid), "name": name})
        write_json(self._path, self._groups)
        return Child(name, process)

    def forget(self) -> None:
        """Everything has been ended."""
        self._groups.clear()
        write_json(self._path, [])


def orphans(group: int, state_directory: str) -> list[int]:
    """Members of a process group whose leader is gone, if they are ours: their environment names a token of this state directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            ours = fields[2] == str(group) and f"LINKD_TOKEN_FILE={state_directory}".encode() in (entry / "environ").read_bytes()
        except (OSError, IndexError):
            continue
        if ours:
            found.append(int(entry.name))
    return found


def start_time(pid: int) -> str:
    """When the process began, in the system's own words; "" if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    except (OSError, IndexError):
        return ""
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def ending(code: int) -> str:
    """How a process ended, for people, from its exit code (negative: the signal)."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    if code > 128 and code - 128 in set(signal.Signals):
        return f"exited with code {code} (killed by {signal.Signals(code - 128).name})"
    return f"exited with code {code}"


def process_age_s() -> float:
    """How long this process has been running, its start-up included; 0 where the system does not tell."""
    try:
        ticks = int(start_time(os.getpid()))
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 0.0)
    except (ValueError, AttributeError, OSError):
        return 0.0


def task_environment(base: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a task's program: the user's, with linkd's own interpreter first on PATH if no virtual environment is active."""
    env = {name: value for name, value in base.items() if not name.startswith(("LINKD_", FORK_SUPPORT))}
    if not (env.get("VIRTUAL_ENV") or env.get("CONDA_PREFIX")):
        env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), env.get("PATH", os.defpath)))
    env["PYTHONUNBUFFERED"] = "1"
    env.update(extra)
    return env
