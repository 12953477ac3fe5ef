"""Arrow tables as values of the fake home."""

from __future__ import annotations

import pyarrow as pa
from fake_home import FakeHome

from linkd.core.schema import payload


def put(home: FakeHome, link: str, table: pa.Table, *, told: bool = True):  # type: ignore[no-untyped-def]
    """Stores a table as one value; `told` sends its schema along, as linkd does with the first value of a stream."""
    batch = table.combine_chunks().to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=table.schema)
    schema, content = payload(batch)
    home.schemas[link] = schema
    return home.put(link, bytes(content), schema=schema if told else b"", rows=batch.num_rows)
