"""A ledger, restated: what a start begins with, so that it does not depend on how much ever happened. Pure.

`keep` and `restored` are each other's inverse for everything that records decide and that is on disk, as it is by the time a checkpoint
counts. Tasks that are not in the pipeline file any more are left out: put back, they begin again, in an execution that goes on counting.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from linkd.core.accounts import Account, Stretch
from linkd.core.cursor import Cursor
from linkd.core.gone import DropCount, Gone
from linkd.core.group_terms import AskedTerms
from linkd.core.groups import Group
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, GenerationState, Link, Remembered
from linkd.core.producers import KnownProducer
from linkd.core.tasks import Task, TaskShape
from linkd.model.kept import (
    AccountKept,
    CursorKept,
    DroppedKept,
    GenerationKept,
    GoneKept,
    GroupKept,
    HomeKept,
    IncarnationKept,
    Kept,
    LinkKept,
    ProducerKept,
    RememberedKept,
    SchemaMessage,
    StretchKept,
    TaskKept,
)
from linkd.model.records import GroupLeased, HoldPlaced
from linkd.model.values import Position


def keep(ledger: Ledger) -> list[Kept]:
    """What the ledger knows now. It is made of values that do not change any more, so it may be encoded later and elsewhere."""
    executions = tuple(ledger.executions.items())
    forgotten_epoch = ledger.producers.forgotten_epoch
    kept: list[Kept] = [
        HomeKept(
            ledger.epoch,
            ledger.last_token,
            ledger.run,
            ledger.run_outcome,
            executions,
            forgotten_epoch,
            ledger.boot,
            ledger.weak_links,
        )
    ]
    schemas: dict[bytes, bytes] = {}
    for link in ledger.links.values():
        for generation in link.generations.values():
            schemas.update(generation.schemas)
    kept += [SchemaMessage(schema_id, schema) for schema_id, schema in schemas.items()]
    for link in ledger.links.values():
        kept += _of_link(link)
    kept += [_of_task(task) for task in ledger.tasks.values()]
    kept += [_of_group(group) for group in ledger.groups.values()]
    kept += ledger.holds.values()
    kept += [ProducerKept(one.id, one.epoch, one.last_sequence, tuple(one.answers)) for one in ledger.producers.known.values()]
    return kept


def restored(kept: Iterable[Kept], shapes: Mapping[str, TaskShape]) -> Ledger:
    """The ledger that was kept; nothing kept is a new one. `shapes` are the tasks of the pipeline file as it is now."""
    ledger = Ledger(shapes=shapes)
    schemas: dict[bytes, bytes] = {}
    for one in kept:
        if isinstance(one, SchemaMessage):
            schemas[one.schema_id] = one.schema
        elif isinstance(one, GenerationKept):
            link = ledger.links[one.link]
            link.generations[one.generation] = _generation(one, schemas, link.last_created_at_ns)
        else:
            _TAKE[type(one)](ledger, one)
    return ledger


def _of_link(link: Link) -> Iterator[Kept]:
    last = max((one.last_sequence for one in link.generations.values() if one.last_sequence >= one.first_sequence), default=0)
    durable = max(link.durable_sequence, last)
    gone = tuple(GoneKept(one.first_sequence, one.last_sequence, one.reason, one.dropped_at_ns) for one in link.gone)
    incarnations = tuple(IncarnationKept(number, first) for number, first in link.incarnations.items())
    dropped = tuple(DroppedKept(reason, one.values, one.last_at_ns) for reason, one in link.dropped.items())
    yield LinkKept(
        link.name, link.incarnation, link.next_sequence, durable, link.last_created_at_ns, link.newest, gone, incarnations, dropped
    )
    for old in link.remembered.values():
        yield RememberedKept(link.name, old.number, old.incarnation, old.first_sequence, old.last_sequence, old.inputs)
    for one in link.generations.values():
        yield GenerationKept(
            link.name,
            one.number,
            one.incarnation,
            one.first_sequence,
            one.last_sequence,
            one.task,
            one.task_version,
            one.inputs,
            str(one.state),
            one.sealed_sequence,
            one.was_sealed or one.sealed_sequence is not None,
            one.values,
            one.rows,
            one.size_bytes,
            one.schema_id,
            tuple(one.schemas),
            one.declared,
            one.source,
            AccountKept(one.account.first_sequence, tuple(_of_stretch(stretch) for stretch in one.account.stretches)),
            tuple(_of_stretch(stretch) for stretch in one.past),
            one.forgotten_sequence,
        )


def _of_stretch(one: Stretch) -> StretchKept:
    return StretchKept(one.last_sequence, one.values, one.rows, one.size_bytes, one.created_at_ns, dict(one.parents))


def _stretch(kept: StretchKept) -> Stretch:
    return Stretch(kept.last_sequence, kept.values, kept.rows, kept.size_bytes, kept.created_at_ns, dict(kept.parents))


def _account(kept: GenerationKept, last_created_at_ns: int) -> Account:
    """The account of a generation; of one that nobody counted yet all of it is one stretch."""
    if kept.account is not None:
        stretches = [_stretch(one) for one in kept.account.stretches]
        return Account(kept.account.first_sequence, stretches, sum(one.values for one in stretches))
    if not kept.values:
        return Account()
    parents = {parent.link: parent.first_sequence for parent in kept.inputs}
    stretch = Stretch(kept.last_sequence, kept.values, kept.rows, kept.size_bytes, last_created_at_ns, parents)
    return Account(kept.first_sequence, [stretch], kept.values)


def _generation(kept: GenerationKept, schemas: Mapping[bytes, bytes], last_created_at_ns: int) -> Generation:
    return Generation(
        kept.generation,
        kept.incarnation,
        kept.first_sequence,
        kept.last_sequence,
        kept.task,
        kept.task_version,
        kept.inputs,
        GenerationState(kept.state),
        kept.sealed_sequence,
        kept.sealed_sequence is not None,
        kept.was_sealed,
        kept.values,
        kept.rows,
        kept.size_bytes,
        kept.schema_id,
        schemas.get(kept.schema_id, b""),
        kept.declared,
        kept.source,
        {schema_id: schemas[schema_id] for schema_id in kept.schema_ids},
        _account(kept, last_created_at_ns),
        [_stretch(one) for one in kept.past],
        kept.forgotten_sequence,
    )


def _of_task(task: Task) -> TaskKept:
    return TaskKept(
        task.name,
        task.execution,
        task.version,
        dict(task.inputs),
        dict(task.outputs),
        dict(task.extents),
        task.ended,
        tuple(CursorKept(link, cursor.done_sequence, cursor.ranges_ahead()) for link, cursor in task.cursors.items()),
        task.open_snapshots(),
        tuple(task.committed.values()),
        task.commits,
        task.refused_late,
        dict(task.done_rows),
        task.policy_state(),
        task.recorded,
        task.failed_snapshots(),
        task.given_up,
    )


def _of_group(group: Group) -> GroupKept:
    leases = tuple(
        GroupLeased(
            group.name,
            group.link,
            Position(group.incarnation, lease.sequence),
            lease.token,
            lease.attempt,
            lease.failures,
            lease.reason,
            lease.delay_ms,
            lease.failed,
        )
        for lease in group.leases.values()
    )
    cursor, terms = group.cursor, AskedTerms.of(group.terms)
    return GroupKept(
        group.name,
        group.link,
        group.incarnation,
        group.generation,
        cursor.done_sequence,
        cursor.ranges_ahead(),
        group.handed_sequence,
        leases,
        terms.order,
        terms.key,
        terms.lease_ms,
        terms.timeout_ms,
        terms.max_attempts,
        group.run_generation,
        tuple(group.acked),
        group.lost_values,
    )


def _take_home(ledger: Ledger, kept: HomeKept) -> None:
    ledger.epoch, ledger.last_token = kept.epoch, kept.last_token
    ledger.run, ledger.run_outcome = kept.run, kept.run_outcome
    ledger.executions = dict(kept.executions)
    ledger.producers.forgotten_epoch = kept.forgotten_epoch
    ledger.boot, ledger.weak_links = kept.boot, kept.weak_links


def _take_link(ledger: Ledger, kept: LinkKept) -> None:
    ledger.links[kept.link] = Link(
        kept.link, kept.incarnation, kept.next_sequence, kept.durable_sequence, kept.last_created_at_ns, newest=kept.newest
    )
    ledger.links[kept.link].incarnations = {one.incarnation: one.first_sequence for one in kept.incarnations}
    ledger.links[kept.link].dropped = {one.reason: DropCount(one.values, one.last_at_ns) for one in kept.dropped}
    ledger.links[kept.link].gone = [Gone(one.first_sequence, one.last_sequence, one.reason, one.dropped_at_ns) for one in kept.gone]


def _take_remembered(ledger: Ledger, kept: RememberedKept) -> None:
    ledger.links[kept.link].remembered[kept.generation] = Remembered(
        kept.generation, kept.incarnation, kept.first_sequence, kept.last_sequence, kept.inputs
    )


def _take_task(ledger: Ledger, kept: TaskKept) -> None:
    shape = ledger.shapes.get(kept.task)
    if shape is None:
        return
    task = ledger.tasks[kept.task] = Task(shape, kept.execution, kept.version, dict(kept.inputs), dict(kept.outputs), dict(kept.extents))
    task.cursors = {cursor.link: Cursor.of(cursor.done_sequence, cursor.ahead) for cursor in kept.cursors}
    for lease in kept.open:
        task.lease(lease)
    for failed in kept.failed:
        task.failed(failed)
    if kept.ended:
        task.end()
    task.committed = OrderedDict((commit.snapshot_id, commit) for commit in kept.committed)
    task.commits, task.refused_late, task.done_rows = kept.commits, kept.refused_late, dict(kept.done_rows)
    task.restore_policy(kept.policy_state)
    task.recorded, task.given_up = kept.recorded, kept.given_up


def _take_group(ledger: Ledger, kept: GroupKept) -> None:
    cursor = Cursor.of(kept.done_sequence, kept.ahead)
    terms = AskedTerms(kept.order, kept.key, kept.lease_ms, kept.timeout_ms, kept.max_attempts).of_new_group()
    group = ledger.groups[kept.group, kept.link] = Group(
        kept.group, kept.link, kept.incarnation, kept.generation, cursor, terms, kept.run_generation
    )
    group.handed_sequence = max(kept.handed_sequence, cursor.done_sequence)
    for lease in kept.leases:
        group.leased(lease.position.sequence, lease.token, lease.attempt, lease.failures, lease.reason, lease.delay_ms, failed=lease.failed)
    group.acked.update(dict.fromkeys(kept.acked))
    group.lost_values = kept.lost_values


def _take_producer(ledger: Ledger, kept: ProducerKept) -> None:
    ledger.producers.restore(KnownProducer(kept.producer, kept.epoch, kept.last_sequence, deque(kept.answers)))


def _take_hold(ledger: Ledger, kept: HoldPlaced) -> None:
    ledger.holds[kept.name] = kept


_TAKE: dict[type, Callable[[Ledger, Any], None]] = {
    HomeKept: _take_home,
    LinkKept: _take_link,
    RememberedKept: _take_remembered,
    TaskKept: _take_task,
    GroupKept: _take_group,
    HoldPlaced: _take_hold,
    ProducerKept: _take_producer,
}
