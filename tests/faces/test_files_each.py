"""A program that runs once for each snapshot: several at a time, results in order, failures where they belong."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from file_runs import FileRuns, file_runs, is_gone, said

DOUBLE = """
pipeline: p
wiring: |
  (numbers*)  double  (doubled)
tasks:
  double: {run: 'COMMAND', each: true, parallel: 4MORE}
"""
AWK = 'awk "NR == 1 {print} NR > 1 {print 2 * \\$1}" $LINKD_IN/numbers.csv > $LINKD_OUT/doubled.csv'


def double(command: str = AWK, more: str = "") -> str:
    return DOUBLE.replace("COMMAND", command.replace("'", "''")).replace("MORE", more)


async def numbers(runs: FileRuns, link: str) -> list[int]:
    return [row["n"] for row in await runs.rows(link)]


async def feed(runs: FileRuns, many: int) -> None:
    for number in range(1, many + 1):
        await runs.client.publish("numbers", [{"n": number}])


async def test_each_value_has_a_run_of_its_own_and_results_keep_the_order(tmp_path: Path) -> None:
    """The first run waits for the fourth, which can only be if all four run at a time."""
    command = f"n=$(tail -1 $LINKD_IN/numbers.csv); touch {tmp_path}/began.$n; until [ $n != 1 -o -e {tmp_path}/began.4 ]; do sleep 0.01; done; {AWK}"
    async with file_runs(tmp_path, double(command)) as runs:
        await feed(runs, 9)
        await runs.begin()
        async with asyncio.timeout(20):
            assert await runs.run_task("double") == 0
        assert await numbers(runs, "doubled") == [2 * number for number in range(1, 10)]
        lineage = str(await runs.client.trace("doubled@5"))
        assert "numbers@5" in lineage
        assert "numbers@4" not in lineage
        assert runs.spilled() == []


async def test_a_failure_ends_the_task_and_the_next_run_goes_on_from_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad").write_text("")
    command = f"if [ -e {tmp_path}/bad ] && grep -q 3 $LINKD_IN/numbers.csv; then echo I do not like 3; exit 7; fi; {AWK}"
    async with file_runs(tmp_path, double(command)) as runs:
        await feed(runs, 6)
        await runs.begin()
        with said(capfd) as lines:
            assert await runs.run_task("double") == 7
        assert lines[0] == "I do not like 3"
        assert lines[1] == "double: attempt 1 at numbers@3 failed: exited with code 7: I do not like 3"
        assert await numbers(runs, "doubled") == [2, 4]
        again = lines[2].partition("once more, by hand: ")[2]
        (tmp_path / "bad").unlink()
        assert again.startswith(f'(cd {tmp_path} && given="$(linkd env double --run ')
        assert await runs.run_task("double") == 0
        assert await numbers(runs, "doubled") == [2, 4, 6, 8, 10, 12]


async def test_what_fails_too_often_is_a_dead_letter_with_the_last_lines_of_the_program(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = f"if grep -q 3 $LINKD_IN/numbers.csv; then echo I do not like 3 >&2; exit 7; fi; {AWK}"
    async with file_runs(tmp_path, double(command, ", max_attempts: 2")) as runs:
        await feed(runs, 6)
        await runs.begin()
        with said(capfd) as lines:
            assert await runs.run_task("double") == 0
        assert [line.partition(" failed")[0] for line in lines if "attempt" in line] == [
            "double: attempt 1 at numbers@3",
            "double: attempt 2 at numbers@3",
        ]
        assert await numbers(runs, "doubled") == [2, 4, 8, 10, 12]
        [letter] = await runs.rows("double.dead")
        assert letter["reason"] == "exited with code 7: I do not like 3"


async def test_without_an_order_a_failure_holds_up_nobody(tmp_path: Path) -> None:
    command = f"if grep -q 3 $LINKD_IN/numbers.csv; then exit 7; fi; {AWK}"
    async with file_runs(tmp_path, double(command, ", max_attempts: 2, order: none")) as runs:
        await feed(runs, 6)
        await runs.begin()
        assert await runs.run_task("double") == 0
        assert sorted(await numbers(runs, "doubled")) == [2, 4, 8, 10, 12]


async def test_the_columns_of_the_first_result_are_those_of_the_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    values = "case $(tail -1 $LINKD_IN/numbers.csv) in 1) echo 1 ;; 3) echo x ;; esac"
    command = f"(echo n; {values}) > $LINKD_OUT/doubled.csv"
    async with file_runs(tmp_path, double(command)) as runs:
        await feed(runs, 3)
        await runs.begin()
        with said(capfd) as lines:
            assert await runs.run_task("double") == 1
        assert await numbers(runs, "doubled") == [1]
        fault = "$LINKD_OUT/doubled.csv:2: column n: 'x' is not int64; double wrote it, and nothing of this run was taken"
        assert lines[0] == f"double: attempt 1 at numbers@3 failed: {fault}"


async def test_a_task_that_is_ended_ends_its_programs_and_gives_their_snapshots_back(tmp_path: Path) -> None:
    command = f"echo $$ > {tmp_path}/pid.$$; mv {tmp_path}/pid.$$ {tmp_path}/began.$$; exec sleep 60"
    async with file_runs(tmp_path, double(command)) as runs:
        await feed(runs, 4)
        await runs.begin()
        work = asyncio.create_task(runs.run_task("double"))
        began: list[Path] = []
        async with asyncio.timeout(20):
            while len(began := list(tmp_path.glob("began.*"))) < 4:
                await asyncio.sleep(0.02)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        for path in began:
            assert await is_gone(int(path.suffix[1:]))
        assert runs.spilled() == []


async def test_a_lease_that_is_over_ends_its_program_at_once_and_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    async with file_runs(tmp_path, double(command, ", lease: 1s, timeout: 500ms")) as runs:
        await feed(runs, 1)
        await runs.begin()
        with said(capfd) as lines:
            assert await asyncio.wait_for(runs.run_task("double"), 20) == 1
        assert lines[0] == (
            "double: attempt 1 at numbers@1 failed: its lease was over: it worked for longer than the `timeout:` of its task, or linkd heard nothing "
            "of it and handed its work out again; the program was ended"
        )
        assert await is_gone(int((tmp_path / "pid").read_text()))
        [lease] = runs.home.home.ledger.tasks["double"].leases.values()
        assert (lease.failures, lease.reason) == (1, "its program worked on it for longer than the timeout of 500ms")
