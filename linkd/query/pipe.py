"""The pipe between the home and a process that runs queries: what the two say to each other.

Frames are those of the lane (`wire.lane`): a length, a kind, content. Over its standard input the process gets

    CALL      JSON {"endpoint", "token", "catalog", "spill_directory", "spill_bytes"}, once: where the home is and what its pipeline is
              called, and for whom it works
    MESSAGE   a part of the parameters of the statement that comes next, an Arrow IPC stream
    CALL      JSON {"operation": "prepare" | "select" | "insert", "sql", "timeout_s", "traceparent"}: a statement; the next one
              follows behind its STATUS. With "question" and "answer" if it is known what it will ask
    CALL      JSON, the answer to a question of its own
    DONE      whoever asked has gone: the statement is to end

and over its standard output it says, of one statement after the other,

    CALL      JSON {"tables": [{"link", "generation", "history"}], "target", "links"}: which values are those of the tables that the statement
              reads, may it write to the link `target` (if that is not empty), and, if `links` is true, which are the links that may be read?
    MESSAGE   a part of an Arrow IPC message: the schema of the result, then its record batches; of an INSERT another schema, where it grows
    DONE      that message is whole
    STATUS    JSON, the end of the statement: {"rows", "links", ...} or {"code", "message"} of the error tree

The answer to a question is {"tables", "target_schema", "target_declared", "links"}: for each table its extents (`home.tables`), the schema of the
target in base64, whether it is declared, and the names of links; or {"permitted": [names]} if a table is not among those that may be read; or
{"code", "message"}. The process ends when its input does.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

from linkd.errors import InternalFault
from linkd.limits import STREAM_FRAME_MAX_BYTES
from linkd.wire.lane import HEAD, FrameKind, frame, head


def said(kind: FrameKind, content: object) -> bytes:
    """A frame with this as JSON."""
    return frame(kind, json.dumps(content).encode())


def cut(message: memoryview) -> Iterator[bytes | memoryview]:
    """The frames of a message, to be written one behind the other."""
    for start in range(0, len(message), STREAM_FRAME_MAX_BYTES):
        part = message[start : start + STREAM_FRAME_MAX_BYTES]
        yield head(FrameKind.MESSAGE, len(part))
        yield part


async def read_frame(reader: asyncio.StreamReader) -> tuple[FrameKind, bytes] | None:
    """The next frame; None when the other side has ended, in the middle of one or not."""
    try:
        length, kind = HEAD.unpack(await reader.readexactly(HEAD.size))
        return FrameKind(kind), await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except ValueError:
        raise InternalFault("what came over the pipe of a query is no frame") from None


def first_said(descriptor: int) -> dict[str, Any] | None:
    """The JSON of the first frame, read there and then, and no byte behind it; None when the other side has ended."""
    length, _ = HEAD.unpack(_exactly(descriptor, HEAD.size) or bytes(HEAD.size))
    content = _exactly(descriptor, length)
    return parsed(content) if content else None


def parsed(content: bytes) -> dict[str, Any]:
    """The JSON of a frame that has some."""
    value = json.loads(content)
    assert isinstance(value, dict)
    return value


def _exactly(descriptor: int, size_bytes: int) -> bytes:
    """Nothing if there are not so many."""
    content = b""
    while len(content) < size_bytes:
        piece = os.read(descriptor, size_bytes - len(content))
        if not piece:
            return b""
        content += piece
    return content
