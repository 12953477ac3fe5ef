"""The leases of tasks' snapshots: their deadlines, what the clients say of them, and what becomes of those that fail.

Decided in `core.snapshot_leases`; here decisions meet the clock, the journal and those who wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from linkd.core import commits
from linkd.core.dead_letters import dead_link
from linkd.core.durations import duration_text
from linkd.core.snapshot_leases import Lease
from linkd.core.tasks import Task
from linkd.home.changes import task_topic
from linkd.home.dead_letters import put_aside
from linkd.home.home import Home
from linkd.model.records import Record
from linkd.store.committer import Committed
from linkd.telemetry.events import SnapshotGivenUp, SnapshotLeaseEnded

_DIED = "the process that worked on it is gone"


def started(home: Home, task: Task, session: int, snapshot_id: bytes, token: int) -> None:
    """The program begins with a snapshot, which has a deadline from now on."""
    lease = task.holders.start(session, snapshot_id, token, home.clock.monotonic_s())
    if lease is not None:
        _hold(home, task, lease)


def renewed(home: Home, task: Task, session: int, snapshot_id: bytes, token: int) -> None:
    """The program works on. If its lease had ended, and nobody else has had the snapshot, it is on lease again."""
    lease = task.holders.renew(session, snapshot_id, token, home.clock.monotonic_s())
    if lease is not None and not home.deadlines.renew(_key(task, lease)):
        _hold(home, task, lease)
        home.changes.announce([task_topic(task.name)])


async def given_back(
    home: Home, task: Task, session: int, snapshot_id: bytes, token: int, *, reason: str, delay_s: float, untried: bool
) -> None:
    """The client does not want the snapshot: it goes out again, after `delay_s` at the earliest. Returns when the journal has been given it."""
    lease = task.holders.give_back(session, snapshot_id, token, untried=untried)
    if lease is not None:
        home.deadlines.drop(_key(task, lease))
        if not untried:
            task.holders.fail(lease, reason or "it was given back")
        if delay_s:
            lease.delayed = True
            home.deadlines.hold(_key(task, lease), delay_s, lambda: _delay_over(home, task, lease))
        for other in task.holders.recalled():
            if _key(task, other) not in home.deadlines:
                _hold(home, task, other)
    home.changes.announce([task_topic(task.name)])
    if lease is not None and lease.unsaid:
        await home.room()
        records = unsaid(task, lease)
        if records and task.leases.get(snapshot_id) is lease:
            home.admit(records, durable=False)


def left(home: Home, task: Task, session: int, *, died: bool) -> None:
    """The connection is gone. If the client `died`, that is a failure of what its program had begun."""
    for lease in task.holders.leave(session):
        home.deadlines.drop(_key(task, lease))
        if died and lease.tried:
            task.holders.fail(lease, _DIED)
    home.changes.announce([task_topic(task.name)])


def settled(home: Home, task: Task, lease: Lease) -> None:
    """The snapshot was committed."""
    home.deadlines.drop(_key(task, lease))


def refused(home: Home, task: Task, snapshot_id: bytes) -> None:
    """A commit was refused. If it came too late, whoever has the snapshot now may get more time, and he who was late is alive."""
    lease = task.leases.get(snapshot_id)
    if lease is not None and lease.started_s is not None:
        home.deadlines.lengthen(_key(task, lease), task.holders.lease_s(lease))
    home.changes.announce([task_topic(task.name)])


def recall_for(home: Home, task: Task, session: int) -> None:
    """Asks for what an idle session may have of what another one has reserved."""
    lease = task.holders.recall_for(session)
    if lease is not None:
        _hold(home, task, lease)
        home.changes.announce([task_topic(task.name)])


def unsaid(task: Task, lease: Lease) -> list[Record]:
    """The record of a failure that the journal does not have yet."""
    return [commits.failure(task, lease)] if lease.unsaid else []


async def give_up(home: Home, task: Task, lease: Lease) -> None:
    """Puts a snapshot that failed too often aside: its letters exist and it is settled, in one frame. Returns when that is durable."""
    lease.leaving = True
    try:
        now_ns = home.clock.now_ns()

        def settles() -> Sequence[Record] | None:
            if task.leases.get(lease.snapshot_id) is not lease or lease.session is not None:
                return None  # it was committed late, or the execution is over
            return [*unsaid(task, lease), *commits.give_up(home.ledger, task, lease, home.clock.now_ns())]

        future = await put_aside(home, dead_link(task.name), commits.letters(task, lease, now_ns), settles, task.name)
    finally:
        lease.leaving = False
    if future is None:
        return
    given_up = SnapshotGivenUp(task=task.name, attempts=lease.failures, link=dead_link(task.name), detail=lease.reason)

    def tell(done: asyncio.Future[Committed]) -> None:
        if not done.cancelled() and done.exception() is None:
            home.telemetry.emit(given_up)

    future.add_done_callback(tell)  # also if the session that does this is gone by then
    await home.written(future)


def _key(task: Task, lease: Lease) -> tuple[str, str, bytes]:
    return "snapshot", task.name, lease.snapshot_id


def _hold(home: Home, task: Task, lease: Lease) -> None:
    lease_s = task.holders.lease_s(lease)
    home.deadlines.hold(_key(task, lease), lease_s, lambda: _over(home, task, lease, lease_s))


def _over(home: Home, task: Task, lease: Lease, lease_s: float) -> None:
    was_recalled = lease.recalled
    if task.leases.get(lease.snapshot_id) is not lease or task.holders.over(lease.snapshot_id, lease.token) is None:
        return
    if not was_recalled and task.holders.overruns(lease, home.clock.monotonic_s()):
        task.holders.fail(lease, f"its program worked on it for longer than the timeout of {duration_text(task.holders.timeout_s)}")
        task.holders.overran += 1
        task.holders.lost(lease)
    elif not was_recalled:
        task.holders.fail(lease, f"its program gave no sign of life for {lease_s:g} s")
    if not was_recalled:
        home.telemetry.emit(SnapshotLeaseEnded(task=task.name, attempt=lease.attempt, seconds=lease_s))
    home.changes.announce([task_topic(task.name)])


def _delay_over(home: Home, task: Task, lease: Lease) -> None:
    lease.delayed = False
    home.changes.announce([task_topic(task.name)])
