"""A forked process with its pipes, in the likeness of `asyncio.subprocess.Process`."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from linkd.app.run.fork_server import Forked, ForkServer, OwnProgram
from linkd.limits import MIB


class ForkedProcess:
    """What the supervisor has of a process that the fork server made. `stdin` is there if a pipe was asked for, `stdout` always is one."""

    def __init__(
        self, forked: Forked, stdin: asyncio.StreamWriter | None, stdout: asyncio.StreamReader, reading: asyncio.ReadTransport
    ) -> None:
        self._forked = forked
        self._reading = reading
        self.stdin = stdin
        self.stdout: asyncio.StreamReader | None = stdout

    @property
    def pid(self) -> int:
        return self._forked.pid

    @property
    def returncode(self) -> int | None:
        return self._forked.ended.result() if self._forked.ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._forked.ended)

    def close(self) -> None:
        self._reading.close()
        if self.stdin is not None:
            self.stdin.close()


async def fork_process(
    forks: ForkServer,
    program: OwnProgram,
    title: str,
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: int,
    stderr: int,
    pass_fds: Sequence[int],
) -> ForkedProcess:
    """Forks a program. `stdin` is PIPE or DEVNULL, `stderr` a descriptor or STDOUT. Raises InternalFault if the server cannot."""
    loop = asyncio.get_running_loop()
    with ExitStack() as theirs, ExitStack() as ours:
        read_end, write_end = os.pipe()
        theirs.callback(os.close, write_end)
        reading = ours.enter_context(os.fdopen(read_end, "rb", buffering=0))
        if stdin == subprocess.PIPE:
            talking, listening = (ours.enter_context(one) for one in socket.socketpair())
            theirs.callback(listening.close)
            their_input = listening.fileno()
        else:
            talking = None
            their_input = os.open(os.devnull, os.O_RDONLY)
            theirs.callback(os.close, their_input)
        descriptors = (their_input, write_end, write_end if stderr == subprocess.STDOUT else stderr)
        forked = await forks.fork(program, environment=env, directory=cwd, descriptors=descriptors, keep=pass_fds, title=title)
        output = asyncio.StreamReader(limit=MIB)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(output), reading)
        writer = None if talking is None else (await asyncio.open_unix_connection(sock=talking))[1]
        ours.pop_all()
    return ForkedProcess(forked, writer, output, transport)
