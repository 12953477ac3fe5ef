"""The process of a SQL task: `python -m linkd.query.task`, started by the supervisor of a run, an ordinary client of the home.

    LINKD_ENDPOINT, LINKD_TOKEN_FILE, LINKD_TASK, TRACEPARENT     as for every program of a pipeline
    LINKD_PARAMS                                                  the pipeline's parameters, a JSON object: `$name` in the SELECT
    LINKD_SQL_FILE                                                a file with the SELECT
    LINKD_SPILL_DIR                                               below it the rows of the inputs lie in mapped files while it runs

It takes its `whole` snapshot value by value as the inputs grow, runs the SELECT over it when all of them are sealed, stages the rows as
values of its one output, and commits: the values, the snapshot and the seal of the output are one frame. A task that is killed at any
moment has published nothing, or everything.

Exit codes: 0 done (also if it was done already), 1 the task failed, 130 ended by TERM or INT, else that of the error; what happened is on
standard error, and nothing else is.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from linkd.client.calls import Connection, Dial
from linkd.client.discovery import TASK_VARIABLE, dial_for
from linkd.client.encoding import encode
from linkd.client.payloads import Arrived, Publish
from linkd.client.publishing import KnownSchema
from linkd.client.signals import ending_signals
from linkd.client.snapshot_feed import TaskContext
from linkd.client.worker import Complete, WholeSnapshot, commit, connected, publishing, whole_snapshot
from linkd.core.parameters import PARAMS_VARIABLE, parse_parameters_json
from linkd.core.pipeline import ParamValue
from linkd.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_TASK_FAILED,
    DataFault,
    Error,
    InvalidArgument,
    QueryInvalid,
    UsageFault,
)
from linkd.limits import QUERY_TEXT_MAX_BYTES, QUERY_THREADS_MAX, SOURCE_WINDOW_PUBLISHES, SQL_TASK_TIMEOUT_S
from linkd.query.engine import Result, run_select
from linkd.query.scratch import scratch_directory
from linkd.query.spill import Spill
from linkd.query.statement import Statement, check_select
from linkd.wire.v1 import links_pb2 as pb

SQL_FILE_VARIABLE = "LINKD_SQL_FILE"
SPILL_DIRECTORY_VARIABLE = "LINKD_SPILL_DIR"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    task: str
    sql_file: Path
    spill_directory: Path
    parameters: Mapping[str, ParamValue] = field(default_factory=dict)

    @staticmethod
    def of(environ: Mapping[str, str]) -> Settings:
        """Raises InvalidArgument naming what is missing."""
        missing = [name for name in (TASK_VARIABLE, SQL_FILE_VARIABLE, SPILL_DIRECTORY_VARIABLE) if not environ.get(name)]
        if missing:
            raise InvalidArgument(f"a SQL task is started by `linkd run`, which sets {', '.join(missing)}")
        try:
            parameters = parse_parameters_json(environ.get(PARAMS_VARIABLE, ""))
        except ValueError as error:
            raise InvalidArgument(f"{PARAMS_VARIABLE} holds no parameters: {error}") from None
        return Settings(environ[TASK_VARIABLE], Path(environ[SQL_FILE_VARIABLE]), Path(environ[SPILL_DIRECTORY_VARIABLE]), parameters)

    def statement(self) -> Statement:
        """Raises InvalidArgument for a file that cannot be read, QueryInvalid for what is in it."""
        try:
            with self.sql_file.open("rb") as file:
                content = file.read(QUERY_TEXT_MAX_BYTES + 1)
            return check_select(content.decode("utf-8-sig"), self.parameters)
        except OSError as error:
            raise InvalidArgument(f"{self.sql_file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise QueryInvalid(f"{self.sql_file} is not UTF-8: save it as UTF-8") from None


class _Inputs:
    """Takes the values of the snapshot: those of links that the statement reads into mapped files below `scratch`, the others nowhere."""

    def __init__(self, scratch: Path, reads: frozenset[str]) -> None:
        self._scratch = scratch
        self._reads = reads
        self._tries = 0
        self._spill = Spill(scratch / "rows-0")
        self._open = ExitStack()

    async def start_over(self) -> None:
        self.close()
        self._tries += 1
        self._spill = self._open.enter_context(Spill(self._scratch / f"rows-{self._tries}"))

    async def take(self, value: Arrived) -> None:
        link = value.header.input
        if link in self._reads:
            self._spill.add(link, value.batch())

    def tables(self, complete: Complete) -> Mapping[str, pa.Table]:
        """All of it. Raises SchemaMismatch for an input without columns."""
        for link in self._reads:
            message = complete.schemas.get(link, b"")
            self._spill.declare(link, pa.ipc.read_schema(pa.py_buffer(message)) if message else None)
        return self._spill.tables()

    def close(self) -> None:
        self._open.close()


class _Query:
    """A SELECT that runs in a thread of its own: meanwhile the loop hears of TERM and of the home."""

    def __init__(
        self, statement: Statement, tables: Mapping[str, pa.Table], parameters: Mapping[str, ParamValue], temporary_directory: Path
    ) -> None:
        self._statement = statement
        self._parameters = parameters
        self._tables = tables
        self._temporary_directory = temporary_directory
        self._result: Result | None = None
        self._batches = self._run()
        self._thread = ThreadPoolExecutor(1, "linkd query")

    async def next_batch(self) -> pa.RecordBatch | None:
        """The next rows, in the order and the cuts that equal inputs always give; None behind the last. Raises as `run_select` does."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, next, self._batches, None)

    def end(self) -> None:
        """Ends it without waiting: before its first batch DuckDB cannot be interrupted."""
        if self._result is not None:
            self._result.interrupt()
        self._thread.submit(self._batches.close)
        self._thread.shutdown(wait=False)

    def _run(self) -> Generator[pa.RecordBatch, None, None]:
        running = run_select(
            self._statement,
            self._tables,
            spill_dir=self._temporary_directory,
            threads=min(QUERY_THREADS_MAX, os.cpu_count() or 1),
            timeout_s=SQL_TASK_TIMEOUT_S,
            deterministic=True,
            parameters=self._parameters,
        )
        with running as self._result:
            yield from self._result.batches
        self._result = None


