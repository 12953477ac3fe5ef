"""A worker that hangs past its lease, another one that takes over, and values that nobody can work on, in a whole run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import linkd
from linkd.testing.pipelines import PipelineDirectory, clean_environment, make_pipeline

PIPELINE = """\
pipeline: shifts
wiring: |
  (numbers[1]) clean (kept)
  (kept) label (labelled)
links:
  numbers: {from: "numbers/*.csv"}
  labelled: {to: out/labelled.csv}
tasks:
  clean: {run: python worker.py, lease: 1s}
  label: {run: python label.py, max_attempts: 2}
"""
WORKER = """\
import linkd, os, signal
with linkd.connect("shifts.yaml", task="clean") as client:
    for snap in client.snapshots():
        try:
            with snap:
                snap.publish("kept", snap["numbers"].rows())
                print("holds", snap.id, snap.attempt, flush=True)
                os.kill(os.getpid(), signal.SIGSTOP)
        except linkd.errors.LeaseLost as lost:
            print("lost:", lost, flush=True)
"""
LABEL = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        rows = snap["kept"].rows()
        if rows[0]["n"] == 2:
            raise ValueError("two is too many")
        else:
            snap.publish("labelled", rows)
"""


@pytest.fixture
def shifts(tmp_path: Path) -> PipelineDirectory:
    files = {"worker.py": WORKER, "label.py": LABEL, **{f"numbers/{n}.csv": f"n\n{n}\n" for n in (1, 2, 3)}}
    return make_pipeline(tmp_path, PIPELINE, files)


def test_another_worker_takes_over_from_one_that_hangs_and_what_cannot_be_done_is_put_aside(shifts: PipelineDirectory) -> None:
    with shifts, shifts.start("run", "shifts.yaml", "--without", "clean") as run:
        assert run.stdout is not None
        while "clean: its place is open" not in run.stdout.readline():
            assert run.poll() is None
        with subprocess.Popen(
            [sys.executable, "worker.py"], cwd=shifts.path, env=clean_environment(), stdout=subprocess.PIPE, text=True
        ) as hanging:
            assert hanging.stdout is not None
            _, held, attempt = hanging.stdout.readline().split()
            assert attempt == "1"
            with linkd.connect(shifts.file, task="clean") as client:
                taken = []
                for snap in client.snapshots():
                    taken.append((snap.id, snap.attempt))
                    with snap:
                        snap.publish("kept", snap["numbers"].rows())
                        if len(taken) == 1:
                            hanging.send_signal(signal.SIGCONT)
                            assert "handed out again (attempt 2)" in hanging.stdout.readline()
            assert taken[0] == (held, 2)
            assert [attempt for _, attempt in taken[1:]] == [1, 1]
            stdout, stderr = run.communicate(timeout=60)
            hanging.wait(timeout=10)
        assert run.returncode == 0, stdout + stderr
        assert "note: label gave up 1 snapshot, which lie in label.dead (linkd tail label.dead)" in stdout
        [letter] = [json.loads(line) for line in shifts.linkd("cat", "label.dead").stdout.splitlines()]
        assert (letter["link"], letter["consumer"], letter["attempts"], letter["reason"]) == ("kept", "label", 2, "ValueError")
        again = "label exited with code 1, with a snapshot that is tried 2 times at most: started again"
        assert stdout.count(again) == 2, stdout
    assert shifts.rows("out/labelled.csv") == [{"n": "1"}, {"n": "3"}]
