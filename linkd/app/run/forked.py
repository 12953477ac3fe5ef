"""The process that linkd's own programs are forked from: it imports ahead, forks when it is asked to, and tells how its children end.

What passes between it and the supervisor is said at the head of `fork_server`. It has one thread, and looks whether that is still so before
it forks: a library that starts a thread when it is imported makes it refuse, and the supervisor executes the program instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import selectors
import socket
import sys
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from linkd.app.run.fork_server import DESCRIPTORS_MAX, LENGTH, can_fork
from linkd.errors import EXIT_INTERNAL


def serve_forks(theirs: socket.socket, ahead: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Serves the supervisor at the other end of the socket until it closes, and does not return; nor do the processes it forks.

    It imports `ahead` with the variables of `environment` that are not set otherwise.
    """
    code = EXIT_INTERNAL
    try:
        os.setsid()  # Ctrl-C on the terminal is for the supervisor
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        os.close(null)
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        gc.disable()
        _show_as("linkd fork server")
        _Server(theirs, ahead).run()
        code = 0
    finally:
        os._exit(code)


class _Server:
    def __init__(self, theirs: socket.socket, ahead: Sequence[str]) -> None:
        self._socket = theirs
        self._ahead = deque(ahead)
        self._selector = selectors.DefaultSelector()
        self._selector.register(theirs, selectors.EVENT_READ)

    def run(self) -> None:
        """Until the socket closes: requests and ends first, imports while there are none."""
        while True:
            events = self._selector.select(0 if self._ahead else None)
            for key, _ in events:
                if key.data is not None:
                    self._ended(key.fd, key.data)
                elif not self._requested():
                    return
            if not events:
                _import(self._ahead.popleft())

    def _requested(self) -> bool:
        head, descriptors, _, _ = socket.recv_fds(self._socket, LENGTH.size, DESCRIPTORS_MAX)
        body = self._exactly(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""
        if not body:
            return False
        request = json.loads(body)
        _import(request["module"])
        if can_fork():
            self._fork(request, descriptors)
        else:
            self._tell({"refused": "it has more than one thread"})
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _exactly(self, size_bytes: int) -> bytes:
        pieces = []
        while size_bytes > 0:
            piece = self._socket.recv(size_bytes)
            if not piece:
                return b""
            pieces.append(piece)
            size_bytes -= len(piece)
        return b"".join(pieces)

    def _fork(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        gc.freeze()  # a collection in the child would touch, and so copy, every page of what was imported
        pid = os.fork()
        if pid == 0:
            _become(request, descriptors)
        self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
        self._tell({"forked": pid})

    def _ended(self, descriptor: int, pid: int) -> None:
        self._selector.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        self._tell({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, told: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the supervisor is gone, and the next read says so
            self._socket.sendall(json.dumps(told).encode() + b"\n")


def _import(module: str) -> None:
    """What cannot be imported is for the program that needs it to tell: it tries again, with its own standard error."""
    with contextlib.suppress(ImportError):
        import_module(module)


def _become(request: Mapping[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """The forked process: everything of the server's is put away, then the program runs as if it had been executed."""
    code = EXIT_INTERNAL
    try:
        os.setsid()
        _place(descriptors, (0, 1, 2, *request["keep"]))
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        os.chdir(request["directory"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = [request["module"]]
        _show_as(request["title"])
        gc.enable()
        code = _exit_code(import_module(request["module"]).main)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)  # an ordinary exit would take everything apart that was imported


def _exit_code(program: Callable[[], int | None]) -> int:
    try:
        return program() or 0
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            return ending.code or 0
        print(ending.code, file=sys.stderr)
        return 1


def _place(descriptors: Sequence[int], numbers: Sequence[int]) -> None:
    """Gives each descriptor its number, for this process and not for those it executes unless it says so, and closes all others."""
    above = max(numbers) + 1
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, above) for descriptor in descriptors]
    for descriptor, number in zip(aside, numbers, strict=True):
        os.dup2(descriptor, number, inheritable=True)
    for number, after in pairwise([*sorted(numbers), os.sysconf("SC_OPEN_MAX")]):
        os.closerange(number + 1, after)


def _show_as(title: str) -> None:
    """What `ps` and `top` show instead of the supervisor's command line, in the room that this has; nothing where the system refuses."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        Path("/proc/self/comm").write_text(title[:15])
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = int(fields[45]), int(fields[46])
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(begin)
            memory.write(title.encode()[: end - begin - 1].ljust(end - begin, b"\0"))
