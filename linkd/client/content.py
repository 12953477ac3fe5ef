"""Payloads as a program wants them: tables, data frames, rows, bytes.

`Tabular` is what a value, an input, a reading and a query's result have in common. Data frames are made by pyarrow or by the library's own
constructor, so neither pandas nor polars is imported before a program asks for one.
"""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linkd.client.extras import missing, need
from linkd.client.lane_files import Region
from linkd.client.payloads import Arrived
from linkd.errors import InvalidArgument
from linkd.wire.messages import ARROW, BYTES

if TYPE_CHECKING:
    import pyarrow as pa

_OPAQUE_COLUMN = "bytes"
"""The one column of a link of opaque bytes (proto/linkd/v1/value.proto, BYTES)."""


@dataclass(frozen=True, slots=True)
class Part:
    """The payload of one value, in one of the formats of the wire."""

    format: int
    payload: bytes | Region
    schema: bytes = b""

    @staticmethod
    def of(arrived: Arrived) -> Part:
        return Part(arrived.header.format, arrived.payload, arrived.schema)

    def table(self, operation: str) -> pa.Table:
        arrow = need("pyarrow", operation)
        if isinstance(self.payload, Region):
            return arrow.Table.from_batches([self.payload.batch(self.schema)])
        if self.format == ARROW:
            from linkd.core.schema import from_payload

            return arrow.Table.from_batches([from_payload(self.schema, self.payload)])
        if self.format == BYTES:
            return arrow.table({_OPAQUE_COLUMN: arrow.array([self.payload], arrow.binary())})
        raise missing("pyarrow", f"{operation} of rows that came as JSON")

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Its rows as dicts, or the first `limit` of them."""
        if self.format == ARROW or isinstance(self.payload, Region):
            rows: list[dict[str, Any]] = self.table(".rows()").slice(0, limit).to_pylist()
            return rows
        if self.format == BYTES:
            return [{_OPAQUE_COLUMN: self.payload}][:limit]
        lines = self.payload.splitlines() if limit is None else self.payload.split(b"\n", limit)[:limit]
        return [json.loads(line) for line in lines if line]

    def opaque(self) -> bytes | None:
        """The bytes of an opaque value; None if this is none."""
        if self.format == BYTES and not isinstance(self.payload, Region):
            return self.payload
        rows = self.rows()
        if len(rows) != 1 or set(rows[0]) != {_OPAQUE_COLUMN}:
            return None
        content = rows[0][_OPAQUE_COLUMN]
        if isinstance(content, str) and self.format != ARROW:
            return base64.b64decode(content)
        return content if isinstance(content, bytes) else None


@dataclass(frozen=True, slots=True)
class Content:
    """The payloads of any number of values of one link; `schema` gives the columns where there is none."""

    name: str
    parts: Sequence[Part]
    schema: bytes = b""

    def table(self, operation: str = ".to_table()") -> pa.Table:
        arrow = need("pyarrow", operation)
        if self.parts:
            tables = [part.table(operation) for part in self.parts]
            # A column of which only nulls had been seen has type null in the earlier values.
            return tables[0] if len(tables) == 1 else arrow.concat_tables(tables, promote_options="default")
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
