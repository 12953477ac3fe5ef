"""The programs of a run: the adapter worker, and a process per task. What they print, how they end, what that means."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkd import errors
from linkd.app.run.processes import Child, Command, Processes, ending, task_environment
from linkd.app.run.screen import Screen
from linkd.app.run.task_log import TaskLog
from linkd.client.calls import Connection
from linkd.core.pipeline import Pipeline, TaskSpec
from linkd.model.records import TaskKind
from linkd.wire import methods
from linkd.wire.v1 import runs_pb2

_ADAPTERS = "adapters"
_SHELL_NOT_FOUND, _SHELL_NOT_EXECUTABLE = 127, 126


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why a run is over: `done`, `interrupted`, `failed` (a task, source or sink), `home` or `worker` (linkd itself)."""

    kind: str
    message: str
    exit_code: int
    task: str = ""
    command: str = ""
    tail: tuple[str, ...] = ()
    log: Path | None = None


Stop = Callable[[Stopped], None]


@dataclass(slots=True)
class Programs:
    """Starts and follows them. `begun` is what the home answered to the beginning of the run: tokens, epoch, traceparent."""

    pipeline: Pipeline
    directory: Path
    processes: Processes
    screen: Screen
    endpoint: str
    begun: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    sinks: list[Mapping[str, Any]] = field(default_factory=list)
    _children: list[Child] = field(default_factory=list)

    # -- the adapter worker -----------------------------------------------------------------------------------------------------------------

    async def adapters(self, stop: Stop) -> None:
        """Runs the worker to its end. What it reports goes to the screen; that it failed, or died, stops the run."""
        log = self.directory / "logs" / f"{_ADAPTERS}.log"
        with log.open("wb") as output:
            child = await self.processes.start(
                _ADAPTERS,
                [sys.executable, "-m", "linkd.app.adapter_worker"],
                env=_plain_environment(),
                cwd=Path(self.pipeline.directory),
                stdin=subprocess.PIPE,
                stderr=output.fileno(),
            )
        self._children.append(child)
        settings = {
            "endpoint": self.endpoint,
            "token": self.begun["tokens"][_ADAPTERS],
            "pipeline": self.pipeline.path,
            "traceparent": self.begun["traceparent"],
        }
        assert child.process.stdin is not None
        assert child.process.stdout is not None
        child.process.stdin.write(json.dumps(settings).encode() + b"\n")
        failure: Stopped | None = None
        while line := await child.process.stdout.readline():
            failure = self._adapters_said(json.loads(line), log) or failure
        code = await child.process.wait()
        if failure is not None:
            stop(failure)
        elif code != 0:
            message = f"linkd's adapter worker {ending(code)}: run again to go on where it stopped"
            stop(Stopped("worker", message, errors.EXIT_INTERNAL, tail=_tail_of(log), log=log))

    def _adapters_said(self, event: Mapping[str, Any], log: Path) -> Stopped | None:
        kind = event["event"]
        if kind == "survey":
            self.notes.extend(f"{event['link']}: {note}" for note in event["notes"])
        elif kind == "sink_done":
            self.sinks.append(event)
        elif kind == "failed":
            code = int(event["exit_code"])
            return Stopped("worker" if code == errors.EXIT_INTERNAL else "failed", event["message"], code, event["task"])
        return None

    # -- a task -----------------------------------------------------------------------------------------------------------------------------

    async def task(self, name: str, connection: Connection, stop: Stop) -> None:
        """Runs one task's program to its end and tells the home. A bad end stops the run."""
        spec = self.pipeline.tasks[name]
        log = TaskLog(self.directory / "logs" / f"{name}.log", lambda line: self.screen.task_line(name, line), time.monotonic)
        command, extra = self._command(spec)
        env = task_environment(os.environ, {**self._variables(name), **extra})
        try:
            child = await self.processes.start(name, command, env=env, cwd=Path(self.pipeline.directory))
        except OSError as error:
            stop(self._not_started(spec, error))
            return
        self._children.append(child)
        assert child.process.stdout is not None
        await log.read(child.process.stdout)
        code = await child.process.wait()
        if code != 0:
            stop(self._failed(spec, code, log))
            return
        try:
            answer = await connection.call(methods.RUN_TASK_EXITED, runs_pb2.TaskExitedRequest(task=name, exit_code=0))
        except errors.ConnectionFault:
            return  # the home is gone, which stops the run by itself
        self.unread[name] = dict(answer.unread)

    def _command(self, spec: TaskSpec) -> tuple[Command, dict[str, str]]:
        if spec.kind is TaskKind.SQL:
            statement = self.directory / "tasks" / f"{spec.name}.sql"
            statement.parent.mkdir(exist_ok=True)
            statement.write_text(spec.sql or "")
            spill = self.directory / "spill"
            return [sys.executable, "-m", "linkd.query.task"], {"LINKD_SQL_FILE": str(statement), "LINKD_SPILL_DIR": str(spill)}
        return spec.command or "", {}

    def _variables(self, name: str) -> dict[str, str]:
        return {
            "LINKD_ENDPOINT": self.endpoint,
            "LINKD_TOKEN_FILE": str(self.directory / "tokens" / name),
            "LINKD_TASK": name,
            "LINKD_PIPELINE": self.pipeline.name,
            "TRACEPARENT": self.begun["traceparent"],
        }

    def _failed(self, spec: TaskSpec, code: int, log: TaskLog) -> Stopped:
        message = f"task {spec.name} {ending(code)}"
        if code in (_SHELL_NOT_FOUND, _SHELL_NOT_EXECUTABLE) and isinstance(spec.command, str):
            what = "there is no such program" if code == _SHELL_NOT_FOUND else "the program cannot be executed"
            message += f" ({what})"
        tail = tuple(log.tail)
        missing = next((line for line in reversed(tail) if line.startswith("ModuleNotFoundError")), None)
        if missing is not None:
            message += f"\n  {missing}: the interpreter was found on PATH; activate the virtual environment that has it, and run again"
        return Stopped("failed", message, errors.EXIT_TASK_FAILED, spec.name, _shown(spec), tail, log.path)

    def _not_started(self, spec: TaskSpec, error: OSError) -> Stopped:
        message = f"task {spec.name} could not be started: {error.strerror}: {error.filename}"
        return Stopped("failed", message, errors.EXIT_TASK_FAILED, spec.name, _shown(spec))

    async def end(self) -> None:
        """Ends whatever still runs: TERM, grace, KILL, all at once."""
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(child.end(), name=f"linkd end {child.name}")


def _shown(spec: TaskSpec) -> str:
    """The command as people know it."""
    if spec.kind is TaskKind.SQL:
        return f"sql: {spec.sql_path or 'in the pipeline file'}"
    return spec.command if isinstance(spec.command, str) else shlex.join(spec.command or ())


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LINKD_")}


def _tail_of(log: Path) -> tuple[str, ...]:
    return tuple(log.read_text(errors="replace").splitlines()[-20:])
