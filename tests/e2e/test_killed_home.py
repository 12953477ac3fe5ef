"""kill -9 of a run's home by the program that works for it, at the worst moments: the program does nothing twice, and is not run twice."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from linkd.errors import EXIT_DONE, EXIT_TASK_FAILED
from linkd.testing.pipelines import RUN_TIMEOUT_S

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
import json, os, pathlib, signal, threading
import linkd
from linkd.client.loop_thread import LOOP_THREAD

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
                LOOP_THREAD.run(snap._inner._outputs.named)  # what a commit waits for: all of it is staged
                kill_home()
"""
GIVING_UP = """\
pipeline: giving
wiring: |
  (numbers[1]) label (labelled)
links:
  numbers: {from: "numbers/*.csv"}
tasks:
  label: {run: python label.py, max_attempts: 1}
"""
LABEL = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        if snap["numbers"].rows() == [{"n": 2}]:
            snap.nack(reason="two is too many")
        else:
            snap.publish("labelled", snap["numbers"].rows())
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


def test_a_home_that_is_killed_before_the_run_began_is_started_again_and_what_was_given_up_fails_a_strict_run(make: MakePipeline) -> None:
    with make(GIVING_UP, {"label.py": LABEL, "numbers/1.csv": "n\n1\n", "numbers/2.csv": "n\n2\n"}) as pipeline:
        with pipeline.start("run", pipeline.file.name, "--strict") as run:
            while (pid := pipeline.groups().get("home")) is None:
                assert run.poll() is None
            os.kill(pid, signal.SIGKILL)
            _, complaint = run.communicate(timeout=RUN_TIMEOUT_S)
        assert run.returncode == EXIT_TASK_FAILED
        assert complaint.startswith("task label exited with code 0 and left 1 snapshot in label.dead (--strict)"), complaint
        lenient = pipeline.run()
        assert lenient.exit_code == EXIT_DONE, lenient.stderr
        assert "note: label gave up 1 snapshot, which lie in label.dead" in lenient.stdout
        again = pipeline.run("--strict")
        assert again.exit_code == EXIT_TASK_FAILED
        assert again.stderr.startswith("task label gave up 1 snapshot, in label.dead (--strict)\n  without --strict the run is complete")
