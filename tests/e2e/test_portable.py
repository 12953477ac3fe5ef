"""The demo where nothing is there that only Linux has: Python processes that take this system for another (see `another_system`)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linkd.errors import EXIT_DONE
from linkd.testing.flights import expected
from linkd.testing.forked_commands import Command
from linkd.testing.pipelines import RUN_TIMEOUT_S, PipelineDirectory

if TYPE_CHECKING:
    from conftest import MakeDemo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill")]  # with those that use the same data

ANOTHER_SYSTEM = Path(__file__).parent / "another_system"
POLL_S = 0.01
STUCK_AFTER_ONE = """
import os, signal
from pathlib import Path
import linkd

for snap in linkd.connect().snapshots():
    with snap:
        df = snap["flights"].to_pandas()
        snap.publish("flown", df[df.dep_time.notna()])
        snap.publish("cancelled", df[df.dep_time.isna()])
    if not Path("stuck").exists():
        Path("pid").write_text(str(os.getpid()))
        os.rename("pid", "stuck")
        signal.pause()
"""


def test_without_the_names_of_linux_a_killed_run_is_completed_by_the_next(demo: MakeDemo, flights_in_values: Path, tmp_path: Path) -> None:
    log = tmp_path / "asked"
    env = {"PYTHONPATH": str(ANOTHER_SYSTEM), "ANOTHER_SYSTEM_LOG": str(log)}
    with demo(tmp_path / "pipeline", flights_in_values) as pipeline:
        pipeline.write("clean.py", STUCK_AFTER_ONE)
        with pipeline.start("run", pipeline.file.name, env=env) as run:
            stuck = _stuck(pipeline, run)
            os.kill(run.pid, signal.SIGKILL)
            run.communicate(timeout=RUN_TIMEOUT_S)
        os.kill(stuck, 0)
        again = pipeline.run(env=env)
        assert again.exit_code == EXIT_DONE, again.stderr
        with pytest.raises(ProcessLookupError):
            os.kill(stuck, 0)
        found = {row["airline"]: (int(row["flights"]), int(row["miles"])) for row in pipeline.rows("out/totals.csv")}
        assert found == expected(flights_in_values).totals
        asked = Counter(line.split(" ", 1)[1] for line in log.read_text().splitlines())
    for program in ("linkd", "linkd.app.supervised_home", "linkd.app.adapter_worker", "clean.py"):
        assert asked[f"began {program}"] == 2, asked
    assert asked["began linkd.query.task"] >= 1
    assert asked["full sync"] > 10, "the journal, the segments and the file that was written"


def _stuck(pipeline: PipelineDirectory, run: Command) -> int:
    """The process id of the task's program, as soon as it has done the first value and stands still."""
    while not (told := pipeline.path / "stuck").exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(POLL_S)
            assert run.stderr is not None
            pytest.fail(f"the run ended before its task stood still: {run.stderr.read()}")
    return int(told.read_text())
