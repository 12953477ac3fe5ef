"""Reading without a group, and queries: what is there, or with `follow` also what comes; nothing is held back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from linkd.client import html
from linkd.client.calls import Connection, Patience
from linkd.client.content import Content, Part, table_to_pandas, table_to_polars
from linkd.client.extras import need, preferred_format
from linkd.client.payloads import Assembler
from linkd.client.row_stream import RowStream
from linkd.client.values import Value
from linkd.errors import ConnectionFailed, Draining, InvalidArgument, OutcomeUnknown, QueryInvalid
from linkd.limits import NOTEBOOK_ROWS, QUERY_TEXT_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.wire.methods import QUERY, READ
from linkd.wire.v1 import links_pb2 as pb

if TYPE_CHECKING:
    import pyarrow as pa


@frozen()
class Extent:
    """Which values of a link: 0 stands for the newest generation, the first and the last value, and all of them.

    With `follow` only where to begin; `incarnation` is that of the value before the first, if the reader has it.
    """

    link: str
    generation: int = 0
    first: int = 0
    last: int = 0
    last_values: int = 0
    follow: bool = False
    incarnation: int = 0


class Reading:
    """The values of a link that are durable when it is iterated; each use reads again.

    One that follows goes on with every value that becomes durable, also of later generations, until it is left: only iterate it. Of a link
    whose durability is not `fsync` it may have given values that were then lost with the power: `lost_values` counts them.
    """

    def __init__(self, connection: Connection, extent: Extent) -> None:
        self._connection = connection
        self._extent = extent
        self.lost_values = 0

    async def __aiter__(self) -> AsyncGenerator[Value, None]:
        async for item in self._items():
            if isinstance(item, Value):
                yield item

    async def to_table(self) -> pa.Table:
        """All rows as a `pyarrow.Table`; an empty link with a schema gives its columns."""
        return (await self.content()).table()

    async def to_pandas(self) -> Any:
        """All rows as a `pandas.DataFrame`."""
        return table_to_pandas((await self.content()).table(".to_pandas()"))

    async def to_polars(self) -> Any:
        """All rows as a `polars.DataFrame`."""
        return table_to_polars((await self.content()).table(".to_polars()"))

    async def rows(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        return (await self.content()).rows()

    async def to_reader(self) -> RowStream:
        """The rows as they come, in bounded memory: batches of one schema, value by value."""
        return await RowStream.open(self._extent.link, self._items())

    async def content(self) -> Content:
        """All payloads, held in memory. Raises InvalidArgument for a reading that has no end."""
        if self._extent.follow:
            raise InvalidArgument(f"reading {self._extent.link} with follow=True has no end: iterate it, or read without follow")
        parts: list[Part] = []
        schema = b""
        async for item in self._items():
            if isinstance(item, Value):
                parts.append((await item.loaded())._part)
            else:
                schema = item
        return Content(self._extent.link, parts, schema)

    async def html(self) -> str:
        """The first rows as an HTML table, for notebooks; reads no more than their values."""
        link, rows, schema = self._extent.link, list[dict[str, Any]](), b""
        reading = Reading(self._connection, replace(self._extent, follow=False))
        async with aclosing(reading._items()) as items:
            async for item in items:
                if not isinstance(item, Value):
                    schema = item
                    continue
                rows += item.first_rows(NOTEBOOK_ROWS - len(rows))
                if len(rows) >= NOTEBOOK_ROWS:
                    break
        if not rows:
            return html.message(link, "no rows" if schema else "holds nothing yet")
        return html.row_table(link, rows, f"the first {len(rows)} rows")

    async def _items(self) -> AsyncGenerator[Value | bytes, None]:
        """The schema message of each generation that is read, and its values. A value is never given twice.

        Only the beginning is tried again, unless the reading follows: then it goes on where it was, at whatever home comes next.
        """
        extent = self._extent
        timeout_s = self._connection.flow_timeout_s if extent.follow else self._connection.timeout_s
        patience = Patience(timeout_s)
        begun = False
        while True:
            seen = self._connection.epoch
            try:
                async with self._connection.receive(READ, _read_request(extent)) as stream:
                    assembler = Assembler()
                    while (message := await stream.read()) is not None:
                        begun, patience = True, Patience(timeout_s)
                        kind = message.WhichOneof("message")
                        if kind == "opened":
                            self.lost_values += message.opened.lost
                            if extent.follow and message.opened.generation:
                                before = 0 if message.opened.lost else extent.incarnation
                                extent = _from(extent, message.opened.generation, message.opened.first_sequence, before)
                            yield bytes(message.opened.schema)
                            continue
                        arrived = assembler.take(message)
                        if arrived is not None:
                            value = Value.of(arrived, self._connection.road)
                            position = value.envelope.position
                            extent = _from(extent, value.envelope.generation, position.sequence + 1, position.incarnation)
                            yield value
                return
            except (ConnectionFailed, Draining) as error:
                if begun and not extent.follow:
                    raise
                await self._connection.recover(patience, seen, error)

    def __repr__(self) -> str:
        return f"<Reading of {self._extent.link}: .to_pandas(), .to_polars(), .to_table(), .rows(), or iterate its values>"


def _read_request(extent: Extent) -> pb.ReadRequest:
    return pb.ReadRequest(
        link=extent.link,
        generation=extent.generation,
        first_sequence=extent.first,
        last_sequence=extent.last,
        last_values=extent.last_values,
        format=preferred_format(),  # type: ignore[arg-type]  # an open enum
        follow=extent.follow,
        incarnation=extent.incarnation,
    )


def _from(extent: Extent, generation: int, first: int, incarnation: int) -> Extent:
    """Where a reading that follows goes on if it is cut off now."""
    if not extent.follow:
        return extent
    return replace(extent, generation=generation, first=first, last_values=0, incarnation=incarnation)


class Result:
    """The rows of one SELECT. It runs when they are first asked for, and then keeps them."""

    def __init__(self, connection: Connection, sql: str, timeout_s: float | None = None) -> None:
        _check_length(sql)
        self._connection = connection
        self._sql = sql
        self._timeout_s = timeout_s
        self._table: pa.Table | None = None

    async def to_table(self, operation: str = ".to_table()") -> pa.Table:
        """As a `pyarrow.Table`. Raises QueryInvalid, NotAllowed, and MissingExtra naming `operation` without pyarrow."""
        if self._table is None:
            arrow = need("pyarrow", f"{operation} of a query")
            chunks = await self._connection.retry(self._chunks)
            with arrow.ipc.open_stream(arrow.py_buffer(b"".join(chunks))) as reader:
                self._table = reader.read_all()
        return self._table

    async def to_pandas(self) -> Any:
        """As a `pandas.DataFrame`."""
        return table_to_pandas(await self.to_table(".to_pandas()"))

    async def to_polars(self) -> Any:
        """As a `polars.DataFrame`."""
        return table_to_polars(await self.to_table(".to_polars()"))

    async def rows(self) -> list[dict[str, Any]]:
        """As dicts."""
        rows: list[dict[str, Any]] = (await self.to_table(".rows()")).to_pylist()
        return rows

    async def html(self) -> str:
        """The first rows as an HTML table, and how many there are, for notebooks; runs the statement if it has not run yet."""
        table = await self.to_table("showing it")
        rows = table.slice(0, NOTEBOOK_ROWS).to_pylist()
        count = f"{table.num_rows:,} row{'' if table.num_rows == 1 else 's'}"
        if not rows:
            return html.table(count, [html.Heading(name) for name in table.schema.names], [])
        return html.row_table(count, rows, f"the first {len(rows)} rows" if table.num_rows > len(rows) else "")

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The answer as it comes, as pieces of an Arrow IPC stream; the query runs anew for each use. Closing it ends the query.

        Only the beginning is tried again: no row is given twice.
        """
        patience = Patience(self._connection.timeout_s)
        begun = False
        while True:
            seen = self._connection.epoch
            try:
                async with aclosing(self._answer()) as answer:
                    async for piece in answer:
                        begun = True
                        yield piece
                return
            except (ConnectionFailed, Draining) as error:
                if begun:
                    raise
                await self._connection.recover(patience, seen, error)

    async def _answer(self) -> AsyncGenerator[bytes, None]:
        request = pb.QueryRequest(sql=self._sql, timeout_ms=round((self._timeout_s or 0) * 1000))
        async with self._connection.receive(QUERY, request) as stream:
            while (message := await stream.read()) is not None:
                yield message.data

    async def _chunks(self) -> list[bytes]:
        """All of the answer: reading changes nothing, so a broken one is asked for again from the start."""
        return [piece async for piece in self._answer()]

    def __repr__(self) -> str:
        state = f"{self._table.num_rows:,} rows" if self._table is not None else "not run yet"
        return f"<Result of {' '.join(self._sql.split())[:60]!r}: {state}>"


async def inserted(connection: Connection, sql: str, timeout_s: float | None) -> int:
    """Runs an INSERT, once: how many rows it has inserted."""
    _check_length(sql)
    request = pb.QueryRequest(sql=sql, timeout_ms=round((timeout_s or 0) * 1000), insert=True)
    try:
        async with connection.receive(QUERY, request) as stream:
            while (message := await stream.read()) is not None:
                if message.HasField("inserted"):
                    return int(message.inserted)
    except ConnectionFailed as error:
        raise OutcomeUnknown(
            f"the connection was lost while an INSERT ran ({error}): read the link to see whether its rows are there"
        ) from error
    raise OutcomeUnknown("linkd did not say what became of an INSERT: read the link to see whether its rows are there")


def _check_length(sql: str) -> None:
    size_bytes = len(sql.encode())
    if size_bytes > QUERY_TEXT_MAX_BYTES:
        raise QueryInvalid(f"the statement has {size_bytes:,} bytes; at most {QUERY_TEXT_MAX_BYTES:,}: publish what it lists")
