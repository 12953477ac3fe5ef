"""Files and other content, for programs: what `linkd.File` and `linkd.Artifact` are, and the calls of a client that put and get them.

Small content goes many to a stream, large content on a stream of its own, or from file to file over the lane (`lane_artifacts`).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, overload

from linkd.client.artifact_gets import PartFile, get_bytes, get_into
from linkd.client.artifact_puts import SmallPuts, put_large
from linkd.client.artifact_sources import BytesSource, Content, first_error, in_thread, opened, source_of
from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.content import Part
from linkd.client.extras import is_installed
from linkd.client.large_values import whole_part
from linkd.core.artifact_references import FILE_COLUMNS, attribute_of, cells_of, check_file_name, file_of
from linkd.core.artifacts import digest_of
from linkd.core.file_lists import FileList, ListedFile
from linkd.errors import ConnectionFault, InvalidArgument
from linkd.limits import ARTIFACT_PACKED_MAX_BYTES, ARTIFACT_PUT_WINDOW, ARTIFACTS_STAT_MAX, PLACED_AT_ONCE_BYTES
from linkd.model.artifacts import ArtifactReference
from linkd.model.values import Envelope
from linkd.wire.methods import STAT_ARTIFACTS
from linkd.wire.opaque import OPAQUE_SCHEMA_ID
from linkd.wire.v1 import artifacts_pb2 as pb

Target = str | os.PathLike[str] | BinaryIO
UNKNOWN_TYPE = "application/octet-stream"
FOLDER_TYPE = "inode/directory"


class File:
    """A file or directory of this machine that is to be published as a value: `publish("photos", linkd.File("photo.jpg"))`.

    Its content goes to linkd once, whatever its size, and the value names it. `name` is the file's, unless another is given; `media_type` is guessed
    from it.
    """

    __slots__ = ("media_type", "name", "path")

    def __init__(self, path: str | os.PathLike[str], *, name: str = "", media_type: str = "") -> None:
        self.path = Path(path)
        self.name = check_file_name(name or self.path.resolve().name)
        self.media_type = media_type

    def __repr__(self) -> str:
        return f"<File {self.path}>"


class Artifact:
    """Content that linkd keeps under its digest: what `put_artifact` gives, and what a value that is a file is (`value.file()`).

    `digest` is its BLAKE3 in hexadecimal; of a directory that of the list of its files. `size_bytes` is that of all its files then.
    """

    __slots__ = ("digest", "is_directory", "media_type", "name", "size_bytes")

    def __init__(self, digest: str, size_bytes: int, name: str = "", media_type: str = "", *, is_directory: bool = False) -> None:
        self.digest = digest
        self.size_bytes = size_bytes
        self.name = name
        self.media_type = media_type
        self.is_directory = is_directory

    @staticmethod
    def of(envelope: Envelope) -> Artifact:
        """The file that a value is. Raises InvalidArgument for a value that is none."""
        found = file_of(envelope.attributes)
        if found is None:
            raise InvalidArgument(f"{envelope.name} is no file: files are published as linkd.File(path)")
        return Artifact(found.digest.hex(), found.size_bytes, found.name, found.media_type, is_directory=found.is_directory)

    def reference(self) -> ArtifactReference:
        """What a value says that is this file."""
        name = check_file_name(self.name or self.digest)
        return ArtifactReference(digest_of(self.digest), self.size_bytes, name, self.media_type, self.is_directory)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artifact) and (self.digest, self.is_directory) == (other.digest, other.is_directory)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Artifact {self.name or self.digest[:12]}: {self.size_bytes:,} bytes{', a directory' if self.is_directory else ''}>"


class ArtifactRoad:
    """The artifacts of one connection. Belongs to its event loop."""

    def __init__(self, connection: Connection, background: Background) -> None:
        self._connection = connection
        self._small = SmallPuts(connection, background)
        self.wait: Callable[..., Any] | None = None
        """Of the synchronous face: awaits a call in the loop, for a thread that waits."""

    async def put(self, content: Content, name: str, media_type: str) -> Artifact:
        """See `ArtifactCalls.put_artifact`."""
        if isinstance(content, str | os.PathLike):
            path = Path(content)
            name = name or path.resolve().name
            if path.is_dir():
                return await self._put_folder(path, name, media_type or FOLDER_TYPE)
            message = await self._put_file(path)
        else:
            source = source_of(content)
            is_small = isinstance(source, BytesSource) and source.size_bytes <= ARTIFACT_PACKED_MAX_BYTES
            message = await (
                self._small.put(bytes(await source.read(ARTIFACT_PACKED_MAX_BYTES))) if is_small else put_large(self._connection, source)
            )
        return Artifact(message.digest.hex(), message.size_bytes, name, media_type or _guessed(name))

    async def get(self, digest: str, to: Target | None, start: int, end: int | None) -> bytes | int:
        """See `ArtifactCalls.get_artifact`."""
        which = digest_of(digest)
        if to is None:
            return await get_bytes(self._connection, which, start, end)
        if not isinstance(to, str | os.PathLike):
            return await get_into(self._connection, which, to, start, end)
        with PartFile(Path(to)) as file:
            if start == 0 and end is None and await self._got_by_place(which, file):
                return os.fstat(file.fileno()).st_size
            return await get_into(self._connection, which, file, start, end)

    async def append(self, artifact: Artifact, file: BinaryIO) -> None:
        """All of it behind what an open file of ours holds: by place where that is nothing."""
        which = digest_of(artifact.digest)
        file.flush()
        if file.tell() == 0 and await self._got_by_place(which, file):
            file.seek(0, os.SEEK_END)
        else:
            await get_into(self._connection, which, file, 0, None)

    async def save(self, artifact: Artifact, path: Path) -> Path:
        """See `ArtifactCalls.save`."""
        if artifact.is_directory:
            from linkd.client.folders import write_folder

            await write_folder(path, await get_bytes(self._connection, digest_of(artifact.digest), 0, None), self._save_file)
        else:
            await self.get(artifact.digest, path, 0, None)
        return path

    def saved(self, artifact: Artifact, path: Path) -> Any:
        """As `save`, for either face: done when it returns, or to be awaited."""
        return self.save(artifact, path) if self.wait is None else self.wait(self.save, artifact, path)

    async def write(self, content: bytes, path: Path) -> Path:
        """Bytes that are here to a file, which has its name when all of it is there."""
        with PartFile(path) as file:
            await asyncio.to_thread(file.write, content)
        return path

    def written(self, content: bytes, path: Path) -> Any:
        """As `write`, for either face: done when it returns, or to be awaited."""
        return self.write(content, path) if self.wait is None else self.wait(self.write, content, path)

    async def whole(self, part: Part, envelope: Envelope) -> Part:
        """A payload with all its cells."""
        return await whole_part(self._connection, part, cells_of(envelope.attributes), envelope.name)

    async def there(self, digests: Iterable[str]) -> list[str]:
        """See `ArtifactCalls.artifacts_there`."""
        asked, found = [digest_of(digest) for digest in digests], list[str]()
        for at in range(0, len(asked), ARTIFACTS_STAT_MAX):
            request = pb.StatArtifactsRequest(digests=asked[at : at + ARTIFACTS_STAT_MAX])
            answer = await self._connection.retry(partial(self._connection.call, STAT_ARTIFACTS, request))
            found += [one.digest.hex() for one in answer.found]
        return found

    async def brought(self, data: object, attributes: Mapping[str, str] | None) -> tuple[object, Mapping[str, str] | None]:
        """Data and attributes of a publish: of a file its content is with linkd now, and these are of the value that names it."""
        reader = getattr(sys.modules.get("pyarrow"), "RecordBatchReader", None)  # a thread may be half way through its import
        if reader is not None and isinstance(data, reader):
            data = data.read_all()  # it may have to be looked at a second time
        if isinstance(data, File):
            data = await self.put(data.path, data.name, data.media_type)
        if not isinstance(data, Artifact):
            return data, attributes
        reference = data.reference()
        row = (reference.name, reference.size_bytes, reference.media_type, data.digest, reference.is_directory)
        return [dict(zip(FILE_COLUMNS, row, strict=True))], {**(attributes or {}), **attribute_of([reference])}

    async def _put_file(self, path: Path) -> Any:
        with opened(path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes <= ARTIFACT_PACKED_MAX_BYTES and path.is_file():
                content = await asyncio.to_thread(file.read, ARTIFACT_PACKED_MAX_BYTES + 1)
                if len(content) <= ARTIFACT_PACKED_MAX_BYTES:
                    return await self._small.put(content)
                file.seek(0)
            lane = self._connection.lane() if size_bytes >= PLACED_AT_ONCE_BYTES and path.is_file() else None
            if lane is not None:
                try:
                    return await in_thread(partial(lane.put, file.fileno(), size_bytes), lane.abort)
                except ConnectionFault:  # it is put again as bytes, which may go on over another connection
                    file.seek(0)
            return await put_large(self._connection, source_of(file))

    async def _got_by_place(self, digest: bytes, file: BinaryIO) -> bool:
        """Whether all of it is in the file, which is empty otherwise."""
        lane = self._connection.lane() if is_installed("blake3") else None
        if lane is None:
            return False
        try:
            return await in_thread(partial(lane.get, digest, file.fileno()), lane.abort)
        except ConnectionFault:
            file.truncate(0)
            return False

    async def _put_folder(self, path: Path, name: str, media_type: str) -> Artifact:
        """Its files, some at a time, and then their list."""
        from linkd.client.folders import folder_of

        folder = await asyncio.to_thread(folder_of, path)
        some_at_a_time = asyncio.Semaphore(ARTIFACT_PUT_WINDOW // 16)

        async def put(inside: str, executable: bool) -> ListedFile:
            async with some_at_a_time:
                message = await self._put_file(path / inside)
            return ListedFile(inside, message.size_bytes, message.digest, executable)

        try:
            async with asyncio.TaskGroup() as group:
                putting = [group.create_task(put(*one), name=f"linkd put {one[0]}") for one in folder.files]
        except ExceptionGroup as failures:
            raise first_error(failures) from None
        listed = FileList(tuple(task.result() for task in putting), folder.empty)
        content = listed.encoded()
        message = await self._small.put(content, directory=True)
        return Artifact(message.digest.hex(), listed.size_bytes, name, media_type, is_directory=True)

    async def _save_file(self, digest: bytes, path: Path) -> None:
        await self.get(digest.hex(), path, 0, None)


class ArtifactCalls:
    """What a client does with artifacts."""

    _artifacts: ArtifactRoad

    async def put_artifact(self, content: Content, *, name: str = "", media_type: str = "") -> Artifact:
        """Keeps content under its digest, durably: bytes, a file or directory by its path, or an open binary file from where it stands.

        The same content is stored once. What no value names yet stays for ten minutes at least, and then as long as there is room; publish it:
        `await client.publish("photos", artifact)`. Of any size, in bounded memory; goes on where it stood when linkd is restarted. Raises NotAllowed
        for who may not publish anything, Overloaded where there is no room, SourceChanged for a file that somebody writes to.
        """
        return await self._artifacts.put(content, name, media_type)

    async def put_artifacts(self, contents: Iterable[Content]) -> list[Artifact]:
        """As `put_artifact` of each, many at once: small ones are made durable together, thousands in a second."""
        some_at_a_time = asyncio.Semaphore(ARTIFACT_PUT_WINDOW)

        async def put(content: Content) -> Artifact:
            try:
                return await self._artifacts.put(content, "", "")
            finally:
                some_at_a_time.release()

        try:
            async with asyncio.TaskGroup() as group:
                putting = []
                for content in contents:
                    await some_at_a_time.acquire()
                    putting.append(group.create_task(put(content), name="linkd put artifact"))
        except ExceptionGroup as failures:
            raise first_error(failures) from None
        return [task.result() for task in putting]

    @overload
    async def get_artifact(self, artifact: Artifact | str, to: None = None, *, start: int = 0, end: int | None = None) -> bytes: ...

    @overload
    async def get_artifact(self, artifact: Artifact | str, to: Target, *, start: int = 0, end: int | None = None) -> int: ...

    async def get_artifact(
        self, artifact: Artifact | str, to: Target | None = None, *, start: int = 0, end: int | None = None
    ) -> bytes | int:
        """The content of an artifact, or of its digest: in memory, or written to a path or an open binary file; then how many bytes were.

        `start` and `end` (not included) ask for a part of it. Nothing is given that is not what was put; a file has its name when all of it is
        there. Of a directory this is the list of its files: see `save`. Raises LinkNotFound, InvalidArgument for bytes it does not have,
        StateDamaged.
        """
        return await self._artifacts.get(artifact.digest if isinstance(artifact, Artifact) else artifact, to, start, end)

    async def artifacts_there(self, digests: Iterable[str]) -> list[str]:
        """Those of these digests that linkd has; they stay for ten minutes at least."""
        return await self._artifacts.there(digests)

    async def save(self, artifact: Artifact | Any, path: str | os.PathLike[str]) -> Path:
        """Writes an artifact, or a value that is a file, to `path`: a file, or a directory that is not there yet. Returns the path."""
        found = artifact if isinstance(artifact, Artifact) else content_of(artifact.envelope) or Artifact.of(artifact.envelope)
        return await self._artifacts.save(found, Path(path))


def content_of(envelope: Envelope) -> Artifact | None:
    """The bytes that a value is, where they are an artifact because they are too large for a value; None for any other value."""
    found = cells_of(envelope.attributes)
    if envelope.schema_id != OPAQUE_SCHEMA_ID or envelope.rows != 1 or len(found) != 1:
        return None
    return Artifact(found[0].digest.hex(), found[0].size_bytes)


def _guessed(name: str) -> str:
    """The media type of a file with this name, as far as its name tells it; of content without a name nothing is said."""
    import mimetypes  # reads the system's list of them

    return mimetypes.guess_type(name)[0] or UNKNOWN_TYPE if name else ""
