"""Cells that are too large for a value, as artifacts: put before the rows that name them are published, and got for who reads the rows.

What stands in their place, and which cells these are, is said in `core.artifact_references` and `core.large_cells`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from linkd.client.artifact_gets import get_bytes
from linkd.client.artifact_puts import put_large
from linkd.client.artifact_sources import BytesSource
from linkd.client.calls import Connection
from linkd.client.content import Part
from linkd.client.extras import is_installed
from linkd.client.payloads import Arrived, Payload
from linkd.core.artifact_references import attribute_of, cell_text, cells_of
from linkd.errors import ValueTooLarge
from linkd.limits import LARGE_ROW_BYTES
from linkd.model.artifacts import ArtifactReference
from linkd.wire.messages import ARROW, BYTES, ROWS
from linkd.wire.opaque import OPAQUE_COLUMN, OPAQUE_SCHEMA_MESSAGE, opaque_message

Encode = Callable[[Any], Awaitable[tuple[Payload, ...]]]


async def encoded(
    connection: Connection, data: Any, attributes: Mapping[str, str] | None, encode: Encode
) -> tuple[tuple[Payload, ...], Mapping[str, str]]:
    """What `encode` makes of data, and the attributes of these values; cells for which it is too large are put as artifacts.

    Raises what `encode` does: ValueTooLarge where that does not help; and what linkd refuses an artifact with.
    """
    try:
        return await encode(data), attributes or {}
    except ValueTooLarge:
        data, references = await _without_large_cells(connection, data)
        if not references:
            raise
        return await encode(data), {**(attributes or {}), **attribute_of(references)}


async def _without_large_cells(connection: Connection, data: Any) -> tuple[Any, list[ArtifactReference]]:
    """The data with texts in place of what is too large in it, and what they stand for."""
    if isinstance(data, bytes | bytearray | memoryview):
        reference = await _kept(connection, memoryview(data), OPAQUE_COLUMN)
        return cell_text(reference).encode(), [reference]
    if isinstance(data, list) and all(isinstance(row, bytes) for row in data):
        references = [await _kept(connection, memoryview(row), OPAQUE_COLUMN) for row in data if len(row) > LARGE_ROW_BYTES]
        texts = iter(references)
        return [cell_text(next(texts)).encode() if len(row) > LARGE_ROW_BYTES else row for row in data], references
    if not is_installed("pyarrow") or (isinstance(data, list) and data and isinstance(data[0], tuple)):
        return data, []
    import pyarrow as pa

    from linkd.core.large_cells import large_cells, replaced
    from linkd.core.schema import to_arrow

    rows = to_arrow(data)
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
    found = {(cell.column, cell.row): await _kept(connection, cell.content, cell.column) for cell in large_cells(table)}
    return replaced(table, {place: cell_text(reference) for place, reference in found.items()}), list(dict.fromkeys(found.values()))


async def _kept(connection: Connection, content: memoryview, column: str) -> ArtifactReference:
    message = await put_large(connection, BytesSource(content))
    return ArtifactReference(message.digest, message.size_bytes, column=column)


async def whole(connection: Connection, arrived: Arrived) -> Arrived:
    """A value that came as Arrow, with all its cells. Raises ValueTooLarge for what no memory of rows holds, LinkNotFound, StateDamaged."""
    envelope = arrived.header.envelope
    references = cells_of(envelope.attributes)
    if not references:
        return arrived
    part = await _filled(connection, Part.of(arrived), references, f"{envelope.link}@{envelope.position.sequence}")
    return Arrived(arrived.header, part.payload, part.schema)


async def whole_part(connection: Connection, part: Part, references: tuple[ArtifactReference, ...], name: str) -> Part:
    """As `whole`, of a payload in any format. Bytes that are a value by themselves may have any size."""
    rows = part.opaque() if all(one.column == OPAQUE_COLUMN for one in references) else None
    if rows is None:
        return await (_filled(connection, part, references, name) if part.format != ROWS else _filled_lines(connection, part, references))
    contents = await _contents(connection, references)
    rows = [contents[OPAQUE_COLUMN].get(row, row) for row in rows]
    return Part(BYTES, rows[0], part.schema) if len(rows) == 1 else Part(ARROW, opaque_message(rows), OPAQUE_SCHEMA_MESSAGE)


async def _filled(connection: Connection, part: Part, references: tuple[ArtifactReference, ...], name: str) -> Part:
    from linkd.core.large_cells import check_size, filled
    from linkd.core.schema import payload

    check_size(sum(one.size_bytes for one in references), name=name)
    contents = await _contents(connection, references)
    [batch] = part.table("a value with large cells").combine_chunks().to_batches()
    _, message = payload(filled(batch, contents, name=name))
    return Part(ARROW, message, part.schema)


async def _filled_lines(connection: Connection, part: Part, references: tuple[ArtifactReference, ...]) -> Part:
    """Of rows as JSON, where there is no Arrow: text as it is, bytes in base64."""
    contents = await _contents(connection, references)
    rows = part.rows()
    for row in rows:
        for column, found in contents.items():
            cell = row.get(column)
            if not isinstance(cell, str):
                continue
            if (text := found.get(cell.encode())) is not None:
                row[column] = text.decode()
            elif (content := {base64.b64encode(key).decode(): held for key, held in found.items()}.get(cell)) is not None:
                row[column] = base64.b64encode(content).decode()
    return Part(ROWS, b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows))


async def _contents(connection: Connection, references: tuple[ArtifactReference, ...]) -> dict[str, dict[bytes, bytes]]:
    """By column, and then by what stands in their place."""
    contents: dict[str, dict[bytes, bytes]] = {}
    for one in references:
        contents.setdefault(one.column, {})[cell_text(one).encode()] = await get_bytes(connection, one.digest, 0, None)
    return contents
