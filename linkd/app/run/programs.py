"""The programs of a run: the adapter worker, and a process per task. What they print, how they end, what that means."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkd import errors
from linkd.app.run.lives import HomeLives, Restarts
from linkd.app.run.own_programs import ADAPTERS, FILE_TASK, SQL_TASK
from linkd.app.run.processes import Child, Processes, task_environment
from linkd.app.run.remedies import remedy
from linkd.app.run.screen import Screen
from linkd.app.run.task_log import AttemptHeader, TaskLog
from linkd.app.run.task_program import Attempt, TaskProgram, utc_now
from linkd.app.run.variables import TaskVariables, task_variables
from linkd.app.secrets import read_secrets
from linkd.app.wording import counted
from linkd.core.exit_codes import ending, how_it_died
from linkd.core.masking import Mask
from linkd.core.parameters import parameter_text
from linkd.core.pipeline import Pipeline, TaskSpec
from linkd.model.frozen import frozen
from linkd.model.records import TaskKind
from linkd.wire import methods
from linkd.wire.v1 import links_pb2, runs_pb2

if TYPE_CHECKING:
    from linkd.client.calls import Connection

_ADAPTERS = "adapters"
_SHELL_NOT_FOUND, _SHELL_NOT_EXECUTABLE = 127, 126
_TERMINATED = 143
"""The exit code of a shell whose program was ended by TERM: told of a program that was out of time and ended as if nothing were."""


@frozen()
class Stopped:
    """Why a run is over: `done`, `interrupted`, `failed` (a task, source or sink), `home` or `worker` (linkd itself), `differs` (done, and a task
    made something else than it is remembered to have made).

    `changed`: in a run that follows, a source is another than the one that was being read.
    """

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
    """Starts and follows them. `begun` is what the home answered to the beginning of the run: tokens, epoch, traceparent.

    With `strict` a program that leaves input unread has failed. `selected` are the tasks that take part, none for all. What programs print,
    and what is told of them here, is without secrets.
    """

    pipeline: Pipeline
    directory: Path
    processes: Processes
    screen: Screen
    endpoint: str
    begun: Mapping[str, Any]
    lives: HomeLives
    strict: bool = False
    follow: bool = False
    selected: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    sinks: list[Mapping[str, Any]] = field(default_factory=list)
    mask: Mask = field(init=False)
    _children: list[Child] = field(default_factory=list)
    _running: dict[str, TaskProgram] = field(default_factory=dict)
    _overran: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mask = Mask(read_secrets(self.pipeline.secrets, os.environ).values())

    # -- the adapter worker -----------------------------------------------------------------------------------------------------------------

    async def adapters(self, stop: Stop) -> None:
        """Runs the worker to its end. What it reports goes to the screen; that it failed, or died too often, stops the run."""
        restarts = Restarts(time.monotonic)
        while True:
            life = self.lives.number
            code, failure, tail = await self._work_adapters(stop)
            if code == 0 and failure is None:
                return
            if await self.lives.has_ended(life):
                continue
            if failure is None:
                if restarts.allowed():
                    self.screen.say(f"linkd adapter worker died ({how_it_died(code)}); started again", restarted=_ADAPTERS)
                    continue
                message = f"linkd's adapter worker {ending(code)}: run again to go on where it stopped"
                failure = Stopped("worker", message, errors.EXIT_INTERNAL, tail=tail, log=self._log_path(_ADAPTERS))
            stop(failure)
            return

    async def _work_adapters(self, stop: Stop) -> tuple[int, Stopped | None, tuple[str, ...]]:
        """One worker, to its end: its exit code, why it failed if it said so, and the last lines of its log."""
        log = self._log(_ADAPTERS, lambda line: None)
        child, complaints = await self._start_adapters()
        failure: Stopped | None = None
        try:
            log.begin(AttemptHeader(int(self.begun["epoch"]), utc_now()))
            async with asyncio.TaskGroup() as group:
                group.create_task(log.read(complaints), name="linkd adapters: log")
                try:
                    failure = await self._listen(child, stop)
                finally:
                    await child.end()
        except* errors.StorageFailed as failures:
            failure = Stopped("worker", str(failures.exceptions[0]), errors.EXIT_INTERNAL)
        finally:
            log.close()
        return await child.process.wait(), failure, log.tail

    async def _start_adapters(self) -> tuple[Child, asyncio.StreamReader]:
        """The worker, and what it says on its standard error."""
        read_end, write_end = os.pipe()
        complaints = asyncio.StreamReader()
        with os.fdopen(write_end, "wb", buffering=0) as theirs:
            pipe = os.fdopen(read_end, "rb", buffering=0)  # the transport closes it
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(complaints), pipe)
            child = await self.processes.start_own(
                _ADAPTERS,
                ADAPTERS,
                env=_plain_environment(),
                cwd=Path(self.pipeline.directory),
                stdin=subprocess.PIPE,
                stderr=theirs.fileno(),
            )
        self._children.append(child)
        settings = {
            "endpoint": self.endpoint,
            "token": self.begun["tokens"][_ADAPTERS],
            "pipeline": self.pipeline.path,
            "params": {name: parameter_text(value) for name, value in self.pipeline.params.items()},
            "follow": self.follow,
            "tasks": list(self.selected),
            "traceparent": self.begun["traceparent"],
        }
        assert child.process.stdin is not None
        child.process.stdin.write(json.dumps(settings).encode() + b"\n")
        return child, complaints

    async def _listen(self, child: Child, stop: Stop) -> Stopped | None:
        """Hears the worker out; why it failed, if it did."""
        assert child.process.stdout is not None
        failure: Stopped | None = None
        while line := await child.process.stdout.readline():
            failure = self._adapters_said(json.loads(line), stop) or failure
        await child.process.wait()
        return failure

    def _adapters_said(self, event: Mapping[str, Any], stop: Stop) -> Stopped | None:
        kind = event["event"]
        if kind == "survey":
            notes = [self.mask.text(f"{event['link']}: {note}") for note in event["notes"]]
            self.notes += [note for note in notes if note not in self.notes]  # a worker that is started again says them again
        elif kind == "sink_done":
            self.sinks.append({**event, "path": self.mask.text(event["path"])})
        elif kind == "failed":
            code = int(event["exit_code"])
            if self.follow and event["code"] == errors.SourceChanged.code:
                return Stopped("changed", self.mask.text(event["message"]), errors.EXIT_DONE, event["task"])
            return Stopped("worker" if code == errors.EXIT_INTERNAL else "failed", self.mask.text(event["message"]), code, event["task"])
        elif kind in ("waiting", "note"):
            told = self.mask.text(f"{event['link']}: {event['what']}")
            self.screen.say(told, link=event["link"], **{kind: self.mask.text(event["what"])})
        elif kind == "changed":
            stop(Stopped("changed", self.mask.text(event["what"]), errors.EXIT_DONE, event["link"]))
        return None

    # -- a task -----------------------------------------------------------------------------------------------------------------------------

    def open_place(self, name: str) -> None:
        """Leaves a task's place to whoever comes, and says how."""
        replace(self._variables(self.pipeline.tasks[name]), is_open=True).save(self.directory, name)
        file = shown_path(Path(self.pipeline.path))
        shell = f"eval $(linkd env {name} -p {shlex.quote(file)})"
        python = f'linkd.connect({json.dumps(file)}, task="{name}")'
        self.screen.say(f"{name}: its place is open: {shell}, or {python}", open_place=name, shell=shell, python=python)

    async def task(self, name: str, connection: Connection, stop: Stop) -> None:
        """Runs one task's program to its end and tells the home. A bad end stops the run."""
        spec = self.pipeline.tasks[name]
        variables = self._variables(spec)
        if spec.kind is not TaskKind.SQL:
            variables.save(self.directory, name)
        log = self._log(name, lambda line: self.screen.task_line(name, line))
        program = TaskProgram(spec, log, int(self.begun["epoch"]), lambda: self._start(spec, variables), self.screen.say, lives=self.lives)
        program.is_bounded = not self.follow
        if spec.terms.max_attempts is not None:
            program.failures = lambda: _failures(name, connection)
        self._running[name] = program
        try:
            attempt = await program.run()
        except OSError as error:
            stop(self._not_started(spec, error))
            return
        except errors.Error as error:
            stop(Stopped("failed", f"task {name}: {error}", error.exit_code, name, _shown(spec)))
            return
        with suppress(errors.ConnectionFault):  # the home is gone, which stops the run by itself
            if not attempt.succeeded:
                code = attempt.code or _TERMINATED
                await _told(connection, name, code)
            elif unread := await self._unread(name, connection):
                stop(self._left_unread(spec, unread, log))
                return
            else:
                answer = await _told(connection, name, 0)
                if answer.unread:
                    self.unread[name] = dict(answer.unread)
        if not attempt.succeeded:
            stop(self._failed(spec, attempt, log))

    async def _start(self, spec: TaskSpec, variables: TaskVariables) -> Child:
        directory = Path(self.pipeline.directory)
        env = task_environment(os.environ, {"TRACEPARENT": self.begun["traceparent"], **variables.revealed(os.environ)})
        if spec.files is not None:
            from linkd.app.run.file_tasks import file_task_variables

            env |= file_task_variables(spec, spec.files, self.pipeline, self.directory, env, follows=self.follow)
            child = await self.processes.start_own(spec.name, FILE_TASK, env=env, cwd=directory)
        elif spec.kind is not TaskKind.SQL:
            child = await self.processes.start(spec.name, spec.command or "", env=env, cwd=directory)
        else:
            statement = self.directory / "tasks" / f"{spec.name}.sql"
            statement.parent.mkdir(exist_ok=True)
            statement.write_text(spec.sql or "")
            env |= {"LINKD_SQL_FILE": str(statement), "LINKD_SPILL_DIR": str(self.directory / "spill")}
            child = await self.processes.start_own(spec.name, SQL_TASK, env=env, cwd=directory)
        self._children.append(child)
        return child

    def _variables(self, spec: TaskSpec) -> TaskVariables:
        known = {
            "LINKD_ENDPOINT": self.endpoint,
            "LINKD_TOKEN_FILE": str(self.directory / "tokens" / spec.name),
            "LINKD_TASK": spec.name,
            "LINKD_PIPELINE": self.pipeline.name,
        }
        return task_variables(spec, self.pipeline.params, known)

    def _log(self, name: str, show: Callable[[str], None]) -> TaskLog:
        return TaskLog(self._log_path(name), show, time.monotonic, self.mask)

    def _log_path(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def saw(self, description: Any) -> None:
        """The home describes itself anew. A program that worked on a snapshot for the task's whole timeout is ended: nobody waits for it."""
        for task in description.tasks:
            if task.overran > self._overran.get(task.name, 0) and task.name in self._running:
                self._running[task.name].overran()
            self._overran[task.name] = task.overran

    # -- what an end means ------------------------------------------------------------------------------------------------------------------

    async def _unread(self, name: str, connection: Connection) -> list[str]:
        """With `strict`: what a program that has exited left of its inputs, in words. Its task then stays open, and can go on."""
        if not self.strict:
            return []
        description = await connection.retry(lambda: connection.call(methods.DESCRIBE, links_pb2.DescribeRequest()))
        sealed = {link.name: link.current.state == "sealed" for link in description.links}
        left = []
        for task in description.tasks:
            for progress in task.progress if task.name == name and not task.ended else ():
                if progress.waiting_values:
                    left.append(f"{counted(progress.waiting_values, 'value')} of {progress.link} unread")
                elif not sealed.get(progress.link, True):
                    left.append(f"{progress.link} before its end")
            if task.name == name and task.given_up:
                left.append(f"{counted(task.given_up, 'snapshot')} in {name}.dead")
        return left

    def _left_unread(self, spec: TaskSpec, unread: list[str], log: TaskLog) -> Stopped:
        message = f"task {spec.name} exited with code 0 and left {' and '.join(unread)} (--strict)"
        return Stopped("failed", message, errors.EXIT_TASK_FAILED, spec.name, _shown(spec), log.tail, log.path)

    def _failed(self, spec: TaskSpec, attempt: Attempt, log: TaskLog) -> Stopped:
        message = f"task {spec.name} {attempt.ending}"
        if attempt.code in (_SHELL_NOT_FOUND, _SHELL_NOT_EXECUTABLE) and isinstance(spec.command, str):
            what = "there is no such program" if attempt.code == _SHELL_NOT_FOUND else "the program cannot be executed"
            message += f" ({what})"
        if spec.retries:
            message += f", in attempt {attempt.number} of {spec.retries + 1}"
        tail = log.tail
        environment = task_environment(os.environ, self._variables(spec).revealed(os.environ))
        message += remedy(spec, tail, environment, Path(self.pipeline.directory))
        return Stopped("failed", message, errors.EXIT_TASK_FAILED, spec.name, _shown(spec), tail, log.path)

    def _not_started(self, spec: TaskSpec, error: OSError) -> Stopped:
        message = f"task {spec.name} could not be started: {error.strerror}: {error.filename}"
        return Stopped("failed", message, errors.EXIT_TASK_FAILED, spec.name, _shown(spec))

    def kill(self) -> None:
        """Lets nothing that still runs finish."""
        for child in self._children:
            if child.running:
                child.signal(signal.SIGKILL)

    async def end(self) -> None:
        """Ends whatever still runs: TERM, grace, KILL, all at once."""
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(child.end(), name=f"linkd end {child.name}")


async def _failures(task: str, connection: Connection) -> int:
    """How many attempts at snapshots of the task have failed."""
    description = await connection.retry(lambda: connection.call(methods.DESCRIBE, links_pb2.DescribeRequest()))
    return next((int(one.failures) for one in description.tasks if one.name == task), 0)


async def _told(connection: Connection, task: str, exit_code: int) -> Any:
    """The home knows that a program has exited: again if it died before it answered."""
    request = runs_pb2.TaskExitedRequest(task=task, exit_code=exit_code)
    return await connection.retry(lambda: connection.call(methods.RUN_TASK_EXITED, request))


def gave_up(given_up: Mapping[str, int]) -> Stopped:
    """With `strict`: what tasks gave up, one of them at least."""
    lines = [f"task {task} gave up {counted(snapshots, 'snapshot')}, in {task}.dead (--strict)" for task, snapshots in given_up.items()]
    lines.append("  without --strict the run is complete")
    return Stopped("failed", "\n".join(lines), errors.EXIT_TASK_FAILED, next(iter(given_up)))


def made_otherwise(description: Any) -> Stopped | None:
    """With `--check-cache`: the tasks that made something else of the same; None where there is none."""
    tasks = [task for task in description.tasks if task.memo.differing]
    if not tasks:
        return None
    lines = [
        f"task {task.name} made something else of the same input: {', '.join(task.memo.outputs)} "
        f"({task.memo.differing:,} of {counted(task.memo.checked, 'remembered outcome')})"
        for task in tasks
    ]
    lines.append("  its links hold what it made now; a program that asks the clock, chance or the network wants `cache: false`")
    return Stopped("differs", "\n".join(lines), errors.EXIT_BAD_DATA, tasks[0].name)


def left_unread_before(unread: Mapping[str, Mapping[str, int]]) -> Stopped:
    """With `strict`: what tasks that would not run again left of their inputs in an earlier run, one of them at least."""
    lines = []
    for task, inputs in unread.items():
        told = " and ".join(f"{counted(left, 'value')} of {link}" for link, left in inputs.items())
        lines.append(f"task {task} exited with code 0 in an earlier run and left {told} unread (--strict)")
    lines.append("  it runs again when its program or its `version:` changes; without --strict it is complete")
    return Stopped("failed", "\n".join(lines), errors.EXIT_TASK_FAILED, next(iter(unread)))


def shown_path(path: Path) -> str:
    """Relative to where the person is, if that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def _shown(spec: TaskSpec) -> str:
    """The command as people know it."""
    if spec.kind is TaskKind.SQL:
        return f"sql: {spec.sql_path or 'in the pipeline file'}"
    return spec.command if isinstance(spec.command, str) else shlex.join(spec.command or ())


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LINKD_")}
