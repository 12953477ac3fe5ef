"""The `linkd` command without its start: forked from a process that has imported what it needs, as `linkd run` forks its own programs.

What runs is the command that a person runs, in a process of its own: its `main`, its signals, its exit code, and whatever processes it starts.
What does not run again each time is Python's start and the imports, which are most of what a short command costs. The server and what passes
between it and this process are those of `linkd.app.run.fork_server`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from linkd.app.run.fork_server import LENGTH, can_fork
from linkd.app.run.forked import serve_forks
from linkd.app.run.own_programs import OWN_ENVIRONMENT, OWN_PROGRAMS

COMMAND_LINE = "LINKD_TESTING_WORDS"
"""The command line of a forked command, as JSON: a fork has none of its own."""
_STEERING = ("PYTHON", "LD_", "MALLOC_", "ARROW_", "GRPC_", "OPENBLAS_")
"""Variables that something reads as it is loaded: whoever sets one of them wants a process that is executed."""


class ForkedCommand:
    """A command that runs, or has run: as much of `subprocess.Popen[str]` as tests ask of one."""

    stdin = None

    def __init__(self, server: ForkedCommands, pid: int, stdout: TextIO, stderr: TextIO, words: Sequence[str]) -> None:
        self.pid = pid
        self.args = list(words)
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        if self.returncode is None:
            self.returncode = self._server.exit_code(self.pid, 0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, or the negative number of a signal. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self.returncode = self._server.exit_code(self.pid, timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it prints from here on, and its end. Raises `subprocess.TimeoutExpired`."""
        deadline_s = None if timeout is None else time.monotonic() + timeout
        said: dict[str, str] = {}
        readers = [
            threading.Thread(target=lambda name, pipe: said.update({name: pipe.read()}), args=one, daemon=True)
            for one in (("stdout", self.stdout), ("stderr", self.stderr))
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(_left_s(deadline_s))
        self.wait(_left_s(deadline_s))
        return said["stdout"], said["stderr"]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> ForkedCommand:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()


Command = subprocess.Popen[str] | ForkedCommand
"""A command that was started, one way or the other."""


def start_command(words: Sequence[str], environment: Mapping[str, str], directory: Path, *, cold: bool = False) -> Command:
    """Starts `linkd WORDS` in that directory, its output in pipes. With `cold`, and where a fork is not safe, it is executed."""
    server = None if cold else fork_server()
    forked = server.start(words, environment, directory) if server is not None else None
    if forked is not None:
        return forked
    return subprocess.Popen(
        [sys.executable, "-m", "linkd", *words],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def steers_start(names: Mapping[str, str]) -> bool:
    """Whether variables are among these that a forked command would not heed."""
    return any(name.startswith(_STEERING) for name in names)


class ForkedCommands:
    """The server, and this process's end of its socket. It ends with that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = b""
        self._ended: dict[int, int] = {}
        self._socket, theirs = socket.socketpair()
        with theirs:
            program = f"from linkd.testing.forked_commands import serve; serve({theirs.fileno()})"
            self._process = subprocess.Popen([sys.executable, "-c", program], pass_fds=[theirs.fileno()])

    def start(self, words: Sequence[str], environment: Mapping[str, str], directory: Path) -> ForkedCommand | None:
        """`linkd WORDS`. None if the server may not fork."""
        (out, its_out), (err, its_err) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = {**environment, COMMAND_LINE: json.dumps(list(words))}
        pid = self.fork(__name__, said, directory, [nothing, its_out, its_err], " ".join(["linkd", *words]))
        for descriptor in (nothing, its_out, its_err, *(() if pid else (out, err))):
            os.close(descriptor)
        return ForkedCommand(self, pid, os.fdopen(out, encoding="utf-8"), os.fdopen(err, encoding="utf-8"), words) if pid else None

    def fork(self, module: str, environment: Mapping[str, str], directory: Path, descriptors: Sequence[int], title: str) -> int:
        """A process that runs the `main` of a module, with `descriptors` as its first three: its id, 0 if the server may not fork."""
        asked = {"module": module, "environment": dict(environment), "directory": str(directory), "keep": [], "title": title}
        body = json.dumps(asked).encode()
        with self._lock:
            socket.send_fds(self._socket, [LENGTH.pack(len(body))], list(descriptors))
            self._socket.sendall(body)
            while not (answer := self._heard()):  # what it tells meanwhile is of others' ends
                pass
        return int(answer.get("forked", 0))

    def exit_code(self, pid: int, timeout_s: float | None) -> int | None:
        """How a process that was started ended, asked until it is known once; None if it has not ended by then."""
        with contextlib.suppress(ProcessLookupError):  # it is gone, and the server has said how, or is about to
            ending = os.pidfd_open(pid)
            try:
                if not select.select([ending], [], [], timeout_s)[0]:
                    return None
            finally:
                os.close(ending)
        with self._lock:
            while pid not in self._ended:
                self._heard()
            return self._ended.pop(pid)

    def _heard(self) -> Mapping[str, Any]:
        """What the server says next: its answer to a request, or nothing if that was the end of a command."""
        while b"\n" not in self._received:
            data = self._socket.recv(64 * 1024)
            if not data:
                raise EOFError("the process that commands are forked from is gone")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        told: Mapping[str, Any] = json.loads(line)
        if "ended" not in told:
            return told
        self._ended[int(told["ended"])] = int(told["code"])
        return {}

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


@functools.cache
def fork_server() -> ForkedCommands | None:
    """One for all commands that this process starts, as long as it lives; None where there can be none."""
    if sys.platform != "linux":
        return None
    server = ForkedCommands()
    atexit.register(server.close)
    return server


def serve(descriptor: int) -> None:
    """The server: imports what `linkd run` and its programs need, and forks commands until its socket closes."""
    assert can_fork()
    command = ("linkd.app.main", "linkd.app.cli.start", "linkd.app.cli.verbs", "linkd.app.cli.run", "linkd.app.run.supervisor")
    programs = [module for program in OWN_PROGRAMS for module in (*program.ahead, program.module)]
    serve_forks(socket.socket(fileno=descriptor), [*command, *programs], OWN_ENVIRONMENT)


def main() -> None:
    """What is forked: the command."""
    from linkd.app.main import main as command

    sys.argv = ["linkd", *json.loads(os.environ.pop(COMMAND_LINE))]
    command()


def _left_s(deadline_s: float | None) -> float | None:
    return None if deadline_s is None else max(deadline_s - time.monotonic(), 0.0)
