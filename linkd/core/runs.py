"""The beginning and the end of runs. Pure decisions over a `Ledger`.

`core.planning` says what begins again and what goes on; here that becomes the records of one frame. What outsiders appended to an `in*` link
is sealed at what it holds when a finite run begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from linkd.core.ledger import Ledger
from linkd.core.links import Generation, GenerationState, Link, LinkShape
from linkd.core.planning import abandoned_with, complete
from linkd.core.publishing import Frame
from linkd.core.tasks import Task, TaskShape
from linkd.errors import NotAllowed
from linkd.model.frozen import frozen
from linkd.model.records import (
    GenerationBegan,
    GenerationEnd,
    GenerationEnded,
    GenerationReopened,
    LinkOpened,
    Record,
    RunBegan,
    RunEnded,
    SchemaKept,
    TaskBegan,
    TaskEnded,
    TaskResumed,
)
from linkd.model.values import OUTSIDER, Parent


@frozen()
class RunPlan:
    """What a run begins with. `tasks` in an order in which writers come before readers.

    `again` are those that begin again (everything, if `fresh`; who never began does so anyway), `resumed` those that had ended and go on.
    `selected` are those that take part, none for all.
    """

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
    resumed: frozenset[str] = frozenset()
    selected: frozenset[str] = frozenset()
    follow: bool = False

    def takes_part(self, task: str) -> bool:
        return not self.selected or task in self.selected


def begin(ledger: Ledger, plan: RunPlan, now_ns: int) -> list[Record]:
    """The records that begin a run, in one frame; none if this very run has begun.

    NotAllowed if another one has under this epoch: programs of two runs could not be told apart.
    """
    before = ledger.run
    if before is not None and before.epoch == plan.epoch:
        if before.run_id == plan.run_id:
            return []
        raise NotAllowed(f"run {before.run_id} has begun in this home: another one needs a home of its own, with the next epoch")
    return _Beginning(ledger, plan, now_ns).records()


@dataclass(slots=True)
class _Beginning:
    """The frame that begins a run, being put together. `_numbers` has the generation that each link will have."""

    ledger: Ledger
    plan: RunPlan
    now_ns: int
    _records: list[Record] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _new: set[str] = field(default_factory=set)

    def records(self) -> list[Record]:
        plan = self.plan
        selected = tuple(task.name for task in plan.tasks if plan.takes_part(task.name)) if plan.selected else ()
        self._records.append(
            RunBegan(
                plan.epoch,
                plan.run_id,
                self.now_ns,
                plan.fresh,
                dict(plan.fingerprint),
                plan.reason,
                plan.traceparent,
                selected,
                plan.follow,
            )
        )
        begins = [task for task in plan.tasks if self._begins(task)]
        self._abandon(begins)
        writers = {name: task for task in begins for name in task.outputs}
        for shape in plan.links:
            self._link(shape, writers.get(shape.name))
        for task in begins:
            self._task(task)
        for task in plan.tasks:
            if task.name in plan.resumed and not self._begins(task):
                self._resume(task)
        return self._records

    def _begins(self, task: TaskShape) -> bool:
        if not self.plan.takes_part(task.name):
            return False
        known = self.ledger.tasks.get(task.name)
        return self.plan.fresh or known is None or known.execution == 0 or task.name in self.plan.again

    def _abandon(self, begins: Sequence[TaskShape]) -> None:
        """What is superseded before it was complete ends here, and with it all that was being made from it."""
        reason = self.plan.reason or "started again"
        ended: dict[str, Generation] = {}
        for task in begins:
            for name in task.outputs:
                link = self.ledger.links.get(name)
                current = link.current if link is not None else None
                if current is not None and current.state is GenerationState.GROWING:
                    ended[name] = current
        ended |= abandoned_with(self.ledger, {name: generation.number for name, generation in ended.items()})
        for name, generation in ended.items():
            self._records.append(GenerationEnded(name, generation.number, GenerationEnd.ABANDONED, generation.last_sequence, reason))

    def _link(self, shape: LinkShape, writer: TaskShape | None) -> None:
        link = self.ledger.links.get(shape.name)
        if link is None and writer is None and shape.writer != OUTSIDER:
            return  # of a task that takes no part, and never did
        if link is None or writer is not None:
            self._new_generation(shape, writer)
        else:
            self._numbers[shape.name] = link.newest
        if shape.writer == OUTSIDER:
            self._of_outsiders(shape, link)

    def _new_generation(self, shape: LinkShape, writer: TaskShape | None) -> None:
        link = self.ledger.links.get(shape.name)
        number, incarnation, first = (1, 1, 1) if link is None else (link.newest + 1, link.incarnation, link.next_sequence)
        if link is None:
            self._records.append(LinkOpened(shape.name, 1, 1, self.now_ns))
        self._numbers[shape.name] = number
        self._new.add(shape.name)
        version = self.plan.versions.get(shape.writer, "")
        parents = tuple(self._parent(name) for name, _ in writer.inputs) if writer is not None else ()
        self._records.append(GenerationBegan(shape.name, number, incarnation, first, shape.writer, version, parents))
        if shape.declared is not None:
            self._records.append(SchemaKept(shape.name, shape.declared[0], shape.declared[1], declared=True))

    def _parent(self, name: str) -> Parent:
        """An input of a new generation: of one that begins in the same frame the extent is not known yet."""
        link = self.ledger.links.get(name)
        if link is None:
            return Parent(name, 1, 1, 1, 0)
        number = self._numbers.get(name, link.newest)
        known = link.generations.get(number)
        if known is None:
            return Parent(name, link.incarnation, number, link.next_sequence, link.next_sequence - 1)
        return Parent(name, known.incarnation, number, known.kept_sequence, known.last_sequence)

    def _of_outsiders(self, shape: LinkShape, link: Link | None) -> None:
        """A finite run reads what they appended so far; one that follows reads on as they append."""
        current = link.generations[link.newest] if link is not None else None
        number = self._numbers[shape.name]
        if self.plan.follow:
            if current is not None and current.sealed_sequence is not None:
                self._records.append(GenerationReopened(shape.name, number, within_run=True))
        elif current is None or current.state is GenerationState.GROWING:
            last = 0 if current is None else current.last_sequence
            self._records.append(GenerationEnded(shape.name, number, GenerationEnd.SEALED, last, "the run began"))

    def _task(self, task: TaskShape) -> None:
        self._records.append(
            TaskBegan(
                task.name,
                self.ledger.executions.get(task.name, 0) + 1,
                self.plan.versions.get(task.name, ""),
                {link: self._numbers[link] for link, _ in task.inputs},
                {link: self._numbers[link] for link in task.outputs},
            )
        )

    def _resume(self, task: TaskShape) -> None:
        known = self.ledger.tasks[task.name]
        version = self.plan.versions.get(task.name, known.version)
        self._records.append(TaskResumed(task.name, known.execution, version))
        for name, number in known.outputs.items():
            generation = self.ledger.links[name].generations[number]
            if generation.state is GenerationState.SEALED:
                self._records.append(GenerationReopened(name, number, within_run=True))


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
    """Every task that takes part in the present run has ended, and so every link they write is sealed. A run that follows never is."""
    run = ledger.run
    if run is None or run.follow:
        return False
    return complete(ledger, run.tasks or tuple(ledger.shapes))
