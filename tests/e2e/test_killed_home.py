"""kill -9 of a run's home by the program that works for it, at the worst moments: the program does nothing twice, and is not run twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from linkd.errors import EXIT_DONE

if TYPE_CHECKING:
    from conftest import MakePipeline

VALUES = 6
PIPELINE = """\
pipeline: staged
wiring: |
  (numbers[1]) double (doubled, seen)
links:
  numbers: {from: "numbers/*.csv"}
  doubled: {to: out/doubled.csv}
  seen: {durability: memory}
tasks:
  double: {run: python double.py}
"""
DOUBLE = """\
import json, os, pathlib, signal, threading, time
import linkd

def kill_home():
    os.kill(json.loads(pathlib.Path(".linkd/staged/home.json").read_text())["pid"], signal.SIGKILL)

print("began", flush=True)
with linkd.connect() as client:
    for snap in client.snapshots():
        [row] = snap["numbers"].rows()
        print("works on", row["n"], "attempt", snap.attempt, flush=True)
        if row["n"] == 2:
            threading.Timer(0.01, kill_home).start()
        with snap:
            snap.publish("doubled", [{"n": 2 * row["n"]}])
            snap.publish("seen", b"x" * 100_000)
            if row["n"] == 4:
                time.sleep(0.2)  # until it is staged
                kill_home()
"""


def test_a_home_that_is_killed_between_staging_and_commit_costs_no_work(make: MakePipeline) -> None:
    numbers = {f"numbers/{n}.csv": f"n\n{n}\n" for n in range(1, VALUES + 1)}
    with make(PIPELINE, {"double.py": DOUBLE, **numbers}) as pipeline:
        done = pipeline.run("--json")
        assert done.exit_code == EXIT_DONE, done.stderr
        log = (pipeline.state / "logs" / "double.log").read_text()
        assert log.count("began") == 1
        works = [line.rpartition("works on ")[2] for line in log.splitlines() if "works on" in line]
        assert sorted({line.split()[0] for line in works}) == [str(n) for n in range(1, VALUES + 1)]
        assert len(works) == VALUES, works
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert sum(line.get("restarted") == "home" for line in told) == 2
        assert [int(row["n"]) for row in pipeline.rows("out/doubled.csv")] == [2 * n for n in range(1, VALUES + 1)]
