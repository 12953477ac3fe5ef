"""Cells that are too large for a value: taken out of rows, where artifacts stand for them, and put back. Pure; the content comes from elsewhere.

Only cells of text or bytes can be artifacts (`artifact_references`), in rows that would not fit a value with them; of such a row all above
`LARGE_CELL_BYTES` are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from linkd.errors import ValueTooLarge
from linkd.limits import LARGE_CELL_BYTES, LARGE_ROW_BYTES, TABLE_CELLS_MAX_BYTES
from linkd.model.frozen import frozen


@frozen()
class LargeCell:
    """One cell of a table, and its bytes where they lie."""

    column: str
    row: int
    content: memoryview


def large_cells(table: pa.Table, row_bytes: int = LARGE_ROW_BYTES, cell_bytes: int = LARGE_CELL_BYTES) -> list[LargeCell]:
    """The cells that are to be artifacts so that every row fits a value, as far as that helps; in the order of columns and rows."""
    lengths = {name: _lengths(table.column(name)) for name in table.schema.names if _is_content(table.schema.field(name).type)}
    if not lengths:
        return []
    of_rows = [sum(row) for row in zip(*lengths.values(), strict=True)]
    rows = [row for row, size_bytes in enumerate(of_rows) if size_bytes > row_bytes]
    return [
        LargeCell(name, row, memoryview(table.column(name)[row].as_buffer()))
        for name, sizes in lengths.items()
        for row in rows
        if sizes[row] > cell_bytes
    ]


def replaced(table: pa.Table, texts: Mapping[tuple[str, int], str]) -> pa.Table:
    """The table with these texts in these cells (by column and row). Nothing else is copied."""
    for name in dict.fromkeys(name for name, _ in texts):
        index = table.schema.get_field_index(name)
        field, column = table.schema.field(index), table.column(index)
        parts: list[pa.Array] = []
        at = 0
        for row in sorted(row for where, row in texts if where == name):
            parts += column.slice(at, row - at).chunks
            parts.append(_cells([texts[name, row].encode()], field.type))
            at = row + 1
        parts += column.slice(at).chunks
        table = table.set_column(index, field, pa.chunked_array(parts, field.type))
    return table


def filled(batch: pa.RecordBatch, contents: Mapping[str, Mapping[bytes, bytes]], *, name: str) -> pa.RecordBatch:
    """The rows with contents in place of what stands for them: `contents` has them by column, and then by what stands there.

    Raises ValueTooLarge where a column of one batch cannot hold them; `name` is that of the value.
    """
    columns = list(batch.columns)
    for column, content in contents.items():
        index = batch.schema.get_field_index(column)
        if index < 0 or not _is_content(batch.schema.field(index).type):
            continue
        cells = [content.get(cell, cell) if cell is not None else None for cell in _plain(columns[index])]
        check_size(sum(len(cell) for cell in cells if cell is not None), name=name)
        columns[index] = _cells(cells, batch.schema.field(index).type)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def check_size(size_bytes: int, *, name: str) -> None:
    """Raises ValueTooLarge for more than a column of one value can hold in memory."""
    if size_bytes > TABLE_CELLS_MAX_BYTES:
        raise ValueTooLarge(
            f"{name} holds cells of {size_bytes:,} bytes together, and as rows a value has at most {TABLE_CELLS_MAX_BYTES:,} in a column: "
            "save bytes to a file, `value.save(path)`, or take `format: raw`"
        )


def _is_content(kind: pa.DataType) -> bool:
    types = pa.types
    return any(is_kind(kind) for is_kind in (types.is_binary, types.is_string, types.is_large_binary, types.is_large_string))


def _lengths(column: pa.ChunkedArray) -> list[int]:
    return [size_bytes or 0 for size_bytes in pc.binary_length(column).to_pylist()]


def _plain(column: pa.Array) -> list[bytes | None]:
    """The cells as bytes, whatever the column is of."""
    cells: list[bytes | None] = column.cast(_as_bytes(column.type)).to_pylist()
    return cells


def _cells(cells: Sequence[bytes | None], kind: pa.DataType) -> pa.Array:
    return pa.array(cells, _as_bytes(kind)).cast(kind)


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    """The type of bytes with as wide offsets."""
    return pa.large_binary() if pa.types.is_large_binary(kind) or pa.types.is_large_string(kind) else pa.binary()
