"""A statement of a task at work: its rows one batch after the other, with the columns of the output they are for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pyarrow as pa

from linkd.client.calls import Connection
from linkd.client.encoding import encode
from linkd.client.large_values import encoded
from linkd.client.payloads import Payload
from linkd.client.publishing import KnownSchema
from linkd.query.engine import Result
from linkd.query.insertion import fitted
from linkd.query.task_statements import OutputStatement


class TaskQuery:
    """A statement that runs in a thread of its own: meanwhile the loop hears of TERM and of the home. `end` it."""

    def __init__(self, start: Callable[[], AbstractContextManager[Result]]) -> None:
        """`start` is called in that thread."""
        self._start = start
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
        with self._start() as self._result:
            yield from self._result.batches
        self._result = None


async def payloads_of(
    connection: Connection, into: OutputStatement, batch: pa.RecordBatch, known: KnownSchema
) -> tuple[tuple[Payload, ...], Mapping[str, str]]:
    """The values that a batch becomes, and their attributes. Raises SchemaMismatch."""

    async def encode_rows(rows: pa.RecordBatch | pa.Table) -> tuple[Payload, ...]:
        return encode(into.output, rows, schema=known.schema, declared=known.declared, inputs=())

    return await encoded(connection, _named(into, batch, known), None, encode_rows)


def _named(into: OutputStatement, batch: pa.RecordBatch, known: KnownSchema) -> pa.RecordBatch:
    """The rows with the columns that they are inserted into."""
    if into.insertion is None:
        return batch
    columns = pa.ipc.read_schema(pa.py_buffer(known.schema)).names if known.schema else ()
    places = fitted(into.insertion, batch.schema.names, columns)
    return pa.RecordBatch.from_arrays([batch.column(index) for _, index in places], names=[name for name, _ in places])
