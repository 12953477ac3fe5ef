"""The artifacts of a home: who may put and get them, uploads that wait for their client, and which of them values name.

What names an artifact is the envelope of a value. It is told to the index of the artifacts when the value is admitted, and is on disk there before a
checkpoint lets go of the value's record; that the value is gone is told when that is durable. So the index may know names too many, never too few; a
start takes away those that are too many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from linkd.core.artifact_references import ATTRIBUTE, references_of
from linkd.core.ledger import Ledger
from linkd.core.rights import Identity
from linkd.errors import InvalidArgument, LinkNotFound, Overloaded
from linkd.home.clock import Clock
from linkd.home.deadlines import Deadlines
from linkd.home.disk import DiskBudget
from linkd.limits import ARTIFACT_UPLOAD_ID_MAX_BYTES, ARTIFACT_UPLOAD_KEPT_S, ARTIFACT_UPLOADS_MAX
from linkd.model.artifacts import ArtifactKept, ArtifactReference
from linkd.model.frozen import frozen
from linkd.model.kept import Kept
from linkd.model.records import Dropped, Record, ValueStored
from linkd.store.artifacts.incoming import IncomingArtifact
from linkd.store.artifacts.naming import FOLDER
from linkd.store.artifacts.room import Evicted
from linkd.store.artifacts.store import ArtifactStore
from linkd.store.damage import QUARANTINE
from linkd.store.standstill import working
from linkd.store.store import Store
from linkd.telemetry.events import ArtifactKept as ArtifactKeptEvent
from linkd.telemetry.events import ArtifactRead, ArtifactsEvicted, FileQuarantined
from linkd.telemetry.hub import Telemetry


@frozen()
class Upload:
    """What a client says of an artifact that it begins to put. Its size is None where only its end will tell; `name` is what it goes on by over
    another connection."""

    size_bytes: int | None
    digest: bytes = b""
    is_directory: bool = False
    name: bytes = b""
    resume: bool = False


@dataclass(slots=True)
class Artifacts:
    """Belongs to one event loop."""

    store: ArtifactStore
    telemetry: Telemetry
    clock: Clock
    disk: DiskBudget
    _waiting: dict[tuple[Identity, bytes], IncomingArtifact] = field(default_factory=dict)
    _deadlines: Deadlines | None = None
    _uploads: int = 0

    @staticmethod
    def open(directory: Path, telemetry: Telemetry, clock: Clock, disk: DiskBudget) -> Artifacts:
        """Those in the home's directory. Raises StateDamaged, StorageFailed."""
        store = ArtifactStore.open(directory / FOLDER, disk.files, quarantine=directory / QUARANTINE, now_s=clock.monotonic_s)
        store.gate = partial(working, directory)
        artifacts = Artifacts(store, telemetry, clock, disk)
        disk.files.held_bytes += store.held_bytes  # not counted by looking at each of them
        return artifacts

    def start(self, deadlines: Deadlines) -> None:
        """Called in the event loop."""
        self._deadlines = deadlines
        self.store.on_damage = lambda what: self.telemetry.emit(FileQuarantined(path=str(self.disk.directory / FOLDER), detail=what))
        self.store.on_evicted = self._evicted
        self.store.start(asyncio.get_running_loop(), quota_bytes=self.disk.artifacts_bytes)

    async def close(self) -> None:
        for incoming in self._waiting.values():
            self.store.drop(incoming)
        self._waiting.clear()
        await self.store.close()

    # -- in -------------------------------------------------------------------------------------------------------------------------------

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Around one upload: there are not too many at once. Raises Overloaded."""
        if self._uploads + len(self._waiting) >= ARTIFACT_UPLOADS_MAX:
            raise Overloaded(f"there are {ARTIFACT_UPLOADS_MAX} uploads of artifacts, and more are not begun: put this one later")
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    async def begin(self, who: Identity, asked: Upload) -> IncomingArtifact:
        """Room for an upload; what came of it before is in it. Raises Overloaded, StorageFull, InvalidArgument."""
        if len(asked.name) > ARTIFACT_UPLOAD_ID_MAX_BYTES:
            raise InvalidArgument(f"the name of an upload has {ARTIFACT_UPLOAD_ID_MAX_BYTES} bytes at most, and this one {len(asked.name)}")
        self.disk.check()
        before = self._waiting.pop((who, asked.name), None)
        if before is not None and self._deadlines is not None:
            self._deadlines.drop((FOLDER, who, asked.name))
        if before is not None and asked.resume and asked.size_bytes == (before.size_bytes if before.is_exact else None):
            return before
        if before is not None:
            self.store.drop(before)
        return await self.store.begin(asked.size_bytes)

    def broke_off(self, who: Identity, asked: Upload, incoming: IncomingArtifact) -> None:
        """The client is gone: what came waits a while for it to come back, if it gave the upload a name."""
        key = who, asked.name
        if not asked.name or self._deadlines is None or key in self._waiting:
            self.store.drop(incoming)
            return
        self._waiting[key] = incoming
        self._deadlines.hold((FOLDER, *key), ARTIFACT_UPLOAD_KEPT_S, lambda: self._forget(key))

    def _forget(self, key: tuple[Identity, bytes]) -> None:
        incoming = self._waiting.pop(key, None)
        if incoming is not None:
            self.store.drop(incoming)

    async def keep(self, incoming: IncomingArtifact, asked: Upload) -> ArtifactKept:
        """As `ArtifactStore.keep`."""
        began_s = self.clock.monotonic_s()
        kept = await self.store.keep(incoming, digest=asked.digest, is_directory=asked.is_directory)
        if self.telemetry.wants(ArtifactKeptEvent):
            self.telemetry.emit(ArtifactKeptEvent(size_bytes=kept.size_bytes, seconds=self.clock.monotonic_s() - began_s))
        return kept

    def keep_at_once(self, content: bytes) -> asyncio.Future[ArtifactKept] | None:
        """As `ArtifactStore.keep_at_once`. Raises StorageFull while there is no room on the disk."""
        if self._uploads + len(self._waiting) >= ARTIFACT_UPLOADS_MAX:
            return None
        self.disk.check()
        written = self.store.keep_at_once(content)
        if written is not None and self.telemetry.wants(ArtifactKeptEvent):
            began_s = self.clock.monotonic_s()
            written.add_done_callback(lambda done: self._tell_kept(done, began_s))
        return written

    def _tell_kept(self, done: asyncio.Future[ArtifactKept], began_s: float) -> None:
        if done.exception() is None:
            self.telemetry.emit(ArtifactKeptEvent(size_bytes=done.result().size_bytes, seconds=self.clock.monotonic_s() - began_s))

    def was_read(self, size_bytes: int) -> None:
        """So much of one was given to a client."""
        if self.telemetry.wants(ArtifactRead):
            self.telemetry.emit(ArtifactRead(size_bytes=size_bytes))

    # -- what values name -----------------------------------------------------------------------------------------------------------------

    def check(self, link: str, attributes: Mapping[str, str]) -> None:
        """What a value of these attributes names is there, and stays until the value is. Raises LinkNotFound, InvalidArgument."""
        if ATTRIBUTE not in attributes:
            return
        for one in references_of(attributes):
            try:
                kept = self.store.need(one.digest)
            except LinkNotFound as problem:
                raise LinkNotFound(f"{link}: the value names what is not there: {problem}") from None
            if kept.is_directory != one.is_directory or (not kept.is_directory and kept.size_bytes != one.size_bytes):
                raise InvalidArgument(
                    f"{link}: the value says that artifact {one.digest.hex()} is something else than it is: {kept.size_bytes:,} bytes"
                )

    def admitted(self, records: Sequence[Record]) -> None:
        """These were decided, or are read again at a start."""
        for record in records:
            if isinstance(record, ValueStored) and ATTRIBUTE in record.envelope.attributes:
                envelope = record.envelope
                digests = {one.digest for one in _references(envelope.attributes)}
                self.store.named([(envelope.link, envelope.position.sequence, digest) for digest in digests])

    def settled(self, records: Sequence[Record]) -> None:
        """These are durable."""
        ranges = [(one.link, one.first_sequence, one.last_sequence) for one in records if isinstance(one, Dropped)]
        if ranges:
            self.store.name_no_more(ranges)

    def recovered(self, ledger: Ledger, store: Store) -> None:
        """The journal was read: only what is there names anything. Of an index that was made again all values are asked."""
        if self.store.index_is_new:
            for name in ledger.links:
                for envelope, _ in store.values(name):
                    digests = {one.digest for one in _references(envelope.attributes)}
                    self.store.named([(name, envelope.position.sequence, digest) for digest in digests])
            self.store.write_names()
        self.store.keep_names({name: _there(ledger, name) for name in ledger.links})

    def before_checkpoint(self, keep: Callable[[], Sequence[Kept]]) -> Callable[[], Sequence[Kept]]:
        """`keep`, and before it what values name is on disk: the checkpoint lets go of their records."""

        def kept() -> Sequence[Kept]:
            self.store.write_names()
            return keep()

        return kept

    def _evicted(self, gone: Evicted) -> None:
        self.telemetry.emit(ArtifactsEvicted(count=gone.count, size_bytes=gone.size_bytes))


def _references(attributes: Mapping[str, str]) -> tuple[ArtifactReference, ...]:
    """What a value names that is in the journal."""
    try:
        return references_of(attributes)
    except InvalidArgument:  # it was looked at before it was stored: by another version of linkd, or before there were artifacts
        return ()


def _there(ledger: Ledger, name: str) -> list[tuple[int, int]]:
    """The sequences of a link's values that were not dropped, in ranges: of its generations, without what is gone of them."""
    link = ledger.links[name]
    found: list[tuple[int, int]] = []
    for _, generation in sorted(link.generations.items()):
        at = generation.first_sequence
        for gone in link.gone:
            if gone.last_sequence >= at and gone.first_sequence <= generation.last_sequence:
                if at < gone.first_sequence:
                    found.append((at, gone.first_sequence - 1))
                at = gone.last_sequence + 1
        if at <= generation.last_sequence:
            found.append((at, generation.last_sequence))
    return found
