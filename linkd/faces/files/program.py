"""The program of a file task as a process: started in a group of its own, ended with all that it has started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from linkd.errors import TaskFailed
from linkd.faces.files.guard import Guard
from linkd.faces.files.work import Command
from linkd.limits import TASK_TERM_GRACE_S


class Program:
    """A program that was started, and whose end the event loop is told of."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._gone = _gone(process)

    @property
    def pid(self) -> int:
        """Also the number of its process group."""
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code; negative: the signal that killed it."""
        return self._gone.result() if self._gone.done() else await asyncio.shield(self._gone)

    def signal(self, number: signal.Signals) -> None:
        """To the whole group; nothing if it is gone."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def end(self) -> None:
        """TERM, grace, KILL, to the whole group; returns when the program is gone. What it left running behind it is killed at once."""
        if not self._gone.done():
            self.signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(TASK_TERM_GRACE_S):
                    await self.wait()
        self.signal(signal.SIGKILL)
        await self.wait()


def _gone(process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """Done with the exit code when the process has ended. It takes a thread where the system shows no process as a descriptor (macOS)."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        pool = ThreadPoolExecutor(1, "linkd program end")
        waiting = loop.run_in_executor(pool, process.wait)
        pool.shutdown(wait=False)
        return waiting
    gone: asyncio.Future[int] = loop.create_future()

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        gone.set_result(process.wait())

    loop.add_reader(descriptor, ended)
    return gone


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
        process = subprocess.Popen(  # noqa: ASYNC220  # no longer than asyncio's own: both wait until it is executed
            words, cwd=directory, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds, process_group=0
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
