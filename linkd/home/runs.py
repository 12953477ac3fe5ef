"""Runs, as the supervisor drives them: begin, a program has exited, end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from linkd.core import runs
from linkd.core.rights import Identity
from linkd.errors import LinkNotFound
from linkd.home.changes import task_topic
from linkd.home.home import Conduct, Home
from linkd.home.tokens import ADAPTERS_NAME
from linkd.model.frozen import frozen
from linkd.model.records import TaskKind
from linkd.telemetry.events import RunBegan, RunEnded
from linkd.telemetry.trace_context import Span, SpanContext, parse_traceparent


@frozen()
class RunCall:
    """How a run begins; `versions` by task, sources and sinks among them. `open_places` are tasks without a program of this run, `every_s` is
    how long the inputs of a `whole` task are idle before it begins again in a run that follows, by task. `memo` has the tasks whose outcomes are
    remembered, with what runs as it goes into their keys (`core.memo`); with `checks_memo` nothing is recalled, and what comes is compared."""

    run_id: str
    fresh: bool
    reason: str
    fingerprint: Mapping[str, str]
    versions: Mapping[str, str]
    traceparent: str = ""
    again: frozenset[str] = frozenset()
    resumed: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    open_places: frozenset[str] = frozenset()
    follow: bool = False
    every_s: Mapping[str, float] = field(default_factory=dict)
    memo: Mapping[str, str] = field(default_factory=dict)
    checks_memo: bool = False


async def begin(home: Home, who: Identity, call: RunCall) -> dict[str, str]:
    """Begins the run under the home's epoch, in one frame. Returns the tokens of its tasks, by name."""
    allow(home, who, "runs.begin")
    layout = home.layout
    plan = runs.RunPlan(
        call.run_id,
        home.ledger.epoch,
        call.fresh,
        call.reason,
        list(layout.links.values()),
        list(layout.tasks.values()),
        call.versions,
        call.fingerprint,
        call.traceparent,
        call.again,
        call.resumed,
        call.tasks,
        call.follow,
    )
    home.conduct = Conduct(True, call.open_places, dict(call.every_s), dict(call.memo), call.checks_memo)
    await home.room()
    records = runs.begin(home.ledger, plan, home.clock.now_ns())
    if not records:
        await home.barrier()
        return tokens(home)
    await home.written(home.admit(records))
    home.changes.announce(["run"])
    home.telemetry.emit(RunBegan(pipeline=layout.name, run_id=call.run_id, epoch=home.ledger.epoch, fresh=call.fresh, detail=call.reason))
    return tokens(home)


def tokens(home: Home) -> dict[str, str]:
    """A token for each task that a program acts for, and that of the adapter worker, under the present epoch."""
    names = [name for name, shape in home.layout.tasks.items() if shape.kind in (TaskKind.RUN, TaskKind.SQL)]
    made = {name: home.tokens.make(name, home.ledger.epoch) for name in names}
    made["adapters"] = home.tokens.make(ADAPTERS_NAME, home.ledger.epoch)
    return made


async def task_exited(home: Home, who: Identity, name: str, exit_code: int) -> dict[str, int]:
    """A program has ended. With code 0 its leases end and its outputs are sealed; else it is told as failed.

    Returns what it left unread, by input.
    """
    with home.audited(who, "runs.task_exited"):
        home.rights.end_task(who, name)
    task = home.ledger.tasks.get(name)
    if task is None:
        raise LinkNotFound(f"there is no task {name} in this run")
    unread = {link: left for link, left in task.unread(home.ledger.links).items() if left}
    if exit_code == 0:
        await home.room()
        records = runs.task_exited(home.ledger, task, home.clock.now_ns())
        if records:
            await home.written(home.admit(records))
            home.changes.announce([task_topic(name)])
    else:
        home.failed.add(name)
        home.changes.announce([task_topic(name)])
    return unread


def pause(home: Home, who: Identity) -> None:
    """Hands out nothing more in this process's life."""
    allow(home, who, "runs.pause")
    home.paused = True


async def end(home: Home, who: Identity, outcome: str) -> None:
    """The run is over: `done`, `failed` or `interrupted`, and what came of it is remembered. Its span is the root of the trace."""
    allow(home, who, "runs.end")
    run = home.ledger.run
    now_ns = home.clock.now_ns()
    await home.room()
    await home.written(home.admit(runs.end(home.ledger, outcome, now_ns)))
    await home.memo.settled()
    if run is None:
        return
    root: SpanContext | None = parse_traceparent(run.traceparent)
    span = Span(root, None, run.began_at_ns, now_ns) if root is not None else None
    home.telemetry.emit(
        RunEnded(
            pipeline=home.layout.name,
            run_id=run.run_id,
            epoch=run.epoch,
            outcome=outcome,
            seconds=max((now_ns - run.began_at_ns) / 1e9, 0.0),
            span=span,
        )
    )


def allow(home: Home, who: Identity, operation: str) -> None:
    """Raises NotAllowed, audited, unless the supervisor calls."""
    with home.audited(who, operation):
        home.rights.supervise(who, operation)
