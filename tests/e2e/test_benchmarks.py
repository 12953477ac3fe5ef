"""The benchmarks work: with small sizes, which say nothing of speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from soak import TRIALS, Outcome

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_every_trial_of_a_soak_says_what_came_of_it_and_whether_that_is_within_its_bar() -> None:
    trials = {trial.what: trial for trial in TRIALS}
    kills = {"kills": 3, "acked": 40, "acked_values_lost": 0, "effects_twice": 0, "out_of_order": 0}
    told = trials["kill -9 of the home under load"].told
    assert told([kills], 3) == Outcome("3 kills, 40 values acked", "0 acked values lost, 0 effects twice, 0 out of order")
    assert not told([kills], 4).kept
    assert not told([{**kills, "effects_twice": 1}], 3).kept
    flips = {"flips": 5, "found_by_verify": 3, "found_at_first_use": 1, "in_bytes_that_nothing_reads": 1, "served_wrong": 0}
    told = trials["bit flips in every kind of file"].told
    assert told([flips, flips], 10).result.startswith("6 found by verify, 2 found at first use, 2 in bytes")
    assert not told([flips, {**flips, "served_wrong": 1}], 10).kept
    assert not trials["simulated steps with faults"].told([{"steps": 10, "violations": 1}], 10).kept
    assert trials["a stalled consumer"].asked(60.0, small=False) == 5_000
    assert trials["7 simulated days of a link that keeps an hour"].asked(60.0, small=False) == 7 * 86_400, "one value a second"


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
def test_artifacts_are_measured(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    words = ["--mb", "24", "--count", "300", "--dir", str(tmp_path), "--results", str(results)]
    command = [sys.executable, str(BENCHMARKS / "artifacts.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    large, small = json.loads(results.read_text())["figures"]
    assert large["put_s"] > 0
    assert 0 < large["home_peak_mib"] <= 128, "bounded memory, whatever the size"
    assert small["per_s"] > 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is told by /proc, which this system has not")
def test_a_stalled_consumer_costs_no_memory(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    words = ["--backlog-mb", "50", "--readers", "1", "--dir", str(tmp_path), "--results", str(results)]
    command = [sys.executable, str(BENCHMARKS / "stalled_consumer.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [figure] = json.loads(results.read_text())["figures"]
    assert figure["backlog_mb"] >= 50
    assert figure["values"] == 13
    assert 0 < figure["publishing_peak_mib"] <= 256


@pytest.mark.slow
def test_what_is_tried_for_long_is_told_in_a_table(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    trials = ["--only", "redelivery", "--only", "restart"]
    command = [sys.executable, str(BENCHMARKS / "soak.py"), "--small", *trials, "--dir", str(tmp_path), "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    names = [line.split("|")[1].strip() for line in done.stdout.splitlines()]
    assert names == ["what", "redelivery after a death, and a hang", "restart to ready"]
    [line] = results.read_text().splitlines()
    rows = {row["name"]: row for row in json.loads(line)["figures"]}
    died, hung = rows["redelivery after a death, and a hang"]["figures"]
    assert (died["rounds"], hung["rounds"]) == (2, 1)
    assert died["max_s"] < hung["lease_s"] <= hung["max_s"] + 0.5


@pytest.mark.slow
def test_what_a_run_of_a_program_on_files_costs_is_measured(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    command = [sys.executable, str(BENCHMARKS / "file_face.py"), "--dir", str(tmp_path), "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {figure["name"]: figure for figure in json.loads(results.read_text())["figures"]}
    assert figures["each"]["run_ms"] > figures["each"]["start_ms"] > 0


@pytest.mark.slow
def test_what_a_remembered_outcome_costs_is_measured(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    command = [sys.executable, str(BENCHMARKS / "memo.py"), "--dir", str(tmp_path), "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [figure] = json.loads(results.read_text())["figures"]
    assert figure["run_ms"] > figure["hit_ms"] > 0
