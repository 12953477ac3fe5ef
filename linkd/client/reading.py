"""Reading without a group, and queries: what is there now, and nothing held back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linkd.client.calls import Connection, Patience
from linkd.client.content import Content, Part, table_to_pandas, table_to_polars
from linkd.client.extras import need, preferred_format
from linkd.client.payloads import Assembler
from linkd.client.values import Value
from linkd.errors import ConnectionFailed, Draining, QueryInvalid
from linkd.limits import QUERY_TEXT_MAX_BYTES
from linkd.wire.methods import QUERY, READ
from linkd.wire.v1 import links_pb2 as pb

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Extent:
    """Which values of a link: 0 stands for the newest generation, the first and the last value, and all of them."""

    link: str
    generation: int = 0
    first: int = 0
    last: int = 0
    last_values: int = 0


class Reading:
    """The values of a link that are durable when it is iterated; each use reads again."""

    def __init__(self, connection: Connection, extent: Extent) -> None:
        self._connection = connection
        self._extent = extent

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

    async def content(self) -> Content:
        """All payloads, held in memory."""
        parts: list[Part] = []
        schema = b""
        async for item in self._items():
            if isinstance(item, Value):
                parts.append(item._part)
            else:
                schema = item
        return Content(self._extent.link, parts, schema)

    async def _items(self) -> AsyncGenerator[Value | bytes, None]:
        """The schema message of the link, then its values. Only the beginning is tried again: a value is never given twice."""
        request = pb.ReadRequest(
            link=self._extent.link,
            generation=self._extent.generation,
            first_sequence=self._extent.first,
            last_sequence=self._extent.last,
            last_values=self._extent.last_values,
            format=preferred_format(),  # type: ignore[arg-type]  # an open enum
        )
        patience = Patience(self._connection.timeout_s)
        begun = False
        while True:
            seen = self._connection.epoch
            try:
                async with self._connection.receive(READ, request) as stream:
                    assembler = Assembler()
                    while (message := await stream.read()) is not None:
                        begun = True
                        kind = message.WhichOneof("message")
                        if kind == "opened":
                            yield bytes(message.opened.schema)
                            continue
                        arrived = assembler.value(message.value) if kind == "value" else assembler.chunk(message.chunk)
                        if arrived is not None:
                            yield Value.of(arrived)
                return
            except (ConnectionFailed, Draining) as error:
                if begun:
                    raise
                await self._connection.recover(patience, seen, error)

    def __repr__(self) -> str:
        return f"<Reading of {self._extent.link}: .to_pandas(), .to_polars(), .to_table(), .rows(), or iterate its values>"


class Result:
    """The rows of one SELECT. It runs when they are first asked for, and then keeps them."""

    def __init__(self, connection: Connection, sql: str, timeout_s: float | None = None) -> None:
        if len(sql.encode()) > QUERY_TEXT_MAX_BYTES:
            raise QueryInvalid(f"the statement has {len(sql.encode()):,} bytes; at most {QUERY_TEXT_MAX_BYTES:,}: publish what it lists")
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

    async def _chunks(self) -> list[bytes]:
        """All of the answer: reading changes nothing, so a broken one is asked for again from the start."""
        chunks: list[bytes] = []
        request = pb.QueryRequest(sql=self._sql, timeout_ms=round((self._timeout_s or 0) * 1000))
        async with self._connection.receive(QUERY, request) as stream:
            while (message := await stream.read()) is not None:
                chunks.append(message.data)
        return chunks

    def __repr__(self) -> str:
        state = f"{self._table.num_rows:,} rows" if self._table is not None else "not run yet"
        return f"<Result of {' '.join(self._sql.split())[:60]!r}: {state}>"
