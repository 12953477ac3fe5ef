"""What the system tells of processes: since when one runs, and who of a group is still there. The one place that asks it.

There are two tables with the same answers: /proc, where there is one (Linux), and the program `ps` (macOS). `ps` takes milliseconds, and
tells times in seconds and nobody's age; of programs that macOS protects it does not show the environment, so that these are found only
while the leader of their group lives.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Protocol

PROC = Path("/proc")
_PLAIN = {"LC_ALL": "C", "TZ": "UTC"}
"""A start time is compared with one that another run wrote down, whose terminal had another language and zone."""
_WITH_ENVIRONMENT = ("-E", "e")
"""How `ps` is asked for the environment behind the command: on macOS, and where it refuses that."""


class ProcessTable(Protocol):
    """What the system tells of its processes."""

    def start_time(self, pid: int) -> str:
        """When the process began, in the system's own words, the same at each call; "" if there is none, or the system does not tell."""
        ...

    def members(self, group: int, variable: str, prefix: str) -> list[int]:
        """Those of a process group in whose environment `variable` begins with `prefix`."""
        ...

    def own_age_s(self) -> float:
        """How long this process has been running, its start-up included; 0 where the system does not tell."""
        ...


def process_table() -> ProcessTable:
    """The table of this system."""
    proc = ProcTable(PROC)
    return proc if proc.start_time(os.getpid()) else PsTable()


class ProcTable:
    """The table in the directory `proc`; times are clock ticks since the system came up."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc

    def start_time(self, pid: int) -> str:
        fields = self._stat(str(pid))
        return fields[19] if len(fields) > 19 else ""

    def members(self, group: int, variable: str, prefix: str) -> list[int]:
        begins = f"{variable}={prefix}".encode()
        of_group = [name for name in os.listdir(self._proc) if name.isdecimal() and self._stat(name)[2:3] == [str(group)]]  # noqa: PTH208
        return sorted(int(name) for name in of_group if any(one.startswith(begins) for one in self._environment(name)))

    def own_age_s(self) -> float:
        began = self.start_time(os.getpid())
        if not began or not hasattr(time, "CLOCK_BOOTTIME"):
            return 0.0
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - int(began) / os.sysconf("SC_CLK_TCK"), 0.0)

    def _stat(self, name: str) -> list[str]:
        """The fields behind the program's name; none if the process is gone."""
        try:
            return (self._proc / name / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return []

    def _environment(self, name: str) -> list[bytes]:
        """None if the process is gone, or another user's."""
        try:
            return (self._proc / name / "environ").read_bytes().split(b"\0")
        except OSError:
            return []


class PsTable:
    """The table that `ps` prints; times are dates to the second. A system that does not let us run it tells nothing."""

    def start_time(self, pid: int) -> str:
        return " ".join((self._shown("-o", "lstart=", "-p", str(pid)) or "").split())

    def members(self, group: int, variable: str, prefix: str) -> list[int]:
        for option in _WITH_ENVIRONMENT:
            shown = self._shown("-A", "-ww", "-o", "pid=", "-o", "pgid=", "-o", "command=", option)
            if shown is not None:
                return members_shown(shown, group, variable, prefix)
        return []

    def own_age_s(self) -> float:
        return 0.0

    def _shown(self, *options: str) -> str | None:
        """What it prints, or None if it refuses."""
        try:
            ended = subprocess.run(
                ["ps", *options], env={**os.environ, **_PLAIN}, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        except OSError:
            return None
        return ended.stdout.decode("utf-8", "replace") if ended.returncode == 0 else None


def members_shown(shown: str, group: int, variable: str, prefix: str) -> list[int]:
    """The members in what `ps` has printed: process, group, and the command with its environment behind it."""
    # Whatever is not ASCII comes out as question marks or escapes, each `ps` having its own.
    sought = re.compile(f" {variable}=" + ".+?".join(re.escape(plain) for plain in re.split(r"[^ -~]+", prefix)))
    rows = (line.split(maxsplit=2) for line in shown.splitlines())
    return sorted(int(row[0]) for row in rows if len(row) == 3 and row[1] == str(group) and sought.search(row[2]))
