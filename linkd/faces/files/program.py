"""The program of a file task as a process: started in a group of its own, ended with all that it has started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from linkd.errors import TaskFailed
from linkd.faces.files.guard import Guard
from linkd.faces.files.work import Command
from linkd.limits import TASK_TERM_GRACE_S
from linkd.model.frozen import frozen


@frozen()
class Program:
    """A program that was started. `process.stdin`, `.stdout` and `.stderr` are ours where a pipe was asked for."""

    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Also the number of its process group."""
        return self.process.pid

    async def wait(self) -> int:
        """Its exit code; negative: the signal that killed it."""
        return await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """To the whole group; nothing if it is gone."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    async def end(self) -> None:
        """TERM, grace, KILL, to the whole group; returns when the program is gone. What it left running behind it is killed at once."""
        if self.process.returncode is None:
            self.signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(TASK_TERM_GRACE_S):
                    await self.process.wait()
        self.signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def running(
    command: Command,
    *,
    directory: Path,
    environment: Mapping[str, str],
    guard: Guard,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
) -> AsyncIterator[Program]:
    """The program for the length of the block, in `directory`: a text by `sh -c`, a list without a shell. None for a stream means ours.

    Raises TaskFailed if there is no such program.
    """
    words = ("/bin/sh", "-c", command) if isinstance(command, str) else command
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=directory,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            process_group=0,
        )
    except OSError as error:
        raise TaskFailed(f"the program cannot be started: {error.strerror}: {error.filename or words[0]}") from error
    guard.watch(process.pid)
    program = Program(process)
    try:
        yield program
    finally:
        await program.end()
        guard.forget(process.pid)
