"""What this home remembers of its tasks' outcomes: the file, who works at what now, and what a commit adds.

Which tasks are remembered, and as what (`Conduct.memo`), whoever runs them says. A commit is remembered when it is durable, behind the back of its
client, by a task of the memo's own; the end of a run and of the home wait for those. What cannot be written or read is a miss, told once; the data
path does not depend on the memo.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from linkd.core.memo import Outcome, outputs_that_differ
from linkd.core.snapshot_leases import Lease
from linkd.core.tasks import Task
from linkd.errors import Error, StateFault, StorageFailed
from linkd.home.changes import task_topic
from linkd.home.remembered_values import remembered, with_other_rows
from linkd.home.snapshot_content import snapshot_bytes, snapshot_digest
from linkd.limits import (
    MEMO_AT_HAND_MAX,
    MEMO_AT_HAND_MAX_BYTES,
    MEMO_DIFFERENCES_TOLD_MAX,
    MEMO_DIGESTS_KEPT,
    MEMO_OUTPUTS_MAX,
    MEMO_SNAPSHOT_MAX_BYTES,
    MEMO_WORKED_AT_MAX,
)
from linkd.model.records import Record, ValueStored
from linkd.model.values import Envelope
from linkd.store.committer import Committed
from linkd.store.memo import MEMO_FILE, MemoFile
from linkd.telemetry.events import MemoFailed, OutcomeChecked, OutcomeRecalled

if TYPE_CHECKING:
    from linkd.home.commits import Admitted
    from linkd.home.home import Home

T = TypeVar("T")


@dataclass(slots=True)
class TaskMemo:
    """Of one task, in this life of the home: outcomes that were recalled, those that were made again to be compared, and how many of these
    differed, in which outputs."""

    recalled: int = 0
    checked: int = 0
    differing: int = 0
    outputs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Memo:
    """Belongs to one event loop. The file is opened when somebody asks. `close` it."""

    home: Home
    tasks: dict[str, TaskMemo] = field(default_factory=dict)
    _file: MemoFile | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _has_failed: bool = False
    _digests: OrderedDict[bytes, bytes] = field(default_factory=OrderedDict)
    _worked_at: dict[bytes, tuple[str, bytes]] = field(default_factory=dict)
    _keeping: dict[bytes, asyncio.Task[None]] = field(default_factory=dict)
    _recalling: set[asyncio.Task[None]] = field(default_factory=set)
    _at_hand: OrderedDict[bytes, Outcome] = field(default_factory=OrderedDict)
    _at_hand_bytes: int = 0
    _uses: dict[bytes, None] = field(default_factory=dict)
    _writing_uses: asyncio.Task[None] | None = None

    def of(self, task: str) -> TaskMemo:
        return self.tasks.setdefault(task, TaskMemo())

    def concerns(self, task: str) -> bool:
        """Whether outcomes of the task are remembered in the present run."""
        return task in self.home.conduct.memo and not self._has_failed

    async def settled(self) -> None:
        """Returns when all that is durable is remembered, so far as it is to be."""
        while under_way := self._under_way():
            await asyncio.wait(under_way)

    async def close(self, within_s: float) -> None:
        """What is committed is remembered, as far as there is time for it; the store must be open still."""
        if under_way := self._under_way():
            _, late = await asyncio.wait(under_way, timeout=within_s)
            for one in late:
                one.cancel()
            await asyncio.wait(under_way)
        if self._file is not None:
            self._file.close()

    def _under_way(self) -> list[asyncio.Task[None]]:
        writing = [self._writing_uses] if self._writing_uses is not None else []
        return [*self._keeping.values(), *self._recalling, *writing]

    # -- who works at what ----------------------------------------------------------------------------------------------------------------

    def is_worked_at(self, key: bytes, snapshot_id: bytes) -> bool:
        """Whether the outcome of this key is being made of another snapshot, or about to be remembered.

        That is as long as somebody holds that on lease: its renewals are the signs of life.
        """
        if key in self._keeping:
            return True
        name, other_id = self._worked_at.get(key, ("", b""))
        task = self.home.ledger.tasks.get(name)
        lease = task.leases.get(other_id) if task is not None else None
        if lease is None or lease.memo_key != key or (lease.session is None and lease.token):
            self._worked_at.pop(key, None)
            return False
        return other_id != snapshot_id

    def works_at(self, key: bytes, task: str, snapshot_id: bytes) -> None:
        """A program will make the outcome of this key. Of too many at once others do not wait."""
        if len(self._worked_at) >= MEMO_WORKED_AT_MAX:
            for known, (_, identity) in list(self._worked_at.items()):
                self.is_worked_at(known, identity)
        if len(self._worked_at) < MEMO_WORKED_AT_MAX:
            self._worked_at[key] = task, snapshot_id

    def works_no_more(self, key: bytes, task: str) -> None:
        """Those who wait for the outcome of this key find it now, or make it themselves."""
        self._worked_at.pop(key, None)
        self.home.changes.announce([task_topic(task)])

    # -- the file -------------------------------------------------------------------------------------------------------------------------

    async def find(self, key: bytes) -> Outcome | None:
        """What is remembered under this key."""
        return await self._do(lambda file: file.find(key))

    async def forget(self, key: bytes) -> None:
        """What is remembered under this key is not there any more."""
        await self._do(lambda file: file.forget(key))

    def hold(self, key: bytes, outcome: Outcome) -> None:
        """It was found, and will be wanted when its snapshot has its turn. What there is no room for is read again then."""
        if outcome.is_here and outcome.inlined_bytes <= MEMO_AT_HAND_MAX_BYTES:
            self.held(key)
            self._at_hand[key] = outcome
            self._at_hand_bytes += outcome.inlined_bytes
            while self._at_hand_bytes > MEMO_AT_HAND_MAX_BYTES or len(self._at_hand) > MEMO_AT_HAND_MAX:
                self.held(next(iter(self._at_hand)))

    def held(self, key: bytes) -> Outcome | None:
        """What was found under this key, once."""
        outcome = self._at_hand.pop(key, None)
        self._at_hand_bytes -= outcome.inlined_bytes if outcome is not None else 0
        return outcome

    async def _do(self, work: Callable[[MemoFile], T]) -> T | None:
        """Off the loop, for writing waits now and then. None where the file cannot be used."""
        if self._has_failed:
            return None
        try:
            async with self._opening:
                if self._file is None:
                    self._file = await asyncio.to_thread(MemoFile, self.home.directory / MEMO_FILE)
            return await asyncio.to_thread(work, self._file)
        except (StorageFailed, StateFault) as error:
            if not self._has_failed:
                self._has_failed = True
                self.home.telemetry.emit(MemoFailed(detail=error.message))
            return None

    # -- digests --------------------------------------------------------------------------------------------------------------------------

    def digest(self, value_id: bytes) -> bytes | None:
        """That of a value, if it was computed lately."""
        found = self._digests.get(value_id)
        if found is not None:
            self._digests.move_to_end(value_id)
        return found

    def know_digest(self, value_id: bytes, digest: bytes) -> None:
        self._digests[value_id] = digest
        if len(self._digests) > MEMO_DIGESTS_KEPT:
            self._digests.popitem(last=False)

    # -- what a commit adds ---------------------------------------------------------------------------------------------------------------

    def keeps(
        self, task: Task, lease: Lease, records: Sequence[Record], durable: asyncio.Future[Committed], recalled: Outcome | None
    ) -> None:
        """The snapshot on this lease was committed with `records`: that is remembered, when it is durable, unless too many others wait for that.

        `recalled` is what was remembered, if it was committed again.
        """
        key = lease.memo_key
        if not key or key in self._keeping or not self.concerns(task.name) or len(self._keeping) >= MEMO_WORKED_AT_MAX:
            return
        if recalled is not None and recalled.is_here:
            self._used(key)
            return
        made = [record.envelope for record in records if isinstance(record, ValueStored)]
        if len(made) <= MEMO_OUTPUTS_MAX and snapshot_bytes(self.home, lease) <= MEMO_SNAPSHOT_MAX_BYTES:
            keep = self._keep(task, lease, made, durable, recalled)
            self._keeping[key] = asyncio.get_running_loop().create_task(keep, name=f"linkd memo of {task.name}")

    def _used(self, key: bytes) -> None:
        """What was recalled while others were written down is written next, all of it at once."""
        self._uses[key] = None
        if self._writing_uses is None:
            self._writing_uses = asyncio.get_running_loop().create_task(self._write_uses(), name="linkd memo: uses")

    async def _write_uses(self) -> None:
        try:
            while self._uses:
                keys = list(self._uses)
                self._uses.clear()
                await self._do(lambda file, keys=keys: file.used(keys))  # type: ignore[misc]
        finally:
            self._writing_uses = None

    async def _keep(
        self, task: Task, lease: Lease, made: Sequence[Envelope], durable: asyncio.Future[Committed], recalled: Outcome | None
    ) -> None:
        key = lease.memo_key
        try:
            await asyncio.wait((durable,))
            if not durable.cancelled() and durable.exception() is None:
                await self._kept(task.name, lease, made, recalled)
        except Error:
            pass  # dropped already, by its link's terms, or not to be read, which its readers are told
        finally:
            del self._keeping[key]
            self.works_no_more(key, task.name)

    async def _kept(self, task: str, lease: Lease, made: Sequence[Envelope], recalled: Outcome | None) -> None:
        before = await self.find(lease.memo_key) if self.home.conduct.checks_memo else None
        content = recalled.content if recalled is not None else await snapshot_digest(self.home, self.home.conduct.memo[task], lease)
        outcome = await remembered(self.home, task, content, made)
        if before is not None and before.content == content:
            await self._check(task, before, outcome)
        await self._do(lambda file: file.keep(lease.memo_key, outcome))

    async def _check(self, task: str, before: Outcome, after: Outcome) -> None:
        """Compares with what was remembered, if that is still there."""
        try:
            differing = await with_other_rows(self.home, before, after, outputs_that_differ(before, after))
        except Error:
            return  # what it was is not there any more: there is nothing to compare with
        told = self.of(task)
        told.checked += 1
        told.differing += bool(differing)
        told.outputs += [link for link in differing if link not in told.outputs][: MEMO_DIFFERENCES_TOLD_MAX - len(told.outputs)]
        self.home.telemetry.emit(OutcomeChecked(task=task, differing=tuple(differing)))

    def recalls(self, task: str, admitted: Admitted) -> None:
        """An outcome is committed again. What is behind it need not wait for the disk: it cannot come before."""
        self.of(task).recalled += 1
        recalling = asyncio.get_running_loop().create_task(self._recalled(task, admitted), name=f"linkd memo of {task}: recall")
        self._recalling.add(recalling)
        recalling.add_done_callback(self._recalling.discard)

    async def _recalled(self, task: str, admitted: Admitted) -> None:
        try:
            await admitted.durable()
        except StorageFailed:
            return  # the home tells all who are connected
        seconds = self.home.clock.monotonic_s() - admitted.began_s
        self.home.telemetry.emit(OutcomeRecalled(task=task, values=len(admitted.values), seconds=seconds))
