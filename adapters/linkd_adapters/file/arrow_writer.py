"""Rows as Arrow IPC: a file (`.arrow`, `.feather`, `.ipc`), its bodies compressed by lz4, which is what Feather is; or a stream (`.arrows`)."""

from __future__ import annotations

import io

import pyarrow as pa

from linkd.limits import ROWS_PER_VALUE
from linkd.plugin.contract import RowWriter


class ArrowWriter(RowWriter):
    """Writes into `file`, which somebody else opens and closes. Small batches are gathered: readers are slow on thousands of them."""

    def __init__(self, schema: pa.Schema, file: io.RawIOBase, *, is_stream: bool) -> None:
        options = pa.ipc.IpcWriteOptions(compression=None if is_stream else "lz4")
        new = pa.ipc.new_stream if is_stream else pa.ipc.new_file
        self._writer = new(file, schema, options=options)
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        if sum(waiting.num_rows for waiting in self._waiting) >= ROWS_PER_VALUE:
            self._write_waiting()

    def end(self) -> None:
        self._write_waiting()
        self._writer.close()

    def _write_waiting(self) -> None:
        table = pa.Table.from_batches(self._waiting, schema=self._schema)
        if table.num_rows:
            self._writer.write_table(table.combine_chunks(), max_chunksize=ROWS_PER_VALUE)
        self._waiting = []
