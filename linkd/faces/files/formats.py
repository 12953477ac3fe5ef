"""Rows as streams of bytes, both ways, in the formats that a pipe can carry: csv and jsonl by the `file` adapter, raw by ourselves.

Output is typed by the columns that its link declares or has already, and taken as it comes. Where nothing is known of them, all of it is needed
to find out: it goes to a file first, and is typed as a source of the format is. An output without a byte has no rows, and says nothing of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from linkd.client.publishing import KnownSchema
from linkd.core.arrow_types import type_text
from linkd.core.schema import OPAQUE_SCHEMA, is_opaque, opaque_batch
from linkd.errors import InvalidArgument, SchemaMismatch
from linkd.faces.files.directories import translated
from linkd.faces.files.raw import raw_bytes
from linkd.faces.files.rooms import Rooms
from linkd.faces.files.stream_ends import Receiving
from linkd.faces.files.work import RAW
from linkd.limits import CSV_BLOCK_BYTES, RAW_PIECE_BYTES
from linkd.model.frozen import frozen
from linkd.plugin.contract import Adapter, CsvDialect, LinkOptions
from linkd.plugin.streaming import RowDecoder

_OFFSET_BYTES = 4


@frozen()
class StreamFormat:
    """One wire of a task as a stream; `shown` names it in messages. `notes` takes what there is to say about the types that were found."""

    wire: str
    kind: str
    header: bool
    shown: str
    adapter: Adapter
    notes: Callable[[str], None]

    def encoded(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes | memoryview]:
        """The bytes of these rows. Raises SchemaMismatch for columns that the format cannot hold."""
        if self.kind == RAW:
            if schema.names and not is_opaque(schema):
                columns = ", ".join(schema.names[:5])
                raise SchemaMismatch(
                    f"{self.shown}: raw is the bytes of values, and {self.wire} has columns ({columns}): write `format: csv`"
                )
            yield from (raw_bytes(batch) for batch in batches)
        elif schema.names:
            encoder = self.adapter.row_encoder(self._options(), schema)
            yield encoder.head()
            for batch in batches:
                yield encoder.rows(batch)

    def decoded(self, source: Receiving, known: KnownSchema, of_input: pa.Schema | None, directory: Path) -> Iterator[pa.RecordBatch]:
        """The rows that come, in pieces that values may be made of. What has to be read to its end first lies below `directory` meanwhile.

        `of_input` are the columns of what the program was given: a filter without headers has them, too. Raises DataFault, StorageFailed.
        """
        if self.kind == RAW:
            yield from _opaque_values(source)
            return
        schema = pa.ipc.read_schema(pa.py_buffer(known.schema)) if known.schema else None
        if schema is None and self.kind == "csv" and not self.header and of_input is not None:
            schema = of_input
        first = source.read(CSV_BLOCK_BYTES)
        if not first:
            if schema is None:
                self.notes(f"{self.shown} is empty: {self.wire} has no rows and no columns")
            else:
                yield pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
            return
        if schema is not None:
            waiting = [first]
            yield from self.adapter.row_decoder(self._options(schema)).typed(lambda size: _joined(waiting, source, size), schema)
            return
        path = directory / f"{self.wire}.{self.kind}"
        with translated(self.shown), path.open("xb", buffering=0) as file:
            while first:
                file.write(first)
                first = source.read(CSV_BLOCK_BYTES)
        found = self.adapter.row_decoder(self._options()).inferred(path)
        for note in found.notes:
            self.notes(f"{self.wire}: {note}")
        yield from found.batches

    def decoder(self, schema: pa.Schema) -> RowDecoder:
        """What takes the rows of a stream without an end as they come. Raises InvalidArgument for raw, which has no rows."""
        if self.kind == RAW:
            raise InvalidArgument(f"{self.shown} is raw, which has no lines: write `commit: run`, or `format: csv`")
        return self.adapter.row_decoder(self._options(schema))

    def _options(self, schema: pa.Schema | None = None) -> LinkOptions:
        dialect = CsvDialect(header=self.header) if self.kind == "csv" else CsvDialect()
        options = LinkOptions(self.wire, self.wire, Path(), format=self.kind, dialect=dialect, written=self.shown)
        if schema is None:
            return options
        return replace(options, schema={field.name: type_text(field.type) for field in schema})


def _joined(waiting: list[bytes], source: Receiving, size_bytes: int) -> bytes:
    """As many bytes as asked for, what was read already first."""
    ahead = waiting.pop() if waiting else b""
    if len(ahead) > size_bytes:
        waiting.append(ahead[size_bytes:])
        return ahead[:size_bytes]
    if len(ahead) == size_bytes:
        return ahead
    return ahead + source.read(size_bytes - len(ahead))


def _opaque_values(source: Receiving) -> Iterator[pa.RecordBatch]:
    """What comes as opaque values: one, or several of `RAW_PIECE_BYTES`; none of no bytes. Nothing is copied but out of the pipe."""
    rooms = Rooms(RAW_PIECE_BYTES)
    while True:
        room = rooms.take()
        have = source.read_into(room.memory)
        if not have:
            return
        if have < RAW_PIECE_BYTES // 2:
            yield opaque_batch(room.memory[:have])  # a value that may wait for long does not hold all of the room
            continue
        offsets = pa.py_buffer(bytes(_OFFSET_BYTES) + have.to_bytes(_OFFSET_BYTES, "little"))
        column = pa.Array.from_buffers(pa.binary(), 1, [None, offsets, room.buffer(have)])
        del room
        yield pa.RecordBatch.from_arrays([column], schema=OPAQUE_SCHEMA)
