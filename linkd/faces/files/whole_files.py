"""Whole files of rows, both ways: an input as a program finds it, an output as it left it.

Both are the business of the `file` adapter: an output is typed, and refused, as a source of that format is, and an input is written as a sink
would be. `raw` files are the bytes of values, one behind the other; an output of that kind is one value. An empty output of a text format has no
rows, and says nothing of columns. What is a `file` is taken and given as it is (`contents`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from linkd.client.artifacts import Artifact, ArtifactRoad
from linkd.client.calls import Connection
from linkd.client.encoding import encode
from linkd.client.large_values import encoded
from linkd.client.payloads import Payload
from linkd.client.publishing import KnownSchema
from linkd.core.arrow_types import type_text
from linkd.core.evolution import united
from linkd.core.schema import in_schema, is_opaque
from linkd.errors import BadRow, Error, SchemaMismatch
from linkd.faces.files.contents import OutputValues, bytes_value, file_value
from linkd.faces.files.directories import translated
from linkd.faces.files.raw import RAW_VALUE_MAX_BYTES, raw_bytes, raw_values
from linkd.faces.files.threads import in_thread_if_large
from linkd.faces.files.work import FILE_FORMAT, IN_VARIABLE, OUT_VARIABLE, RAW, FileTask
from linkd.limits import FILES_ON_LOOP_MAX_BYTES
from linkd.plugin.contract import REJECT, Adapter, CsvDialect, LinkOptions, RowWriter

_TEXT = ("csv", "jsonl")
_STANDARD = {IN_VARIABLE: "stdin", OUT_VARIABLE: "stdout"}


class ColumnsGrew(Exception):
    """The columns of an input became more or wider in the middle of it: what was written has to be written anew, with all of them."""


class InputFile:
    """One input as a file that is being written. Its methods block."""

    def __init__(self, task: FileTask, wire: str, path: Path, schema: pa.Schema, adapter: Adapter) -> None:
        """Raises SchemaMismatch for columns that the format cannot hold, StorageFailed where the disk refuses."""
        self._task, self._wire, self.schema = task, wire, schema
        options = _options(task, wire, path, IN_VARIABLE)
        self._shown = options.shown
        with translated(self._shown):
            self._file = path.open("x+b")  # read, too: an artifact that is copied into it is verified where it lies
        self._writer: RowWriter | None = None
        if task.terms.formats[wire] != RAW and schema.names:
            try:
                self._writer = adapter.row_writer(options, schema, self._file)  # type: ignore[arg-type]  # buffered: batches may be small
            except Error:
                self.drop()
                raise
        elif schema.names and not is_opaque(schema):
            self.drop()
            columns = ", ".join(schema.names[:5])
            raise SchemaMismatch(
                f"{self._shown}: raw files hold the bytes of values, and {wire} has columns ({columns}): write `format: csv`"
            )

    def write(self, batch: pa.RecordBatch) -> None:
        """Raises ColumnsGrew, StorageFailed."""
        if batch.schema != self.schema:
            if united((self.schema, batch.schema)) != self.schema:
                raise ColumnsGrew
            batch = in_schema(batch, self.schema, link=self._wire)
        with translated(self._shown):
            if self._writer is not None:
                self._writer.write(batch)
            elif batch.num_columns:
                self._file.write(raw_bytes(batch))

    async def copy(self, road: ArtifactRoad, artifact: Artifact) -> None:
        """Writes bytes of any size. Raises StorageFailed, LinkNotFound, StateDamaged."""
        with translated(self._shown):
            await road.append(artifact, self._file)

    def end(self) -> None:
        """The file is complete. Raises StorageFailed."""
        with translated(self._shown):
            if self._writer is not None:
                self._writer.end()
            self._file.close()

    def drop(self) -> None:
        """Nothing more is written; of what is complete nothing is lost."""
        with suppress(OSError):  # where the disk is full, what was not written yet cannot be: nobody wants it
            self._file.close()


async def output_values(
    connection: Connection, road: ArtifactRoad, task: FileTask, wire: str, path: Path, known: KnownSchema, adapter: Adapter
) -> AsyncGenerator[OutputValues, None]:
    """What an output becomes, in pieces that are published one behind the other. Raises as `output_batches`, and what an artifact is refused with."""
    kind = task.terms.formats[wire]
    if kind == FILE_FORMAT:
        yield await file_value(road, wire, path, known)
        return
    if kind == RAW and path.stat().st_size > RAW_VALUE_MAX_BYTES:
        yield await bytes_value(road, wire, path, known)
        return
    async with aclosing(output_batches(task, wire, path, known, adapter)) as batches:
        async for batch in batches:
            if batch.num_rows or not known.schema:
                made = await batch_values(connection, wire, batch, known)
                known = KnownSchema(made.payloads[-1].schema, known.declared)
                yield made


async def batch_values(connection: Connection, wire: str, batch: pa.RecordBatch, known: KnownSchema) -> OutputValues:
    """The values that a piece of an output becomes. Its types are those of all the file: they are not found out again. Raises SchemaMismatch."""
    schema = known.schema or batch.schema.serialize().to_pybytes()

    async def encode_rows(rows: pa.RecordBatch | pa.Table) -> tuple[Payload, ...]:
        return await in_thread_if_large(rows.nbytes, encode, wire, rows, schema=schema, declared=known.declared, inputs=())

    return OutputValues(*await encoded(connection, batch, None, encode_rows))


async def output_batches(
    task: FileTask, wire: str, path: Path, known: KnownSchema, adapter: Adapter
) -> AsyncGenerator[pa.RecordBatch, None]:
    """The rows of an output, in pieces that values may be made of; at least one, unless it says nothing of its columns.

    Raises what a source of the format would, about `$LINKD_OUT/FILE`.
    """
    kind = task.terms.formats[wire]
    size_bytes = path.stat().st_size
    if kind == RAW:
        async for batch in _raw(path):
            yield batch
        return
    if size_bytes == 0 and kind in _TEXT:
        return
    if size_bytes <= FILES_ON_LOOP_MAX_BYTES and (small := _at_once(task, wire, path, known, adapter)) is not None:
        for batch in small:
            yield batch
        return
    options = replace(_options(task, wire, path, OUT_VARIABLE), on_bad_row=REJECT)
    if known.declared:
        options = replace(options, schema={field.name: type_text(field.type) for field in _read_schema(known)})
    source = adapter.source(options)
    try:
        survey = await source.survey()
        if known.schema and not known.declared:
            kept = _read_schema(known)
            if set(kept.names) == set(survey.schema.names):
                survey = replace(survey, schema=kept)
        async with aclosing(source.read(survey, None)) as batches:
            async for batch in batches:
                if batch.rejects is not None and batch.rejects.num_rows:
                    raise _bad_row(task, batch.rejects)
                yield batch.data
    finally:
        await source.close()


def _at_once(task: FileTask, wire: str, path: Path, known: KnownSchema, adapter: Adapter) -> list[pa.RecordBatch] | None:
    """The rows of a small text of known columns; None where they are to be found, or one does not fit: a source tells which, and why."""
    if task.terms.formats[wire] not in _TEXT or not known.schema:
        return None
    schema = _read_schema(known)
    options = replace(_options(task, wire, path, OUT_VARIABLE), schema={field.name: type_text(field.type) for field in schema})
    try:
        with path.open("rb") as file:
            return list(adapter.row_decoder(options).typed(file.read, schema))
    except (Error, OSError):
        return None


def _bad_row(task: FileTask, rejects: pa.RecordBatch) -> BadRow:
    """The first row that does not fit: of a program's own output there is nobody to send it to."""
    row = rejects.slice(0, 1).to_pylist()[0]
    column = f"column {row['column']}: " if row["column"] else ""
    return BadRow(f"{row['file']}:{row['line']}: {column}{row['reason']}; {task.name} wrote it, and nothing of this run was taken")


async def _raw(path: Path) -> AsyncGenerator[pa.RecordBatch, None]:
    with translated("what a program wrote"), path.open("rb") as file:
        values = raw_values(file.read)
        while (batch := await asyncio.to_thread(next, values, None)) is not None:
            yield batch


def _options(task: FileTask, wire: str, path: Path, variable: str) -> LinkOptions:
    kind = task.terms.formats[wire]
    dialect = CsvDialect(header=task.terms.header) if kind == "csv" else CsvDialect()
    shown = f"{task.name} ({_STANDARD[variable]})" if task.terms.is_pipe else f"${variable}/{path.name}"
    return LinkOptions(link=wire, location=path.name, base=path.parent, format=kind, dialect=dialect, written=shown)


def _read_schema(known: KnownSchema) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(known.schema))
