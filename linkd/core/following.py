"""When a task begins again in a run that follows, because what it reads has another state now. Pure decisions over a `Ledger`.

A `whole` task has made its output from the extent of its inputs at one moment. When they have more, and have been idle for `every`, it begins
again: a new execution with the present extents, into a new generation of its outputs, which replaces the one before when it is sealed. Inputs
that are complete (sealed, and not made by something that is about to begin again) need not be idle first. A task that takes values in turn
moves on to a new generation of its input when it is through with the one before.

With several inputs, one counts as settled only when nothing upstream is at work on it or is about to be; so a task with two roads to one
source begins once, not once for each road. A single input that is complete is taken as it is, for its source may never rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from linkd.core.ledger import Ledger
from linkd.core.links import Generation, GenerationState, Link, LinkShape
from linkd.core.policies import EACH_TEXT
from linkd.core.tasks import LATEST, SOURCE_PREFIX, Task
from linkd.model.frozen import frozen
from linkd.model.records import GenerationBegan, GenerationEnd, GenerationEnded, Record, SchemaKept, TaskBegan
from linkd.model.values import Parent


@frozen()
class Moment:
    """What the edge knows of time, in seconds of a monotonic clock. `changed_s` is when a link last got a value, as far as was seen."""

    now_s: float
    changed_s: Mapping[str, float] = field(default_factory=dict)
    every_s: Mapping[str, float] = field(default_factory=dict)
    default_every_s: float = 10.0


@dataclass(slots=True)
class Following:
    """One look at the ledger. `due` has the tasks that begin again now, `next_s` when to look again if nothing happens before."""

    ledger: Ledger
    moment: Moment
    due: list[Task] = field(default_factory=list)
    next_s: float | None = None
    _settled: dict[str, bool] = field(default_factory=dict)

    def look(self) -> Following:
        run = self.ledger.run
        for task in self.ledger.tasks.values():
            if run is not None and (not run.tasks or task.name in run.tasks) and task.inputs and task.execution:
                at_s = self._due_at(task) if task.shape.is_whole else self._moves_at(task)
                if at_s is not None and at_s <= self.moment.now_s:
                    self.due.append(task)
                elif at_s is not None:
                    self.next_s = at_s if self.next_s is None else min(self.next_s, at_s)
        return self

    def _due_at(self, task: Task) -> float | None:
        """When a `whole` task may begin again; None while something else has to happen first."""
        if not has_news(self.ledger, task) or is_at_work(self.ledger, task) or not self._is_consistent(task):
            return None
        every_s = self.moment.every_s.get(task.name, self.moment.default_every_s)
        at_s = self.moment.now_s
        for name in task.inputs:
            link = self.ledger.links[name]
            current = _newest(link)
            if not current.is_sealed:
                if link.durable_last(current) < current.first_sequence:
                    return None  # nothing came yet, so nothing is known of it, not even its columns
                at_s = max(at_s, self.moment.changed_s.get(name, self.moment.now_s) + every_s)
        return at_s

    def _is_consistent(self, task: Task) -> bool:
        """What it would read belongs together. One input that is complete does so by itself: what comes behind it may never rest."""
        names = [name for name, policy in task.shape.inputs if policy != LATEST]
        if len(names) == 1 and _newest(self.ledger.links[names[0]]).is_sealed:
            return True
        return all(self.settled(name) for name in names)

    def _moves_at(self, task: Task) -> float | None:
        """Now, if a task that takes values in turn is through with a generation of its input and there is a newer one."""
        behind = False
        for name, policy in task.shape.inputs:
            if policy == LATEST:
                continue
            link = self.ledger.links[name]
            bound = link.generations.get(task.inputs[name])
            if _newest(link).number == task.inputs[name]:
                continue
            through = bound is None or bound.state is GenerationState.ABANDONED
            if not through and bound is not None:
                through = bound.is_sealed and task.cursors[name].all_done(bound.end_sequence)
            if not through:
                return None
            behind = True
        return self.moment.now_s if behind and not task.leases else None

    def settled(self, name: str) -> bool:
        """Nothing inside the pipeline is about to change the link: what may come, comes from outside."""
        known = self._settled.get(name)
        if known is None:
            self._settled[name] = known = self._is_settled(self.ledger.links[name])
        return known

    def _is_settled(self, link: Link) -> bool:
        writer = _newest(link).task
        task = self.ledger.tasks.get(writer)
        if task is None or writer.startswith(SOURCE_PREFIX):
            return True
        if is_at_work(self.ledger, task) or not all(self.settled(name) for name in task.inputs):
            return False
        return not (task.shape.is_whole and has_news(self.ledger, task))


def has_news(ledger: Ledger, task: Task) -> bool:
    """Whether a `whole` task's inputs have more than its last execution took."""
    for name, policy in task.shape.inputs:
        link = ledger.links[name]
        newest = _newest(link)
        if policy == LATEST:
            continue
        if newest.number != task.inputs[name] or link.durable_last(newest) > task.cursors[name].done_sequence:
            return True
    return False


