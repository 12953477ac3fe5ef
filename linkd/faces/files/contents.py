"""What a value is as bytes, where these are an artifact: of a value that is a file, or of bytes that are too large for one; and files as values.

They go from the home to a file of ours, or to a pipe, some MiB at a time, whatever their size.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from linkd.client.artifact_gets import get_bytes
from linkd.client.artifacts import Artifact, ArtifactRoad, content_of
from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.encoding import encode
from linkd.client.payloads import Payload
from linkd.client.publishing import KnownSchema
from linkd.core.artifact_references import attribute_of, cell_text, file_of
from linkd.core.artifacts import digest_of
from linkd.errors import SchemaMismatch, TaskFailed
from linkd.faces.files.work import IN_VARIABLE, FileTask
from linkd.limits import ARTIFACT_STEP_BYTES
from linkd.model.artifacts import ArtifactReference
from linkd.model.frozen import frozen
from linkd.model.values import Envelope
from linkd.wire.opaque import OPAQUE_COLUMN


@frozen()
class OutputValues:
    """Values of one output that are published together."""

    payloads: tuple[Payload, ...]
    attributes: Mapping[str, str]


@asynccontextmanager
async def artifact_road(connection: Connection) -> AsyncIterator[ArtifactRoad]:
    """The artifacts of a connection for the length of the block; the values of its snapshots come by this road, too."""
    background = Background()
    connection.road = ArtifactRoad(connection, background)
    try:
        yield connection.road
    finally:
        connection.road = None
        await background.close()


def bytes_of(task: FileTask, wire: str, envelope: Envelope) -> Artifact | None:
    """The artifact that holds the bytes of a value; None if they are in its payload. Raises SchemaMismatch for a directory."""
    found = content_of(envelope)
    if found is None and file_of(envelope.attributes) is not None:
        found = Artifact.of(envelope)
        if found.is_directory:
            name = task.file_name(wire)
            raise SchemaMismatch(
                f"${IN_VARIABLE}/{name}: {envelope.name} is a directory ({found.name}), which has no bytes: write `format: {{{wire}: file}}`"
            )
    return found


def file_in(task: FileTask, wire: str, envelope: Envelope) -> Artifact:
    """The file or directory that a value is. Raises SchemaMismatch for a value of rows."""
    if file_of(envelope.attributes) is None:
        shown = f"${IN_VARIABLE}/{task.file_name(wire)}"
        raise SchemaMismatch(
            f"{shown}: {envelope.name} is no file: `format: file` is for values that are (linkd.File); write another format"
        )
    return Artifact.of(envelope)


def second_file(task: FileTask, wire: str, envelope: Envelope) -> TaskFailed:
    """The error for a value of a snapshot whose file is there already."""
    return TaskFailed(
        f"{task.name}: {wire} holds several files, and ${IN_VARIABLE}/{task.file_name(wire)} is one ({envelope.name} is the second): "
        "add `each: true` to run it for each of them"
    )


def pieces(connection: Connection, loop: asyncio.AbstractEventLoop, artifact: Artifact) -> Iterator[bytes]:
    """Its bytes for a thread beside the loop, which must run while there are any."""
    digest = digest_of(artifact.digest)
    for start in range(0, artifact.size_bytes, ARTIFACT_STEP_BYTES):
        end = min(artifact.size_bytes, start + ARTIFACT_STEP_BYTES)
        yield asyncio.run_coroutine_threadsafe(get_bytes(connection, digest, start, end), loop).result()


async def file_value(road: ArtifactRoad, wire: str, path: Path, known: KnownSchema) -> OutputValues:
    """A file or directory that a program wrote as the value of its output. Raises InvalidArgument for what cannot be part of one, SchemaMismatch."""
    data, attributes = await road.brought(await road.put(path, wire, ""), None)
    payloads = encode(wire, data, schema=known.schema, declared=known.declared, inputs=())
    return OutputValues(payloads, attributes or {})


async def bytes_value(road: ArtifactRoad, wire: str, path: Path, known: KnownSchema) -> OutputValues:
    """The bytes of a file that are too many for a value as one: they are an artifact, and go from file to file."""
    artifact = await road.put(path, "", "")
    reference = ArtifactReference(digest_of(artifact.digest), artifact.size_bytes, column=OPAQUE_COLUMN)
    payloads = encode(wire, cell_text(reference).encode(), schema=known.schema, declared=known.declared, inputs=())
    return OutputValues(payloads, attribute_of([reference]))
