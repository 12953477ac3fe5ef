"""Arrow IPC, read: files (Feather version 2 is one) and streams, whichever it is by its first bytes; compressed or not.

Of a file the stream in it is read, from its start. Before Arrow reads a message it is known how much it takes unpacked, and every batch is
validated: a wrong offset would be a crash later on. A batch has the same number of rows throughout a file: `ROWS_PER_VALUE`, or fewer if
so many would exceed `SOURCE_BATCH_MAX_BYTES`; and fewer still where the texts of dictionaries make it larger.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from linkd.errors import DataFault, InvalidArgument
from linkd.limits import ARROW_MESSAGE_MAX_BYTES, GIB
from linkd.plugin.arrow_messages import stored_messages, stream_extent
from linkd.plugin.contract import LinkOptions
from linkd_adapters.file.location import reading_failed
from linkd_adapters.file.reader import FileBatch, Found, Kept, Place
from linkd_adapters.file.stored import StoredFile
from linkd_adapters.file.typed_files import TypedColumns, rows_per_batch, typed_batches

_FEATHER_1 = b"FEA1"


class ArrowReader:
    """See the module."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options

    def surveyor(self) -> ArrowSurveyor:
        return ArrowSurveyor(self._options)

    def batches(self, stored: StoredFile, schema: pa.Schema, before: Place, kept: Kept | None = None) -> Iterator[FileBatch]:
        extent = _looked_through(stored)
        rows = rows_per_batch(extent.widest_row_bytes)
        return typed_batches(_stored_batches(stored, extent, before.row), rows, schema, before, stored.location.shown)


class ArrowSurveyor:
    """Looks at the heads of all messages."""

    def __init__(self, options: LinkOptions) -> None:
        self._columns = TypedColumns(options)

    def look(self, stored: StoredFile) -> Iterator[None]:
        extent = _looked_through(stored)
        with _opened(stored, extent) as stream:
            self._columns.take(stream.schema, extent.rows, stored.location.shown)
        yield

    def kept(self) -> tuple[Kept, ...]:
        return ()

    def found(self) -> Found:
        return self._columns.found()


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where the stream lies, its rows, and the bytes of a row where they are widest, by the averages of its batches."""

    start: int
    end: int
    rows: int
    widest_row_bytes: int


def _looked_through(stored: StoredFile) -> _Extent:
    """What the heads of the messages say. Raises `DataFault` for what is no Arrow, damaged, or too large to be read."""
    shown, read_at = stored.location.shown, stored.read_at
    if read_at(0, len(_FEATHER_1)) == _FEATHER_1:
        raise DataFault(f"{shown} is Feather version 1, which is no Arrow IPC; write it anew with pandas.DataFrame.to_feather")
    rows = widest = 0
    try:
        start, end = stream_extent(read_at, stored.size_bytes)
        if start == end:
            raise InvalidArgument("it is empty")
        for message in stored_messages(read_at, start, end):
            if message.unpacked_bytes > ARROW_MESSAGE_MAX_BYTES:
                raise InvalidArgument(
                    f"a record batch takes {message.unpacked_bytes:,} bytes, and at most {ARROW_MESSAGE_MAX_BYTES // GIB} GiB is read at once; "
                    "write smaller ones (in pyarrow: write_table(table, max_chunksize=65536))"
                )
            rows += message.rows
            widest = max(widest, message.unpacked_bytes // message.rows if message.rows else 0)
    except InvalidArgument as error:
        raise DataFault(f"{shown} cannot be read as Arrow IPC: {error}") from error
    return _Extent(start, end, rows, widest)


def _opened(stored: StoredFile, extent: _Extent) -> pa.RecordBatchStreamReader:
    try:
        return pa.ipc.open_stream(_Section(stored.raw, extent.start, extent.end))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(stored, error) from error


def _stored_batches(stored: StoredFile, extent: _Extent, skipped_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows from `skipped_rows` on."""
    with _opened(stored, extent) as stream:
        try:
            for batch in stream:
                if skipped_rows < batch.num_rows:
                    batch.validate(full=True)
                    yield batch.slice(skipped_rows)
                skipped_rows = max(0, skipped_rows - batch.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(stored, error) from error


def _damaged(stored: StoredFile, error: Exception) -> Exception:
    if isinstance(error, OSError) and error.errno is not None:
        return reading_failed(stored.location, error)
    return DataFault(f"{stored.location.shown} is damaged: {error}; write it anew")


class _Section(io.RawIOBase):
    """The bytes [start, end) of a file, read in order."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        super().__init__()
        self._file = file
        self._left = end - start
        file.seek(start)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        parts: list[bytes] = []
        while wanted and (part := self._file.read(wanted)):
            parts.append(part)
            wanted -= len(part)
            self._left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
