"""A publisher that lays sample values into shared files, as a client with a descriptor does. Needs pyarrow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from linkd.store.files import Files
from linkd.store.segment_format import directory_name, file_name
from linkd.store.shared_files import PlacedPayload, SharedFile
from linkd.store.store import Store
from linkd.testing.sample_values import SampleValue
from linkd.wire import arrow_ipc

ALIGNED = 64


@dataclass(eq=False)
class SampleWriter:
    """One writer of one store; `head_bytes` is what it leaves before each body beside the length of its metadata."""

    store: Store
    files: Files
    segments: Path
    head_bytes: int = 1_024
    file: SharedFile | None = None
    end: int = 0

    async def open(self, value: SampleValue, *, volatile: bool = False, size_bytes: int = 64 * 1024) -> SharedFile:
        """Asks for a file for values like this one."""
        envelope = value.envelope
        self.file = await self.store.shared.share(
            envelope.link,
            envelope.schema_id,
            value.schema,
            envelope.generation,
            volatile=volatile,
            owner=self,
            size_bytes=size_bytes,
        )
        self.end = self.file.start
        return self.file

    def has_room(self, value: SampleValue) -> bool:
        assert self.file is not None
        offset, body = self._laid(value)
        return offset + len(body) + 8 <= self.file.size_bytes

    async def place(self, value: SampleValue, *, gap_bytes: int = 0) -> PlacedPayload:
        """Writes the body behind what is there, perhaps leaving a gap, and says so."""
        assert self.file is not None
        message = arrow_ipc.read_message(value.payload)
        offset, body = self._laid(value, gap_bytes)
        self.write(body, offset)
        self.end = offset + len(body)
        return await self.store.shared.placed(self.file, offset, len(body), message.metadata)

    def write(self, data: bytes, offset: int) -> None:
        """Whatever a writer does with its descriptor."""
        assert self.file is not None
        file = self.files.open(self.path, writable=True)
        try:
            file.pwrite(data, offset)
        finally:
            file.close()

    @property
    def path(self) -> Path:
        assert self.file is not None
        return self.segments / directory_name(self.file.link) / file_name(self.file.number)

    def _laid(self, value: SampleValue, gap_bytes: int = 0) -> tuple[int, bytes]:
        message = arrow_ipc.read_message(value.payload)
        offset = self.end + 8 + len(message.metadata) + self.head_bytes + gap_bytes
        return -(-offset // ALIGNED) * ALIGNED, bytes(message.body)
