"""Payloads as a program wants them: tables, data frames, rows, bytes.

`Tabular` is what a value, an input, a reading and a query's result have in common. Data frames are made by pyarrow or by the library's own
constructor, so neither pandas nor polars is imported before a program asks for one.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from linkd.client.extras import missing, need
from linkd.client.lane_files import Region
from linkd.client.payloads import Arrived
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen
from linkd.wire.messages import ARROW, BYTES, ROWS
from linkd.wire.opaque import OPAQUE_COLUMN, OPAQUE_SCHEMA_MESSAGE, opaque_rows

if TYPE_CHECKING:
    import pyarrow as pa


@frozen()
class Part:
    """The payload of one value, in one of the formats of the wire."""

    format: int
    payload: bytes | memoryview | Region
    schema: bytes = b""

    @staticmethod
    def of(arrived: Arrived) -> Part:
        return Part(arrived.header.format, arrived.payload, arrived.schema)

    def table(self, operation: str) -> pa.Table:
        """Its rows as Arrow. Whoever made them may be a stranger, so offsets and characters are looked at. Raises InvalidArgument, StateDamaged."""
        arrow = need("pyarrow", operation)
        if isinstance(self.payload, Region):
            return arrow.Table.from_batches([self.payload.batch(self.schema, validate=True)])
        if self.format == ARROW:
            from linkd.core.schema import from_payload

            return arrow.Table.from_batches([from_payload(self.schema, self.payload, validate=True)])
        if self.format == BYTES:
            return arrow.table({OPAQUE_COLUMN: arrow.array([bytes(self.payload)], arrow.binary())})
        raise missing("pyarrow", f"{operation} of rows that came as JSON")

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Its rows as dicts, or the first `limit` of them."""
        if self.format == ARROW or isinstance(self.payload, Region):
            rows: list[dict[str, Any]] = self.table(".rows()").slice(0, limit).to_pylist()
            return rows
        if self.format == BYTES:
            return [{OPAQUE_COLUMN: bytes(self.payload)}][:limit]
        content = bytes(self.payload)
        lines = content.splitlines() if limit is None else content.split(b"\n", limit)[:limit]
        return [json.loads(line) for line in lines if line]

    def opaque(self) -> list[bytes] | None:
        """The rows of an opaque value; None if it has columns."""
        if self.format == BYTES and not isinstance(self.payload, Region):
            return [bytes(self.payload)]
        if self.format == ARROW and self.schema == OPAQUE_SCHEMA_MESSAGE and not isinstance(self.payload, Region):
            found = opaque_rows(self.payload)
            if found is not None:
                return found
        contents: list[bytes] = []
        for row in self.rows():
            content = row.get(OPAQUE_COLUMN)
            if isinstance(content, str) and self.format == ROWS:
                content = base64.b64decode(content)
            if len(row) != 1 or not isinstance(content, bytes):
                return None
            contents.append(content)
        return contents


@frozen()
class Content:
    """The payloads of any number of values of one link; `schema` gives the columns where there is none."""

    name: str
    parts: Sequence[Part]
    schema: bytes = b""

    def table(self, operation: str = ".to_table()") -> pa.Table:
        if len(self.parts) == 1:
            return self.parts[0].table(operation)
        arrow = need("pyarrow", operation)
        if self.parts:
            from linkd.core.evolution import together

            return together([part.table(operation) for part in self.parts], link=self.name)
        if self.schema:
            return arrow.ipc.read_schema(arrow.py_buffer(self.schema)).empty_table()
        raise InvalidArgument(f"{self.name} has no columns: nothing was published to it; give links.{self.name}.schema")

    def rows(self) -> list[dict[str, Any]]:
        return [row for part in self.parts for row in part.rows()]


class Tabular(ABC):
    """Rows in the form a program asks for."""

    __slots__ = ()

    @abstractmethod
    def _table(self, operation: str) -> pa.Table:
        """The rows as Arrow. Raises MissingExtra naming `operation`."""

    def to_table(self) -> pa.Table:
        """As a `pyarrow.Table`, without copying where there is one value. Raises MissingExtra without pyarrow."""
        return self._table(".to_table()")

    def to_pandas(self) -> Any:
        """As a `pandas.DataFrame` with pandas' own types: integers with nulls are floats with NaN, times with a zone keep it."""
        return table_to_pandas(self._table(".to_pandas()"))

    def to_polars(self) -> Any:
        """As a `polars.DataFrame`, sharing memory where polars can."""
        return table_to_polars(self._table(".to_polars()"))

    def rows(self) -> list[dict[str, Any]]:
        """As dicts. With pyarrow dates, times, decimals and bytes are Python's; without it they are text, as JSON has them."""
        rows: list[dict[str, Any]] = self._table(".rows()").to_pylist()
        return rows

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: pandas, polars, DuckDB and pyarrow take the object itself."""
        return self._table("__arrow_c_stream__").__arrow_c_stream__(requested_schema)


class Held(Tabular):
    """Rows that came as payloads of values."""

    __slots__ = ()

    @abstractmethod
    def _content(self) -> Content: ...

    def _table(self, operation: str) -> pa.Table:
        return self._content().table(operation)

    def rows(self) -> list[dict[str, Any]]:
        return self._content().rows()


def table_to_pandas(table: pa.Table) -> Any:
    need("pandas", ".to_pandas()")
    return table.to_pandas()


def table_to_polars(table: pa.Table) -> Any:
    return need("polars", ".to_polars()").from_arrow(table)
