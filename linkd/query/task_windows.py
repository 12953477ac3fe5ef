"""A SQL task with an input that is not `whole`: its statements run over each snapshot as it comes, and their rows are committed with it.

Of a snapshot without rows for an output nothing is published to it, unless nothing is known of its columns yet.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pyarrow as pa

from linkd.client.calls import Connection
from linkd.client.session import Client
from linkd.client.snapshots import Snapshot, known_schema, stage
from linkd.client.values import Input
from linkd.core.pipeline import ParamValue
from linkd.core.schema import in_schema
from linkd.errors import InvalidArgument
from linkd.limits import QUERY_MEMORY_MAX_BYTES, QUERY_THREADS_MAX, SQL_TASK_TIMEOUT_S
from linkd.query.engine import Database, Result, Watch, bound
from linkd.query.rewriting import text_to_run
from linkd.query.shelf import Block, Origin, link_schema
from linkd.query.tables import hidden_columns, table_of
from linkd.query.task_query import TaskQuery, payloads_of
from linkd.query.task_statements import OutputStatement


async def run_windows(
    connection: Connection, task: str, statements: Sequence[OutputStatement], parameters: Mapping[str, ParamValue], scratch: Path
) -> None:
    """Works off the snapshots of the task, one after the other; returns behind the last. Raises errors of the tree; cancelling takes nothing."""
    one_thread = any(each.statement.order_sensitive for each in statements)
    threads = 1 if one_thread else min(QUERY_THREADS_MAX, os.cpu_count() or 1)
    database = await asyncio.to_thread(
        lambda: Database.open(scratch / "duckdb", memory_limit_bytes=QUERY_MEMORY_MAX_BYTES, threads=threads)
    )
    client = Client(connection, task=task)
    try:
        with closing(database):
            async for snapshot in client.snapshots():
                async with snapshot:
                    await _work(connection, database, snapshot, statements, parameters)
    finally:
        await client.close()


async def _work(
    connection: Connection,
    database: Database,
    snapshot: Snapshot,
    statements: Sequence[OutputStatement],
    parameters: Mapping[str, ParamValue],
) -> None:
    for link in {link for each in statements for link in each.statement.tables}:
        await snapshot[link].loaded()
    for each in statements:
        statement = each.statement
        schemas = {link: link_schema(snapshot[link].schema_message(), link) for link in statement.tables}
        hidden = hidden_columns(statement, schemas)
        tables = {link: table_of(schema, _blocks(snapshot[link], schema), hidden[link]) for link, schema in schemas.items()}
        text = text_to_run(statement, hidden, database.connection)
        values = {name: bound(parameters[name]) for name in statement.parameters}
        with Watch(SQL_TASK_TIMEOUT_S) as watch:
            running = database.select(statement, tables, text=text, watch=watch, deterministic=True, values=values)
            query = TaskQuery(functools.partial(_itself, running))
            try:
                while (batch := await query.next_batch()) is not None:
                    known = known_schema(snapshot, each.output)
                    if batch.num_rows or not known.schema:
                        await stage(snapshot, each.output, *await payloads_of(connection, each, batch, known))
            finally:
                query.end()


def _blocks(rows: Input, schema: pa.Schema) -> list[tuple[pa.RecordBatch, Block]]:
    """The values of an input, looked at before DuckDB is given them. Raises SchemaMismatch, InvalidArgument."""
    found = []
    for value in rows.values:
        table = value.to_table()
        try:
            table.validate(full=True)
        except pa.ArrowInvalid:
            raise InvalidArgument(f"{value.name} is damaged: its Arrow buffers do not add up") from None
        batch = in_schema(table, schema, link=rows.link)
        envelope = value.envelope
        origin = Origin(envelope.position.sequence, envelope.created_at_ns, envelope.task, envelope.id, 0)
        found.append((batch, Block(rows.link, schema, batch, [origin])))
    return found


def _itself(running: AbstractContextManager[Result]) -> AbstractContextManager[Result]:
    return running
