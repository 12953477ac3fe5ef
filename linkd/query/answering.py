"""One statement after the other, in the process that runs them: parse, ask which values it reads, bring them, run, hand the rows out.

DuckDB works in a thread of its own, so that the loop hears when the statement is not wanted any more. The database, the parser and what was read
stay for the next statement; nothing of a statement is left in them.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from linkd.client.calls import Connection, Endpoint
from linkd.core.payload import split
from linkd.core.schema import conform
from linkd.errors import InvalidArgument, QueryInvalid
from linkd.limits import CONNECT_TIMEOUT_S, QUERY_MEMORY_MAX_BYTES, QUERY_THREADS_MAX, STREAM_FRAME_MAX_BYTES
from linkd.query.answers import StatementKind
from linkd.query.assignment import assigned
from linkd.query.engine import Database, Result, Watch, bound
from linkd.query.insertion import InsertInto, fitted, insertion_in
from linkd.query.parameter_types import parameter_types
from linkd.query.shelf import Shelf, Stand
from linkd.query.statement import Statement, check_select, no_parameter
from linkd.query.tables import Ask, Ready, Tables
from linkd.wire.arrow_ipc import read_stream

T = TypeVar("T")
Write = Callable[[memoryview], None]
"""Hands one Arrow message out; waits while whoever takes them is slow. Called in the thread of the query."""


@dataclass(frozen=True, slots=True)
class Call:
    """One statement. `parameters` are rows of values, none where none were given."""

    operation: str
    sql: str
    timeout_s: float
    traceparent: str
    parameters: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class _Understood:
    """A statement that may run."""

    statement: Statement
    insertion: InsertInto | None

    @property
    def kind(self) -> StatementKind:
        return StatementKind.SELECT if self.insertion is None else StatementKind.INSERT

    @property
    def target(self) -> str:
        return self.insertion.target if self.insertion is not None else ""


class Answering:
    """Answers statements with the rights of one caller, at the home of `endpoint`; keeps its files below `directory`. `close` it."""

    def __init__(self, endpoint: Endpoint, directory: Path, spill_bytes: int) -> None:
        self._endpoint = endpoint
        self._database = Database.open(
            directory / "duckdb",
            memory_limit_bytes=QUERY_MEMORY_MAX_BYTES,
            threads=min(QUERY_THREADS_MAX, os.cpu_count() or 1),
            spill_bytes=spill_bytes,
        )
        self._parser = self._database.connection.cursor()
        self._tables = Tables(Shelf(directory, spill_bytes), self._connected, self._database.connection, self._parser)
        self._connection: Connection | None = None

    async def answer(self, call: Call, ask: Ask, write: Write) -> dict[str, Any]:
        """Runs one statement; what there is to tell of it. Raises errors of the tree. Cancelling it ends the statement."""
        understood = await asyncio.to_thread(self._understood, call.sql)
        with Watch(call.timeout_s) as watch:
            if call.operation == "prepare":
                return await self._prepare(understood, ask, write, watch)
            return await self._run(understood, call, ask, write, watch)

    @property
    def stands(self) -> list[Stand]:
        """What was read and is kept, of each generation."""
        return self._tables.shelf.stands

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._database.close()

    def _understood(self, sql: str) -> _Understood:
        insertion = insertion_in(sql)
        return _Understood(check_select(insertion.select if insertion is not None else sql, None, parser=self._parser), insertion)

    async def _run(self, understood: _Understood, call: Call, ask: Ask, write: Write, watch: Watch) -> dict[str, Any]:
        statement = understood.statement
        if understood.kind != call.operation:
            remedy = "it gives no rows: run it as an update" if understood.insertion else "it inserts nothing: run it as a query"
            raise QueryInvalid(f"this statement is {'an INSERT' if understood.insertion else 'a SELECT'}, and {remedy}")
        rows_of_values = list(_values(statement, call.parameters))
        if understood.insertion is None and len(rows_of_values) != 1:
            raise QueryInvalid(f"a query runs with one row of parameters, and {len(rows_of_values)} were given")
        if len(rows_of_values) > 1 and statement.histories:
            raise QueryInvalid(f"a statement with link(...) runs with one row of parameters, and {len(rows_of_values)} were given")
        # What several rows of values read is all of it; those of one may tell what need not be read.
        values = rows_of_values[0] if len(rows_of_values) == 1 else {}
        asked = await self._tables.asked(statement, understood.target, values, ask)
        ready = await self._tables.read(statement, asked, values)
        run = _Run(self._database, understood, ready, asked.target_schema, rows_of_values, watch, write)
        try:
            rows = await _in_thread(run.run, watch)
        finally:
            self._tables.shelf.tidy()
        return {"rows": rows, "links": statement.read_links()}

    async def _prepare(self, understood: _Understood, ask: Ask, write: Write, watch: Watch) -> dict[str, Any]:
        statement = understood.statement
        unknown = dict.fromkeys(statement.parameters)
        asked = await self._tables.asked(statement, understood.target, unknown, ask)
        ready = await self._tables.empty(statement, asked)
        schema = await _in_thread(lambda: self._database.schema_of(ready.text, ready.tables, ready.given(unknown), watch), watch)
        filled: list[pa.DataType | None] = [None] * len(schema.names)
        if understood.insertion is not None:
            target = _schema(asked.target_schema)
            for name, index in fitted(understood.insertion, schema.names, target.names if target is not None else ()):
                filled[index] = target.field(name).type if target is not None else None
        else:
            write(memoryview(schema.serialize()))
        names = sorted(statement.parameters, key=lambda name: (len(name), name) if name.isdigit() else (0, name))
        parameters = parameter_types(statement.tree, names, [table.schema for table in ready.tables.values()], filled)
        return {
            "kind": str(understood.kind),
            "parameters": names,
            "parameters_schema": base64.b64encode(parameters.serialize()).decode(),
            "links": statement.read_links(),
        }

    async def _connected(self) -> Connection:
        """The connection to the home: made when the first row is to be read, for a statement that reads no link does without."""
        if self._connection is None:

            async def dial() -> Endpoint:
                return self._endpoint

            connection = Connection(dial, CONNECT_TIMEOUT_S)
            await connection.open()
            self._connection = connection
        return self._connection


@dataclass(frozen=True, slots=True)
class _Run:
    """A statement over its tables, in a thread."""

    database: Database
    understood: _Understood
    ready: Ready
    target_schema: bytes
    rows_of_values: Sequence[Mapping[str, Any]]
    watch: Watch
    write: Write

    def run(self) -> int:
        """Hands out the schema and the rows; how many there were."""
        rows, schema = 0, None
        for values in self.rows_of_values:
            with self.database.select(
                self.understood.statement,
                self.ready.tables,
                text=self.ready.text,
                watch=self.watch,
                values=self.ready.given(values),
            ) as result:
                fitting = self._fitting(result)
                if schema is None:
                    schema = fitting.schema
                    self.write(memoryview(schema.serialize()))
                for batch in result.batches:
                    rows += self._hand_out(fitting.fit(batch))
        return rows

    def _hand_out(self, batch: pa.RecordBatch) -> int:
        for piece in split(batch, STREAM_FRAME_MAX_BYTES) if self._is_cut(batch) else [batch]:
            self.write(memoryview(piece.serialize()))
        return int(batch.num_rows)

    def _is_cut(self, batch: pa.RecordBatch) -> bool:
        """Rows for a reader come in messages that every client takes; those for a link stay values of full size."""
        return self.understood.insertion is None and batch.num_rows > 1 and pa.ipc.get_record_batch_size(batch) > STREAM_FRAME_MAX_BYTES

    def _fitting(self, result: Result) -> _Fitting:
        insertion = self.understood.insertion
        if insertion is None:
            return _Fitting("", result.schema, None, is_values=False)
        target = _schema(self.target_schema)
        columns = fitted(insertion, result.schema.names, target.names if target is not None else ())
        if target is None:
            target = pa.schema([pa.field(name, result.schema.field(index).type) for name, index in columns])
        return _Fitting(insertion.target, target, columns, insertion.is_values)


@dataclass(frozen=True, slots=True)
class _Fitting:
    """How rows become those of the link they are for."""

    link: str
    schema: pa.Schema
    columns: Sequence[tuple[str, int]] | None
    is_values: bool

    def fit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Raises SchemaMismatch."""
        if self.columns is None:
            return batch
        names = [name for name, _ in self.columns]
        ordered = pa.RecordBatch.from_arrays([batch.column(index) for _, index in self.columns], names=names)
        if ordered.schema.equals(self.schema):
            return ordered
        return conform(assigned(ordered, self.schema, is_values=self.is_values, link=self.link), self.schema, link=self.link)


