"""What a server costs that has nothing to do: memory, CPU, and how long it takes to be there."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from side_by_side.entrants import Bar, Entrant, Figures, Scenario
from side_by_side.processes import Processes, Running
from side_by_side.servers import home, nats_server, redis_server
from side_by_side.sizes import Sizes

HEAVY = ("pyarrow", "duckdb", "pandas", "opentelemetry.sdk", "opentelemetry.exporter", "rich", "numpy")
"""What a home that serves nobody must not have imported."""
MIB = 1 << 20
START_TIMEOUT_S = 30.0


def resident_mib(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process: all that is resident (`VmRSS`), or what is no file's (`RssAnon`)."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / MIB if found else 0.0


def heavy_modules(processes: Processes) -> list[str]:
    """Which of `HEAVY` a home has in `sys.modules` when it is ready, by what Python says that it imports."""
    imported = processes.directory / "imported.txt"
    command = [sys.executable, "-X", "importtime", "-m", "linkd", "serve", "--open", "--dir", str(processes.directory / "imports")]
    with imported.open("wb") as output, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        process.wait(START_TIMEOUT_S)
    names = {line.rpartition("|")[2].strip() for line in imported.read_text(errors="replace").splitlines()}
    return [heavy for heavy in HEAVY if heavy in names]


def scenarios(sizes: Sizes) -> list[Scenario]:
    def at_rest(running: Running) -> dict[str, float]:
        before_s, began_s = running.cpu_s(), time.monotonic()
        time.sleep(sizes.idle_s)  # doing nothing is what is measured
        percent = 100 * (running.cpu_s() - before_s) / (time.monotonic() - began_s)
        return {
            "resident_mib": resident_mib(running.pid),
            "anonymous_mib": resident_mib(running.pid, "RssAnon"),
            "cpu_percent": percent,
        }

    def by_linkd(processes: Processes, seed: int) -> Figures:
        served = home(processes)
        return {**at_rest(served.running), "ready_s": served.ready_s, "heavy_modules": float(len(heavy_modules(processes)))}

    def by_nats(processes: Processes, seed: int) -> Figures:
        began_s = time.monotonic()
        nats_server(processes, sync_always=False)
        ready_s = time.monotonic() - began_s
        return {**at_rest(processes.last), "ready_s": ready_s}

    def by_redis(processes: Processes, seed: int) -> Figures:
        began_s = time.monotonic()
        redis_server(processes)
        ready_s = time.monotonic() - began_s
        return {**at_rest(processes.last), "ready_s": ready_s}

    bounds = {"resident_mib": 64, "cpu_percent": 0.3, "ready_s": 1, "heavy_modules": 0}
    return [
        Scenario(
            "idle",
            f"a server that nobody has talked to, for {sizes.idle_s:g} s; from its command to its being ready",
            [Entrant("linkd", by_linkd), Entrant("nats-server", by_nats), Entrant("redis-server", by_redis)],
            tuple(Bar(figure, "linkd", bound, at_least=False) for figure, bound in bounds.items()),
        )
    ]
