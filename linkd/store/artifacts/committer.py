"""Group commit of artifacts: one thread appends their records to the packs and syncs them, a group at a time, and then writes the index.

What gathers while a group is synced is the next group; there is no timer. When a group is synced its large artifacts get their names in `whole/`, the
index has it in memory, and one call into the event loop resolves those who wait. When nothing came for a while, or much waits, the index is written.

Where there is no room a group fails with `StorageFull`, and the next one is tried like any other: artifacts are put again by whoever has them. After
any other failure nothing is kept any more, as nobody knows what of it is on disk: what waits and all that comes fails with `StorageFailed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from linkd.errors import Draining, Error, StorageFailed, StorageFull
from linkd.limits import (
    ARTIFACT_GROUP_MAX_BYTES,
    ARTIFACT_INDEX_BATCH,
    ARTIFACT_INDEX_IDLE_S,
    ARTIFACT_INDEX_TAIL_MAX,
    ARTIFACT_QUEUE_MAX_BYTES,
    STORE_FULL_LOOK_S,
)
from linkd.model.artifacts import ArtifactKept
from linkd.model.frozen import frozen
from linkd.store.artifacts.index import ArtifactEntry, ArtifactIndex
from linkd.store.artifacts.naming import Paths
from linkd.store.artifacts.pack_format import encoded
from linkd.store.artifacts.packs import Packs
from linkd.store.files import Files


@frozen()
class ArtifactDraft:
    """An artifact that is to be kept. `content` of None: it is the file of its digest in `aside/`, synced."""

    kept: ArtifactKept
    content: bytes | None
    use: int
    sums: bytes | None = None
    parts: tuple[bytes, ...] = ()


Job = Callable[[], None]


@dataclass(slots=True)
class _Pending:
    draft: ArtifactDraft
    future: asyncio.Future[ArtifactKept]


class ArtifactCommitter:
    """`submit` and `room` belong to one event loop; without a thread nothing is written but by `work`."""

    def __init__(self, files: Files, paths: Paths, packs: Packs, index: ArtifactIndex) -> None:
        self._files = files
        self._paths = paths
        self._packs = packs
        self._index = index
        self._wake = threading.Condition()
        self._waiting: list[_Pending] = []
        self._jobs: list[Job] = []
        self._queued_bytes = 0
        self._has_left = asyncio.Event()
        self._closing = False
        self._failure = ""
        self._index_full = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # -- on the event loop ----------------------------------------------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop, *, thread: bool) -> None:
        self._loop = loop
        if thread:
            self._thread = threading.Thread(target=self._run, name="linkd-artifacts", daemon=True)
            self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether `submit` takes another artifact now."""
        return self._queued_bytes <= ARTIFACT_QUEUE_MAX_BYTES

    async def room(self) -> None:
        """Wait until `submit` takes another artifact; submit before the next await."""
        while self._queued_bytes > ARTIFACT_QUEUE_MAX_BYTES:
            self._has_left.clear()
            await self._has_left.wait()

    def submit(self, draft: ArtifactDraft) -> asyncio.Future[ArtifactKept]:
        """The future is done when it is durable. Cancelling it takes nothing back. Raises StorageFailed, Draining."""
        self._check()
        assert self._loop is not None
        future: asyncio.Future[ArtifactKept] = self._loop.create_future()
        self._queued_bytes += _bytes(draft)
        with self._wake:
            self._waiting.append(_Pending(draft, future))
            self._wake.notify()
        return future

    async def do(self, job: Job) -> None:
        """Runs this between two groups, in the thread that writes them. Raises what it does."""
        self._check()
        if self._thread is None:
            self.work()
            job()
            return
        done: Future[None] = Future()

        def run() -> None:
            try:
                job()
            except BaseException as problem:  # whoever asked for it is told
                done.set_exception(problem)
            else:
                done.set_result(None)

        with self._wake:
            self._jobs.append(run)
            self._wake.notify()
        await asyncio.wrap_future(done)

    def look(self) -> None:
        """There may be something to write to the index."""
        with self._wake:
            self._wake.notify()

    def soon(self, job: Job) -> None:
        """As `do`, without waiting for it; what it raises ends like a failed write."""
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    async def close(self) -> None:
        """Write what waits, and the index; then nothing more is taken. Again is harmless."""
        if self._closing:
            return
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        else:
            self.work()
            self._write_index(leave=0)

    def _check(self) -> None:
        if self._failure:
            raise StorageFailed(self._failure)
        if self._index_full:
            raise StorageFull(self._index_full)
        if self._closing or self._loop is None:
            raise Draining("linkd is shutting down and keeps no more artifacts; connect again")

    def _resolve(self, done: Sequence[_Pending], error: Error | None) -> None:
        self._queued_bytes -= sum(_bytes(one.draft) for one in done)
        self._has_left.set()
        for one in done:
            if one.future.done():
                continue
            if error is None:
                one.future.set_result(one.draft.kept)
            else:
                one.future.set_exception(type(error)(str(error)))
                one.future.exception()  # nobody may be there to take note of it

    # -- in the thread --------------------------------------------------------------------------------------------------------------------

    def work(self) -> None:
        """All that waits, in this thread."""
        while self._step():
            pass

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._waiting or self._jobs or self._closing):
                    if not self._wake.wait(self._wait_s()):
                        break
            if not self._step():
                self._write_index(leave=0)
                if self._closing and not (self._waiting or self._jobs):
                    return

    def _wait_s(self) -> float | None:
        """How long nothing may come before the index is written."""
        if not self._index.waiting and self._index.uses_waiting < ARTIFACT_INDEX_BATCH:
            return None
        return STORE_FULL_LOOK_S if self._index_full else ARTIFACT_INDEX_IDLE_S

    def _step(self) -> bool:
        """One group, and the jobs there are; False if there was nothing to do."""
        with self._wake:
            group, size_bytes = 0, 0
            for one in self._waiting:
                size_bytes += _bytes(one.draft)
                if group and size_bytes > ARTIFACT_GROUP_MAX_BYTES:
                    break
                group += 1
            taken, self._waiting = self._waiting[:group], self._waiting[group:]
            jobs, self._jobs = self._jobs, []
        if taken:
            self._commit(taken)
            if self._index.waiting > ARTIFACT_INDEX_TAIL_MAX:
                self._write_index(leave=ARTIFACT_INDEX_TAIL_MAX // 2)
        for job in jobs:
            try:
                job()
            except StorageFull:  # what was to be done is done when there is room
                continue
            except Exception as problem:  # the thread's edge
                self._failure = f"{problem}. linkd keeps no more artifacts; what it acknowledged is safe"
        return bool(taken or jobs)

    def _commit(self, group: list[_Pending]) -> None:
        error: Error | None = StorageFailed(self._failure) if self._failure else None
        if error is None:
            try:
                self._write(group)
            except StorageFull as full:
                error = full
                self._give_up(group)
            except Exception as problem:  # the thread's edge: whatever it was, nothing may be acked after it
                what = str(problem) if isinstance(problem, Error) else f"a defect of linkd: {type(problem).__name__}: {problem}"
                self._failure = f"{what}. linkd keeps no more artifacts; what it acknowledged is safe. Mend the cause and start linkd again"
                error = StorageFailed(self._failure)
        self._post(group, error)

    def _write(self, group: list[_Pending]) -> None:
        places = self._packs.append([encoded(one.draft.kept, one.draft.content) for one in group])
        self._packs.sync()
        for one, (pack, offset) in zip(group, places, strict=True):
            draft = one.draft
            is_whole = draft.content is None
            if is_whole:
                self._files.rename(self._paths.on_its_way(draft.kept.digest), self._paths.of_whole(draft.kept.digest))
            self._index.add(ArtifactEntry(draft.kept, pack, offset, is_whole, draft.use, draft.sums, draft.parts))

    def _give_up(self, group: list[_Pending]) -> None:
        """These are put again when there is room: what came of the large ones goes."""
        for one in group:
            if one.draft.content is None:
                with contextlib.suppress(Error):  # the next start deletes it
                    self._files.unlink(self._paths.on_its_way(one.draft.kept.digest))

    def write_index(self) -> None:
        """All that waits for it, for a job."""
        self._write_index(leave=0)

    def _write_index(self, leave: int) -> None:
        """Write the index until at most so many entries wait."""
        try:
            if self._index.waiting or self._index.uses_waiting:
                end = self._packs.end
                while self._index.write(end, ARTIFACT_INDEX_BATCH) and self._index.waiting > leave:
                    pass
            self._index_full = ""
        except StorageFull as problem:  # what waits is in the packs, and is served from memory
            self._index_full = str(problem)
        except Exception as problem:  # the thread's edge
            self._failure = f"{problem}. linkd keeps no more artifacts; what it acknowledged is safe"

    def _post(self, done: list[_Pending], error: Error | None) -> None:
        if self._thread is None:
            self._resolve(done, error)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve, done, error)


def _bytes(draft: ArtifactDraft) -> int:
    """What it takes in memory until it is written, and somewhat for itself."""
    return len(draft.content or b"") + 256
