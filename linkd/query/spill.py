"""The rows of the links a query reads, in files that are mapped and not held in memory.

Format, private to one query and gone with it: `DIRECTORY/LINK.N.arrow`, an uncompressed Arrow IPC file per link; N counts from 0 and
grows only where the link's schema was widened half-way (a column of nulls got its type). `DIRECTORY/duckdb/` is DuckDB's own.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pyarrow as pa

from linkd import limits
from linkd.core.arrow_types import plain_schema
from linkd.core.schema import conform
from linkd.errors import InvalidArgument, SchemaMismatch, StorageFailed

Answer = TypeVar("Answer")


class Spill:
    """A private directory of mapped inputs. A context manager: leaving it removes the directory; tables that were given stay readable.

    Not for several threads. Every method that writes raises `StorageFailed` where the disk refuses.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._inputs: dict[str, _Input] = {}

    @property
    def temporary_directory(self) -> Path:
        """Where DuckDB may put what does not fit its memory."""
        return self._directory / "duckdb"

    def __enter__(self) -> Self:
        self._directory.mkdir(mode=0o700, parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            for spilled in self._inputs.values():
                spilled.close()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def declare(self, link: str, schema: pa.Schema | None) -> None:
        """The query reads `link`; `schema` is what is known of its columns before any value comes."""
        spilled = self._inputs.setdefault(link, _Input(link, self._directory))
        if schema is not None:
            spilled.expect(schema)

    def add(self, link: str, batch: pa.RecordBatch) -> None:
        """One more value of `link`, in order. Raises `InvalidArgument` for a batch whose insides do not add up."""
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid:
            raise InvalidArgument(f"{link}: a value is damaged: its Arrow buffers do not add up") from None
        self._inputs.setdefault(link, _Input(link, self._directory)).add(batch)

    def tables(self) -> Mapping[str, pa.Table]:
        """All inputs as tables over mapped files; nothing can be added after it.

        Raises `SchemaMismatch` for an input of which neither a schema nor a value is known.
        """
        return {link: spilled.table() for link, spilled in self._inputs.items()}


class _Input:
    """One link's files. Small values are gathered, for a table of many tiny batches is slow to scan."""

    def __init__(self, link: str, directory: Path) -> None:
        self._link = link
        self._directory = directory
        self._schema: pa.Schema | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._gathered: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._paths: list[Path] = []
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def expect(self, schema: pa.Schema) -> None:
        """Values have this schema from here on. Raises `SchemaMismatch` for a type that DuckDB lacks."""
        schema = _readable(plain_schema(schema), self._link)
        if self._schema is None or not self._schema.equals(schema):
            self._flush()
            self.close()
            self._schema = schema

    def add(self, batch: pa.RecordBatch) -> None:
        self.expect(batch.schema)
        if batch.num_rows == 0:
            return
        self._waiting.append(conform(batch, self._schema, link=self._link))
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= limits.ROWS_PER_VALUE or self._waiting_bytes >= limits.SPILL_BATCH_BYTES:
            self._flush()
        elif len(self._waiting) == limits.SPILL_GATHERED_VALUES:
            self._gather()

    def table(self) -> pa.Table:
        if self._schema is None:
            raise SchemaMismatch(f"{self._link} has no columns: nothing was published to it; give links.{self._link}.schema")
        self._flush()
        self.close()
        parts = [self._mapped(path) for path in self._paths]
        return pa.Table.from_batches([batch for part in parts for batch in part], self._schema)

    def close(self) -> None:
        """Finish the file being written, if there is one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            _on_disk(writer.close)

    def _gather(self) -> None:
        """What waits becomes one batch, which waits with those before it."""
        self._gathered += pa.Table.from_batches(self._waiting).combine_chunks().to_batches()
        self._waiting = []

    def _flush(self) -> None:
        if not (self._waiting or self._gathered):
            return
        gathered = pa.Table.from_batches([*self._gathered, *self._waiting]).combine_chunks()
        self._waiting, self._gathered, self._waiting_rows, self._waiting_bytes = [], [], 0, 0
        if self._writer is None:
            path = self._directory / f"{self._link}.{len(self._paths)}.arrow"
            self._writer = _on_disk(lambda: pa.ipc.new_file(str(path), gathered.schema))
            self._paths.append(path)
        writer = self._writer
        _on_disk(lambda: writer.write_table(gathered))

    def _mapped(self, path: Path) -> list[pa.RecordBatch]:
        with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as file:
            batches = [file.get_batch(number) for number in range(file.num_record_batches)]
        return [batch if batch.schema.equals(self._schema) else conform(batch, self._schema, link=self._link) for batch in batches]


def _readable(schema: pa.Schema, link: str) -> pa.Schema:
    """The schema in types that DuckDB has: it knows no half floats, which a float holds as well, and no decimals of 256 bits."""
    return pa.schema([pa.field(field.name, _readable_type(field.type, f"{link}.{field.name}")) for field in schema])


def _readable_type(kind: pa.DataType, column: str) -> pa.DataType:
    types = pa.types
    if types.is_float16(kind):
        return pa.float32()
    if types.is_decimal256(kind):
        raise SchemaMismatch(f"{column} is {kind}, which SQL cannot read: publish it as decimal128, with at most 38 digits, or as text")
    if types.is_list(kind):
        return pa.list_(_readable_type(kind.value_type, column))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, _readable_type(field.type, column)) for field in kind])
    return kind


def _on_disk(step: Callable[[], Answer]) -> Answer:
    try:
        return step()
    except OSError as error:
        what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or "the disk refused")
        raise StorageFailed(f"the query could not write the rows it reads to its private files: {what}") from None
