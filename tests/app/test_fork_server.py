from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from linkd.app.run.own_programs import OWN_PROGRAMS

TRIAL = Path(__file__).parent / "fork_trial.py"


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    done = subprocess.run([sys.executable, TRIAL], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    if not seen["forks"]:
        pytest.skip("here linkd's own programs are executed, for nothing tells whether a process has one thread")
    return seen


def test_a_forked_program_finds_what_an_executed_one_would(seen: dict[str, Any]) -> None:
    forked, executed = seen["plain"]["told"], seen["executed instead"]["told"]
    for told in (forked, executed):
        assert told["pid"] == told["session"] != seen["supervisor"]
        assert told["said"] == "hello\n"
    assert forked["directory"] == executed["directory"]
    assert forked["environment"].items() <= executed["environment"].items()
    assert forked["words"] == ["forked_program"]


def test_it_has_its_standard_descriptors_those_passed_on_and_no_others(seen: dict[str, Any]) -> None:
    assert set(seen["plain"]["told"]["descriptors"]) == {0, 1, 2, seen["passed"], 3}, "3 reads the list"
    assert set(seen["exit"]["told"]["descriptors"]) == {0, 1, 2, 3}


def test_people_see_which_process_it_is(seen: dict[str, Any]) -> None:
    assert seen["plain"]["told"]["shown"] == "linkd trial"


def test_its_end_is_told(seen: dict[str, Any]) -> None:
    assert seen["plain"]["code"] == 3
    assert seen["exit"]["code"] == 7
    assert seen["signal"]["code"] == -signal.SIGTERM
    assert seen["raise"]["code"] == 1
    assert seen["raise"]["rest"].endswith("ValueError: on purpose\n")


def test_a_start_that_is_cancelled_leaves_the_server_usable(seen: dict[str, Any]) -> None:
    assert seen["after a cancelled one"]["code"] == 3


def test_without_its_server_a_program_ends_and_the_next_is_executed(seen: dict[str, Any]) -> None:
    assert seen["without its server"] == -signal.SIGKILL
    assert seen["executed instead"]["code"] == 3
    assert seen["executed instead"]["told"]["words"][0].endswith("forked_program.py")


def test_all_that_is_imported_ahead_is_there() -> None:
    for program in OWN_PROGRAMS:
        assert [name for name in (program.module, *program.ahead) if find_spec(name) is None] == []
