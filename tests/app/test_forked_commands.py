"""Commands that tests fork instead of executing them: nobody can tell the difference by what they say, and how they end."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from linkd.testing.forked_commands import start_command, steers_start
from linkd.testing.pipelines import clean_environment

WAITING = "pipeline: waiting\nwiring: |\n  (numbers) double (doubled)\ntasks:\n  double: {run: sleep 60}\n"


@pytest.mark.parametrize("words", [["--version"], ["nonsense"], ["check", "waiting.yaml"], ["run", "nothing.yaml"]], ids=" ".join)
def test_a_forked_command_says_and_returns_what_an_executed_one_does(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "waiting.yaml").write_text(WAITING)
    ended = []
    for cold in (False, True):
        with start_command(words, clean_environment(), tmp_path, cold=cold) as command:
            ended.append((*command.communicate(timeout=60), command.returncode))
    assert ended[0] == ended[1]
    assert any(ended[0])


def test_one_that_runs_can_be_waited_for_told_to_end_and_killed(tmp_path: Path) -> None:
    serving = [
        start_command(["serve", "--open", "--dir", name, "--socket", f"{name}.sock"], clean_environment(), tmp_path) for name in "ab"
    ]
    with serving[0] as told, serving[1] as killed:
        for command in serving:
            assert command.stdout is not None
            assert "endpoint" in command.stdout.readline()
            assert command.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            told.wait(timeout=0)
        killed.kill()
        assert killed.wait(timeout=60) == -signal.SIGKILL
        told.terminate()
        assert told.wait(timeout=60) == told.poll() == 0
        told.kill()  # which is nobody's any more


def test_what_steers_the_interpreter_is_for_one_that_is_executed() -> None:
    assert steers_start({"PYTHONPATH": "x"})
    assert not steers_start({"SHOP_PASSWORD": "x"})
