"""Programs that know only files, as a person meets them: `linkd run`, a failure, the same run by hand, an edit, and what runs again for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linkd.errors import EXIT_DONE
from linkd.testing.pipelines import clean_environment

if TYPE_CHECKING:
    from conftest import MakePipeline

pytestmark = pytest.mark.slow

SCORES = """\
pipeline: scores
wiring: |
  (people)   arrange  (arranged)
  (arranged) score    (scores)
links:
  people: {from: people.csv}
  scores: {to: out/scores.csv}
tasks:
  arrange: {run: "sort -r $LINKD_IN/people.csv > $LINKD_OUT/arranged.csv"}
  score: {run: [sh, score.sh], each: true, parallel: 2, env: {FACTOR: "10"}}
"""
BAD = "echo I cannot score; exit 7\n"
GOOD = "awk -F, -v factor=$FACTOR 'NR == 1 {print} NR > 1 {print $1 \",\" factor * $2}' $LINKD_IN/arranged.csv > $LINKD_OUT/scores.csv\n"


def test_a_program_on_files_fails_is_run_by_hand_mended_and_goes_on(make: MakePipeline) -> None:
    pipeline = make(SCORES, {"people.csv": "name,points\nann,1\nbob,3\n", "score.sh": BAD})
    failed = pipeline.run()
    assert failed.exit_code == 1
    assert failed.stderr.splitlines()[0] == "task score exited with code 7"
    assert "score: attempt 1 at arranged@1 failed: exited with code 7: I cannot score" in failed.stderr

    [line] = [line for line in failed.stderr.splitlines() if "once more, by hand: " in line]
    by_hand = line.partition("once more, by hand: ")[2]
    once_more = shell(by_hand)
    assert (once_more.returncode, once_more.stdout) == (7, "I cannot score\n")
    pipeline.write("score.sh", GOOD)
    assert shell(by_hand).returncode == 0
    [run] = (pipeline.state / "failed" / "score").iterdir()
    assert (run / "out" / "scores.csv").read_text() == "name,points\nbob,30\nann,10\n"
    unknown = pipeline.linkd("env", "score", "--run", "none")
    assert (unknown.exit_code, unknown.stderr) == (2, f"no run none of a task score was kept\n  kept: {run.name}\n")

    mended = pipeline.run()
    assert mended.exit_code == EXIT_DONE, mended.stderr
    assert "score: score.sh changed" in mended.stdout
    assert pipeline.rows("out/scores.csv") == [{"name": "bob", "points": "30"}, {"name": "ann", "points": "10"}]

    pipeline.write("scores.yaml", SCORES.replace("parallel: 2", "parallel: 3"))
    assert pipeline.run().stdout.startswith("Nothing to do")
    pipeline.write("scores.yaml", SCORES.replace("each: true, parallel: 2", "files: whole"))
    again = pipeline.run()
    assert again.exit_code == EXIT_DONE, again.stderr
    planned = "score: its `each:` is gone, its wiring changed -> run again; people: unchanged; arrange: unchanged"
    assert again.stdout.startswith(planned)


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """As a person types it, anywhere."""
    environment = clean_environment()
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"]))
    return subprocess.run(["sh", "-c", line], cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=30)
