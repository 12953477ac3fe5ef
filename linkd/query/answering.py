"""One statement after the other, in the process that runs them: parse, ask which values it reads, bring them, run, hand the rows out.

DuckDB works in a thread of its own, so that the loop hears when the statement is not wanted any more. The database, the parser and what was read
stay for the next statement; nothing of a statement is left in them.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from linkd.client.calls import Connection, Endpoint
from linkd.core.evolution import grown
from linkd.core.payload import split
from linkd.core.schema import conform
from linkd.errors import InvalidArgument, QueryInvalid, SchemaMismatch
from linkd.limits import CONNECT_TIMEOUT_S, STREAM_FRAME_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.query.assignment import assigned
from linkd.query.bound import BoundStatements, lasts
from linkd.query.checked import Checked, CheckedStatements, Plan, checked
from linkd.query.engine import BoundStatement, Database, Watch
from linkd.query.explanation import EXPLAINED
from linkd.query.insertion import InsertInto, fitted
from linkd.query.parameter_rows import ROWS_TABLE, over_rows, values_of
from linkd.query.parameter_types import parameter_types
from linkd.query.shelf import Shelf, Stand
from linkd.query.tables import Ask, Asked, Ready, Tables
from linkd.wire.arrow_ipc import read_stream

T = TypeVar("T")
Write = Callable[[Sequence[memoryview]], None]
"""Hands Arrow messages out, in as few steps as it can; waits while whoever takes them is slow. Called in the thread of the query."""


@frozen()
class Call:
    """One statement. `parameters` are rows of values, none where none were given."""

    operation: str
    sql: str
    timeout_s: float
    traceparent: str
    parameters: pa.Table | None = None


class Answering:
    """Answers statements in `database` with the rights of one caller, at the home of `endpoint`, whose pipeline is `catalog`; keeps what it reads
    below `directory`, `spill_bytes` at most. `close` it, and the database goes too."""

    def __init__(self, endpoint: Endpoint, database: Database, directory: Path, spill_bytes: int, catalog: str = "") -> None:
        self._endpoint = endpoint
        self._catalog = catalog
        self._database = database
        self._parser = self._database.connection.cursor()
        self._tables = Tables(Shelf(directory, spill_bytes), self._connected, self._database.connection, self._parser)
        self._checked = CheckedStatements()
        self._bound = BoundStatements()
        self._connection: Connection | None = None

    async def answer(self, call: Call, ask: Ask, write: Write) -> dict[str, Any]:
        """Runs one statement; what there is to tell of it. Raises errors of the tree. Cancelling it ends the statement, and
        whoever calls does that when its time is over."""
        with Watch() as watch:
            statement = self._checked.get(call.sql)
            if statement is None:
                statement = await _in_thread(partial(checked, call.sql, self._parser, self._catalog), watch)
                self._checked.keep(call.sql, statement)
            if call.operation == "prepare":
                return await self._prepare(statement, ask, write, watch)
            return await self._run(statement, call, ask, write, watch)

    @property
    def stands(self) -> list[Stand]:
        """What was read and is kept, of each generation."""
        return self._tables.shelf.stands

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._bound.clear()
        self._database.close()

    async def _run(self, known: Checked, call: Call, ask: Ask, write: Write, watch: Watch) -> dict[str, Any]:
        statement = known.statement
        if known.kind != call.operation:
            remedy = "it gives no rows: run it as an update" if known.insertion else "it inserts nothing: run it as a query"
            raise QueryInvalid(f"this statement is {'an INSERT' if known.insertion else 'a SELECT'}, and {remedy}")
        gathered = over_rows(statement, call.parameters, self._parser) if known.insertion is not None else None
        rows_of_values = list(values_of(statement, call.parameters)) if gathered is None else [{}]
        if known.insertion is None and len(rows_of_values) != 1:
            raise QueryInvalid(f"a query runs with one row of parameters, and {len(rows_of_values)} were given")
        if len(rows_of_values) > 1 and statement.histories:
            raise QueryInvalid(f"a statement with link(...) runs with one row of parameters, and {len(rows_of_values)} were given")
        # What several rows of values read is all of it; those of one may tell what need not be read.
        values = rows_of_values[0] if len(rows_of_values) == 1 else {}
        asked = await self._tables.asked(statement, known.target, values, ask)
        bound = self._bound.take(known, asked)
        if bound is not None:
            self._tables.use(asked)
            run = _Run(known, asked, rows_of_values, watch, write, lambda _: bound, partial(self._bound.keep, known, asked))
        else:
            plan = await self._tables.plan(known, asked)
            ready = await self._tables.read(plan, asked, values)
            if gathered is not None:
                ready = Ready(gathered[0], {ROWS_TABLE: gathered[1]}, frozenset())
            keep = partial(self._bound.keep, known, asked) if lasts(known, plan) else BoundStatement.close
            run = _Run(known, asked, rows_of_values, watch, write, partial(self._bind, known, ready, watch), keep)
        try:
            rows = await _in_thread(run.run, watch)
        finally:
            if self._tables.shelf.tidy():
                self._bound.clear()
        return {"rows": rows, "links": statement.read_links()}

    def _bind(self, known: Checked, ready: Ready, watch: Watch, values: Mapping[str, Any]) -> BoundStatement:
        given, explained = ready.given(values), known.is_explained
        return self._database.bind(known.statement, ready.tables, text=ready.text, watch=watch, explained=explained, values=given)

    async def _prepare(self, known: Checked, ask: Ask, write: Write, watch: Watch) -> dict[str, Any]:
        statement = known.statement
        asked = await self._tables.asked(statement, known.target, {}, ask)
        plan = await self._tables.plan(known, asked)
        answer = known.prepared(plan, asked.target_schema)
        if answer is None:
            answer = await self._described(known, plan, asked, watch)
            known.keep_prepared(plan, asked.target_schema, answer)
        schema, told = answer
        if known.insertion is None:
            write([memoryview(schema.serialize())])
        return dict(told)

    async def _described(self, known: Checked, plan: Plan, asked: Asked, watch: Watch) -> tuple[pa.Schema, Mapping[str, Any]]:
        """The columns that a statement gives, and what else there is to tell of it."""
        statement, ready = known.statement, self._tables.empty(plan)
        unknown = dict.fromkeys(statement.parameters)
        schema = await _in_thread(lambda: self._database.schema_of(ready.text, ready.tables, ready.given(unknown), watch), watch)
        filled: list[pa.DataType | None] = [None] * len(schema.names)
        if known.insertion is not None:
            target = _schema(asked.target_schema)
            for name, index in fitted(known.insertion, schema.names, target.names if target is not None else ()):
                filled[index] = target.field(name).type if target is not None else None
        if known.is_explained:
            schema = EXPLAINED
        names = sorted(statement.parameters, key=lambda name: (len(name), name) if name.isdigit() else (0, name))
        parameters = parameter_types(statement.tree, names, [table.schema for table in ready.tables.values()], filled)
        return schema, {
            "kind": str(known.kind),
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


@frozen()
class _Run:
    """A statement over its tables, in a thread."""

    checked: Checked
    asked: Asked
    rows_of_values: Sequence[Mapping[str, Any]]
    watch: Watch
    write: Write
    bind: Callable[[Mapping[str, Any]], BoundStatement]
    keep: Callable[[BoundStatement], None]
    """What becomes of a bound statement that has run."""

    def run(self) -> int:
        """Hands out the rows, each schema before the first of its own; how many rows there were."""
        fitting = _Fitting(self.checked.insertion, _schema(self.asked.target_schema), self.asked.target_declared)
        rows, said = 0, None
        for values in self.rows_of_values:
            with self._bound(values) as bound, bound.run(self.watch) as result:
                schema = fitting.begin(result.schema)
                for batch in result.batches:
                    fit = fitting.fit(batch)
                    said = self._hand_out(fit, said)
                    rows += fit.num_rows
                if said is None:
                    self.write([memoryview(schema.serialize())])
                    said = schema
        return rows

    @contextmanager
    def _bound(self, values: Mapping[str, Any]) -> Iterator[BoundStatement]:
        bound = self.bind(values)
        try:
            yield bound
        except BaseException:
            bound.close()
            raise
        self.keep(bound)

    def _hand_out(self, batch: pa.RecordBatch, said: pa.Schema | None) -> pa.Schema:
        """The batch, behind its schema if that is not the one that was `said`; what is said now."""
        messages = [memoryview(batch.schema.serialize())] if said is None or not batch.schema.equals(said) else []
        for piece in split(batch, STREAM_FRAME_MAX_BYTES) if self._is_cut(batch) else [batch]:
            self.write([*messages, memoryview(piece.serialize())])
            messages = []
        return batch.schema

    def _is_cut(self, batch: pa.RecordBatch) -> bool:
        """Rows for a reader come in messages that every client takes; those for a link stay values of full size."""
        return self.checked.insertion is None and batch.num_rows > 1 and pa.ipc.get_record_batch_size(batch) > STREAM_FRAME_MAX_BYTES


@dataclass(slots=True)
class _Fitting:
    """How rows become those of the link they are for, whose schema grows with them unless it is `declared`. A SELECT's stay as they are."""

    insertion: InsertInto | None
    schema: pa.Schema | None
    declared: bool
    columns: Sequence[tuple[str, int]] = ()

    def begin(self, given: pa.Schema) -> pa.Schema:
        """The rows of a result are next; the schema that they have at first. Raises SchemaMismatch."""
        if self.insertion is None:
            return given
        self.columns = fitted(self.insertion, given.names, self.schema.names if self.schema is not None else ())
        if self.schema is None:
            self.schema = pa.schema([pa.field(name, given.field(index).type) for name, index in self.columns])
        return self.schema

    def fit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Raises SchemaMismatch."""
        if self.insertion is None or self.schema is None:
            return batch
        ordered = pa.RecordBatch.from_arrays([batch.column(index) for _, index in self.columns], names=[name for name, _ in self.columns])
        if ordered.schema.equals(self.schema):
            return ordered
        link = self.insertion.target
        rows = assigned(ordered, self.schema, is_values=self.insertion.is_values, link=link)
        try:
            return conform(rows, self.schema, link=link)
        except SchemaMismatch:
            # A number in a statement has a type of its own, which says nothing: a column grows when it has no room for a value.
            fit = grown(rows, self.schema, declared=self.declared, link=link)
        self.schema = fit.schema
        return fit


async def _in_thread(work: Callable[[], T], watch: Watch) -> T:
    """As `asyncio.to_thread`; cancelling stops what `watch` watches, and waits for that."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        watch.stop("the query was interrupted")
        await asyncio.gather(running, return_exceptions=True)  # what it says of its end nobody wants to know
        raise


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
