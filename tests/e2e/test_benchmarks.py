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