def is_at_work(ledger: Ledger, task: Task) -> bool:
    """Whether a task holds a snapshot, or could take one now."""
    if task.leases:
        return True
    if task.shape.is_whole:
        return not task.ended and not task.commits and (bool(task.extents) or _all_sealed(ledger, task))
    for name, policy in task.shape.inputs:
        link = ledger.links[name]
        bound = link.generations.get(task.inputs[name])
        if policy == EACH_TEXT and bound is not None and task.cursors[name].left(link.readable_last(bound)):
            return True
    return False


def begin_again(ledger: Ledger, task: Task, links: Mapping[str, LinkShape]) -> list[Record]:
    """The records of a task's next execution: over what its inputs have now, into new generations of its outputs."""
    records: list[Record] = []
    inputs, extents, parents = {}, {}, []
    for name in task.inputs:
        link = ledger.links[name]
        generation = _newest(link)
        last = link.durable_last(generation)
        inputs[name] = generation.number
        if task.shape.is_whole and not generation.is_sealed:
            extents[name] = last
        parents.append(Parent(name, generation.incarnation, generation.number, generation.kept_sequence, last))
    outputs = {name: _fresh(ledger, task, links, name, tuple(parents), records) for name in task.shape.outputs}
    records.append(TaskBegan(task.name, ledger.executions.get(task.name, 0) + 1, task.version, inputs, outputs, extents))
    return records


def _fresh(
    ledger: Ledger, task: Task, links: Mapping[str, LinkShape], name: str, parents: tuple[Parent, ...], records: list[Record]
) -> int:
    """The generation that an output's values go to: a new one, or the present one if nothing came to it and nobody was told of it."""
    link = ledger.links[name]
    current = link.generations.get(task.outputs.get(name, 0))
    if current is not None and current.number == link.newest and current.state is GenerationState.GROWING:
        if current.last_sequence < current.first_sequence and not current.was_sealed:
            return current.number
        records.append(GenerationEnded(name, current.number, GenerationEnd.ABANDONED, current.last_sequence, f"{task.name} begins again"))
    number = link.newest + 1
    records.append(GenerationBegan(name, number, link.incarnation, link.next_sequence, task.name, task.version, parents))
    shape = links.get(name)
    if shape is not None and shape.declared is not None:
        records.append(SchemaKept(name, shape.declared[0], shape.declared[1], declared=True))
    return number


def _newest(link: Link) -> Generation:
    """The newest generation that was not abandoned; every link of a run has one."""
    for number in sorted(link.generations, reverse=True):
        if link.generations[number].state is not GenerationState.ABANDONED:
            return link.generations[number]
    return link.generations[link.newest]


def _all_sealed(ledger: Ledger, task: Task) -> bool:
    return all(ledger.links[name].generations[number].is_sealed for name, number in task.inputs.items())