async def _in_thread(work: Callable[[], T], watch: Watch) -> T:
    """As `asyncio.to_thread`; cancelling stops what `watch` watches, and waits for that."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        watch.stop("the query was interrupted")
        await asyncio.gather(running, return_exceptions=True)  # what it says of its end nobody wants to know
        raise


def _values(statement: Statement, given: pa.Table | None) -> Iterator[Mapping[str, Any]]:
    """The values of the parameters, for each time that the statement is to run. Raises QueryInvalid for one that has none."""
    if not statement.parameters:
        yield from ({} for _ in range(given.num_rows if given is not None and given.num_columns == 0 and given.num_rows else 1))
        return
    if given is None:
        raise QueryInvalid(no_parameter(min(statement.parameters), ()))
    by_position = all(name.isdigit() for name in statement.parameters)
    columns: dict[str, Any] = {}
    for name in statement.parameters:
        index = int(name) - 1 if by_position else given.schema.get_field_index(name.removeprefix("$"))
        if not 0 <= index < given.num_columns:
            raise QueryInvalid(f"parameter ${name} has no value: {given.num_columns} were given ({', '.join(given.schema.names)})")
        columns[name] = given.column(index)
    for row in range(given.num_rows):
        yield {name: bound(column[row].as_py()) for name, column in columns.items()}


def parameters_in(stream: bytes) -> pa.Table | None:
    """The rows of an Arrow IPC stream; None for no bytes at all. Raises InvalidArgument."""
    if not stream:
        return None
    read_stream(stream)  # before Arrow would decompress anything
    try:
        with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise InvalidArgument(f"the parameters are not an Arrow IPC stream ({type(error).__name__})") from None
    return table


def _schema(message: bytes) -> pa.Schema | None:
    return pa.ipc.read_schema(pa.py_buffer(message)) if message else None
