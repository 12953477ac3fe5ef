"""Tasks whose programs know only files, against a home in this process: a pipeline file, rows for its open links, and runs of single tasks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkd.app.layout import declared_schemas
from linkd.app.pipeline_file import load_pipeline
from linkd.app.run.file_tasks import file_task_variables
from linkd.app.run.own_programs import OWN_ENVIRONMENT
from linkd.app.versions import versions
from linkd.client.calls import Connection, Dial, Endpoint
from linkd.client.session import Client
from linkd.client.worker import connected, dial_to
from linkd.core.layout import layout
from linkd.core.pipeline import Pipeline
from linkd.faces.files.task import run_task
from linkd.faces.files.work import FileTask
from linkd.home.tokens import RUN_NAME
from linkd.testing.home import InProcessHome, running_home
from linkd.wire.methods import RUN_BEGIN, RUN_TASK_EXITED, Method
from linkd.wire.v1 import runs_pb2 as pb


@dataclass(slots=True)
class FileRuns:
    """The pipeline, served. `path` is the directory of its file."""

    home: InProcessHome
    pipeline: Pipeline
    path: Path
    client: Client
    begun: bool = False

    async def begin(self, *, follow: bool = False, again: tuple[str, ...] = (), memo: bool = False) -> None:
        """A run begins, in another life of the home unless it is the first; a finite one reads what the open links hold now."""
        if self.begun:
            await self.home.restart()
        self.begun = True
        every_ms = dict.fromkeys(self.pipeline.tasks, 100)
        remembered = versions(self.pipeline).memo if memo else {}
        request = pb.BeginRequest(run_id="r", follow=follow, again=again, every_ms=every_ms, memo=remembered)
        await self._as_supervisor(RUN_BEGIN, request)

    def task(self, name: str, **environment: str) -> FileTask:
        """What the process of a task would find."""
        spec = self.pipeline.tasks[name]
        assert spec.files is not None
        given = {"PATH": os.environ["PATH"], "LINKD_TASK": name, **spec.env, **environment}
        given |= file_task_variables(spec, spec.files, self.pipeline, self.home.directory, given, follows=False)
        return FileTask.of({**OWN_ENVIRONMENT, **given}, self.path)

    def environment(self, name: str) -> dict[str, str]:
        """That of the process of a task."""
        spec = self.pipeline.tasks[name]
        assert spec.files is not None
        token = self.path / f"{name}.token"
        token.write_text(self.home.token(name))
        token.chmod(0o600)
        given = {**os.environ, **OWN_ENVIRONMENT, "LINKD_TASK": name, "LINKD_ENDPOINT": self.home.endpoint, "LINKD_TOKEN_FILE": str(token)}
        return given | file_task_variables(spec, spec.files, self.pipeline, self.home.directory, given, follows=False)

    def dial(self, name: str) -> Dial:
        return dial_to(Endpoint(self.home.endpoint, self.home.token(name)))

    async def run_task(self, name: str, **environment: str) -> int:
        """Runs the task to its end, and tells the home how that was."""
        code = await run_task(self.task(name, **environment), self.dial(name))
        await self.exited(name, code)
        return code

    async def exited(self, name: str, code: int = 0) -> None:
        """Tells the home that the program of a task has ended."""
        await self._as_supervisor(RUN_TASK_EXITED, pb.TaskExitedRequest(task=name, exit_code=code))

    async def rows(self, link: str) -> list[dict[str, Any]]:
        """The rows that a reader finds now."""
        return list(await self.client.read(link).rows())

    async def _as_supervisor(self, method: Method, request: Any) -> None:
        async with connected(dial_to(Endpoint(self.home.endpoint, self.home.token(RUN_NAME)))) as connection:
            await connection.call(method, request)

    def spilled(self) -> list[Path]:
        """What is left of the directories of runs."""
        spill = self.home.directory / "spill"
        return [path for path in spill.rglob("*") if path.name != ".lock"] if spill.exists() else []


@asynccontextmanager
async def file_runs(
    path: Path, text: str, files: Mapping[str, str] | None = None, *, disk_budget_bytes: int | None = None
) -> AsyncIterator[FileRuns]:
    """Serves the pipeline `text`, with `files` beside its file, for the length of the block."""
    for name, content in {"p.yaml": text, **(files or {})}.items():
        (path / name).write_text(content)
    pipeline = load_pipeline(path / "p.yaml")
    made = layout(pipeline, declared_schemas(pipeline))
    async with running_home(path / "state", layout=made, disk_budget_bytes=disk_budget_bytes) as home:
        outsider = Connection(dial_to(Endpoint(home.endpoint, home.home.tokens.outsider())), 10.0)
        await outsider.open()
        async with Client(outsider) as client:
            yield FileRuns(home, pipeline, path, client)


@contextmanager
def said(capfd: Any) -> Iterator[list[str]]:
    """What was printed on standard error in the block, line by line, behind it."""
    capfd.readouterr()
    lines: list[str] = []
    yield lines
    lines += capfd.readouterr().err.splitlines()


async def is_gone(pid: int) -> bool:
    """Whether a process that was killed is gone, or waits for a parent that never asks for it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while True:
                try:
                    os.kill(pid, 0)
                    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                except (ProcessLookupError, FileNotFoundError):
                    return True
                if state in "ZX":
                    return True
                await asyncio.sleep(0.01)
    return False
