"""Handing out snapshots and settling them. Pure decisions over a `Ledger`.

A commit is accepted if its token is the newest given for the snapshot, whatever became of the connection it was given over. Repeats of an
accepted commit are answered from its record; the same snapshot with other content is a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from linkd.core.dead_letters import Letter, dead_link
from linkd.core.ids import derived_value_id
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, GenerationState
from linkd.core.publishing import Draft, Frame, Maker
from linkd.core.tasks import Lease, Offer, Task
from linkd.errors import Conflict, GenerationAbandoned, InvalidArgument, LeaseLost, NotAllowed
from linkd.model.frozen import frozen
from linkd.model.records import OutputRange, Record, SnapshotCommitted, SnapshotFailed, SnapshotLeased, TaskEnded, ValueStored


@frozen()
class CommitRequest:
    """Settle this snapshot with these values (in the order they were published). `final` seals the outputs in the same frame.

    `fingerprint` is `ids.request_fingerprint` of what the client named: a repeat has the same one.
    """

    task: str
    snapshot_id: bytes
    token: int
    drafts: Sequence[Draft]
    fingerprint: int
    final: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    traceparent: str = ""


def lease(ledger: Ledger, task: Task, offer: Offer) -> SnapshotLeased:
    """The record that hands `offer` out under the next token."""
    return SnapshotLeased(
        task.name, task.execution, offer.snapshot_id, ledger.last_token + 1, offer.attempt, offer.portions, offer.settles, offer.partial
    )


def put_together(task: Task, offer: Offer) -> SnapshotLeased:
    """The record of a new snapshot that waits for its slot: nobody has it."""
    return SnapshotLeased(task.name, task.execution, offer.snapshot_id, 0, 0, offer.portions, offer.settles, offer.partial)


def failure(task: Task, lease: Lease) -> SnapshotFailed:
    """The record of the last failure of what is on lease."""
    return SnapshotFailed(task.name, task.execution, lease.snapshot_id, lease.failures, lease.reason)


def letters(task: Task, lease: Lease, now_ns: int) -> list[Letter]:
    """The dead letters of a snapshot that is given up: one for each portion of it that holds anything."""
    return [
        Letter(portion, task.name, lease.token, lease.failures, lease.reason, now_ns)
        for portion in lease.portions
        if portion.first_sequence <= portion.last_sequence
    ]


def give_up(ledger: Ledger, task: Task, lease: Lease, now_ns: int) -> list[Record]:
    """The records by which the task is through with a snapshot that failed too often: it is settled, and nothing came of it."""
    frame = Frame(ledger, now_ns)
    frame.records.append(
        SnapshotCommitted(
            task.name,
            task.execution,
            lease.snapshot_id,
            0,
            lease.attempt,
            lease.portions,
            (),
            0,
            now_ns,
            settled=task.settled_by(lease),
        )
    )
    if ledger.follows and task.shape.is_whole:
        _end(frame, task, "its one snapshot was given up")
    return frame.records


def answered(task: Task, snapshot_id: bytes, token: int, fingerprint: int) -> SnapshotCommitted | None:
    """The record of this very commit, if it was accepted before.

    Raises Conflict if the snapshot was committed with other content under the same token, LeaseLost if under another token.
    """
    record = task.committed.get(snapshot_id)
    if record is None:
        return None
    if record.token == 0:
        raise LeaseLost(
            f"{task.name}: this snapshot failed too often and was given up; it lies in {dead_link(task.name)}: take the next one"
        )
    if record.token != token:
        raise LeaseLost(f"{task.name}: this snapshot was committed by a later attempt (attempt {record.attempt}); take the next one")
    if record.request_xxh3 != fingerprint:
        raise Conflict(f"{task.name}: this snapshot is committed already, with other values; a snapshot can be committed once")
    return record


def check_token(task: Task, snapshot_id: bytes, token: int) -> None:
    """LeaseLost unless `token` is the newest given for the snapshot."""
    lease = task.leases.get(snapshot_id)
    if lease is not None and lease.token == token and token:
        return
    task.holders.heard(token)
    if lease is None:
        task.refused_late += 1
        raise LeaseLost(f"{task.name}: this snapshot is not on lease any more; nothing was taken and nothing is lost: take the next one")
    task.refused_late += 1
    lease.refused_late += 1
    raise LeaseLost(f"{task.name}: this snapshot has been handed out again (attempt {lease.attempt}); nothing was taken: take the next one")


def commit(ledger: Ledger, request: CommitRequest, now_ns: int) -> list[Record]:
    """The records of one commit: its values, its record, and with `final` the seals. The caller has asked `answered` before.

    In a run that follows, the one snapshot of a `whole` task is the end of its execution, whether its program says so or not.
    """
    task = ledger.tasks[request.task]
    check_token(task, request.snapshot_id, request.token)
    lease = task.leases[request.snapshot_id]
    if request.final and not task.shape.is_whole:
        raise InvalidArgument(f"{task.name}: only a task whose inputs are `whole` may end with a commit")
    frame = Frame(ledger, now_ns)
    maker = Maker(task.name, task.version, lease.attempt, lease.portions, request.traceparent)
    counts: dict[str, int] = {}
    for draft in request.drafts:
        generation = _output_generation(ledger, task, draft.link)
        index = counts[draft.link] = counts.get(draft.link, -1) + 1
        frame.value(draft, generation, maker, derived_value_id(task.version, request.snapshot_id, draft.link, index))
    frame.records.append(
        SnapshotCommitted(
            task.name,
            task.execution,
            request.snapshot_id,
            request.token,
            lease.attempt,
            lease.portions,
            _ranges(frame.records),
            request.fingerprint,
            now_ns,
            dict(request.attributes),
            task.settled_by(lease),
        )
    )
    if request.final or (ledger.follows and task.shape.is_whole):
        _end(frame, task, "its one snapshot is committed")
    return frame.records


def _end(frame: Frame, task: Task, reason: str) -> None:
    """The execution is complete: its outputs are sealed."""
    for name in task.shape.outputs:
        frame.seal(frame.ledger.links[name], _output_generation(frame.ledger, task, name), "its task is complete")
    frame.records.append(TaskEnded(task.name, task.execution, reason))


def _output_generation(ledger: Ledger, task: Task, link: str) -> Generation:
    """Where the task's values for that output go. NotAllowed if it is no output of it, GenerationAbandoned if a newer run began."""
    if link not in task.shape.outputs:
        outputs = ", ".join(task.shape.outputs) or "it has none"
        raise NotAllowed(f"no output {link} in task {task.name} (outputs: {outputs})")
    generation = ledger.links[link].generations[task.outputs[link]]
    if generation.state is not GenerationState.GROWING:
        raise GenerationAbandoned(
            f"{task.name}: generation {generation.number} of {link} is {generation.state}; nothing can be added to it"
        )
    return generation


def _ranges(records: Sequence[Record]) -> tuple[OutputRange, ...]:
    """The values among `records`, gathered by link; within a frame a link's sequences are consecutive."""
    ranges: dict[str, OutputRange] = {}
    for record in records:
        if not isinstance(record, ValueStored):
            continue
        envelope = record.envelope
        before = ranges.get(envelope.link)
        first = envelope.position.sequence if before is None else before.first_sequence
        ranges[envelope.link] = OutputRange(
            envelope.link, envelope.position.incarnation, envelope.generation, first, envelope.position.sequence
        )
    return tuple(ranges.values())
