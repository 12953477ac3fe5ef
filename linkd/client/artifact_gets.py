"""Getting artifacts: into memory, a file, or a directory; over a stream that goes on where it stood when the connection breaks, or by place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from linkd.client.calls import Connection, Patience
from linkd.errors import ConnectionFailed, Draining, InternalFault, InvalidArgument
from linkd.wire.methods import GET_ARTIFACT
from linkd.wire.v1 import artifacts_pb2 as pb

PART_SUFFIX = ".linkd-part"
"""Of a file that is being written: it has its name when it is complete."""


async def pieces_of(
    connection: Connection, digest: bytes, start: int = 0, end: int | None = None
) -> AsyncGenerator[bytes | memoryview, None]:
    """Its bytes from `start` up to `end`, in order. Raises what linkd refuses it with; ConnectionFailed where that stays away."""
    patience, at = Patience(connection.timeout_s), start
    while True:
        seen = connection.epoch
        try:
            async with connection.receive(GET_ARTIFACT, pb.GetArtifactRequest(digest=digest, start=at, end=end)) as stream:
                opening = await stream.read()
                if opening is None or opening.WhichOneof("message") != "found":
                    raise InternalFault("linkd gave an artifact without saying which")
                size_bytes = opening.found.artifact.size_bytes
                while (message := await stream.read()) is not None:
                    piece = message.chunk
                    patience = Patience(connection.timeout_s)
                    at += len(piece)
                    yield piece
            if at != (size_bytes if end is None else end):
                raise ConnectionFailed("linkd ended the stream in the middle of an artifact")
        except (ConnectionFailed, Draining) as error:
            await connection.recover(patience, seen, error)
        else:
            return


async def get_bytes(connection: Connection, digest: bytes, start: int, end: int | None) -> bytes:
    """In memory."""
    return b"".join([piece async for piece in pieces_of(connection, digest, start, end)])


async def get_into(connection: Connection, digest: bytes, file: BinaryIO, start: int, end: int | None) -> int:
    """Written to an open file; how many bytes."""
    written = 0
    async for piece in pieces_of(connection, digest, start, end):
        await asyncio.to_thread(file.write, piece)
        written += len(piece)
    return written


class PartFile:
    """A file beside the one that is to be written, which takes its place when all of it is there; left early, it goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + PART_SUFFIX)
        self.file: BinaryIO

    def __enter__(self) -> BinaryIO:
        if self._path.is_dir():
            raise InvalidArgument(f"{self._path} is a directory: give the path of a file")
        try:
            self.file = self._part.open("w+b")
        except OSError as problem:
            raise InvalidArgument(f"{self._path} cannot be written: {problem.strerror or problem}") from None
        return self.file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.file.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            with suppress(OSError):
                self._part.unlink()
