"""The values of a whole snapshot until the program is given them: what lies in a file stays there, other values wait in memory, and beyond
`STREAM_HELD_MAX_BYTES` of them in one file of our own, unlinked at once. What is an artifact stays with the home, and goes from there."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from linkd.client.artifacts import Artifact
from linkd.client.calls import Connection
from linkd.client.lane_files import Region
from linkd.client.large_values import whole
from linkd.client.payloads import Arrived
from linkd.core.artifact_references import ATTRIBUTE
from linkd.core.evolution import united
from linkd.core.schema import OPAQUE_SCHEMA, from_payload, in_schema, opaque_batch
from linkd.faces.files.contents import bytes_of, file_in, pieces, second_file
from linkd.faces.files.directories import translated
from linkd.faces.files.work import FILE_FORMAT, RAW, FileTask
from linkd.limits import STREAM_HELD_MAX_BYTES
from linkd.wire.messages import envelope_of
from linkd.wire.opaque import OPAQUE_SCHEMA_MESSAGE

_Held = Arrived | Artifact | tuple[bytes, int, int]
"""A value: as it came, as the artifact that has its bytes, or as schema, offset and size in our own file."""


class HeldValues:
    """Takes the values of a snapshot. `close` it. Belongs to the event loop in which it is made."""

    def __init__(self, task: FileTask, connection: Connection, directory: Path) -> None:
        self._task = task
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._directory = directory
        self._values: dict[str, list[_Held]] = {}
        self._schemas: dict[str, dict[bytes, pa.Schema]] = {}
        self._held_bytes = 0
        self._spill: io.FileIO | None = None

    async def start_over(self) -> None:
        self._values.clear()
        self._schemas.clear()
        self._held_bytes = 0
        self.close()

    async def take(self, value: Arrived) -> None:
        """Raises StorageFailed, SchemaMismatch, TaskFailed."""
        wire = value.header.input
        artifact = self._artifact(wire, value)
        if artifact is not None:
            self._values.setdefault(wire, []).append(artifact)
            self._schemas.setdefault(wire, {})[OPAQUE_SCHEMA_MESSAGE] = OPAQUE_SCHEMA
            return
        value = await whole(self._connection, value)
        schema = value.schema
        if schema not in (schemas := self._schemas.setdefault(wire, {})):
            schemas[schema] = pa.ipc.read_schema(pa.py_buffer(schema))
        held: _Held = value
        if not isinstance(value.payload, Region):
            self._held_bytes += value.size_bytes
            if self._held_bytes > STREAM_HELD_MAX_BYTES:
                held = await asyncio.to_thread(self._spilled, value)
        self._values.setdefault(wire, []).append(held)

    def schema(self, wire: str, empty: Mapping[str, bytes]) -> pa.Schema:
        """The columns of an input: those of all its values, or of `empty`, the schema messages of inputs that hold none."""
        found = list(self._schemas.get(wire, {}).values())
        if found:
            return united(found)
        message = empty.get(wire, b"")
        return pa.ipc.read_schema(pa.py_buffer(message)) if message else pa.schema([])

    def batches(self, wire: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows of an input as `schema`, in order, each value let go of when the next is asked for. In a thread. Raises StateDamaged."""
        values = self._values.pop(wire, [])
        values.reverse()
        while values:
            held = values.pop()
            if isinstance(held, Artifact):
                yield from map(opaque_batch, pieces(self._connection, self._loop, held))
                continue
            batch = self._batch(held)
            yield batch if batch.schema.equals(schema) else in_schema(batch, schema, link=wire)

    def file(self, wire: str) -> Artifact | None:
        """The file that an input of `format: file` is; None if it holds no value."""
        return next((held for held in self._values.get(wire, ()) if isinstance(held, Artifact)), None)

    def _artifact(self, wire: str, value: Arrived) -> Artifact | None:
        """The file that a value of `format: file` is, or where the bytes of a raw one are."""
        kind = self._task.terms.formats[wire]
        if kind == FILE_FORMAT:
            envelope = envelope_of(value.header.envelope)
            if wire in self._values:
                raise second_file(self._task, wire, envelope)
            return file_in(self._task, wire, envelope)
        if kind != RAW or ATTRIBUTE not in value.header.envelope.attributes:
            return None
        return bytes_of(self._task, wire, envelope_of(value.header.envelope))

    def close(self) -> None:
        """Lets go of all of it."""
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    def _batch(self, held: Arrived | tuple[bytes, int, int]) -> pa.RecordBatch:
        if isinstance(held, Arrived):
            return held.batch(validate=True)
        schema, offset, size_bytes = held
        assert self._spill is not None
        with translated("the values of a run"):
            content = os.pread(self._spill.fileno(), size_bytes, offset)
        return from_payload(schema, content, validate=True)

    def _spilled(self, value: Arrived) -> tuple[bytes, int, int]:
        with translated("the values of a run"):
            if self._spill is None:
                descriptor, path = tempfile.mkstemp(dir=self._directory)
                os.unlink(path)  # noqa: PTH108  # it is ours alone, and goes with us
                self._spill = io.FileIO(descriptor, "r+")
            offset = self._spill.seek(0, os.SEEK_END)
            left = memoryview(value.payload)  # type: ignore[arg-type]  # a region is never spilled
            while left:
                left = left[self._spill.write(left) :]
        return value.schema, offset, value.size_bytes
