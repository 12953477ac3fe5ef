"""What a run says at its end."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkd.app.pipeline_file import load_pipeline
from linkd.app.run.lives import HomeLives
from linkd.app.run.processes import Processes
from linkd.app.run.programs import Programs, Stopped
from linkd.app.run.screen import Screen
from linkd.app.run.summary import print_failure, print_summary
from linkd.errors import EXIT_TASK_FAILED
from linkd.limits import RUN_NOTES_SHOWN_MAX
from linkd.wire.v1 import links_pb2

PIPELINE = """\
pipeline: steps
wiring: |
  (numbers) clean (kept)
  (kept) sum_up (totals)
links: {numbers: {from: numbers.csv}}
tasks: {clean: {run: python clean.py}, sum_up: {sql: SELECT * FROM kept}}
"""


async def _answer() -> None:
    """Of a home that lives."""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Programs]:
    path = tmp_path / "steps.yaml"
    path.write_text(PIPELINE)
    screen = Screen(quiet=False, as_json=False, output=io.StringIO())
    with contextlib.chdir(tmp_path):
        yield Programs(load_pipeline(path), tmp_path, Processes(tmp_path), screen, "unix:nowhere", {}, HomeLives(1, _answer))


def test_a_program_that_left_input_unread_is_named_at_the_end(started: Programs) -> None:
    started.unread = {"clean": {"numbers": 1}}
    print_summary(started.screen, started.pipeline, links_pb2.DescribeResponse(), started, 1.25)
    said = started.screen.output.getvalue().splitlines()  # type: ignore[attr-defined]
    assert said[-2:] == ["note: clean exited with code 0 and left 1 value of numbers unread", "done (1.2 s)"]


def test_it_is_named_too_where_what_comes_behind_it_fails(started: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    started.unread = {"clean": {"numbers": 2}}
    stopped = Stopped("failed", "task sum_up exited with code 1", EXIT_TASK_FAILED, "sum_up", tail=("kept has no columns",))
    print_failure(started.screen, started.pipeline, stopped, started.unread)
    assert capsys.readouterr().err.splitlines() == [
        "task sum_up exited with code 1",
        "  its last line:",
        "    kept has no columns",
        "  note: clean exited with code 0 and left 2 values of numbers unread",
        "  fix it, then: linkd run steps.yaml",
    ]


def test_notes_are_bounded_and_the_others_counted(started: Programs) -> None:
    started.notes = [f"column c{number} is odd" for number in range(RUN_NOTES_SHOWN_MAX + 3)]
    print_summary(started.screen, started.pipeline, links_pb2.DescribeResponse(), started, 1.0)
    said = started.screen.output.getvalue().splitlines()  # type: ignore[attr-defined]
    assert said[-3:] == [f"note: column c{RUN_NOTES_SHOWN_MAX - 1} is odd", "note: 3 more", "done (1.0 s)"]
