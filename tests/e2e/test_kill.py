"""kill -9 of every process of a run, at moments that a seed chooses: the same totals, and no row twice.

The run itself starts its home and its adapter worker again; after the end of any other `linkd run` again completes it.

Moments are fractions of what an undisturbed run takes on this machine, so that they fall between the first value and the last.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import linkd
from linkd.errors import EXIT_DONE, EXIT_INTERNAL, EXIT_TASK_FAILED
from linkd.limits import RESTARTS_MAX
from linkd.testing.flights import Expected, expected
from linkd.testing.forked_commands import Command
from linkd.testing.pipelines import RUN_TIMEOUT_S, PipelineDirectory

if TYPE_CHECKING:
    from conftest import MakeDemo, MakePipeline

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill")]

SUPERVISOR = "linkd run"
VICTIMS = {
    "home": EXIT_DONE,
    "adapters": EXIT_DONE,
    "clean": EXIT_TASK_FAILED,
    "sum_up": EXIT_TASK_FAILED,
    SUPERVISOR: -signal.SIGKILL,
}
"""Who is killed, and how `linkd run` then ends."""
WORDS = {
    "clean": "task clean was killed by SIGKILL",
    "sum_up": "task sum_up was killed by SIGKILL",
}
MENDED = {
    "home": "linkd home died (signal 9); started again",
    "adapters": "linkd adapter worker died (signal 9); started again",
}
POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What the data holds, and how long a run takes from its first process to its end."""

    data: Path
    expected: Expected
    lasts_s: float


@pytest.fixture(scope="module")
def undisturbed(demo: MakeDemo, flights_in_values: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    pipeline = demo(tmp_path_factory.mktemp("undisturbed"), flights_in_values)
    facts = expected(flights_in_values)
    with pipeline, pipeline.start("run", pipeline.file.name) as run:
        _first_pid(pipeline, "home", run)
        began_s = time.monotonic()
        _, complaint = run.communicate(timeout=RUN_TIMEOUT_S)
        lasts_s = time.monotonic() - began_s
        assert run.returncode == EXIT_DONE, complaint
    yield Undisturbed(flights_in_values, facts, lasts_s)
    shutil.rmtree(pipeline.path)


@pytest.mark.parametrize("seed", range(1, 1 + int(os.environ.get("LINKD_KILL_SEEDS", "1"))))  # `make soak` has more
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_run_that_lost_a_process_is_completed_by_the_next(
    demo: MakeDemo, undisturbed: Undisturbed, victim: str, seed: int, tmp_path: Path
) -> None:
    moment_s = random.Random(f"{victim} {seed}").uniform(0.0, 0.7) * undisturbed.lasts_s
    with demo(tmp_path, undisturbed.data) as pipeline:
        ended = _killed(pipeline, victim, moment_s)
        if ended is not None:
            exit_code, told, complaint = ended
            assert exit_code == VICTIMS[victim], complaint
            assert complaint.splitlines()[:1] == ([WORDS[victim]] if victim in WORDS else [])
            assert [line for line in told.splitlines() if "started again" in line] == ([MENDED[victim]] if victim in MENDED else [])
        again = pipeline.run()
        assert again.exit_code == EXIT_DONE, again.stderr
        has_nothing_to_do = again.stdout.startswith("Nothing to do")
        if ended is None or ended[0] == EXIT_DONE:
            assert has_nothing_to_do
        elif victim != SUPERVISOR:  # which may be killed when all is done
            assert not has_nothing_to_do
        _check(pipeline, undisturbed.expected)


def test_what_dies_again_and_again_ends_the_run(make: MakePipeline) -> None:
    text = "pipeline: slow\nwiring: |\n  (numbers) wait (done)\nlinks:\n  numbers: {from: numbers.csv}\ntasks:\n  wait: {run: sleep 600}\n"
    pipeline = make(text, {"numbers.csv": "n\n1\n"})
    with pipeline.start("run", pipeline.file.name) as run:
        _first_pid(pipeline, "wait", run)  # the run has begun
        pid = 0
        for _ in range(RESTARTS_MAX + 1):
            found = _first_pid(pipeline, "home", run, after=pid)
            assert found is not None
            pid = found
            os.kill(pid, signal.SIGKILL)
        told, complaint = run.communicate(timeout=RUN_TIMEOUT_S)
    assert run.returncode == EXIT_INTERNAL
    assert complaint.startswith("linkd's home was killed by SIGKILL: run again to go on where it stopped")
    assert told.count("started again") <= RESTARTS_MAX


def _killed(pipeline: PipelineDirectory, victim: str, moment_s: float) -> tuple[int, str, str] | None:
    """Runs, and kills `victim` so long after it began: exit code, output and complaint of the run; None if it was done by then."""
    with pipeline.start("run", pipeline.file.name) as run:
        if victim in MENDED:
            _first_pid(pipeline, "clean", run)  # the run has begun
        pid = run.pid if victim == SUPERVISOR else _first_pid(pipeline, victim, run, may_be_missed=True)
        if pid is None:  # it lived for less than a look takes
            run.communicate(timeout=RUN_TIMEOUT_S)
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(moment_s)
            return None
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # the run was ending it: all was done
            run.communicate(timeout=RUN_TIMEOUT_S)
            return None
        told, complaint = run.communicate(timeout=RUN_TIMEOUT_S)
        if victim not in MENDED and run.returncode == EXIT_DONE:  # it had ended, and nobody had taken note of that yet
            return None
        return run.returncode, told, complaint


def _first_pid(pipeline: PipelineDirectory, name: str, run: Command, after: int = 0, *, may_be_missed: bool = False) -> int | None:
    """The process id of a part of the run, as soon as there is one, or another than the one before; None if it was missed, and may be."""
    while (pid := pipeline.groups().get(name)) in (None, after):
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = run.wait(POLL_S)
            if may_be_missed and code == EXIT_DONE:
                return None
            pytest.fail(f"the run ended with {code} before there was {name}")
    return pid


def _check(pipeline: PipelineDirectory, facts: Expected) -> None:
    """Totals to the last digit; every row once, in the order of the file; values in gapless sequence."""
    found = {row["airline"]: (int(row["flights"]), int(row["miles"])) for row in pipeline.rows("out/totals.csv")}
    assert found == facts.totals
    with linkd.connect(str(pipeline.file)) as client:
        for link, flights in (("flown", facts.flown), ("cancelled", facts.cancelled)):
            values = list(client.read(link))
            assert tuple(flight for value in values for flight in value.to_table()["flight"].to_pylist()) == flights
            sequences = [value.envelope.position.sequence for value in values]
            assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