async def run_task(settings: Settings, dial: Dial) -> None:
    """Runs the task once, in a run that follows whenever it begins again; returns when nothing more can come and its commits are durable.

    Raises errors of the tree. Cancelling takes nothing.
    """
    statement = settings.statement()
    async with connected(dial) as connection, whole_snapshot(connection, settings.task) as coming:
        statement.check_reads(coming.context.inputs)
        while await _run_once(settings, statement, connection, coming):
            pass


async def _run_once(settings: Settings, statement: Statement, connection: Connection, coming: WholeSnapshot) -> bool:
    """One snapshot, from its first value to the commit; whether there was one."""
    with scratch_directory(settings.spill_directory) as scratch, closing(_Inputs(scratch, statement.tables)) as inputs:
        complete = await coming.receive(inputs)
        if complete is None:
            return False
        query = _Query(statement, inputs.tables(complete), settings.parameters, scratch / "duckdb")
        try:
            await _publish(connection, coming.context, complete, query)
        finally:
            query.end()
        return True


async def _publish(connection: Connection, context: TaskContext, complete: Complete, query: _Query) -> None:
    """Stages the rows, and commits them. An empty result is one value of no rows, so that its columns are known."""
    [(output, known)] = context.outputs.items()
    async with publishing(connection, SOURCE_WINDOW_PUBLISHES) as stream:
        while (batch := await query.next_batch()) is not None:
            payloads = encode(output, batch, schema=known.schema, declared=known.declared, inputs=())
            known = KnownSchema(payloads[-1].schema, known.declared)
            await stream.stage(Publish(output, payloads, {}, complete.snapshot_id, complete.token))
        await stream.flush()
        request = pb.CommitRequest(
            snapshot_id=complete.snapshot_id, token=complete.token, staged=stream.staged, final=True, task=context.task
        )
        await commit(connection, request, complete.traceparent)


def exit_code(error: Error) -> int:
    """What is wrong with the SQL, or with the data it meets, is a task that failed, like any program's."""
    return EXIT_TASK_FAILED if isinstance(error, UsageFault | DataFault) else error.exit_code


async def _until_told() -> int:
    work = asyncio.create_task(run_task(Settings.of(os.environ), dial_for(None, None, None, os.environ, Path.cwd())), name="linkd SQL task")
    with ending_signals(work.cancel):
        try:
            await work
        except asyncio.CancelledError:
            return EXIT_INTERRUPTED
    return EXIT_DONE


def main() -> int:
    """The exit code of the process."""
    try:
        code = asyncio.run(_until_told())
    except Error as error:
        print(error.message, file=sys.stderr, flush=True)
        return exit_code(error)
    if code == EXIT_INTERRUPTED:
        os._exit(
            code
        )  # DuckDB may still be at work in its thread, which an ordinary exit would wait for; there is nothing left to clean up
    return code


if __name__ == "__main__":
    sys.exit(main())
