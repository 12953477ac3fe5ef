"""Programs of linkd's own (a home, the adapter worker, a SQL task) for tests on an event loop: forked as `forked_commands` forks commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from linkd.limits import MIB
from linkd.testing import forked_commands
from linkd.testing.forked_commands import COMMAND_LINE, ForkedCommands, fork_server


class ForkedProgram:
    """As much of `asyncio.subprocess.Process` as tests ask of one."""

    def __init__(
        self,
        pid: int,
        stdin: asyncio.StreamWriter | None,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader | None,
        ended: asyncio.Future[int],
        reading: list[asyncio.BaseTransport],
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._ended = ended
        self._reading = reading

    @property
    def returncode(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Its exit code, or the negative number of a signal; what it printed is let go of with the pipes' other ends."""
        code = await asyncio.shield(self._ended)
        for transport in self._reading:
            transport.close()
        return code

    async def communicate(self) -> tuple[bytes, bytes]:
        """All that it prints from here on, and its end."""
        said = await self.stdout.read()
        complaint = await self.stderr.read() if self.stderr is not None else b""
        await self.wait()
        return said, complaint

    def send_signal(self, number: int) -> None:
        if not self._ended.done():
            with suppress(ProcessLookupError):  # it has ended, and word of that is on its way
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Program = Process | ForkedProgram
"""A program that was started, one way or the other."""


async def start_linkd(words: Sequence[str], environment: Mapping[str, str], *, stdin: int, stderr: int | None = None) -> Program:
    """Starts `linkd WORDS`, as `start_program` does a program."""
    if fork_server() is None:
        return await _executed(["linkd", *words], environment, stdin, stderr)
    said = {**environment, COMMAND_LINE: json.dumps(list(words))}
    return await start_program(forked_commands.__name__, said, stdin=stdin, stderr=stderr)


async def start_program(module: str, environment: Mapping[str, str], *, stdin: int, stderr: int | None = None) -> Program:
    """Starts `python -m MODULE` in this directory, with its standard output in a pipe.

    `stdin` is PIPE or DEVNULL; `stderr` is PIPE or a descriptor, else as it is here.
    """
    server = fork_server()
    if server is None:
        return await _executed([module], environment, stdin, stderr)
    with ExitStack() as theirs:
        output, its_output = os.pipe()
        theirs.callback(os.close, its_output)
        complaints, its_errors = os.pipe() if stderr == subprocess.PIPE else (-1, os.dup(2 if stderr is None else stderr))
        theirs.callback(os.close, its_errors)
        talking, listening = socket.socketpair() if stdin == subprocess.PIPE else (None, None)
        its_input = listening.detach() if listening is not None else os.open(os.devnull, os.O_RDONLY)
        theirs.callback(os.close, its_input)
        pid = server.fork(module, environment, Path.cwd(), [its_input, its_output, its_errors], module)
    assert pid, "the server of forks has a thread"
    reading: list[asyncio.BaseTransport] = []
    stdout = await _reader(output, reading)
    errors = await _reader(complaints, reading) if stderr == subprocess.PIPE else None
    writer = None if talking is None else (await asyncio.open_unix_connection(sock=talking))[1]
    return ForkedProgram(pid, writer, stdout, errors, _ending(server, pid), reading)


async def _executed(words: Sequence[str], environment: Mapping[str, str], stdin: int, stderr: int | None) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words), env=dict(environment), stdin=stdin, stdout=subprocess.PIPE, stderr=stderr
    )


async def _reader(descriptor: int, reading: list[asyncio.BaseTransport]) -> asyncio.StreamReader:
    stream = asyncio.StreamReader(limit=MIB)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
    reading.append(transport)
    return stream


def _ending(server: ForkedCommands, pid: int) -> asyncio.Future[int]:
    """Its exit code, when it has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:  # it has ended already, and the server knows
        ended.set_result(server.exit_code(pid, None) or 0)
        return ended

    def told() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        ended.set_result(server.exit_code(pid, None) or 0)

    loop.add_reader(descriptor, told)
    return ended
