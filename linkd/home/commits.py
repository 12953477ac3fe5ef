"""Committing a snapshot: find what was staged, decide, make it durable, answer. Idempotent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from linkd.core import commits
from linkd.core.commits import CommitRequest
from linkd.core.ids import request_fingerprint
from linkd.core.rights import Identity
from linkd.core.tasks import Task
from linkd.errors import Error, LeaseLost
from linkd.home.home import Home
from linkd.home.intake import Prepared, Target, prepare_again
from linkd.home.staging import StagedRef, StagedValues
from linkd.model.records import OutputRange
from linkd.model.records import SnapshotCommitted as CommitRecord
from linkd.telemetry.events import SnapshotCommitted, SnapshotRefused, ValuePublished
from linkd.telemetry.trace_context import Span, format_traceparent, parse_traceparent


@dataclass(frozen=True, slots=True)
class CommitCall:
    """What a client asks: this snapshot, under this token, with these staged values. `task` names it for those who act for a task."""

    snapshot_id: bytes
    token: int
    staged: Sequence[StagedRef]
    task: str = ""
    final: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class CommitAnswer:
    outputs: tuple[OutputRange, ...]
    repeated: bool


async def commit(home: Home, staged: StagedValues, who: Identity, call: CommitCall) -> CommitAnswer:
    """Settles a snapshot. Raises LeaseLost, Conflict, GenerationAbandoned, NotAllowed, SchemaMismatch, StorageFailed.

    A cancelled call may have been admitted already; then it happens, and a repeat is told so.
    """
    home.check_open()
    try:
        shape = home.rights.act_for(who, call.task or who.task)
    except Error as error:
        home.refused(who, "commit", "", error)
        raise
    task = home.ledger.tasks.get(shape.name)
    if task is None:
        raise LeaseLost(f"{shape.name} has not begun: there is nothing to commit")
    try:
        return await _commit(home, staged, task, call)
    except Error as error:
        home.telemetry.emit(SnapshotRefused(task=task.name, reason=error.code, detail=str(error)))
        raise


async def _commit(home: Home, staged: StagedValues, task: Task, call: CommitCall) -> CommitAnswer:
    fingerprint = request_fingerprint((ref.payload_xxh3 for ref in call.staged), call.final)
    answered = commits.answered(task, call.snapshot_id, call.token, fingerprint)
    if answered is not None:
        await home.barrier()
        return CommitAnswer(answered.outputs, True)
    commits.check_token(task, call.snapshot_id, call.token)
    found = staged.find(call.snapshot_id, call.token, call.staged)
    began_s = home.clock.monotonic_s()
    values = await _of_present_schema(home, staged, task, call.snapshot_id, found)
    begun = home.begin_span(parse_traceparent(call.traceparent))
    request = CommitRequest(
        task.name,
        call.snapshot_id,
        call.token,
        [prepared.draft for prepared in values],
        fingerprint,
        call.final,
        call.attributes,
        format_traceparent(begun.context),
    )
    attempt = task.leases[call.snapshot_id].attempt if call.snapshot_id in task.leases else 1
    inputs = await _admit(home, staged, task, request, call, values)
    span = home.end_span(begun)
    seconds = home.clock.monotonic_s() - began_s
    record = task.committed[call.snapshot_id]
    home.telemetry.emit(SnapshotCommitted(task=task.name, inputs=inputs, outputs=len(values), seconds=seconds, attempt=attempt, span=span))
    _tell_published(home, task, values, seconds, span)
    return CommitAnswer(record.outputs, False)


async def _admit(home: Home, staged: StagedValues, task: Task, request: CommitRequest, call: CommitCall, values: Sequence[Prepared]) -> int:
    await home.room()
    records = commits.commit(home.ledger, request, home.clock.now_ns())
    inputs = sum(
        portion.last_sequence - portion.first_sequence + 1
        for record in records
        if isinstance(record, CommitRecord)
        for portion in record.portions
    )
    _count_rows(home, task, records)
    future = home.admit(records, [prepared.payload for prepared in values])
    staged.settle(call.snapshot_id, [ref.staged_id for ref in call.staged])
    await home.written(future)
    return inputs


def _count_rows(home: Home, task: Task, records: Sequence[object]) -> None:
    """Rows of the inputs that are done, for progress."""
    for record in records:
        if isinstance(record, CommitRecord):
            for portion in record.portions:
                generation = home.ledger.links[portion.link].generations[portion.generation]
                if (portion.first_sequence, portion.last_sequence) == (generation.first_sequence, generation.last_sequence):
                    rows = generation.rows
                else:
                    stored = home.store.values(portion.link, portion.first_sequence, portion.last_sequence)
                    rows = sum(envelope.rows for envelope, _ in stored)
                task.done_rows[portion.link] = task.done_rows.get(portion.link, 0) + rows


async def _of_present_schema(
    home: Home, staged: StagedValues, task: Task, snapshot_id: bytes, found: Sequence[tuple[int, Prepared]]
) -> list[Prepared]:
    """The staged values, brought to a schema that another commit gave an output since they were staged."""
    values: list[Prepared] = []
    for staged_id, prepared in found:
        draft = prepared.draft
        generation = home.ledger.links[draft.link].generations[task.outputs[draft.link]]
        if generation.schema_id and draft.schema_id != generation.schema_id and draft.widens != generation.schema_id:
            prepared = await prepare_again(home, prepared, Target(generation.schema_id, generation.schema, generation.declared))
            staged.replace(snapshot_id, staged_id, prepared)
        values.append(prepared)
    return values


def _tell_published(home: Home, task: Task, values: Sequence[Prepared], seconds: float, span: Span | None) -> None:
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
                span=replace(span, context=context, parent=span.context, links=()) if span is not None and context is not None else None,
            )
        )
