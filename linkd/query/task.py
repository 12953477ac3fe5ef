"""The process of a SQL task: `python -m linkd.query.task`, started by the supervisor of a run, an ordinary client of the home.

    LINKD_ENDPOINT, LINKD_TOKEN_FILE, LINKD_TASK, TRACEPARENT     as for every program of a pipeline
    LINKD_SQL_FILE                                                a file with the SELECT
    LINKD_SPILL_DIR                                               below it the rows of the inputs lie in mapped files while it runs

It takes its one `whole` snapshot value by value as the inputs grow, runs the SELECT over it when all of them are sealed, stages the rows as
values of its one output, and commits: the values, the snapshot and the seal of the output are one frame. A task that is killed at any
moment has published nothing, or everything.

Exit codes: 0 done (also if it was done already), 1 the task failed, 130 ended by TERM or INT, else that of the error; what happened is on
standard error, and nothing else is.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from linkd.client.calls import Connection
from linkd.client.discovery import TASK_VARIABLE, dial_for
from linkd.client.encoding import encode
from linkd.client.payloads import Arrived, Publish
from linkd.client.publishing import KnownSchema
from linkd.client.worker import Complete, ValueStream, WholeSnapshot, commit, connected, publishing, whole_snapshot
from linkd.core.schema import from_payload
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

    @staticmethod
    def of(environ: Mapping[str, str]) -> Settings:
        """Raises InvalidArgument naming what is missing."""
        missing = [name for name in (TASK_VARIABLE, SQL_FILE_VARIABLE, SPILL_DIRECTORY_VARIABLE) if not environ.get(name)]
        if missing:
            raise InvalidArgument(f"a SQL task is started by `linkd run`, which sets {', '.join(missing)}")
        return Settings(environ[TASK_VARIABLE], Path(environ[SQL_FILE_VARIABLE]), Path(environ[SPILL_DIRECTORY_VARIABLE]))

    def statement(self) -> Statement:
        """Raises InvalidArgument for a file that cannot be read, QueryInvalid for what is in it."""
        try:
            with self.sql_file.open("rb") as file:
                content = file.read(QUERY_TEXT_MAX_BYTES + 1)
            return check_select(content.decode("utf-8-sig"))
        except OSError as error:
            raise InvalidArgument(f"{self.sql_file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise QueryInvalid(f"{self.sql_file} is not UTF-8: save it as UTF-8") from None


@dataclass(slots=True)
class _Inputs:
    """Takes the values of the snapshot: those the statement reads into mapped files, the others nowhere."""

    spill: Spill
    reads: frozenset[str]

    async def start_over(self) -> None:
        self.spill.clear()

    async def take(self, value: Arrived) -> None:
        link = value.header.input
        if link in self.reads:
            self.spill.add(link, from_payload(value.schema, value.payload))

    def tables(self, complete: Complete) -> Mapping[str, pa.Table]:
        """All of it. Raises SchemaMismatch for an input without columns."""
        for link in self.reads:
            message = complete.schemas.get(link, b"")
            self.spill.declare(link, pa.ipc.read_schema(pa.py_buffer(message)) if message else None)
        return self.spill.tables()


@dataclass(slots=True)
class _Query:
    """A running SELECT, in a thread of its own: meanwhile the loop hears of TERM and of the home."""

    statement: Statement
    tables: Mapping[str, pa.Table]
    spill_directory: Path
    _result: Result | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "linkd query"))

    async def next_batch(self, batches: Generator[pa.RecordBatch, None, None]) -> pa.RecordBatch | None:
        """None behind the last. Raises as `run_select` does."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, next, batches, None)

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        threads = min(QUERY_THREADS_MAX, os.cpu_count() or 1)
        running = run_select(
            self.statement,
            self.tables,
            spill_dir=self.spill_directory,
            threads=threads,
            timeout_s=SQL_TASK_TIMEOUT_S,
            deterministic=True,
        )
        with running as self._result:
            yield from self._result.batches

    def end(self) -> None:
        """Does not wait: what DuckDB does before its first batch cannot be cut short."""
        if self._result is not None:
            self._result.interrupt()
        self._thread.shutdown(wait=False, cancel_futures=True)
