"""Committing a snapshot: find what was staged, decide, make it durable, answer. Idempotent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from linkd.core import commits
from linkd.core.commits import CommitRequest
from linkd.core.ids import request_fingerprint
from linkd.core.memo import Outcome
from linkd.core.rights import Identity
from linkd.core.tasks import Lease, Task
from linkd.errors import Error, LeaseLost, NoRoom
from linkd.home import snapshot_leases as leases
from linkd.home.home import Home
from linkd.home.intake import Prepared, Target, misfits, prepare_again, wanted_bytes
from linkd.home.spans import Begun
from linkd.home.staging import StagedRef, StagedValues
from linkd.limits import COMMIT_ROOM_WAIT_S
from linkd.model.frozen import frozen
from linkd.model.records import OutputRange
from linkd.model.records import SnapshotCommitted as CommitRecord
from linkd.model.values import Durability
from linkd.store.committer import Committed
from linkd.telemetry.events import SnapshotCommitted, SnapshotRefused, ValuePublished
from linkd.telemetry.trace_context import Span


@frozen()
class CommitCall:
    """What a client asks: this snapshot, under this token, with these staged values. `task` names it for those who act for a task.

    `recalled` is what is committed again of what was remembered.
    """

    snapshot_id: bytes
    token: int
    staged: Sequence[StagedRef]
    task: str = ""
    final: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    traceparent: str = ""
    recalled: Outcome | None = None


@frozen()
class CommitAnswer:
    outputs: tuple[OutputRange, ...]
    repeated: bool
    durability: Durability


async def commit(home: Home, staged: StagedValues, who: Identity, call: CommitCall) -> CommitAnswer:
    """Settles a snapshot. Raises LeaseLost, Conflict, GenerationAbandoned, NotAllowed, SchemaMismatch, StorageFailed.

    A cancelled call may have been admitted already; then it happens, and a repeat is told so.
    """
    home.check_open()
    with home.audited(who, "commit"):
        shape = home.rights.act_for(who, call.task or who.task)
    task = home.ledger.tasks.get(shape.name)
    if task is None:
        raise LeaseLost(f"{shape.name} has not begun: there is nothing to commit")
    try:
        return await settle(home, staged, task, call)
    except Error as error:
        leases.refused(home, task, call.snapshot_id)
        home.telemetry.emit(SnapshotRefused(task=task.name, reason=error.code, detail=str(error)))
        raise


@frozen()
class Admitted:
    """A commit that will be durable: whatever is admitted from now on comes behind it."""

    home: Home
    task: Task
    record: CommitRecord
    values: Sequence[Prepared]
    future: asyncio.Future[Committed]
    began_s: float
    begun: Begun

    async def durable(self) -> CommitAnswer:
        """Returns when it is. Raises StorageFailed."""
        committed = await self.home.written(self.future)
        seconds = self.home.clock.monotonic_s() - self.began_s
        _tell(self.home, self.task, self.record, self.values, seconds, self.home.spans.end(self.begun), committed.durability)
        return CommitAnswer(self.record.outputs, False, committed.durability)


async def settle(home: Home, staged: StagedValues, task: Task, call: CommitCall) -> CommitAnswer:
    """As `commit`, for whoever may act for the task."""
    admitted = await admit(home, staged, task, call)
    return admitted if isinstance(admitted, CommitAnswer) else await admitted.durable()


async def admit(home: Home, staged: StagedValues, task: Task, call: CommitCall) -> Admitted | CommitAnswer:
    """As `settle`, and does not wait for the disk; what was committed before is answered."""
    fingerprint = request_fingerprint((ref.payload_xxh3 for ref in call.staged), call.final)
    answered = commits.answered(task, call.snapshot_id, call.token, fingerprint)
    if answered is not None:
        return await _again(home, answered)
    commits.check_token(task, call.snapshot_id, call.token)
    began_s = home.clock.monotonic_s()
    await _room(home, staged, task, call)
    answered = commits.answered(task, call.snapshot_id, call.token, fingerprint)
    if answered is not None:  # over another connection, while this call waited
        return await _again(home, answered)
    values = [prepared for _, prepared in staged.find(call.snapshot_id, call.token, call.staged)]
    begun = home.spans.begin(call.traceparent)
    request = CommitRequest(
        task.name,
        call.snapshot_id,
        call.token,
        [prepared.draft for prepared in values],
        fingerprint,
        call.final,
        call.attributes,
        begun.traceparent,
    )
    commits.check_token(task, call.snapshot_id, call.token)
    lease = task.leases[call.snapshot_id]
    records = commits.commit(home.ledger, request, home.clock.now_ns())
    future = home.admit(records, [prepared.payload for prepared in values])
    home.memo.keeps(task, lease, records, future, call.recalled)
    staged.settle(call.snapshot_id, [ref.staged_id for ref in call.staged])
    record = next(record for record in records if isinstance(record, CommitRecord))
    _count_rows(task, lease)
    leases.settled(home, task, lease)
    return Admitted(home, task, record, values, future, began_s, begun)


async def _again(home: Home, answered: CommitRecord) -> CommitAnswer:
    """The answer to a repeat; what it repeats may not be on disk yet."""
    await home.barrier()
    return CommitAnswer(answered.outputs, True, home.durability([answered]))


async def _room(home: Home, staged: StagedValues, task: Task, call: CommitCall) -> None:
    """Returns when the commit can be admitted before the next await: the store takes it, the schemas fit, its outputs have room for all of it.

    Raises NoRoom if they have none for a while, for the client to ask again: it could not tell a home that waits from one that is gone.
    """
    if call.staged:
        home.disk.check()
    await _fit(home, staged, task, call)
    flow = home.flow
    wanted = wanted_bytes(prepared for _, prepared in staged.find(call.snapshot_id, call.token, call.staged))
    if not flow.is_bounded(wanted):
        return
    until_s = home.clock.monotonic_s() + COMMIT_ROOM_WAIT_S
    with flow.in_line(wanted, task.name) as place:
        while full := flow.full(wanted, place):
            if not await flow.wait(place, full, until_s):
                raise NoRoom(f"{task.name} waits: {'; '.join(map(str, full))}")
            await _fit(home, staged, task, call)


async def _fit(home: Home, staged: StagedValues, task: Task, call: CommitCall) -> None:
    """Returns when the store takes a frame and the staged values have the schemas of the outputs: other commits change them meanwhile."""
    while True:
        await home.room()
        targets: dict[str, Target] = {}
        for staged_id, prepared in staged.find(call.snapshot_id, call.token, call.staged):
            draft = prepared.draft
            generation = home.ledger.links[draft.link].generations[task.outputs[draft.link]]
            target = targets.get(draft.link, Target(generation.schema_id, generation.schema, generation.declared))
            if misfits(prepared, target):
                again = await prepare_again(home, prepared, target)
                staged.replace(call.snapshot_id, call.token, staged_id, again)
                break
            targets[draft.link] = Target(draft.schema_id, draft.schema, target.declared)
        else:
            return


def _count_rows(task: Task, lease: Lease) -> None:
    """Rows of the inputs that are done, for progress."""
    for link, rows in lease.rows.items():
        task.done_rows[link] = task.done_rows.get(link, 0) + rows


def _tell(
    home: Home, task: Task, record: CommitRecord, values: Sequence[Prepared], seconds: float, span: Span | None, durability: Durability
) -> None:
    inputs = sum(portion.last_sequence - portion.first_sequence + 1 for portion in record.portions)
    home.telemetry.emit(
        SnapshotCommitted(task=task.name, inputs=inputs, outputs=len(values), seconds=seconds, attempt=record.attempt, span=span)
    )
    _tell_published(home, task, values, seconds, span, durability)


def _tell_published(home: Home, task: Task, values: Sequence[Prepared], seconds: float, span: Span | None, durability: Durability) -> None:
    by_link: dict[str, list[Prepared]] = {}
    for prepared in values:
        by_link.setdefault(prepared.draft.link, []).append(prepared)
    for link, of_link in by_link.items():
        context = home.tracing.begin(span.context) if span is not None else None
        home.telemetry.emit(
            ValuePublished(
                link=link,
                task=task.name,
                values=len(of_link),
                rows=sum(prepared.draft.rows for prepared in of_link),
                size_bytes=sum(prepared.draft.size_bytes for prepared in of_link),
                seconds=seconds,
                generation=task.outputs[link],
                durability=durability,
                span=replace(span, context=context, parent=span.context, links=()) if span is not None and context is not None else None,
            )
        )
