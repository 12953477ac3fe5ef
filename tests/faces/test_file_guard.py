"""The guard of a file task: programs end with the process that started them, whatever ends that."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

from linkd.faces.files.guard import guarding

STARTS_A_PROGRAM = """
import asyncio, subprocess, sys
from linkd.faces.files.guard import guarding

async def main():
    async with guarding() as guard:
        program = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=sys.stdout)
        guard.watch(program.pid)
        await asyncio.sleep(0)
        print(program.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_what_was_not_forgotten_ends_with_the_block() -> None:
    watched, forgotten = [await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True) for _ in range(2)]
    try:
        async with guarding() as guard:
            guard.watch(watched.pid)
            guard.watch(forgotten.pid)
            guard.forget(forgotten.pid)
        async with asyncio.timeout(10):
            assert await watched.wait() == -signal.SIGKILL
        assert forgotten.returncode is None
    finally:
        forgotten.kill()
        await forgotten.wait()


async def test_a_process_that_is_killed_takes_its_programs_along() -> None:
    task = await asyncio.create_subprocess_exec(sys.executable, "-c", STARTS_A_PROGRAM, stdout=subprocess.PIPE, start_new_session=True)
    assert task.stdout is not None
    async with asyncio.timeout(20):
        program = int(await task.stdout.readline())
        os.kill(program, 0)
        task.kill()
        assert await task.stdout.read() == b""  # the program had the other end of it, and is gone
        await task.wait()
