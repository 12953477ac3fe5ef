"""An artifact on its way in: small ones in memory, larger ones in a file of their own, which its client may write itself. Blocking."""

from __future__ import annotations

import contextlib
from pathlib import Path

from linkd.errors import Error, InternalFault, InvalidArgument
from linkd.limits import ARTIFACT_PACKED_MAX_BYTES, ARTIFACT_STEP_BYTES
from linkd.store.artifacts.checksums import ContentHash, digest_of_content
from linkd.store.artifacts.naming import Paths
from linkd.store.files import Bytes, File, Files


class IncomingArtifact:
    """`write` all of it in order, or `place` it and say how far it was `written`; then it is the store's to keep, or `discard` it.

    `size_bytes` is what it will have if that `is_exact`; else what it may have at most, as long as the store gives it no more.
    """

    def __init__(self, files: Files, paths: Paths, number: int, size_bytes: int, *, is_exact: bool) -> None:
        self._files = files
        self._paths = paths
        self._number = number
        self._has_name = False
        self._file: File | None = None
        self._parts: list[bytes] = []
        self._held_bytes = 0
        self._on_its_way_bytes = 0
        self._hash: ContentHash | None = None
        self.size_bytes = size_bytes
        self.is_exact = is_exact

    @property
    def _path(self) -> Path:
        return self._paths.upload(self._number)

    @property
    def held_bytes(self) -> int:
        """What came so far."""
        return self._held_bytes

    @property
    def is_whole(self) -> bool:
        """Whether it lies in a file of its own."""
        return self._file is not None

    def write(self, data: Bytes) -> None:
        """The next bytes. Raises InvalidArgument for more than there may be, StorageFull, StorageFailed; then `discard` it."""
        self._check(self._held_bytes + len(data))
        if self._file is None and self._held_bytes + len(data) <= ARTIFACT_PACKED_MAX_BYTES:
            self._parts.append(bytes(data))
        else:
            file, hashed = self._in_file()
            file.pwrite(data, self._held_bytes)
            self._begin_sync(self._held_bytes + len(data))
            hashed.update(data)
        self._held_bytes += len(data)

    def place(self) -> Path:
        """A file with room for all of it, for its client to write. Raises StorageFull, StorageFailed."""
        file, _ = self._in_file()
        if self.size_bytes:
            file.reserve(self.size_bytes)
        return self._path

    def written(self, end: int) -> None:
        """Its client has written the file up to here. Raises InvalidArgument for what cannot be, and where the file is shorter."""
        self._check(end)
        if end < self._held_bytes or self._file is None or self._hash is None:
            raise InvalidArgument(f"an upload that stands at {self._held_bytes:,} bytes cannot have been written up to {end:,}")
        self._begin_sync(end)
        self._hash.update_from(self._file, self._held_bytes, end)
        self._held_bytes = end
        if self._hash.size_bytes != end:
            raise InvalidArgument("the file of an upload is shorter than what was said to be written to it")

    def complete(self) -> tuple[bytes, bytes | None]:
        """All of it came: its digest, and the checksums of its pieces if it is large. Raises InvalidArgument if something is missing."""
        if self.is_exact and self._held_bytes != self.size_bytes:
            raise InvalidArgument(f"an artifact of {self.size_bytes:,} bytes was announced, and {self._held_bytes:,} came: put it again")
        if self._hash is None:
            return digest_of_content(self.content()), None
        return self._hash.digest, self._hash.sums

    def content(self) -> bytes:
        """All of it, of one that is small."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""

    def read_all(self) -> bytes:
        """All of it, of one that is known to be bounded."""
        return self.content() if self._file is None else self._file.pread(self._held_bytes, 0)

    def sync(self, digest: bytes) -> None:
        """It is on disk as a whole, in `aside/` under its digest, durably; it is not this one's any more."""
        if self._file is None:
            raise InternalFault("an artifact without a file was to be synced")
        self._file.truncate(self._held_bytes)
        self._file.datasync()
        self._file.close()
        self._file = None
        self._files.rename(self._path, self._paths.on_its_way(digest))
        self._has_name = False
        self._files.sync_directory(self._paths.aside)

    def discard(self) -> None:
        """It will not be kept. Again is harmless, and so it is behind `sync`."""
        self._parts.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._has_name:
            self._has_name = False
            with contextlib.suppress(Error):  # the next start deletes it
                self._files.unlink(self._path)

    def _begin_sync(self, end: int) -> None:
        """The disk writes while the rest comes, so that little is left for the sync."""
        if self._file is not None and end - self._on_its_way_bytes >= ARTIFACT_STEP_BYTES:
            self._file.begin_sync(self._on_its_way_bytes, end - self._on_its_way_bytes)
            self._on_its_way_bytes = end

    def _check(self, end: int) -> None:
        if end > self.size_bytes:
            raise InvalidArgument(f"an artifact of {self.size_bytes:,} bytes was announced, and more came: put it again")

    def _in_file(self) -> tuple[File, ContentHash]:
        if self._file is None or self._hash is None:
            self._file = self._files.create(self._path)
            self._has_name = True
            self._hash = ContentHash()
            content = self.content()
            self._file.pwrite(content, 0)
            self._hash.update(content)
            self._parts.clear()
        return self._file, self._hash
