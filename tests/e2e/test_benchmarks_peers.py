"""linkd and its peers are measured side by side: with small sizes, which say nothing of speed; and bars are judged as they are written."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from side_by_side.batches import BATCH_BYTES, SCHEMA, make_batches, read_all, read_batch
from side_by_side.entrants import Bar, Entrant, Figures, Scenario, latencies
from side_by_side.processes import EntrantMissingError, Processes, RoundFailedError
from side_by_side.scenarios.single_publish import lag_ms
from side_by_side.table import Judged, judge, table, wanted

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="what processes take is told by /proc, which this system has not")


def entrant(name: str, *speeds: float, missing: str = "") -> Entrant:
    def never(processes: Processes, seed: int) -> Figures:
        raise AssertionError

    return Entrant(name, never, missing=missing, rounds=[{"mb_s": speed} for speed in speeds])


def judged(bar: Bar, *entrants: Entrant) -> Judged:
    [one] = judge(Scenario("relay", "bulk", entrants, (bar,)))
    return one


def test_a_bar_is_set_against_the_best_of_its_peers_by_medians() -> None:
    ours, slow, fast = entrant("linkd", 90, 100, 500), entrant("tcp", 10, 11, 12), entrant("uds", 1, 20, 21)
    one = judged(Bar("mb_s", "linkd", 5, ("tcp", "uds")), ours, slow, fast)
    assert (one.ours, one.peers, one.ratio, one.met) == (100, {"tcp": 11, "uds": 20}, 5, True)
    assert judged(Bar("mb_s", "linkd", 5.1, ("tcp", "uds")), ours, slow, fast).met is False


def test_the_table_tells_the_spread_and_the_cpu_seconds_of_everybody() -> None:
    def busy(name: str, *cpus_s: float) -> Entrant:
        return Entrant(name, entrant(name).do, rounds=[{"mb_s": 100 + number, "cpu_s_per_gb": cpu} for number, cpu in enumerate(cpus_s)])

    one = judged(Bar("mb_s", "linkd", 5, ("tcp",)), busy("linkd", 0.1, 0.3, 0.2), busy("tcp", 1.5))
    assert (one.spread, one.cpus_s_per_gb) == ((100, 102), (0.2, 1.5))
    cells = [cell.strip() for cell in table([one]).splitlines()[-1].strip("|").split("|")]
    assert cells[2:5] == ["101", "100 to 102", "0.2; 1.5"]
    assert judged(Bar("cpu_s_per_gb", "linkd", 0.4, at_least=False), busy("linkd", 0.1)).cpus_s_per_gb == ()


def test_where_less_is_better_the_best_is_the_least() -> None:
    bar = Bar("mb_s", "linkd", 0.7, ("tcp", "uds"), at_least=False)
    assert judged(bar, entrant("linkd", 7), entrant("tcp", 10), entrant("uds", 20)).met is True
    assert judged(bar, entrant("linkd", 7.1), entrant("tcp", 10), entrant("uds", 20)).met is False


def test_a_bar_can_be_a_number_or_a_number_above_a_peer() -> None:
    assert judged(Bar("mb_s", "linkd", 0.4, at_least=False), entrant("linkd", 0.4)).met is True
    above = Bar("mb_s", "linkd", 0.25, ("disk",), at_least=False, plus=True)
    assert judged(above, entrant("linkd", 0.5), entrant("disk", 0.25)).met is True
    assert judged(above, entrant("linkd", 0.51), entrant("disk", 0.25)).met is False
    assert wanted(above) == "<= 0.25 + disk"


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    bar = Bar("mb_s", "linkd", 15, ("Redis",))
    absent = entrant("Redis", missing="not installed")
    one = judged(bar, entrant("linkd", 100), absent)
    assert one.met is None
    assert math.isnan(one.ratio)
    assert one.told()["ratio"] is None
    assert judged(bar, entrant("linkd"), entrant("Redis", 1)).met is None
    assert table([one]).splitlines()[-1].split("|")[-2].strip() == "not measured"


def test_the_percentiles_are_of_all_that_was_measured() -> None:
    assert latencies([number * 1_000_000 for number in range(1, 101)]) == {"p50_ms": 50.5, "p99_ms": 100}
    assert latencies([7_000_000], "idle_") == {"idle_p50_ms": 7, "idle_p99_ms": 7}
    assert lag_ms({0.001: 5, 0.01: 5, math.inf: 5}, {0.001: 5, 0.01: 205, math.inf: 206}) == 10


def test_no_two_batches_are_the_same_and_a_change_is_seen() -> None:
    first, second, other = *make_batches(2, 1), *make_batches(1, 1_000)
    assert first.schema == SCHEMA
    assert first.nbytes == BATCH_BYTES
    assert len({read_batch(batch) for batch in (first, second, other)}) == 3
    assert read_all([first, second]) == read_all([second, first]) != read_all([first, first])


@LINUX
def test_a_process_that_fails_says_why_and_none_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(RoundFailedError, match="sleeper ended: no luck"), Processes(tmp_path) as processes:
        child = "import subprocess, sys; print(subprocess.Popen(['sleep', '600']).pid, flush=True); sys.stdin.read()"
        parent = processes.start("parent", [sys.executable, "-c", child])
        grandchild = os.pidfd_open(int(parent.line()))
        processes.start("sleeper", [sys.executable, "-c", "import sys; sys.exit('no luck')"]).answer()
    assert not Path(f"/proc/{parent.pid}").exists()
    ended, _, _ = select.select([grandchild], [], [], 10)
    os.close(grandchild)
    assert ended


@LINUX
def test_who_is_missing_is_not_asked_again(tmp_path: Path) -> None:
    asked = []

    def absent(processes: Processes, seed: int) -> Figures:
        asked.append(seed)
        raise EntrantMissingError("not installed")

    one = Entrant("peer", absent)
    one.run_once(tmp_path)
    one.run_once(tmp_path)
    assert (len(asked), one.missing, one.told()) == (1, "not installed", {"name": "peer", "rounds": 0, "missing": "not installed"})


@LINUX
@pytest.mark.slow
def test_linkd_and_its_peers_take_turns(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    words = ["--small", "--only", "fan-out", "--only", "packed", "--dir", str(tmp_path), "--results", str(results)]
    done = subprocess.run([sys.executable, str(BENCHMARKS / "peers.py"), *words], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    machine, _, *rows = done.stdout.splitlines()
    assert " cores of " in machine
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]
    assert lines[0] == ["scenario", "figure", "linkd", "spread", "CPU s/GB", "peers", "ratio", "bar", "met"]
    assert [line[0] for line in lines[2:]] == ["fan-out to 2", *["durable records, packed by peers"] * 2]
    [result] = results.read_text().splitlines()
    told = {figure["name"]: figure for figure in json.loads(result)["figures"] if "name" in figure}
    relays = told["fan-out to 2"]["entrants"]
    assert [one["name"] for one in relays] == ["linkd", "Flight tcp", "Flight uds"]
    assert all(one["rounds"] == 1 and one["mb_s"]["median"] > 0 and one["cpu_s_per_gb"]["median"] > 0 for one in relays)
    for one in told["durable records, packed by peers"]["entrants"]:
        assert one["rounds"] == 1 or f"{one['name']} is left out: {one['missing']}" in done.stderr
