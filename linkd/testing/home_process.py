"""A home with a run begun, for tests of the processes that work for one: real files, real sockets, real ends of processes.

It is a process of its own (`running_home`), or, where it is not the one that dies, in this process (`home_beside`), which starts at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkd.app.layout import layout_of
from linkd.client.calls import Connection, Endpoint
from linkd.client.description import Description
from linkd.client.worker import connected, described, dial_to
from linkd.errors import InternalFault
from linkd.home.conductor import Conductor
from linkd.testing.forked_programs import Program, start_program
from linkd.testing.home import running_home as serving
from linkd.wire.methods import RUN_BEGIN, RUN_TASK_EXITED
from linkd.wire.v1 import runs_pb2

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""The root of the trace of every run here."""
_ASK_INTERVAL_S = 0.01


@dataclass(slots=True)
class HomeUnderTest:
    """A running home. `connection` is the supervisor's; `tokens` are by task, and `adapters` is the adapter worker's."""

    endpoint: str
    directory: Path
    pipeline: Path
    connection: Connection
    tokens: Mapping[str, str]
    follows: bool = False
    process: Program | None = None

    def kill(self) -> None:
        """SIGKILL, where it is a process of its own."""
        assert self.process is not None
        self.process.kill()

    async def described(self) -> Description:
        return await described(self.connection)

    async def task_exited(self, task: str, exit_code: int = 0) -> None:
        await self.connection.call(RUN_TASK_EXITED, runs_pb2.TaskExitedRequest(task=task, exit_code=exit_code))

    def connect(self, name: str = "") -> AbstractAsyncContextManager[Connection]:
        """A connection as that task, as `adapters`, or as an outsider."""
        return connected(dial_to(Endpoint(self.endpoint, self.tokens[name] if name else "", TRACEPARENT)))

    async def until(self, told: Callable[[Description], bool]) -> None:
        """Returns when the home describes itself so. It is asked again and again: not everything it tells of is announced."""
        while True:
            if told(await self.described()):
                return
            await asyncio.sleep(_ASK_INTERVAL_S)

    def environment(self, task: str) -> dict[str, str]:
        """What a program of this task finds in its environment."""
        told = {
            "LINKD_ENDPOINT": self.endpoint,
            "LINKD_TOKEN_FILE": str(self.directory / "tokens" / task),
            "LINKD_TASK": task,
            "TRACEPARENT": TRACEPARENT,
        }
        return {**plain_environment(), **told}

    def adapter_settings(self) -> bytes:
        """The line that the adapter worker reads."""
        told: dict[str, Any] = {"endpoint": self.endpoint, "token": self.tokens["adapters"], "traceparent": TRACEPARENT}
        return json.dumps({**told, "pipeline": str(self.pipeline), "follow": self.follows}).encode() + b"\n"


@asynccontextmanager
async def running_home(
    pipeline: Path, directory: Path, *, fresh: bool = True, every_ms: Mapping[str, int] | None = None
) -> AsyncIterator[HomeUnderTest]:
    """Starts a home for the pipeline file, keeping its state in `directory`, and begins a run; ends it behind the block.

    With `every_ms` (by task, if only an empty mapping) the run follows.

    Its log is `DIRECTORY.log`.
    """
    with directory.with_suffix(".log").open("ab") as log:
        process = await start_program("linkd.app.supervised_home", plain_environment(), stdin=subprocess.PIPE, stderr=log.fileno())
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"directory": str(directory), "pipeline": str(pipeline)}).encode() + b"\n")
        line = await process.stdout.readline()
        if not line:
            raise InternalFault(f"the home did not start:\n{directory.with_suffix('.log').read_text()}")
        ready = json.loads(line)
        async with _run_begun(Endpoint(ready["endpoint"], ready["run_token"]), pipeline, directory, fresh, every_ms) as home:
            home.process = process
            yield home
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def home_beside(
    pipeline: Path, directory: Path, *, fresh: bool = True, every_ms: Mapping[str, int] | None = None
) -> AsyncIterator[HomeUnderTest]:
    """As `running_home`, with the home on this event loop."""
    async with serving(directory, layout=layout_of(pipeline, {})) as home:
        conducting = asyncio.create_task(Conductor(home.home).run(), name="linkd conductor")
        try:
            async with _run_begun(Endpoint(home.endpoint, home.token()), pipeline, directory, fresh, every_ms) as under_test:
                (directory / "tokens").mkdir(exist_ok=True)
                for name, token in under_test.tokens.items():
                    (directory / "tokens" / name).write_text(token)
                yield under_test
        finally:
            conducting.cancel()
            await asyncio.gather(conducting, return_exceptions=True)


@asynccontextmanager
async def _run_begun(
    endpoint: Endpoint, pipeline: Path, directory: Path, fresh: bool, every_ms: Mapping[str, int] | None
) -> AsyncIterator[HomeUnderTest]:
    """Begins a run, as its supervisor."""
    async with connected(dial_to(endpoint)) as connection:
        follows = every_ms is not None
        request = runs_pb2.BeginRequest(
            run_id=secrets.token_hex(8), fresh=fresh, traceparent=TRACEPARENT, follow=follows, every_ms=every_ms
        )
        tokens = (await connection.call(RUN_BEGIN, request)).tokens
        yield HomeUnderTest(endpoint.address, directory, pipeline, connection, dict(tokens), follows)


def plain_environment() -> dict[str, str]:
    """This process's environment without what would tell a program which linkd is meant."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LINKD_")}
