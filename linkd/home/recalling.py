"""Before a snapshot goes to a program: is its outcome remembered? If so it is committed again, in its turn, and nothing runs.

What is decided in `core.snapshot_leases` meets content here: digests of values, the memo, the commit. A session of a task asks for what it would
hand out next; it does not matter which session that is.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from linkd.core import commits as decided
from linkd.core.memo import REMEMBERED, Outcome, RememberedValue
from linkd.core.snapshot_leases import Lease, MemoState
from linkd.core.tasks import Ask, Offer, Recall, Task
from linkd.errors import DataFault, InvalidArgument, LeaseLost, LinkNotFound, NoRoom, Overloaded, StateDamaged, StorageFull, ValueTooLarge
from linkd.home.changes import task_topic
from linkd.home.commits import Admitted, CommitCall, admit
from linkd.home.composing import next_snapshot
from linkd.home.home import Home
from linkd.home.intake import ARROW, Incoming, Prepared, Target, discard, prepare
from linkd.home.remembered_values import payload_of
from linkd.home.snapshot_content import snapshot_digest, snapshot_key
from linkd.home.snapshot_leases import unsaid
from linkd.home.staging import StagedValues

_GONE: Final = (LinkNotFound, StateDamaged, InvalidArgument, DataFault)
"""What a remembered value is refused with that is not there any more, or does not fit its link any more."""


async def to_be_asked(home: Home, task: Task, offer: Offer, session: int) -> bool:
    """Whether this is not to go out yet: it has to be asked for first, or is not what comes next any more."""
    if not home.memo.concerns(task.name):
        return False
    if offer.snapshot_id not in task.leases:
        await home.room()
        if next_snapshot(home, task, session) != offer:
            return True
        home.admit([decided.put_together(task, offer)], durable=False)
    lease = task.leases[offer.snapshot_id]
    if lease.memo is not MemoState.NONE:
        return False
    lease.memo = MemoState.UNASKED
    return True


def look_again(home: Home, task: Task) -> None:
    """What waits for the outcome of another snapshot asks anew when that has come, or will not come any more."""
    for lease in task.leases.values():
        if lease.memo is MemoState.AWAITED and not home.memo.is_worked_at(lease.memo_key, lease.snapshot_id):
            lease.memo = MemoState.UNASKED


async def follow(home: Home, staged: StagedValues, task: Task, wanted: Ask | Recall) -> None:
    """Does what is wanted. Raises as a commit does, StorageFailed."""
    if isinstance(wanted, Ask):
        await _ask(home, task, wanted.lease)
    else:
        await _recall(home, staged, task, wanted.lease)
    home.changes.announce([task_topic(task.name)])


async def _ask(home: Home, task: Task, lease: Lease) -> None:
    """Finds out whether the outcome is known, is being made, or is to be made."""
    lease.memo = MemoState.ASKED
    runs = home.conduct.memo[task.name]
    try:
        key, content = await snapshot_key(home, runs, lease)
        lease.memo_key = key
        if home.memo.is_worked_at(key, lease.snapshot_id):
            lease.memo = MemoState.AWAITED
            return
        home.memo.works_at(key, task.name, lease.snapshot_id)  # before anything is waited for: another session may ask for the same now
        outcome = None if home.conduct.checks_memo else await home.memo.find(key)
        if outcome is not None and outcome.content != (content or await snapshot_digest(home, runs, lease)):
            outcome = None
        lease.memo = MemoState.UNKNOWN if outcome is None else MemoState.KNOWN
        if outcome is not None:
            home.memo.hold(key, outcome)
            home.memo.works_no_more(key, task.name)
    except _GONE:
        lease.memo = MemoState.UNKNOWN  # of what cannot be read its reader is told
    finally:
        if lease.memo is MemoState.ASKED:
            lease.memo = MemoState.UNASKED


async def _recall(home: Home, staged: StagedValues, task: Task, lease: Lease) -> None:
    """Commits the outcome again, without waiting for the disk. If it is not there any more, a program has to make it."""
    lease.leaving = True
    try:
        outcome = home.memo.held(lease.memo_key) or await home.memo.find(lease.memo_key)
        prepared = await _prepared(home, task, outcome) if outcome is not None else None
        if outcome is None or prepared is None:
            lease.memo = MemoState.UNKNOWN
            home.memo.works_at(lease.memo_key, task.name, lease.snapshot_id)
            await home.memo.forget(lease.memo_key)
            return
        admitted = await _commit(home, staged, task, lease, outcome, prepared)
        if admitted is not None:
            home.memo.recalls(task.name, admitted)
    except (NoRoom, LeaseLost):
        pass  # its outputs are full, and it is still its turn; or somebody was quicker
    except (Overloaded, StorageFull):  # a program waits for room as programs do
        task.leases.get(lease.snapshot_id, lease).memo = MemoState.UNKNOWN
    finally:
        now = task.leases.get(lease.snapshot_id, lease)
        now.leaving, now.tried = False, lease.tried and now is lease


async def _commit(
    home: Home, staged: StagedValues, task: Task, lease: Lease, outcome: Outcome, prepared: list[Prepared]
) -> Admitted | None:
    """What will be durable; nothing if its execution is over, or a client that had the snapshot has committed it after all."""
    snapshot_id = lease.snapshot_id
    with ExitStack() as undone:
        undone.callback(discard, prepared)
        await home.room()
        if task.leases.get(snapshot_id) is not lease:
            return None
        undone.pop_all()
    offer = Offer(snapshot_id, lease.attempt + lease.tried, lease.portions, lease.settles, lease.partial)
    record = decided.lease(home.ledger, task, offer)
    home.admit([*unsaid(task, lease), record], durable=False)
    now = task.leases[snapshot_id]
    now.leaving, now.rows = True, lease.rows
    try:
        refs = [staged.add(snapshot_id, record.token, one) for one in prepared]
        call = CommitCall(snapshot_id, record.token, refs, task.name, final=task.shape.is_whole, recalled=outcome)
        admitted = await admit(home, staged, task, call)
    finally:
        staged.drop(snapshot_id)
    return admitted if isinstance(admitted, Admitted) else None


async def _prepared(home: Home, task: Task, outcome: Outcome) -> list[Prepared] | None:
    """The values to be committed; None if one of them is not there any more, or not what the link takes."""
    with ExitStack() as undone:
        prepared: list[Prepared] = []
        undone.callback(discard, prepared)
        try:
            for value in outcome.values:
                prepared += [await _prepare(home, task, value)]
        except _GONE:
            return None
        undone.pop_all()
    return prepared


async def _prepare(home: Home, task: Task, value: RememberedValue) -> Prepared:
    generation = home.ledger.links[value.link].generations[task.outputs[value.link]]
    target = Target(generation.schema_id, generation.schema, generation.declared)
    if not target.schema_id:  # the first value gives the link its columns, as it did when it was made
        target = Target(value.schema_id, value.schema)
    await home.memory.take(value.size_bytes)
    try:
        pieces = await payload_of(home, value)
        incoming = Incoming(value.link, ARROW, pieces, value.schema, {**value.attributes, REMEMBERED: value.made_as})
        made = await prepare(home, incoming, target)
    finally:
        home.memory.give(value.size_bytes)
    if len(made) != 1:
        discard(made)
        raise ValueTooLarge(f"{value.link}: in the schema that the link has by now {value.made_as} is too large for one value")
    return made[0]
