"""The processes of one round: started, spoken to by lines of JSON, counted, and ended whatever happens.

A role says `{"ready": ...}` when it could begin, begins at the line `go`, says what it measured, and stays until its standard input closes, so
that its CPU seconds can still be read. What a process printed to its standard error is told if it fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BENCHMARKS = Path(__file__).resolve().parents[1]
TERM_TIMEOUT_S = 15.0
"""For an orderly end; then the process is killed."""
ANSWER_TIMEOUT_S = 300.0
"""For whatever is waited for. A round that takes longer is broken."""
ERROR_TAIL_CHARS = 2_000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class RoundFailedError(Exception):
    """A round could not be done: which process, and what it printed."""


class EntrantMissingError(Exception):
    """Something cannot be measured here: what is missing."""


class Running:
    """A process of the round, in a process group of its own."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._log = log
        self._unread = b""
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                cwd=log.parent,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def answer(self, timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """The next line of JSON. Raises RoundFailedError, EntrantMissingError."""
        line = self.line(timeout_s)
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise self._failed(f"said {line[:200]!r}") from error
        if "missing" in told:
            raise EntrantMissingError(told["missing"])
        return told

    def line(self, timeout_s: float = ANSWER_TIMEOUT_S) -> bytes:
        """The next line it prints. Raises RoundFailedError if it ends instead, or takes too long."""
        deadline_s = time.monotonic() + timeout_s
        assert self._process.stdout is not None
        file = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([file], [], [], left_s)[0]:
                raise self._failed(f"said nothing for {timeout_s:g} s")
            if not (piece := os.read(file, 65_536)):
                raise self._failed("ended")
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def tell(self, word: str) -> None:
        """A line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()

    def dismiss(self) -> None:
        """Closes its standard input, at which a role ends."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def cpu_s(self) -> float:
        """Of the process and all its children, those that have ended too, as the kernel has it: to 10 ms."""
        return sum(map(_cpu_ticks, [self.pid, *_descendants(self.pid)])) / _TICKS_PER_S

    def end(self) -> None:
        """Orderly, or else by force, with everything it started."""
        self.dismiss()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(TERM_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _failed(self, what: str) -> RoundFailedError:
        printed = self._log.read_text(errors="replace")[-ERROR_TAIL_CHARS:].strip()
        return RoundFailedError(f"{self.name} {what}{f': {printed}' if printed else ''}")


class Processes:
    """All processes of one round; behind its block there is none any more."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[Running] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Running:
        """A server, or whatever else takes part, with the round's directory for its own."""
        log = self.directory / f"{len(self._running)}.log"
        paths = os.pathsep.join((str(BENCHMARKS), *filter(None, (os.environ.get("PYTHONPATH"),))))
        there = {**os.environ, "PYTHONPATH": paths, **(environment or {})}
        running = Running(name, command, log, there)
        self._running.append(running)
        return running

    def role(self, module: str, role: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Running:
        """The function `role` of `side_by_side.MODULE` as a process, once it has said that it is ready."""
        command = [sys.executable, "-m", f"side_by_side.{module}", role, json.dumps(arguments)]
        running = self.start(role.replace("_", " "), command, environment)
        running.answer()
        return running

    @property
    def last(self) -> Running:
        """The one that was started last."""
        return self._running[-1]

    def cpu_s(self) -> float:
        """Of all of them so far."""
        return sum(running.cpu_s() for running in self._running)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for running in reversed(self._running):  # clients before their servers
            running.end()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything; none once the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_ticks(pid: int) -> int:
    return sum(map(int, _stat(pid)[11:15]))  # utime, stime, and those of children that were waited for


def _descendants(pid: int) -> list[int]:
    """Every living child, and theirs."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [found for child in children for found in (child, *_descendants(child))]
