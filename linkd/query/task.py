"""The process of a SQL task: `python -m linkd.query.task`, started by the supervisor of a run, an ordinary client of the home.

    LINKD_ENDPOINT, LINKD_TOKEN_FILE, LINKD_TASK, TRACEPARENT     as for every program of a pipeline
    LINKD_PARAMS                                                  the pipeline's parameters, a JSON object: `$name` in the SELECT
    LINKD_SQL_FILE                                                a file with the SELECT, or the INSERTs into its outputs
    LINKD_SPILL_DIR                                               below it the rows of the inputs lie in mapped files while it runs

It takes its `whole` snapshot value by value as the inputs grow, runs its statements over it when all of them are sealed, stages the rows as
values of its outputs, and commits: the values, the snapshot and the seals of the outputs are one frame. A task that is killed at any
moment has published nothing, or everything.

A task with an input of another policy works off its snapshots one by one instead (`task_windows`).

Exit codes: 0 done (also if it was done already), 1 the task failed, 130 ended by TERM or INT, else that of the error; what happened is on
standard error, and nothing else is.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from pathlib import Path

import pyarrow as pa

from linkd.client.calls import Connection, Dial
from linkd.client.description import TaskDescription
from linkd.client.discovery import TASK_VARIABLE, dial_for
from linkd.client.large_values import whole
from linkd.client.payloads import Arrived, Publish
from linkd.client.publishing import KnownSchema
from linkd.client.signals import ending_signals
from linkd.client.worker import Complete, ValueStream, WholeSnapshot, commit, connected, described, publishing, whole_snapshot
from linkd.core.parameters import PARAMS_VARIABLE, parse_parameters_json
from linkd.core.pipeline import ParamValue
from linkd.core.policies import LATEST_TEXT, WHOLE_TEXT
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
from linkd.model.frozen import frozen
from linkd.query.engine import Result, run_select
from linkd.query.lean import without_data_frames
from linkd.query.scratch import scratch_directory
from linkd.query.shelf import Gathering, Shelf, Stand, link_schema
from linkd.query.statement import Statement
from linkd.query.tables import hidden_columns, table_of
from linkd.query.task_query import TaskQuery, payloads_of
from linkd.query.task_statements import OutputStatement, task_statements
from linkd.query.task_windows import run_windows
from linkd.wire.v1 import links_pb2 as pb

SQL_FILE_VARIABLE = "LINKD_SQL_FILE"
SPILL_DIRECTORY_VARIABLE = "LINKD_SPILL_DIR"


@frozen()
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

    def text(self) -> str:
        """Raises InvalidArgument for a file that cannot be read, QueryInvalid for one that is no text."""
        try:
            with self.sql_file.open("rb") as file:
                content = file.read(QUERY_TEXT_MAX_BYTES + 1)
            return content.decode("utf-8-sig")
        except OSError as error:
            raise InvalidArgument(f"{self.sql_file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise QueryInvalid(f"{self.sql_file} is not UTF-8: save it as UTF-8") from None


@frozen()
class TaskTables:
    """The tables of a statement; `hidden` names the system columns that they have."""

    tables: Mapping[str, pa.Table]
    hidden: Mapping[str, Sequence[str]]


class _Inputs:
    """Takes the values of the snapshot: those of links that a statement reads, mapped or in files below `scratch`, the others nowhere."""

    def __init__(self, connection: Connection, scratch: Path, reads: frozenset[str]) -> None:
        self._connection = connection
        self._reads = reads
        self._shelf = Shelf(scratch, sys.maxsize)
        self._taken: dict[str, tuple[Stand, Gathering]] = {}

    async def start_over(self) -> None:
        self._taken.clear()

    async def take(self, value: Arrived) -> None:
        link = value.header.input
        if link not in self._reads:
            return
        if link not in self._taken:
            stand = Stand(link, link_schema(value.schema, link))
            self._taken[link] = stand, Gathering(self._shelf, stand, 0)
        _, gathering = self._taken[link]
        gathering.widen(value.schema)
        gathering.add(await whole(self._connection, value))

    def tables(self, complete: Complete, statement: Statement) -> TaskTables:
        """What the statement reads. Raises SchemaMismatch for an input without columns."""
        stands: dict[str, Stand] = {}
        for link in statement.tables:
            stand, gathering = self._taken.get(link, (None, None))
            if stand is None or gathering is None:
                stand = Stand(link, link_schema(complete.schemas.get(link, b""), link))
            else:
                gathering.end()
            stands[link] = stand
        hidden = hidden_columns(statement, {link: stand.schema for link, stand in stands.items()})
        rows = {link: [(block.batch(), block) for block in stand.blocks] for link, stand in stands.items()}
        return TaskTables({link: table_of(stand.schema, rows[link], hidden[link]) for link, stand in stands.items()}, hidden)


async def run_task(settings: Settings, dial: Dial) -> None:
    """Runs the task once, in a run that follows whenever it begins again; returns when nothing more can come and its commits are durable.

    Raises errors of the tree. Cancelling takes nothing.
    """
    text = settings.text()
    async with connected(dial) as connection:
        shape = await _shape(connection, settings.task)
        statements = task_statements(text, [each.link for each in shape.inputs], shape.outputs, settings.parameters)
        if any(each.policy not in (WHOLE_TEXT, LATEST_TEXT) for each in shape.inputs):
            with scratch_directory(settings.spill_directory) as scratch:
                await run_windows(connection, settings.task, statements, settings.parameters, scratch)
            return
        async with whole_snapshot(connection, settings.task) as coming:
            while await _run_once(settings, statements, connection, coming):
                pass


async def _shape(connection: Connection, name: str) -> TaskDescription:
    """What the wiring says of the task."""
    for each in (await described(connection)).tasks:
        if each.name == name:
            return each
    raise InvalidArgument(f"there is no task {name} in this pipeline")


async def _run_once(settings: Settings, statements: Sequence[OutputStatement], connection: Connection, coming: WholeSnapshot) -> bool:
    """One snapshot, from its first value to the commit; whether there was one."""
    reads = frozenset(link for each in statements for link in each.statement.tables)
    with scratch_directory(settings.spill_directory) as scratch:
        inputs = _Inputs(connection, scratch, reads)
        complete = await coming.receive(inputs)
        if complete is None:
            return False
        async with publishing(connection, SOURCE_WINDOW_PUBLISHES) as stream:
            known = dict(coming.context.outputs)
            for each in statements:
                read = await asyncio.to_thread(inputs.tables, complete, each.statement)
                query = TaskQuery(functools.partial(_select, settings, each.statement, read, scratch))
                try:
                    await _stage(connection, stream, each, known, complete, query)
                finally:
                    query.end()
            await stream.flush()
            request = pb.CommitRequest(
                snapshot_id=complete.snapshot_id, token=complete.token, staged=stream.staged, final=True, task=coming.context.task
            )
            await commit(connection, request, complete.traceparent)
        return True


def _select(settings: Settings, statement: Statement, read: TaskTables, scratch: Path) -> AbstractContextManager[Result]:
    return run_select(
        statement,
        read.tables,
        spill_dir=scratch / "duckdb",
        threads=min(QUERY_THREADS_MAX, os.cpu_count() or 1),
        timeout_s=SQL_TASK_TIMEOUT_S,
        deterministic=True,
        parameters=settings.parameters,
        hidden=read.hidden,
    )


async def _stage(
    connection: Connection,
    stream: ValueStream,
    into: OutputStatement,
    outputs: dict[str, KnownSchema],
    complete: Complete,
    query: TaskQuery,
) -> None:
    """Stages the rows of one statement. An empty result is one value of no rows, so that its columns are known."""
    while (batch := await query.next_batch()) is not None:
        known = outputs[into.output]
        payloads, attributes = await payloads_of(connection, into, batch, known)
        outputs[into.output] = KnownSchema(payloads[-1].schema, known.declared)
        await stream.stage(Publish(into.output, payloads, attributes, complete.snapshot_id, complete.token))


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
    without_data_frames()
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
