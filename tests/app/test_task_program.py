"""A task's program as real processes: attempts, time, and nothing left of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from linkd.app.run.interpreter import interpreter_of
from linkd.app.run.lives import HomeLives
from linkd.app.run.processes import Processes
from linkd.app.run.task_log import TaskLog
from linkd.app.run.task_program import Attempt, TaskProgram
from linkd.core.masking import Mask
from linkd.core.pipeline import TaskSpec
from linkd.model.records import TaskKind
from linkd.model.terms import TaskTerms


class Ran:
    """Runs a shell command as a task; keeps what was printed and said."""

    def __init__(
        self, directory: Path, command: str, retries: int = 0, timeout_s: float | None = None, lives: HomeLives | None = None
    ) -> None:
        self.printed: list[str] = []
        self.said: list[str] = []
        spec = TaskSpec(
            "clean", TaskKind.RUN, (), (), command=command, retries=retries, timeout_s=timeout_s, terms=TaskTerms(max_attempts=5)
        )
        processes = Processes(directory)
        log = TaskLog(directory / "clean.log", self.printed.append, time.monotonic, Mask())
        self.program = TaskProgram(
            spec, log, 1, lambda: processes.start("clean", command, env=dict(os.environ), cwd=directory), self.said.append, lives=lives
        )


async def test_a_program_that_succeeds_is_started_once(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "echo hello", retries=2)
    assert await ran.program.run() == Attempt(1, 0)
    assert (ran.printed, ran.said) == (["hello"], [])


async def test_a_program_that_fails_is_started_again_after_a_wait_that_is_told(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "echo try; test -e tried || { touch tried; exit 3; }", retries=2)
    attempt = await ran.program.run()
    assert attempt == Attempt(2, 0)
    assert ran.said == ["clean exited with code 3: attempt 2 of 3 in 1 s"]
    assert ran.printed == ["try", "try"]
    assert [line for line in (tmp_path / "clean.log").read_text().splitlines() if line.startswith("---")][1].endswith("attempt 2 ---")


async def test_an_attempt_whose_home_died_does_not_count(tmp_path: Path) -> None:
    async def answer() -> None:
        if not (tmp_path / "again").exists():  # the home is found to have died, once
            (tmp_path / "again").touch()
            lives.end()
            lives.begin()

    lives = HomeLives(1, answer)
    ran = Ran(tmp_path, "echo try; exit 3", lives=lives)
    assert await ran.program.run() == Attempt(1, 3)
    assert (ran.printed, ran.said) == (["try", "try"], [])


async def test_an_attempt_that_failed_with_a_snapshot_is_none_of_the_retries(tmp_path: Path) -> None:
    async def failures() -> int:
        """The home counts a snapshot for each of the first two programs; the others fail by themselves."""
        return min(len(ran.printed), 2)

    ran = Ran(tmp_path, "echo try; exit 3", retries=1)
    ran.program.failures = failures
    assert await ran.program.run() == Attempt(2, 3)
    assert ran.printed == ["try"] * 4
    again = "clean exited with code 3, with a snapshot that is tried 5 times at most: started again"
    assert ran.said == [again, again, "clean exited with code 3: attempt 2 of 2 in 1 s"]


async def test_a_program_without_an_end_has_its_timeout_for_each_snapshot(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "echo begun; sleep 0.2; echo goes on; exec sleep 100", timeout_s=0.1)
    ran.program.is_bounded = False
    ran.program.overran()  # of one before it
    running = asyncio.create_task(ran.program.run())
    async with asyncio.timeout(10):
        while ran.printed != ["begun", "goes on"]:
            await asyncio.sleep(0)
    ran.program.overran()
    ran.program.overran()
    assert (await running).ending == "took longer than its timeout of 100ms and was ended"


async def test_the_wait_between_attempts_can_be_interrupted(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "exit 3", retries=100)
    running = asyncio.create_task(ran.program.run())
    async with asyncio.timeout(10):
        while not ran.said:
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_program_out_of_its_time_is_ended_with_its_whole_group_and_its_last_words_are_kept(tmp_path: Path) -> None:
    command = "trap 'echo last words; exit 0' TERM; sleep 100 & echo $!; wait"
    ran = Ran(tmp_path, command, timeout_s=0.5)
    attempt = await ran.program.run()
    assert (attempt.succeeded, attempt.ending) == (False, "took longer than its timeout of 500ms and was ended")
    assert ran.printed[1:] == ["last words"]
    assert not Path(f"/proc/{ran.printed[0]}/cmdline").exists() or not Path(f"/proc/{ran.printed[0]}/cmdline").read_bytes()


async def test_what_a_failed_program_left_in_the_background_does_not_hold_up_the_run(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "sleep 100 & exit 2")
    async with asyncio.timeout(10):
        assert (await ran.program.run()).code == 2


async def test_what_a_failed_program_left_outside_its_group_does_not_hold_up_the_run_either(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "setsid sleep 15 & exit 2")
    async with asyncio.timeout(10):
        assert (await ran.program.run()).code == 2


async def test_what_a_program_that_has_succeeded_left_in_the_background_is_waited_for_and_told_of(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "{ while ! test -e told; do sleep 0.1; done; echo late; } &")
    ran.program.held_told_after_s = 0.0
    running = asyncio.create_task(ran.program.run())
    async with asyncio.timeout(20):
        while not ran.said:
            await asyncio.sleep(0)
        (tmp_path / "told").touch()
        assert await running == Attempt(1, 0)
    assert ran.said == ["clean exited with code 0, but something it started still has its output open: it is waited for"]
    assert ran.printed == ["late"]


async def test_the_grace_is_that_of_the_program_behind_the_shell(tmp_path: Path) -> None:
    program = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(print('put away')))\nprint('began')\nsignal.pause()\n"
    (tmp_path / "slow.py").write_text(program)
    ran = Ran(tmp_path, f"{sys.executable} -u slow.py; true")
    running = asyncio.create_task(ran.program.run())
    async with asyncio.timeout(20):
        while not ran.printed:
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert ran.printed == ["began", "put away"]


async def test_cancelling_ends_the_program(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "echo $$; exec sleep 100")
    running = asyncio.create_task(ran.program.run())
    async with asyncio.timeout(10):
        while not ran.printed:
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert subprocess.run(["ps", "-p", ran.printed[0]], capture_output=True, check=False).returncode != 0


async def test_a_program_that_is_not_there_cannot_be_started(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "")
    ran.program.start = lambda: Processes(tmp_path).start("clean", ["no-such-program"], env={}, cwd=tmp_path)
    with pytest.raises(FileNotFoundError):
        await ran.program.run()


def spec(command: str | tuple[str, ...] | None) -> TaskSpec:
    return TaskSpec("t", TaskKind.RUN, (), (), command=command)


@pytest.fixture
def bin_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("python", "Rscript"):
        shutil.copy("/bin/true", directory / name)
    tool = directory / "tool"
    tool.write_text("#!/usr/bin/env -S python -u\n")
    tool.chmod(0o755)
    return directory


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python clean.py", "bin/python"),
        ("A=1 B='x y' exec python clean.py", "bin/python"),
        ("cat x | python clean.py > y", "bin/python"),
        ("cd sub && python clean.py", "bin/python"),
        ("set -e\npython clean.py", "bin/python"),
        ("Rscript score.R", "bin/Rscript"),
        ("tool --all", "bin/python"),
        ("./bin/tool --all", "bin/python"),
        (("python", "a b.py"), "bin/python"),
        ("no-such-program x", None),
        ("echo 'open", None),
        (None, None),
    ],
)
def test_the_program_behind_a_command_is_found(bin_directory: Path, command: str | tuple[str, ...] | None, expected: str | None) -> None:
    found = interpreter_of(spec(command), {"PATH": str(bin_directory)}, bin_directory.parent)
    assert found == (str(bin_directory.parent / expected) if expected else None)


def test_an_interpreter_that_is_named_is_the_one(tmp_path: Path) -> None:
    assert interpreter_of(spec(f"{sys.executable} clean.py"), {"PATH": ""}, tmp_path) == sys.executable
