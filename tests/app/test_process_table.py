"""Both tables tell the same of the same processes, and leftovers are found by either."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from linkd.app.run.process_table import PROC, ProcessTable, ProcTable, PsTable, members_shown, process_table
from linkd.app.run.processes import Processes
from linkd.app.state import read_json, write_json

needs_proc = pytest.mark.skipif(not PROC.joinpath("self/stat").exists(), reason="this system has no /proc")
TABLES = [pytest.param(ProcTable(PROC), id="proc", marks=needs_proc), pytest.param(PsTable(), id="ps")]
LEAVES_ONE_BEHIND = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
CLOCKS_DIFFER_S = 2.0
"""`ps` cuts to seconds, as does the time at which the system says that it came up."""


@dataclass
class Orphan:
    """A process whose group's leader has ended."""

    group: int
    pid: int
    output: IO[bytes]

    def wait(self) -> None:
        """Returns when it has ended: it alone holds its output open."""
        assert self.output.read() == b""


@contextmanager
def orphan(variable: str, value: str) -> Iterator[Orphan]:
    """One with that in its environment."""
    env = {**os.environ, variable: value}
    with subprocess.Popen([sys.executable, "-c", LEAVES_ONE_BEHIND], stdout=subprocess.PIPE, start_new_session=True, env=env) as leader:
        assert leader.stdout is not None
        told = Orphan(leader.pid, int(leader.stdout.readline()), leader.stdout)
        leader.wait(30)
        try:
            yield told
        finally:
            with suppress(ProcessLookupError):
                os.kill(told.pid, signal.SIGKILL)


def test_the_table_of_this_system_tells_of_this_process() -> None:
    table = process_table()
    assert table.start_time(os.getpid())
    assert table.start_time(os.getpid()) == table.start_time(os.getpid())
    assert isinstance(table, ProcTable if PROC.joinpath("self/stat").exists() else PsTable)


@pytest.mark.parametrize("table", TABLES)
def test_there_is_no_start_time_of_a_process_that_is_gone(table: ProcessTable) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait(30)
    assert table.start_time(process.pid) == ""


@needs_proc
def test_the_start_times_of_both_tables_are_the_same_moment() -> None:
    ticks, date = (table.start_time(os.getppid()) for table in (ProcTable(PROC), PsTable()))
    came_up_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    by_proc_s = came_up_s + int(ticks) / os.sysconf("SC_CLK_TCK")
    by_ps_s = datetime.strptime(date, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()
    assert abs(by_proc_s - by_ps_s) <= CLOCKS_DIFFER_S


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("directory", ["/a state/of mine/", "/ein/Öl [1]/"])
def test_members_of_a_group_are_those_with_our_token(table: ProcessTable, directory: str) -> None:
    with orphan("A_TOKEN_FILE", f"{directory}tokens/clean") as left:
        assert table.members(left.group, "A_TOKEN_FILE", directory) == [left.pid]
        assert table.members(left.group, "TOKEN_FILE", directory) == []
        assert table.members(left.group, "A_TOKEN_FILE", "/another/") == []
        assert table.members(os.getpid(), "A_TOKEN_FILE", directory) == []


def test_members_are_found_in_what_the_ps_of_macos_prints() -> None:
    shown = (
        "    1     0 /sbin/launchd\n"
        "  501   477 /opt/homebrew/bin/python3 clean.py LINKD_TASK=clean LINKD_TOKEN_FILE=/Users/J\\M-C\\M-6rg/p/.linkd/p/tokens/clean HOME=/U\n"
        "  502   477 sleep 60\n"
        " 1503   478 python3 x.py LINKD_TOKEN_FILE=/Users/J\\M-C\\M-6rg/p/.linkd/p/tokens/x\n"
    )
    assert members_shown(shown, 477, "LINKD_TOKEN_FILE", "/Users/Jörg/p/.linkd/p/") == [501]
    assert members_shown(shown, 477, "LINKD_TOKEN_FILE", "/Users/Jörg/q/.linkd/q/") == []


def test_how_old_this_process_is_is_told_or_nothing() -> None:
    assert PsTable().own_age_s() == 0.0
    assert process_table().own_age_s() >= 0.0


async def test_what_an_earlier_run_left_is_ended_and_nobody_else(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    left = await Processes(directory).start("left", ["sleep", "60"], env=os.environ, cwd=tmp_path)
    stranger = await Processes(tmp_path).start("stranger", ["sleep", "60"], env=os.environ, cwd=tmp_path)
    with orphan("LINKD_TOKEN_FILE", str(directory / "tokens/clean")) as orphaned:
        recorded = read_json(directory / "groups.json")
        recorded += [
            {"pid": orphaned.group, "started": "another time", "name": "orphaned"},
            {"pid": stranger.pid, "started": "another time", "name": "reused number"},
            {"pid": stranger.pid, "started": "", "name": "began nobody knows when"},
        ]
        write_json(directory / "groups.json", recorded)
        assert Processes(directory).end_leftovers() == ["left", "orphaned"]
        assert stranger.running
        async with asyncio.timeout(30):
            assert await left.process.wait() == -signal.SIGKILL
        orphaned.wait()
    assert read_json(directory / "groups.json") == []
    await stranger.end(0.0)


async def test_what_has_ended_with_its_whole_group_is_not_recorded_any_more(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    lasting = await processes.start("lasting", ["sleep", "60"], env=os.environ, cwd=tmp_path)
    for _ in range(3):
        ended = await processes.start("again", ["true"], env=os.environ, cwd=tmp_path)
        await ended.end(30.0)
    last = await processes.start("again", ["sleep", "60"], env=os.environ, cwd=tmp_path)
    assert [group["pid"] for group in read_json(tmp_path / "groups.json")] == [lasting.pid, last.pid]
    await last.end(0.0)
    await lasting.end(0.0)
