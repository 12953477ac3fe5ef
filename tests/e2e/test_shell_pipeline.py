"""Five stages of shell, each a program that knows only files, killed at moments that a seed chooses: the output is that of an undisturbed run.

What is killed: a stage's process, the program that it runs, the home, the adapter worker, the run itself. Each disturbed run goes on where the
one before it stopped; one that came to its end begins anew, and the last one is left in peace.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linkd.errors import EXIT_DONE, EXIT_TASK_FAILED
from linkd.testing.pipelines import RUN_TIMEOUT_S, PipelineDirectory

if TYPE_CHECKING:
    from conftest import MakePipeline

    from linkd.testing.forked_commands import Command

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill")]

KILLS = int(os.environ.get("LINKD_SHELL_KILLS", "5"))  # `make soak` has 50
LASTS_S = 2.0
"""Most of an undisturbed run: what is there all the time is killed before that."""
POLL_S = 0.01
SHELL = """\
pipeline: shell
wiring: |
  (words)    lower    (lowered)
  (lowered)  pick     (picked)
  (picked)   arrange  (arranged)
  (arranged) tally    (tallied)
  (tallied)  rank     (ranked)
links:
  words: {from: words.csv}
  ranked: {to: out/ranked.csv}
tasks:
  lower: {run: "sleep 0.1; tr A-Z a-z < $LINKD_IN/words.csv > $LINKD_OUT/lowered.csv", each: true, parallel: 2}
  pick: {pipe: "sleep 0.1; grep -v '^x'"}
  arrange: {run: "sleep 0.1; (head -1 $LINKD_IN/picked.csv; tail -n +2 $LINKD_IN/picked.csv | LC_ALL=C sort) > $LINKD_OUT/arranged.csv"}
  tally: {run: "sleep 0.1; (echo word,n; tail -n +2 $LINKD_IN/arranged.csv | uniq -c | awk '{print $2 \\",\\" $1}') > $LINKD_OUT/tallied.csv"}
  rank: {run: "sleep 0.1; (head -1 $LINKD_IN/tallied.csv; tail -n +2 $LINKD_IN/tallied.csv | sort -t, -k2nr -k1,1) > $LINKD_OUT/ranked.csv"}
"""
STAGES = ("lower", "pick", "arrange", "tally", "rank")
SUPERVISOR, PROGRAM = "linkd run", "the program of "
KINDS = ((*(PROGRAM + stage for stage in STAGES),), STAGES, ("home",), (SUPERVISOR,), ("adapters",))
"""Whom the kills are of, in turn."""
ENDS = {EXIT_DONE, EXIT_TASK_FAILED, -signal.SIGKILL}
WORDS = [random.Random(7).choice(("Apple", "xylem", "Birch", "cedar", "Elm", "xenon", "fir")) for _ in range(3_000)]


def ranking() -> list[dict[str, str]]:
    """What comes out, reckoned here."""
    counts = Counter(word.lower() for word in WORDS if not word.startswith("x"))
    return [{"word": word, "n": str(n)} for word, n in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def test_a_shell_pipeline_that_is_killed_anywhere_ends_as_if_it_had_not_been(make: MakePipeline) -> None:
    dice = random.Random(f"shell {KILLS}")
    pipeline = make(SHELL, {"words.csv": "word\n" + "".join(f"{word}\n" for word in WORDS)})
    again: tuple[str, ...] = ()
    for number in range(KILLS):
        victim = dice.choice(KINDS[number % len(KINDS)])
        moment_s = dice.uniform(0.0, POLL_S if victim.startswith(PROGRAM) else LASTS_S)
        code, complaint = disturbed(pipeline, victim, moment_s, again)
        assert code in ENDS, f"{victim} after {moment_s:.1f} s: {complaint}"
        again = ("--reset",) if code == EXIT_DONE else ()
    finished = pipeline.run()
    assert finished.exit_code == EXIT_DONE, finished.stderr
    assert pipeline.rows("out/ranked.csv") == ranking()
    assert [path for path in (pipeline.state / "spill").iterdir() if path.is_dir()] == []
    assert left_running(pipeline) == []
    shutil.rmtree(pipeline.path)


def disturbed(pipeline: PipelineDirectory, victim: str, moment_s: float, more: tuple[str, ...]) -> tuple[int, str]:
    """A run in which `victim` is killed so long after it came, unless the run ends before: its exit code, and what it complained of."""
    with pipeline.start("run", pipeline.file.name, *more) as run:
        while pid_of(pipeline, victim, run.pid) is None and waited(run, POLL_S):
            pass
        if waited(run, moment_s) and (pid := pid_of(pipeline, victim, run.pid)) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, complaint = run.communicate(timeout=RUN_TIMEOUT_S)
        return run.returncode, complaint


def waited(run: Command, seconds: float) -> bool:
    """Whether the run is still going on after that time."""
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def pid_of(pipeline: PipelineDirectory, victim: str, supervisor: int) -> int | None:
    if victim == SUPERVISOR:
        return supervisor
    task = pipeline.groups().get(victim.removeprefix(PROGRAM))
    if task is None or not victim.startswith(PROGRAM):
        return task
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{task}/task/{task}/children").read_text().split()
        return int(children[-1]) if len(children) > 1 else None  # the first one is the guard
    return None


def left_running(pipeline: PipelineDirectory) -> list[str]:
    """Programs of the pipeline's stages that nobody waits for."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(pipeline.state / "spill").encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
    return found
