"""Segment files that their publishers write themselves, and segment files that readers map: who has which. What lies in them: `segment_format`.

A shared file is made for one writer, of one link, generation and schema, with its size and its room on the disk from the start. The writer lays
values into it (`placed`), which are committed like any other payload, later, in another order, or never. Its bytes are a reader's, too: whoever
was told where a value lies (`located`) holds the file until it has `released` that. So of a file that was let go of by retention

    held by a reader           the name stays, with `.spare` behind it, until the last reader has released it
    given to its writer again  if that lives, and nobody holds it or went away without releasing it: it gets another number, and the writer has
                               its descriptor already. Renamed only when nothing in it is live, and begun anew before it has a segment's name
    else                       it is deleted; mappings of it stay valid

`SharedFiles` belongs to the event loop, but for what is upkeep's, which it calls in its thread. Nothing here outlives the process: a start deletes
spare files, and all others that nothing durable names.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from linkd import limits
from linkd.errors import InvalidArgument, LinkNotFound, StateDamaged, ValueTooLarge
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.files import File, Files, open_descriptor
from linkd.store.holdings import Holdings
from linkd.store.inodes import Inode, Inodes, Use
from linkd.store.open_files import OpenFiles
from linkd.store.placed_payload import Located, PlacedPayload, Region, SharedFile, payload_xxh3
from linkd.store.segment_format import SPARE_SUFFIX, directory_name, file_name
from linkd.store.segments import SegmentWriter, make_link_directory
from linkd.store.staging import Piece
from linkd.wire import arrow_ipc

__all__ = ["Located", "PlacedPayload", "SharedFile", "SharedFiles"]


class SharedFiles:
    """See the head of the file. `on_gone` is told, on the loop, the id of a file that nothing will speak of any more."""

    def __init__(self, files: Files, directory: Path, holdings: Holdings, open_files: OpenFiles, segments: SegmentWriter) -> None:
        self._files = files
        self._directory = directory
        self._holdings = holdings
        self._open_files = open_files
        self._segments = segments
        self._lock = threading.Lock()
        self._inodes = Inodes()
        self._closed: list[tuple[str, int]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.on_gone: Callable[[int], None] = lambda file_id: None
        self._wake: Callable[[], None] = lambda: None

    def start(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> bool:
        """`wake` wakes upkeep. Whether an earlier life of the store has left shared files."""
        self._loop, self._wake = loop, wake
        left = self._holdings.shared_files()
        self._closed += [(link, file.file) for link, file in left]
        self._segments.were_volatile((link, file.file) for link, file in left if file.volatile)
        return bool(left)

    # -- for writers ----------------------------------------------------------------------------------------------------------------------

    async def share(
        self,
        link: str,
        schema_id: bytes,
        schema: bytes,
        generation: int,
        *,
        volatile: bool,
        owner: object,
        size_bytes: int,
        reserve: bool = True,
    ) -> SharedFile:
        """A file for this writer: one of its own of this link that came free, or a new one. `schema` is the encapsulated message of that id.

        `volatile`: the link's durability is `memory`. With `reserve` a new file has its size and its room on the disk at once, for a writer of
        another process. Whoever calls looks at the disk budget before. Raises `StorageFull`, `StorageFailed`, and `InvalidArgument` if the
        schema leaves no room, or the owner was forsaken meanwhile.
        """
        if len(schema) + len(arrow_ipc.EOS) > size_bytes:
            raise InvalidArgument(f"{link}: a file of {size_bytes} bytes has no room behind the schema")
        number = self._holdings.new_file(link)
        path = self._path(link, number)
        with self._lock:
            inode = self._inodes.grant(owner, link, number, path, size_bytes)
            inode.end = len(schema)
        try:
            is_fresh = await asyncio.to_thread(self._prepare, inode, path, schema, reserve)
        except BaseException:  # it may go on in its thread
            self._end_writing([inode], reusable=False)
            raise
        if not inode.is_open:
            raise InvalidArgument(f"{link}: the client that asked for room has gone")
        return SharedFile(inode.id, link, number, schema_id, generation, volatile, len(schema), inode.size_bytes, is_fresh)

    def descriptor(self, file_id: int, *, writable: bool) -> int:
        """A new OS descriptor of the file, which the caller closes. Raises `LinkNotFound` if it has gone, `StorageFailed`."""
        inode = self._inodes.get(file_id)
        if inode is None or (writable and inode.owner is None):
            raise LinkNotFound("the file of this value has gone: ask for the value again")
        for path in (inode.path, spare_path(inode.path)):  # upkeep may be renaming it
            with suppress(FileNotFoundError):
                return open_descriptor(path, writable=writable)
        raise LinkNotFound(f"{inode.path} has gone: ask for the value again")

    def write(self, file: SharedFile, parts: Sequence[Piece], offset: int) -> None:
        """Lays what came as bytes. Blocks: for a thread, behind which the writer may go. Raises `StorageFull`, `StorageFailed`."""
        inode = self._inodes.get(file.id)
        if inode is None or inode.handle is None or not inode.is_open:
            raise LinkNotFound(f"{file.link}: file {file.number} is not written to any more")
        inode.handle.pwritev(parts, offset)

    async def placed(
        self, file: SharedFile, body_offset: int, body_bytes: int, metadata: bytes, *, xxh3: int | None = None
    ) -> PlacedPayload:
        """As `placed_at_once`; a message of which no `xxh3` is said is read for that."""
        if xxh3 is not None:
            return self.placed_at_once(file, body_offset, body_bytes, metadata, xxh3=xxh3)
        region, info = self._region(file, body_offset, body_bytes, metadata)
        try:
            if body_bytes <= limits.INLINE_PAYLOAD_MAX_BYTES:
                xxh3 = payload_xxh3(region, metadata)
            else:
                xxh3 = await asyncio.to_thread(payload_xxh3, region, metadata)
        except BaseException:
            region.discard()
            raise
        return PlacedPayload(region, metadata, info, xxh3)

    def placed_at_once(self, file: SharedFile, body_offset: int, body_bytes: int, metadata: bytes, *, xxh3: int) -> PlacedPayload:
        """A value that lies in the file: its body, behind all that was placed there before, and the metadata of its record batch.

        `xxh3` is that of the message, as whoever laid it says. (What a publisher says is held against the content by everybody who reads it, so
        one that is wrong spoils its own value; to read it here would prove no more: it may still be written to.)

        Raises `InvalidArgument` for what does not fit the file or is not sound (`wire.arrow_ipc.check_batch`), `ValueTooLarge`,
        `StorageFailed`. The payload is settled with its commit, or by `discard`.
        """
        region, info = self._region(file, body_offset, body_bytes, metadata)
        try:
            region.check_there()
        except BaseException:
            region.discard()
            raise
        return PlacedPayload(region, metadata, info, xxh3)

    def _region(self, file: SharedFile, body_offset: int, body_bytes: int, metadata: bytes) -> tuple[Region, arrow_ipc.BatchInfo]:
        """Where the body lies, taken note of, and what the metadata says."""
        size_bytes = arrow_ipc.PREFIX_BYTES + len(metadata) + body_bytes
        if size_bytes > limits.VALUE_SIZE_MAX_BYTES:
            raise ValueTooLarge(
                f"a value has more than {limits.VALUE_SIZE_MAX_BYTES} bytes; publish it as several values (fewer rows in each)"
            )
        if len(metadata) > limits.MESSAGE_METADATA_MAX_BYTES or len(metadata) % 8:
            raise InvalidArgument(f"{file.link}: a value was placed with {len(metadata)} bytes of metadata")
        known = self._inodes.get(file.id)
        info = (known and known.described(metadata, body_bytes)) or arrow_ipc.check_batch(metadata, body_bytes)
        with self._lock:
            inode = self._inodes.placing(file.id, file.number, body_offset, body_bytes)
            inode.is_newest(body_offset, metadata, info)
        return Region(file, inode, body_offset, body_bytes, self.settled), info

    def unshare(self, file: SharedFile, *, reusable: bool) -> None:
        """Its writer places nothing more in it; what it has placed may be committed yet. Again is harmless.

        `reusable`: nor does it write to it, before it is told that the file is another one.
        """
        inode = self._inodes.get(file.id)
        if inode is not None and inode.number == file.number:
            self._end_writing([inode], reusable=reusable)

    def forsake(self, owner: object) -> None:
        """The writer is gone: no file of its is used again."""
        with self._lock:
            of_it = self._inodes.of_owner(owner)
            self._closed += [(one.link, one.number) for one in of_it if one.use is Use.SEGMENT and not one.is_written]
        self._end_writing(of_it, reusable=False)

    def settled(self, inode: Inode, body_offset: int) -> None:
        """What was placed there was committed, or will not be."""
        with self._lock:
            inode.bodies.pop(body_offset, None)
        self._look_at(inode)

    def is_free(self, inode: Inode, start: int, end: int) -> bool:
        """Whether nothing lies in these bytes that was placed there and is not settled."""
        with self._lock:
            return all(offset >= end or offset + length <= start for offset, length in inode.bodies.items())

    def is_segment(self, file: SharedFile) -> bool:
        """Whether the file is what its writer knows, and was not let go of by retention."""
        return self._inodes.of_file(file.link, file.number) is not None

    def give_back(self) -> int:
        """Room is short: files that wait to be used again go. Returns how many bytes come free."""
        with self._lock:
            spare = self._inodes.spare()
            for inode in spare:
                inode.reusable = False
        self._wake()
        return sum(inode.size_bytes for inode in spare)

    # -- for readers ----------------------------------------------------------------------------------------------------------------------

    def located(self, envelope: Envelope, place: Place) -> Located | None:
        """Where a value lies in a segment file; the file is held by one count more. None if it does not, or may be cut off by a crash."""
        link, number = envelope.link, place.file
        if place.kind is not PlaceKind.SEGMENT or self._segments.is_unsynced(link, place):
            return None
        with self._lock:
            is_there = self._holdings.file(link, number) is not None
            inode = self._inodes.hold(link, number, self._path) if is_there else None
            newest = inode.newest.get(place.offset + arrow_ipc.PREFIX_BYTES + place.metadata_bytes) if inode is not None else None
        if inode is None:
            return None
        try:
            with self._open_files.reading(inode.path) as file:
                metadata = newest[0] if newest is not None else _published_metadata(file, place)
                size_bytes = file.size()
        except (StateDamaged, InvalidArgument):  # it has gone, or is not what it was: whoever reads it says which
            self.released(inode.id, 1)
            return None
        offset = place.offset + arrow_ipc.PREFIX_BYTES + place.metadata_bytes
        end = offset + place.body_bytes
        if size_bytes < end:  # its writer has cut it off: a reader that maps it would be killed
            self.released(inode.id, 1)
            return None
        # Its writer may have stretched it beyond what can be mapped.
        size_bytes = min(size_bytes, max(end, limits.SEGMENT_FILE_MAX_BYTES))
        if inode.owner is None:  # what a writer was granted may be longer than the file is by now
            inode.size_bytes = size_bytes
        return Located(inode.id, size_bytes, offset, place.body_bytes, metadata)

    @property
    def held_bytes(self) -> int:
        """The files that readers hold: none of them goes before it is released."""
        with self._lock:
            return self._inodes.held_bytes

    def held(self, file_id: int) -> None:
        """The file is held by one count more: a reader passes on what it holds."""
        inode = self._inodes.get(file_id)
        if inode is not None:
            inode.holds += 1

    def released(self, file_id: int, count: int) -> None:
        """So many counts less."""
        inode = self._inodes.get(file_id)
        if inode is not None:
            inode.holds -= count
            self._look_at(inode)

    def tainted(self, file_id: int) -> None:
        """Somebody who held the file went away without releasing it, and may read it yet: it is never used again."""
        inode = self._inodes.get(file_id)
        if inode is not None:
            inode.reusable = False
            self._look_at(inode)

    # -- for upkeep -----------------------------------------------------------------------------------------------------------------------

    def is_in_use(self, link: str, number: int) -> bool:
        """Whether the file is a writer's that lives: what is left in it is not worth copying, for the file comes free as a whole soon."""
        inode = self._inodes.of_file(link, number)
        return inode is not None and inode.owner is not None

    def closed(self) -> list[tuple[str, int]]:
        """The segments that no more values go to, or that lost their writer, since this was asked last."""
        with self._lock:
            closed, self._closed = self._closed, []
            return closed

    def let_go(self, link: str, number: int, path: Path) -> None:
        """Nothing in this segment is live: it is deleted, or kept as a spare file. It must be there."""
        with self._lock:
            self._inodes.left([one for one in self._inodes.leaving() if self._holdings.file(*one) is not None])
            inode = self._inodes.let_go(link, number)
            keeps = inode is not None and (inode.holds > 0 or inode.is_written or self._inodes.may_be_used_again(inode))
        self._open_files.forget(path)
        if keeps:
            self._files.rename(path, spare_path(path))
        else:
            self._files.unlink(path)
        with self._lock:
            if inode is not None and keeps:
                inode.reusable = self._inodes.may_be_used_again(inode)
                inode.use = Use.SPARE
            elif inode is not None:
                self._forget(inode)

    def tidy(self) -> None:
        """Deletes the files that were given to a writer and are nothing now, and nobody holds or gets."""
        with self._lock:
            unnamed = [inode for inode in self._inodes.unnamed() if self._holdings.file(inode.link, inode.number) is None]
        for inode in unnamed:
            self.let_go(inode.link, inode.number, inode.path)
        with self._lock:
            over = self._inodes.over()
        for inode in over:
            if inode.use is Use.SPARE:
                self._files.unlink(spare_path(inode.path))
            with self._lock:
                self._forget(inode)

    # -- together -------------------------------------------------------------------------------------------------------------------------

    def _prepare(self, inode: Inode, path: Path, schema: bytes, reserve: bool) -> bool:
        """Begins the file: a stream without values, and behind it nothing, or what lay there before. Whether it is a new one. In a thread."""
        is_fresh = inode.use is Use.NOTHING
        try:
            if is_fresh:
                make_link_directory(self._files, path.parent)
                inode.handle = self._files.create(spare_path(path))
                inode.path, inode.use = path, Use.SPARE
                if reserve:
                    inode.handle.reserve(inode.size_bytes)
            else:
                inode.handle = self._files.open(spare_path(inode.path), writable=True)
            inode.handle.pwritev((schema, arrow_ipc.EOS), 0)
            self._files.rename(spare_path(inode.path), path)
            inode.path, inode.use = path, Use.SEGMENT
            self._files.sync_directory(path.parent)
            return is_fresh
        finally:
            with self._lock:
                inode.is_prepared = True
            if not inode.is_open:
                self._look_at(inode)

    def _end_writing(self, inodes: Sequence[Inode], *, reusable: bool) -> None:
        with self._lock:
            for inode in inodes:
                inode.is_open = False
                if not reusable:
                    inode.reusable, inode.owner = False, None
        for inode in inodes:
            self._look_at(inode)

    def _look_at(self, inode: Inode) -> None:
        """Something about it is over: nothing more is written to it, perhaps, or it is nothing any more."""
        with self._lock:
            if inode.is_written:
                return
            handle, inode.handle = inode.handle, None
            has_values = handle is not None and self._holdings.close(inode.link, inode.number)
            if has_values:
                self._closed.append((inode.link, inode.number))
        if handle is not None and has_values:
            self._segments.retire(handle)
        elif handle is not None:
            handle.close()
        if handle is not None or inode.use is not Use.SEGMENT:
            self._wake()

    def _forget(self, inode: Inode) -> None:
        self._inodes.forget(inode)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.on_gone, inode.id)

    def _path(self, link: str, number: int) -> Path:
        return self._directory / directory_name(link) / file_name(number)


def spare_path(path: Path) -> Path:
    """The name of what was this segment, or is to be it."""
    return path.with_name(path.name + SPARE_SUFFIX)


def _published_metadata(file: File, place: Place) -> bytes:
    """The metadata of a value as it was published. Raises `InvalidArgument` if it is not what it was."""
    stamped = file.pread(place.metadata_bytes, place.offset + arrow_ipc.PREFIX_BYTES)
    metadata = arrow_ipc.unstamp(stamped, place.size_bytes - place.body_bytes - arrow_ipc.PREFIX_BYTES)
    arrow_ipc.check_batch(metadata, place.body_bytes)
    return metadata
