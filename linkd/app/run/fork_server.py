"""Processes of linkd's own, forked from one that has imported what they need: a start takes milliseconds instead of half a second.

`ForkServer.start` forks the server off the supervisor while that has one thread, no event loop and no connection: nothing is held that a
fork would tear. The server imports ahead, in the order in which a run asks for its programs, while the supervisor plans. It never connects,
computes or starts a thread, so whatever it forks begins like a fresh interpreter that has its imports behind it. Programs of people are
never forked from it. Where a process cannot tell that it has one thread (macOS, whose libraries do not survive a fork either) there is no
server, and every program is executed.

Between the two, on a stream socket that no other process has:

    request     4 bytes    length of what follows, with the descriptors of the new process (standard input, output, error; those it keeps)
                JSON       {"module": "linkd.query.task", "environment": {...}, "directory": "...", "title": "...",
                            "keep": [the numbers that the further descriptors get]}
    answers     lines      {"forked": pid} or {"refused": reason}, in the order of the requests
                           {"ended": pid, "code": exit code, or the negative number of a signal}

The server ends with the socket; what it forked goes on, for every program of linkd's own ends by a pipe that the supervisor holds, or with
its home. Its children are ended if the server is lost, because nobody could tell any more how they end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkd.errors import InternalFault
from linkd.model.frozen import frozen

LENGTH = struct.Struct("!I")
DESCRIPTORS_MAX = 16
"""Of one request: the three standard ones and what is passed on, which is one lock at present."""


@frozen()
class OwnProgram:
    """A program of linkd's: `python -m MODULE`, which runs the module's `main()`. `ahead` is what it will have imported, in steps."""

    module: str
    ahead: tuple[str, ...]


@dataclass(slots=True)
class Forked:
    """A process that the server forked."""

    pid: int
    ended: asyncio.Future[int]
    """Its exit code, or the negative number of the signal that killed it."""


class ForkServer:
    """The supervisor's end. Used by one event loop; one request is under way at a time."""

    def __init__(self, pid: int, ours: socket.socket) -> None:
        self.pid = pid
        self._socket = ours
        self._turn = asyncio.Lock()
        self._answers: deque[asyncio.Future[Mapping[str, Any]]] = deque()
        self._running: dict[int, Forked] = {}
        self._received = b""
        self._loop: asyncio.AbstractEventLoop | None = None

    @staticmethod
    def start(programs: Sequence[OwnProgram], environment: Mapping[str, str]) -> ForkServer | None:
        """Forks the server, which imports what `programs` need, the first first, with `environment` around it.

        None where that cannot be done safely.
        """
        if not can_fork():
            return None
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            from linkd.app.run.forked import serve_forks

            ours.close()
            serve_forks(theirs, [module for program in programs for module in program.ahead], environment)
        theirs.close()
        ours.setblocking(False)
        return ForkServer(pid, ours)

    async def fork(
        self,
        program: OwnProgram,
        *,
        environment: Mapping[str, str],
        directory: Path,
        descriptors: Sequence[int],
        keep: Sequence[int],
        title: str,
    ) -> Forked:
        """A new process in a session of its own. `descriptors` are its first three; it has those of `keep` under the same numbers.

        Raises InternalFault if the server is gone or may not fork.
        """
        asked = {
            "module": program.module,
            "environment": dict(environment),
            "directory": str(directory),
            "keep": list(keep),
            "title": title,
        }
        async with self._turn:
            answer = await self._ask(json.dumps(asked).encode(), [*descriptors, *keep])
        if "forked" not in answer:
            raise InternalFault(f"the fork server did not fork: {answer.get('refused')}")
        return self._running[int(answer["forked"])]

    async def _ask(self, body: bytes, descriptors: Sequence[int]) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self._socket.fileno(), self._heard)
        answer: asyncio.Future[Mapping[str, Any]] = loop.create_future()
        self._answers.append(answer)
        try:
            # The request before this one was answered, so the socket takes these bytes at once; what follows them may have to wait.
            socket.send_fds(self._socket, [LENGTH.pack(len(body))], list(descriptors))
            await loop.sock_sendall(self._socket, body)
        except OSError:
            self._lost()
        return await answer

    def _heard(self) -> None:
        try:
            data = self._socket.recv(64 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._told(json.loads(line))

    def _told(self, told: Mapping[str, Any]) -> None:
        if "ended" in told:
            self._running.pop(int(told["ended"])).ended.set_result(int(told["code"]))
            return
        answer = self._answers.popleft()
        if "forked" in told:
            pid = int(told["forked"])
            self._running[pid] = Forked(pid, asyncio.get_running_loop().create_future())
            if answer.done():  # whoever asked was cancelled meanwhile
                _kill(pid)
        if not answer.done():
            answer.set_result(told)

    def _lost(self) -> None:
        """The server is gone: nobody will tell how its children end, so they end now."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
        for answer in self._answers:
            if not answer.done():
                answer.set_result({"refused": "it is gone"})
        self._answers.clear()
        for forked in self._running.values():
            _kill(forked.pid)
            forked.ended.set_result(-signal.SIGKILL)
        self._running.clear()

    def close(self) -> None:
        """Ends the server. What it forked has ended by then, or ends by itself."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def can_fork() -> bool:
    """Whether this process is known to have one thread, and the system tells of the end of processes by descriptor."""
    try:
        os.close(os.pidfd_open(os.getpid()))
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except (AttributeError, OSError):
        return False
