"""Values that are bytes or files, on the command line: what `cat --format raw` writes, and what `append --format raw` and `--format file` publish.

They go to linkd and come from it piece by piece, whatever their size.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from linkd.app.cli.delivery import STANDARD_OUTPUT
from linkd.app.wording import size_text
from linkd.client.artifact_gets import PartFile
from linkd.client.artifact_sources import opened
from linkd.client.artifacts import Artifact, File, content_of
from linkd.core.artifact_references import attribute_of, cell_text, file_of
from linkd.core.artifacts import digest_of
from linkd.errors import InvalidArgument, SchemaMismatch, UsageFault
from linkd.limits import VALUE_SIZE_MAX_BYTES
from linkd.model.artifacts import ArtifactReference
from linkd.wire.opaque import OPAQUE_COLUMN

if TYPE_CHECKING:
    from linkd.client import session
    from linkd.client.publishing import Ack
    from linkd.client.sync import Client, Reading
    from linkd.client.values import Value

RAW, FILE = "raw", "file"
CONTENT_FORMATS = (RAW, FILE)


def deliver_raw(client: Client, reading: Reading, shown: str, output: str | None) -> str:
    """Writes the bytes of all values, one behind the other, and says what was made of it; "" for standard output.

    Raises UsageFault for a terminal, SchemaMismatch for values of rows.
    """
    if output is not None and output != STANDARD_OUTPUT:
        with PartFile(Path(output)) as file:
            written = _write_all(client, reading, file)
        return f"{size_text(written)} in {output}"
    if sys.stdout.isatty():
        raise UsageFault(f"{shown} is bytes, which no terminal shows: name a file with -o, or send it on with `>` or `|`")
    sys.stdout.flush()
    _write_all(client, reading, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    return ""


def _write_all(client: Client, reading: Reading, file: BinaryIO) -> int:
    written = 0
    for value in reading:
        artifact = _artifact(value)
        written += file.write(_bytes(value)) if artifact is None else client.get_artifact(artifact, file)
    return written


def _artifact(value: Value) -> Artifact | None:
    """Where the bytes of a value are, if they are not in it. Raises SchemaMismatch for a directory."""
    found = content_of(value.envelope)
    if found is None and file_of(value.envelope.attributes) is not None:
        found = value.file()
        if found.is_directory:
            raise SchemaMismatch(
                f"{value.name} is a directory, {found.name}, which has no bytes: name the one to make with -o, and no format"
            )
    return found


def _bytes(value: Value) -> bytes:
    try:
        return b"".join(row[OPAQUE_COLUMN] for row in value.rows()) if len(value) != 1 else value.bytes()
    except (KeyError, InvalidArgument, TypeError):
        raise SchemaMismatch(f"{value.name} holds rows, and raw is the bytes of values: take csv, jsonl, parquet or arrow") from None


async def append_content(client: session.Client, link: str, path: Path, kind: str) -> Ack:
    """Publishes a file as it is: `file`, as a file or directory; `raw`, its bytes, as one value. Raises NotAllowed, InvalidArgument, Overloaded."""
    if kind == FILE:
        return await client.publish(link, File(path))
    if path.is_dir():
        raise InvalidArgument(f"{path} is a directory, which has no bytes: append it with --format file")
    with opened(path) as file:
        content = await asyncio.to_thread(file.read, VALUE_SIZE_MAX_BYTES // 2)
    if len(content) < VALUE_SIZE_MAX_BYTES // 2:
        return await client.publish(link, content)
    artifact = await client.put_artifact(path)
    reference = ArtifactReference(digest_of(artifact.digest), artifact.size_bytes, column=OPAQUE_COLUMN)
    return await client.publish(link, cell_text(reference).encode(), attributes=attribute_of([reference]))
