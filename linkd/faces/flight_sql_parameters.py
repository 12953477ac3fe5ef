"""Rows of parameters that come with a statement, gathered into one Arrow IPC stream: they are few, and bounded."""

from __future__ import annotations

from contextlib import aclosing

from linkd.errors import ValueTooLarge
from linkd.faces.flight_uploads import Upload
from linkd.limits import STATEMENT_PARAMETERS_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.wire.arrow_ipc import EOS, column_count


@frozen()
class Parameters:
    stream: bytes
    rows: int


async def received(upload: Upload) -> Parameters | None:
    """What was uploaded; None if it has no columns, which clients send for a statement without parameters. Raises ValueTooLarge."""
    parts: list[bytes | memoryview] = [upload.schema]
    size_bytes, rows = len(upload.schema), 0
    async with aclosing(upload.batches()) as batches:
        async for batch in batches:
            size_bytes += batch.size_bytes
            if size_bytes > STATEMENT_PARAMETERS_MAX_BYTES:
                raise ValueTooLarge(
                    f"the parameters take more than {STATEMENT_PARAMETERS_MAX_BYTES:,} bytes: publish so many rows by bulk ingest (adbc_ingest)"
                )
            parts += [bytes(part) for part in batch.parts]
            rows += batch.rows
    if not upload.schema or not column_count(upload.schema):
        return None
    return Parameters(b"".join((*parts, EOS)), rows)
