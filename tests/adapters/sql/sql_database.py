"""Databases as tests use them: each of its own, with nothing in it."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from linkd_adapters.sql import ADAPTER

from linkd.plugin.contract import LinkOptions, Sink, SinkMode, SinkResult, Source, SourceBatch, ValueSink
from linkd.testing.adapter_conformance import read_all
from linkd.testing.postgres import PostgresServer

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection

_numbers = itertools.count(1)

SHARED = "shared"
"""A database of the server that one test after the other has to itself."""


def connect(url: str) -> Connection:
    """As anybody connects to a PostgreSQL. Ends with the block that it is the subject of."""
    from adbc_driver_postgresql import dbapi

    return dbapi.connect(url, autocommit=True)


@dataclass
class Database:
    """A database of one kind, with nothing in it, and what linkd reads from it and writes to it.

    `anybody` is connected to the shared one: to connect takes a hundred times longer than most of what is asked then.
    """

    kind: str
    base: Path
    server: PostgresServer | None = None
    name: str = field(default_factory=lambda: f"test_{next(_numbers)}")
    anybody: Connection | None = None

    def __post_init__(self) -> None:
        if self.anybody is not None:
            self.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public", "SELECT 1")
        elif self.server is not None:
            self.server.psql(f"CREATE DATABASE {self.name}")

    def url(self, table: str = "") -> str:
        rest = f"?table={table}" if table else ""
        return self.server.url(rest, database=self.name) if self.server is not None else f"{self.kind}://{self.name}.db{rest}"

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Runs them as anybody would; the rows of the last one."""
        if self.kind == "postgresql":
            with self._connected() as connection, connection.cursor() as cursor:
                for statement in statements[:-1]:
                    cursor.executescript(statement)
                cursor.execute(statements[-1])
                return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        path = self.base / f"{self.name}.db"
        if self.kind == "duckdb":
            with duckdb.connect(str(path)) as file:
                for statement in statements[:-1]:
                    file.execute(statement)
                return list(file.execute(statements[-1]).fetchall())
        lite = sqlite3.connect(path)
        try:
            for statement in statements[:-1]:
                lite.execute(statement)
            found = lite.execute(statements[-1]).fetchall()
            lite.commit()
            return found
        finally:
            lite.close()

    def _connected(self) -> contextlib.AbstractContextManager[Connection]:
        if self.anybody is not None:
            return contextlib.nullcontext(self.anybody)
        return connect(self.url())

    def options(self, table: str = "orders", **options: Any) -> LinkOptions:
        link = options.pop("link", "orders")
        return LinkOptions(link, self.url(table), self.base, **options)

    def source(self, table: str = "orders", **options: Any) -> Source:
        return ADAPTER.source(self.options(table, **options))

    def sink(self, table: str = "orders", **options: Any) -> Sink:
        return ADAPTER.sink(self.options(table, **options))

    def value_sink(self, mode: SinkMode, table: str = "orders", **options: Any) -> ValueSink:
        return ADAPTER.value_sink(self.options(table, mode=mode, **options))

    async def batches(self, table: str = "orders", **options: Any) -> list[SourceBatch]:
        source = self.source(table, **options)
        try:
            return await read_all(source, await source.survey())
        finally:
            await source.close()

    async def rows(self, table: str = "orders", **options: Any) -> list[dict[str, Any]]:
        return [row for batch in await self.batches(table, **options) for row in batch.data.to_pylist()]

    async def put(self, *batches: pa.RecordBatch, table: str = "orders", **options: Any) -> SinkResult:
        """Replaces a table."""
        sink = self.sink(table, **options)
        try:
            await sink.begin(batches[0].schema)
            for batch in batches:
                await sink.write(batch)
            return await sink.finish()
        finally:
            await sink.abort()
