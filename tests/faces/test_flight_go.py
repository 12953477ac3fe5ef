"""Apache Arrow's own client in Go (tests/go/flight), which knows nothing of linkd, against a home."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from linkd.testing.home import running_home

SOURCES = Path(__file__).parents[1] / "go/flight"
TIMEOUT_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("go")]


def _built(into: Path) -> Path:
    """The client, where that is a matter of seconds: Go keeps what it has compiled. Skips, saying why, where it is not."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("the Go client of Flight is not tried: go is not installed")
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false"}
    command = [go, "build", "-C", str(SOURCES), "-o", str(into / "flight-client")]
    planned = subprocess.run([*command, "-n", "."], capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False)
    if planned.returncode != 0 or planned.stderr.count("/compile -o ") > 1:
        pytest.skip(
            f"the Go client of Flight is not tried: compiling what it needs takes minutes, once: go build -C {SOURCES} -o /dev/null ."
        )
    subprocess.run([*command, "."], check=True, timeout=TIMEOUT_S, env=environment)
    return into / "flight-client"


async def test_arrows_client_in_go_writes_a_link_reads_it_and_is_told_what_is_wrong(tmp_path: Path) -> None:
    client = await asyncio.to_thread(_built, tmp_path)
    async with running_home(tmp_path / "state", supervised=False) as home:
        running = await asyncio.create_subprocess_exec(client, home.endpoint, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, told = await asyncio.wait_for(running.communicate(), TIMEOUT_S)
    assert running.returncode == 0, told.decode()
    report = json.loads(out)
    acked = json.loads(report.pop("acked"))
    assert (acked["first"], acked["rows"], acked["durability"]) == (1, 100_000, "fsync")
    assert report == {"columns": ["n", "text"], "rows": 100_000, "sum": sum(range(100_000)), "links": ["events"], "refused": "NotFound"}
