"""The benchmarks work: with small sizes, which say nothing of speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.slow
def test_the_first_hour_is_measured(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    command = [sys.executable, str(BENCHMARKS / "first_hour.py"), "--dir", str(tmp_path), "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    [line] = results.read_text().splitlines()
    told = json.loads(line)
    assert told["machine"]["cores"]
    figures = {figure["name"]: figure for figure in told["figures"]}
    names = {"flights x1", "shell script x1", "one DuckDB, unzipped, x1", "linkd --help", "nothing to do", "plan of 20 tasks", "6 tasks"}
    assert set(figures) == names
    assert all(figure["wall_s"] > 0 and figure["cpu_s"] > 0 for figure in figures.values())
    assert figures["flights x1"]["ratio"] > 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is told by /proc, which this system has not")
def test_a_stalled_consumer_costs_no_memory(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    words = ["--backlog-mb", "200", "--dir", str(tmp_path), "--results", str(results)]
    command = [sys.executable, str(BENCHMARKS / "stalled_consumer.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [figure] = json.loads(results.read_text())["figures"]
    assert figure["backlog_mb"] >= 200
    assert figure["values"] == 50
    assert 0 < figure["publishing_peak_mib"] <= 256


@pytest.mark.slow
def test_what_is_tried_for_long_is_told_in_a_table(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    trials = ["--only", "redelivery", "--only", "restart"]
    command = [sys.executable, str(BENCHMARKS / "soak.py"), "--small", *trials, "--dir", str(tmp_path), "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines()] == ["what", "redelivery after a death", "restart to ready"]
    [line] = results.read_text().splitlines()
    rows = {row["name"]: row for row in json.loads(line)["figures"]}
    died, hung = rows["redelivery after a death"]["figures"]
    assert (died["rounds"], hung["rounds"]) == (2, 1)
    assert died["max_s"] < hung["lease_s"] <= hung["max_s"] + 0.5
