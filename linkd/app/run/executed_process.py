"""A process that is executed, with its pipes, whose end is its own: asyncio's waits until everybody has closed the pipes, too.

A program that ends and leaves something in the background, which holds its output open, has ended all the same.
"""

from __future__ import annotations

import asyncio
import asyncio.subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from linkd.limits import MIB


class _Streams(asyncio.subprocess.SubprocessStreamProtocol):
    """asyncio's own streams; `exited` is there as soon as the process is not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=MIB, loop=loop)
        self.exited: asyncio.Future[None] = loop.create_future()

    def process_exited(self) -> None:
        super().process_exited()
        if not self.exited.done():
            self.exited.set_result(None)


class ExecutedProcess:
    """What the supervisor has of a process that it executed."""

    def __init__(self, transport: asyncio.SubprocessTransport, streams: _Streams) -> None:
        self._transport = transport
        self._streams = streams
        self.stdin: asyncio.StreamWriter | None = streams.stdin
        self.stdout: asyncio.StreamReader | None = streams.stdout

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def returncode(self) -> int | None:
        return self._transport.get_returncode()

    async def wait(self) -> int:
        await asyncio.shield(self._streams.exited)
        code = self._transport.get_returncode()
        assert code is not None
        return code

    def close(self) -> None:
        self._transport.close()


async def execute_process(
    words: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: int, stdout: int, stderr: int, pass_fds: Sequence[int]
) -> ExecutedProcess:
    """Executes a program in a session of its own. Raises OSError if there is none."""
    loop = asyncio.get_running_loop()
    transport, streams = await loop.subprocess_exec(
        lambda: _Streams(loop),
        *words,
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )
    return ExecutedProcess(transport, streams)
