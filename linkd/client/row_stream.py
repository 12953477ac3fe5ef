"""The rows of a link as they come: batches of one schema, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Self

from linkd.client.extras import need
from linkd.errors import InvalidArgument

if TYPE_CHECKING:
    import pyarrow as pa

    from linkd.client.values import Value


class RowStream:
    """The rows of a link as `pyarrow.RecordBatch`es of `schema`, one for each value. Close it when leaving early."""

    def __init__(self, link: str, schema: pa.Schema, values: AsyncGenerator[Value | bytes, None]) -> None:
        self.schema = schema
        self._link = link
        self._values = values

    @staticmethod
    async def open(link: str, items: AsyncGenerator[Value | bytes, None]) -> RowStream:
        """Raises InvalidArgument for a link without columns, LinkNotFound, MissingExtra."""
        arrow = need("pyarrow", "a stream of rows")
        message = await anext(items)
        if not isinstance(message, bytes) or not message:
            await items.aclose()
            raise InvalidArgument(f"{link} has no columns: nothing was published to it; give links.{link}.schema")
        return RowStream(link, arrow.ipc.read_schema(arrow.py_buffer(message)), items)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        from linkd.core.schema import in_schema

        async for value in self._values:
            if isinstance(value, bytes):
                continue
            # The schema may have grown since the earlier values came.
            return in_schema((await value.loaded()).to_table(), self.schema, link=self._link)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await self._values.aclose()
