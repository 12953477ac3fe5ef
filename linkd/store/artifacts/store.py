"""The artifacts of a home: content in, digests out, and back.

    artifacts = ArtifactStore.open(directory, files)
    artifacts.start(loop, quota_bytes=...)
    incoming = await artifacts.begin(size_bytes)
    incoming.write(data)
    kept = await artifacts.keep(incoming)           # durable
    async for piece in artifacts.read(kept.digest): ...
    await artifacts.close()

A directory without artifacts stays without a trace of them until the first one is put. One event loop; `open` blocks and comes before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from linkd.core.artifacts import Candidate, Uses, check_digest, excess_bytes, part_of, pieces
from linkd.errors import Conflict, Draining, LinkNotFound, Overloaded, StateDamaged
from linkd.limits import (
    ARTIFACT_INDEX_BATCH,
    ARTIFACT_PACK_FILE_BYTES,
    ARTIFACT_STEP_BYTES,
    INLINE_PAYLOAD_MAX_BYTES,
    MIB,
)
from linkd.model.artifacts import ArtifactKept
from linkd.model.frozen import frozen
from linkd.store.artifacts.committer import ArtifactCommitter
from linkd.store.artifacts.incoming import IncomingArtifact
from linkd.store.artifacts.index import ArtifactEntry, ArtifactIndex
from linkd.store.artifacts.keeping import Keeping
from linkd.store.artifacts.naming import INDEX_FILE, Paths
from linkd.store.artifacts.off_loop import off_loop
from linkd.store.artifacts.packs import Packs
from linkd.store.artifacts.reading import ArtifactReader
from linkd.store.artifacts.recovering import make_folders, recover
from linkd.store.artifacts.room import NOTHING, ArtifactRoom, Evicted
from linkd.store.files import Files

T = TypeVar("T")


@frozen()
class _Parts:
    """What there is once the directory is."""

    packs: Packs
    index: ArtifactIndex
    reader: ArtifactReader
    room: ArtifactRoom
    committer: ArtifactCommitter
    keeping: Keeping


class ArtifactStore:
    """See the head of the file."""

    def __init__(self, files: Files, paths: Paths, quarantine: Path, index_path: Path, now_s: Callable[[], float]) -> None:
        self._files = files
        self._paths = paths
        self._quarantine = quarantine
        self._index_path = index_path
        self._now_s = now_s
        self._there: _Parts | None = None
        self._making = asyncio.Lock()
        self._is_closed = False
        self._coming_bytes = 0
        self._uploads = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = True
        self._quota_bytes: Callable[[], int] = lambda: 2**63
        self.uses = Uses()
        self.pack_file_max_bytes = ARTIFACT_PACK_FILE_BYTES
        self.gate: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True)
        """Whether anything may be deleted or moved as long as its block runs: not while somebody copies the directory."""
        self.on_damage: Callable[[str], None] | None = None
        self.on_evicted: Callable[[Evicted], None] | None = None
        self.index_is_new = False
        """It was made again from the packs, and knows no names."""

    @staticmethod
    def open(
        directory: Path,
        files: Files,
        *,
        quarantine: Path | None = None,
        index_path: Path | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> ArtifactStore:
        """The artifacts in `directory`, if there are any; its parent must be there. Blocks.

        The index is a real file whatever `files` is, at `index_path`. Raises StateDamaged, StorageFailed.
        """
        paths = Paths(directory)
        store = ArtifactStore(files, paths, quarantine or directory.parent / "quarantine", index_path or directory / INDEX_FILE, now_s)
        if files.list(paths.directory):
            store._make()
        return store

    def start(self, loop: asyncio.AbstractEventLoop, *, quota_bytes: Callable[[], int] | None = None, thread: bool = True) -> None:
        """Begin to take artifacts. Without a thread all is written in the loop's own (for a simulator)."""
        self._loop, self._thread = loop, thread
        self._quota_bytes = quota_bytes or self._quota_bytes
        if self._there is not None:
            self._there.committer.start(loop, thread=thread)

    @property
    def held_bytes(self) -> int:
        """Of all that is kept."""
        return self._there.index.held_bytes if self._there is not None else 0

    # -- in -------------------------------------------------------------------------------------------------------------------------------

    async def begin(self, size_bytes: int | None) -> IncomingArtifact:
        """Room for an artifact of this size, or of one that only its end will tell, for which more is made by `grow`; end it by `keep` or `drop`.

        Raises Overloaded beyond the quota.
        """
        is_exact = size_bytes is not None
        size_bytes = ARTIFACT_STEP_BYTES if size_bytes is None else size_bytes
        parts = await self._made()
        await parts.committer.room()
        await self.make_room(size_bytes)
        self._coming_bytes += size_bytes
        self._uploads += 1
        return IncomingArtifact(self._files, self._paths, self._uploads, size_bytes, is_exact=is_exact)

    async def grow(self, incoming: IncomingArtifact, more_bytes: int) -> None:
        """Room for so much more of an artifact whose size was not said. Raises Overloaded beyond the quota."""
        lacking = incoming.held_bytes + more_bytes - incoming.size_bytes
        if lacking > 0 and not incoming.is_exact:
            step = max(lacking, ARTIFACT_STEP_BYTES)
            await self.make_room(step)
            self._coming_bytes += step
            incoming.size_bytes += step

    def drop(self, incoming: IncomingArtifact) -> None:
        """It will not be kept."""
        self._coming_bytes -= incoming.size_bytes
        incoming.discard()

    async def keep(self, incoming: IncomingArtifact, *, digest: bytes = b"", is_directory: bool = False) -> ArtifactKept:
        """Returns when it is durable. The incoming one is the store's from here on.

        Raises Conflict if it was said to have another `digest`, InvalidArgument if it is not complete or not the list of a directory, LinkNotFound
        if it is one of files that are not there; StorageFull, StorageFailed.
        """
        try:
            found, sums = incoming.complete()
            if digest and check_digest(digest) != found:
                raise Conflict(f"the content has the digest {found.hex()}, and not {digest.hex()} as was said: nothing was kept")
            parts = await self._made()
            written = await parts.keeping.keep(incoming, found, sums, self._blocking, is_directory=is_directory)
            if not self._thread:
                parts.committer.work()
            return await asyncio.shield(written)
        finally:
            self.drop(incoming)

    def keep_at_once(self, content: bytes) -> asyncio.Future[ArtifactKept] | None:
        """Keeps all of a small one before the next await; the future is done when it is durable, and is not to be cancelled.

        None, and nothing is done, where that takes waiting: `begin` then. Raises StorageFailed, StorageFull, Draining.
        """
        parts, size_bytes = self._there, len(content)
        if parts is None or self._loop is None or self._excess_bytes(size_bytes):
            return None
        written = parts.keeping.keep_at_once(content)
        if written is not None and not written.done():
            self._coming_bytes += size_bytes
            written.add_done_callback(lambda _: self._came(size_bytes))
            if not self._thread:
                parts.committer.work()
        return written

    def _came(self, size_bytes: int) -> None:
        self._coming_bytes -= size_bytes

    # -- out ------------------------------------------------------------------------------------------------------------------------------

    def find(self, digest: bytes) -> ArtifactKept | None:
        """What is known of it; None if it is not there. Raises InvalidArgument for what is no digest."""
        entry = self._find(check_digest(digest))
        return entry.kept if entry is not None else None

    def need(self, digest: bytes) -> ArtifactKept:
        """As `find`, of one that is in use from now on. Raises LinkNotFound if it is not there."""
        kept = self.find(digest)
        if kept is None:
            raise LinkNotFound(
                f"there is no artifact {digest.hex()}: it was never put here, or has made room for others as no value names it"
            )
        self.touch(digest)
        return kept

    def touch(self, digest: bytes) -> None:
        """Somebody has it in hand: it is the last to go, and not within `ARTIFACT_LEASE_S`."""
        if self._there is not None:
            self._there.index.used(digest, self.uses.next(self._now_s()))
            if self._there.index.uses_waiting == ARTIFACT_INDEX_BATCH:
                self._there.committer.look()

    def pinned(self, digest: bytes) -> AbstractContextManager[None]:
        """It stays as long as the block runs."""
        return self.uses.pinned(digest)

    async def read(self, digest: bytes, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Its bytes from `start` up to `end`, in pieces of a MiB at most, each as it was put.

        Raises LinkNotFound, InvalidArgument for bytes it does not have, StateDamaged for one that is damaged: it is set aside.
        """
        kept = self.need(digest)
        first, last = part_of(kept.size_bytes, start, end)
        with self.pinned(digest):
            for piece in pieces(first, last):
                yield await self._read(digest, *piece)

    async def _read(self, digest: bytes, start: int, end: int) -> bytes:
        parts, entry = self._there, self._find(digest)
        assert parts is not None
        if entry is None:
            raise LinkNotFound(f"artifact {digest.hex()} was damaged, and is not there any more: put it again")
        try:
            if not entry.is_whole and entry.kept.size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
                return parts.reader.read(entry, start, end)
            return await self._blocking(lambda: parts.reader.read(entry, start, end))
        except StateDamaged as damage:
            again = self._find(digest)
            if again is None:
                raise LinkNotFound(
                    f"artifact {digest.hex()} has made room for others meanwhile, as no value names it: put it again"
                ) from None
            if (again.pack, again.offset) != (entry.pack, entry.offset):
                return await self._read(digest, start, end)  # its pack was copied meanwhile
            await self._set_aside(parts, entry, damage)
            raise

    def path_of(self, digest: bytes) -> Path | None:
        """The file that it is, for who reads and checks it himself; None for one that lies among others. Pin it meanwhile."""
        entry = self._find(digest)
        return self._paths.of_whole(digest) if entry is not None and entry.is_whole else None

    async def _set_aside(self, parts: _Parts, entry: ArtifactEntry, damage: StateDamaged) -> None:
        def set_aside() -> None:
            parts.committer.write_index()
            parts.room.set_aside(entry)

        await parts.committer.do(set_aside)
        if self.on_damage is not None:
            self.on_damage(str(damage))

    # -- room -----------------------------------------------------------------------------------------------------------------------------

    async def make_room(self, coming_bytes: int) -> None:
        """Lets go of what was used least until so much more fits. Raises Overloaded if it does not."""
        parts = await self._made()
        if excess := self._excess_bytes(coming_bytes):
            await self._evict(parts, excess)
        quota = self._quota_bytes()
        if self.held_bytes + self._coming_bytes + coming_bytes > quota:
            raise Overloaded(
                f"an artifact of {coming_bytes:,} bytes does not fit: there are {self.held_bytes // MIB:,} MiB of the {quota // MIB:,} MiB that "
                "artifacts may take, and what values name, or somebody had in hand less than ten minutes ago, does not go. Let links retain less, "
                "or give linkd more disk (--disk-budget)"
            )

    def _excess_bytes(self, coming_bytes: int) -> int:
        """How much has to go before so much comes."""
        return excess_bytes(self.held_bytes, self._coming_bytes + coming_bytes, self._quota_bytes())

    def give_back_soon(self, size_bytes: int) -> None:
        """Room is short on the whole disk: lets go of so much, if it may go."""
        if self._there is not None and self._loop is not None:
            parts, staying = self._there, self.uses.staying(self._now_s())
            parts.committer.soon(lambda: self._evict_now(parts, size_bytes, staying))

    async def _evict(self, parts: _Parts, excess: int) -> None:
        staying = self.uses.staying(self._now_s())
        await parts.committer.do(lambda: self._evict_now(parts, excess, staying))

    def _evict_now(self, parts: _Parts, excess: int, staying: Callable[[Candidate], bool]) -> None:
        parts.committer.write_index()
        with self.gate() as is_open:
            gone = parts.room.make(excess, staying) if is_open else NOTHING
        if gone.count and self.on_evicted is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self.on_evicted, gone)

    # -- what values name -----------------------------------------------------------------------------------------------------------------

    def named(self, rows: Iterable[tuple[str, int, bytes]]) -> None:
        """Values (link, sequence) name these artifacts, which are there."""
        if self._there is not None:
            self._there.index.named(rows)

    def name_no_more(self, ranges: Sequence[tuple[str, int, int]]) -> None:
        """The values of these links, from a sequence to another, are gone, durably."""
        if self._there is not None and self._loop is not None:
            parts = self._there

            def forget() -> None:
                for link, first, last in ranges:
                    parts.index.name_no_more(link, first, last)

            parts.committer.soon(forget)

    def write_names(self) -> None:
        """What values name is durable when this returns. Blocks for a sync, if there is anything."""
        if self._there is not None:
            self._there.index.write_named()

    def keep_names(self, there: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        """At the start: only these values are there."""
        if self._there is not None and self._there.index.names_anything:
            self._there.index.keep_names(there)

    # -- for itself -----------------------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Writes what waits. Again is harmless."""
        self._is_closed = True
        if self._there is not None:
            parts, self._there = self._there, None
            await parts.committer.close()
            parts.reader.open_files.close()
            parts.packs.close()
            parts.index.close()

    def _find(self, digest: bytes) -> ArtifactEntry | None:
        return self._there.index.find(digest) if self._there is not None else None

    async def _made(self) -> _Parts:
        """The directory is there, from the first artifact on."""
        if self._there is None and not self._is_closed:
            async with self._making:
                if self._there is None and not self._is_closed:
                    await self._blocking(self._make)
                    if self._there is not None and self._loop is not None:
                        self._there.committer.start(self._loop, thread=self._thread)
        if self._there is None or self._loop is None:
            raise Draining("linkd is shutting down and takes no more artifacts; connect again")
        return self._there

    def _make(self) -> None:
        files, paths = self._files, self._paths
        make_folders(files, paths)
        packs, index = Packs(files, paths, self.pack_file_max_bytes), ArtifactIndex(self._index_path)
        self.index_is_new = index.is_new
        recover(files, paths, packs, index, self.uses)
        reader = ArtifactReader(files, paths, index)
        room = ArtifactRoom(files, paths, self._quarantine, packs, index, reader)
        committer = ArtifactCommitter(files, paths, packs, index)
        keeping = Keeping(committer, index, self.touch, lambda: self.uses.next(self._now_s()))
        self._there = _Parts(packs, index, reader, room, committer, keeping)

    async def _blocking(self, work: Callable[[], T]) -> T:
        """Off the event loop, unless all is done in it."""
        return await off_loop(work) if self._thread else work()
