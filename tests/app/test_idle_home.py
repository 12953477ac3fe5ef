"""What a home costs that nobody has talked to: it has loaded nothing that only its callers need, and is small."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from linkd.limits import MIB

IDLE_MAX_BYTES = 72 * MIB
"""The figure is 64 MiB, and `benchmarks/peers.py` judges it; what Python itself takes differs by a few from machine to machine."""
ON_FIRST_USE = {"pyarrow", "duckdb", "pandas", "numpy", "opentelemetry", "rich", "aiohttp", "pydantic", "blake3"}
PIPELINE = """pipeline: idle
wiring: |
  (in_events*[1])  clean  (flown)
links: {flown: {durability: memory}}
tasks: {clean: {run: "true"}}
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of another process is read from /proc")
def test_a_home_that_nobody_talks_to_is_small_and_answers_its_first_probe(tmp_path: Path) -> None:
    (tmp_path / "idle.yaml").write_text(PIPELINE)
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "linkd",
        "serve",
        "--pipeline",
        "idle.yaml",
        "--dir",
        "state",
        "--socket",
        "socket",
    ]
    with (tmp_path / "stderr").open("wb") as stderr:
        home = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=tmp_path)
    try:
        assert home.stdout is not None
        told = json.loads(home.stdout.readline())
        [resident_kib] = re.findall(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{home.pid}/status").read_text(), re.MULTILINE)
        loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in (tmp_path / "stderr").read_text().splitlines()}
        with urllib.request.urlopen(f"http://127.0.0.1:{told['http_port']}/readyz", timeout=30) as answer:
            assert answer.read() == b"ok\n"
    finally:
        home.terminate()
        home.communicate()
    assert home.returncode == 0
    assert {"linkd", "grpc"} <= loaded
    assert not loaded & ON_FIRST_USE
    assert int(resident_kib) * 1024 <= IDLE_MAX_BYTES
