"""The beginning and the end of runs. Pure decisions over a `Ledger`.

In this version a run either goes on with everything or starts everything again: `fresh`. What outsiders appended to an `in*` link is sealed
at what it holds when the run begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from linkd.core.ledger import Ledger
from linkd.core.links import GenerationState
from linkd.core.publishing import Frame
from linkd.core.tasks import Task, TaskShape
from linkd.errors import NotAllowed
from linkd.model.records import (
    GenerationBegan,
    GenerationEnd,
    GenerationEnded,
    LinkOpened,
    Record,
    RunBegan,
    RunEnded,
    SchemaKept,
    TaskBegan,
    TaskEnded,
)
from linkd.model.values import OUTSIDER, Parent


@dataclass(frozen=True, slots=True)
class LinkShape:
    """What the pipeline file says of a link: who writes it ("" for outsiders), and the schema it declares, as (id, schema message)."""

    name: str
    writer: str
    declared: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run begins with. `tasks` in an order in which writers come before readers; `again` are sinks that begin again in any case."""

    run_id: str
    epoch: int
    fresh: bool
    reason: str
    links: Sequence[LinkShape]
    tasks: Sequence[TaskShape]
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    traceparent: str = ""
    again: frozenset[str] = frozenset()


def begin(ledger: Ledger, plan: RunPlan, now_ns: int) -> list[Record]:
    """The records that begin a run, in one frame; none if this very run has begun.

    NotAllowed if another one has under this epoch: programs of two runs could not be told apart.
    """
    before = ledger.run
    if before is not None and before.epoch == plan.epoch:
        if before.run_id == plan.run_id:
            return []
        raise NotAllowed(f"run {before.run_id} has begun in this home: another one needs a home of its own, with the next epoch")
    records: list[Record] = [RunBegan(plan.epoch, plan.run_id, now_ns, plan.fresh, dict(plan.fingerprint), plan.reason, plan.traceparent)]
    generations: dict[str, int] = {}
    for shape in plan.links:
        known = ledger.links.get(shape.name)
        if known is None or (plan.fresh and shape.writer != OUTSIDER):
            generations[shape.name] = _new_generation(ledger, plan, shape, now_ns, records)
        else:
            generations[shape.name] = known.newest
        if shape.writer == OUTSIDER:
            _seal_appended(ledger, shape, generations[shape.name], records)
    for task in plan.tasks:
        known_task = ledger.tasks.get(task.name)
        if plan.fresh or known_task is None or known_task.execution == 0 or task.name in plan.again:
            execution = ledger.executions.get(task.name, 0) + 1
            records.append(
                TaskBegan(
                    task.name,
                    execution,
                    plan.versions.get(task.name, ""),
                    {link: generations[link] for link, _ in task.inputs},
                    {link: generations[link] for link in task.outputs},
                )
            )
    return records


def _new_generation(ledger: Ledger, plan: RunPlan, shape: LinkShape, now_ns: int, records: list[Record]) -> int:
    link = ledger.links.get(shape.name)
    if link is None:
        records.append(LinkOpened(shape.name, 1, 1, now_ns))
        number, incarnation, first = 1, 1, 1
    else:
        current = link.current
        if current is not None and current.state is GenerationState.GROWING:
            records.append(
                GenerationEnded(link.name, current.number, GenerationEnd.ABANDONED, current.last_sequence, plan.reason or "started again")
            )
        number, incarnation, first = link.newest + 1, link.incarnation, link.next_sequence
    version = plan.versions.get(shape.writer, "")
    records.append(GenerationBegan(shape.name, number, incarnation, first, shape.writer, version, _inputs(ledger, plan, shape)))
    if shape.declared is not None:
        records.append(SchemaKept(shape.name, shape.declared[0], shape.declared[1], declared=True))
    return number


def _inputs(ledger: Ledger, plan: RunPlan, shape: LinkShape) -> tuple[Parent, ...]:
    """The generations that the new one is made from: those that begin in the same frame, so their extents are not known yet."""
    writer = next((task for task in plan.tasks if task.name == shape.writer), None)
    if writer is None:
        return ()
    parents = []
    for name, _ in writer.inputs:
        link = ledger.links.get(name)
        outsiders = next((other.writer == OUTSIDER for other in plan.links if other.name == name), False)
        if link is None:
            parents.append(Parent(name, 1, 1, 1, 0))
        elif outsiders and (current := link.current) is not None:
            parents.append(Parent(name, current.incarnation, current.number, current.first_sequence, current.last_sequence))
        else:
            parents.append(Parent(name, link.incarnation, link.newest + 1, link.next_sequence, link.next_sequence - 1))
    return tuple(parents)


def _seal_appended(ledger: Ledger, shape: LinkShape, generation: int, records: list[Record]) -> None:
    link = ledger.links.get(shape.name)
    if link is None:
        records.append(GenerationEnded(shape.name, generation, GenerationEnd.SEALED, 0, "the run began"))
        return
    current = link.generations[generation]
    if current.state is GenerationState.GROWING:
        records.append(GenerationEnded(shape.name, generation, GenerationEnd.SEALED, current.last_sequence, "the run began"))


def task_exited(ledger: Ledger, task: Task, now_ns: int) -> list[Record]:
    """A program ended with exit code 0: its outputs are sealed and it is complete. Nothing if it was already."""
    if task.ended or task.execution == 0:
        return []
    frame = Frame(ledger, now_ns)
    for name, number in task.outputs.items():
        link = ledger.links[name]
        generation = link.generations[number]
        if generation.state is GenerationState.GROWING:
            frame.seal(link, generation, f"{task.name} exited with code 0")
    frame.records.append(TaskEnded(task.name, task.execution, "exited with code 0"))
    return frame.records


def end(ledger: Ledger, outcome: str, now_ns: int) -> list[Record]:
    return [RunEnded(ledger.epoch, outcome, now_ns)]


def is_complete(ledger: Ledger) -> bool:
    """Every task of the pipeline has ended, and so every link is sealed."""
    return bool(ledger.shapes) and all(name in ledger.tasks and ledger.tasks[name].ended for name in ledger.shapes)
