"""The process of one query: `python -m linkd.query.child`, started by the home for a caller, with that caller's rights and no others.

What goes in and out is said at the head of `children`. The query is checked before anything is asked of the home, so that one that reads no
link never connects. The links are read as they are when the query starts, side by side, into mapped files; then the connection is closed
and the query runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from linkd.core.names import COMMITS_LINK
from linkd.errors import EXIT_DONE, EXIT_INTERRUPTED, Error
from linkd.limits import QUERY_THREADS_MAX
from linkd.query.engine import run_select
from linkd.query.scratch import scratch_directory
from linkd.query.spill import Spill
from linkd.query.statement import Statement, check_select

if TYPE_CHECKING:
    from linkd.client.description import Description
    from linkd.client.payloads import Arrived


@dataclass(frozen=True, slots=True)
class Request:
    """The line that the home writes; the token is a secret and not shown."""

    endpoint: str
    token: str
    sql: str
    timeout_s: float
    spill_directory: Path
    traceparent: str

    @staticmethod
    def parse(line: bytes) -> Request:
        told = json.loads(line)
        return Request(
            told["endpoint"], told["token"], told["sql"], float(told["timeout_s"]), Path(told["spill_directory"]), told["traceparent"]
        )

    def __repr__(self) -> str:
        return f"Request({self.endpoint!r}, {self.sql!r})"


def main() -> int:
    """The exit code of the process; the last line of its standard error says what became of the query."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_INTERRUPTED))
    request = Request.parse(sys.stdin.buffer.readline())
    try:
        told = _answer(request)
    except Error as error:
        _say({"code": error.code, "message": error.message})
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the caller is gone, and so is whoever would read a complaint
        return EXIT_INTERRUPTED
    _say(told)
    return EXIT_DONE


def _say(told: dict[str, object]) -> None:
    print(json.dumps(told), file=sys.stderr, flush=True)


def _answer(request: Request) -> dict[str, object]:
    """Runs the query and writes its rows; what there is to tell of it."""
    statement = check_select(request.sql)
    with scratch_directory(request.spill_directory) as scratch, Spill(scratch / "rows") as spill:
        if statement.tables:
            asyncio.run(_read_links(request, statement, spill))
        rows = _write_rows(statement, spill, request.timeout_s)
    return {"rows": rows, "links": sorted(statement.tables)}


def _write_rows(statement: Statement, spill: Spill, timeout_s: float) -> int:
    rows = 0
    threads = min(QUERY_THREADS_MAX, os.cpu_count() or 1)
    running = run_select(statement, spill.tables(), spill_dir=spill.temporary_directory, timeout_s=timeout_s, threads=threads)
    with running as result, pa.ipc.new_stream(sys.stdout.buffer, result.schema) as writer:
        for batch in result.batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    sys.stdout.buffer.flush()
    return rows


async def _read_links(request: Request, statement: Statement, spill: Spill) -> None:
    """The rows of every link that the statement reads. Raises QueryInvalid for one that the caller may not read or that is not there."""
    # Imported here: a query that reads no link does without gRPC, which is a third of the start.
    from linkd.client.calls import Endpoint
    from linkd.client.worker import connected, described, dial_to, read_link

    async with connected(dial_to(Endpoint(request.endpoint, request.token, request.traceparent))) as connection:
        statement.check_reads(readable_links(await described(connection)))

        async def read(link: str) -> None:
            async def take(value: Arrived) -> None:
                spill.add(link, value.batch())

            schema = await read_link(connection, link, take)
            spill.declare(link, pa.ipc.read_schema(pa.py_buffer(schema)) if schema else None)

        reads = [asyncio.create_task(read(link), name=f"linkd query: {link}") for link in sorted(statement.tables)]
        try:
            await asyncio.gather(*reads)
        finally:
            for task in reads:
                task.cancel()
            await asyncio.wait(reads)


def readable_links(told: Description) -> Collection[str]:
    """The links that whoever asked may read: a task its inputs, everybody else all of them, and what was committed."""
    for task in told.tasks:
        if task.name == told.you:
            return [wire.link for wire in task.inputs]
    return [*(link.name for link in told.links), COMMITS_LINK]


if __name__ == "__main__":
    sys.exit(main())
