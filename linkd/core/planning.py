"""What a run has to do to make every output current, task by task, and why. Pure.

A task *begins again*, into new generations, if it never began, if it is another version than the one that began, if an input of it has a
new generation, or if another task has written its outputs since; so does all that depends on it. It *goes on* in the generations it has if
its input only grew (what outsiders appended, a followed source) and it takes it value by value, or if another version of it is to continue
(`on_change: continue`). One that was interrupted continues. Nothing else runs.

Tasks are taken writers first, so one pass decides: what became of a link's writer is known when its readers are asked.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from linkd.core.layout import Layout
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, GenerationState
from linkd.core.policies import EACH_TEXT
from linkd.core.rights import sink_task
from linkd.core.tasks import LATEST, Task, TaskShape
from linkd.errors import LinkNotFound
from linkd.model.frozen import frozen
from linkd.model.records import TaskKind

CONTINUE = "continue"


class Action(enum.StrEnum):
    """What becomes of a task in a run."""

    BEGIN = "begin"  # from the first value, into new generations
    RESUME = "resume"  # it had ended and goes on where it stands
    CONTINUE = "continue"  # it was interrupted and goes on where it stands
    FOLLOW = "follow"  # it is current, and begins again when its inputs, which go on growing, were idle
    NOTHING = "nothing"  # it is current
    SKIP = "skip"  # it takes no part in this run


RUNS = frozenset({Action.BEGIN, Action.RESUME, Action.CONTINUE, Action.FOLLOW})
"""Actions of tasks that have something to do."""


@frozen()
class Facts:
    """What only the edge can find out.

    `changes` says of a task what is not as it was when it last began (`clean.py changed`): its program, its settings, the content of a
    source. `lost` says of a sink what is not there any more. `followed` are the sources that can grow while they are read, `grown` those that
    were read to their end and have more behind it.
    """

    changes: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    followed: frozenset[str] = frozenset()
    grown: frozenset[str] = frozenset()


@frozen()
class Wishes:
    """What the person asked for. `only` are links that are to be current, none for all; `on_change` says of a task `rerun` or `continue`."""

    only: frozenset[str] = frozenset()
    follow: bool = False
    on_change: Mapping[str, str] = field(default_factory=dict)


@frozen()
class Step:
    task: str
    action: Action
    reason: str


class _News(enum.Enum):
    """What a link has for its readers."""

    NONE = 0
    GROWN = 1
    NEW = 2


def plan_steps(ledger: Ledger, layout: Layout, facts: Facts, wishes: Wishes) -> tuple[Step, ...]:
    """One step for each task of the pipeline, sources and sinks among them, in the layout's order. Raises LinkNotFound for `only`."""
    return tuple(_Planning(ledger, layout, facts, wishes, needed_for(layout, wishes.only)).steps())


def needed_for(layout: Layout, only: frozenset[str]) -> frozenset[str]:
    """The tasks that make these links current: writers of them, of their inputs, and so on, and their own sinks; all of them for none."""
    if not only:
        return frozenset(layout.tasks)
    needed: set[str] = set()
    waiting = sorted(only)
    while waiting:
        name = waiting.pop()
        link = layout.links.get(name)
        if link is None:
            raise LinkNotFound(f"there is no link `{name}` to build (links: {', '.join(layout.links)})")
        if name in only and sink_task(name) in layout.tasks:
            needed.add(sink_task(name))
        if link.writer and link.writer not in needed:
            needed.add(link.writer)
            waiting.extend(wire for wire, _ in layout.tasks[link.writer].inputs)
    return frozenset(needed)


@dataclass(slots=True)
class _Planning:
    ledger: Ledger
    layout: Layout
    facts: Facts
    wishes: Wishes
    needed: frozenset[str]
    _news: dict[str, _News] = field(default_factory=dict)
    _live: set[str] = field(default_factory=set)

    def steps(self) -> list[Step]:
        for link in self.layout.links.values():
            if not link.writer:
                self._news[link.name] = self._of_outsiders(link.name)
                if self.wishes.follow:
                    self._live.add(link.name)
        steps = []
        for shape in self.layout.tasks.values():
            step = self._step(shape)
            self._note(shape, step.action)
            steps.append(step)
        return steps

    def _of_outsiders(self, name: str) -> _News:
        """Values that came behind the seal of the last run are news of this one."""
        link = self.ledger.links.get(name)
        current = link.current if link is not None else None
        if current is None or current.state is not GenerationState.GROWING:
            return _News.NONE
        return _News.GROWN if current.last_sequence > current.end_sequence or current.sealed_sequence is None else _News.NONE

    def _note(self, shape: TaskShape, action: Action) -> None:
        """What a step means for those who read what its task writes."""
        news = {Action.BEGIN: _News.NEW, Action.RESUME: _News.GROWN}.get(action, _News.NONE)
        live = self.wishes.follow and (shape.name in self.facts.followed or any(name in self._live for name, _ in shape.inputs))
        for name in shape.outputs:
            self._news[name] = news
            if live and action is not Action.SKIP:
                self._live.add(name)

    def _step(self, shape: TaskShape) -> Step:
        if shape.name not in self.needed:
            return Step(shape.name, Action.SKIP, "not asked for")
        task = self.ledger.tasks.get(shape.name)
        if task is None or task.execution == 0:
            return Step(shape.name, Action.BEGIN, "first run" if self.ledger.run is None else "new")
        theirs = [name for name in shape.outputs if self._is_of_another(task, name)]
        if theirs:
            return Step(shape.name, Action.BEGIN, f"another task wrote {', '.join(theirs)} since")
        # In a run that follows, the latest of an input is of whatever generation it has by then.
        new = [name for name, policy in shape.inputs if self._is_new(task, name) and not (self.wishes.follow and policy == LATEST)]
        change = self.facts.changes.get(shape.name)
        if change and not (self._continues(shape) and not new and _same_wires(task, shape)):
            return Step(shape.name, Action.BEGIN, change)
        if new or not _same_wires(task, shape):
            return Step(shape.name, Action.BEGIN, _inputs("changes", new) if new else "its wiring changed")
        grown = [name for name, _ in shape.inputs if self._news.get(name) is _News.GROWN or self._went_on(task, name)]
        lives = self.wishes.follow and (shape.name in self.facts.followed or any(name in self._live for name, _ in shape.inputs))
        if grown and not self.wishes.follow and not takes_value_by_value(shape):
            return self._grown(shape, grown)  # also if it was interrupted: what it was handed then is not what its input holds now
        if change:
            return Step(shape.name, Action.RESUME, f"{change}, and the new version continues")
        if not task.ended:
            early = [name for name, policy in shape.inputs if policy == LATEST and self._was_early(task, name)]
            if early and not self.wishes.follow:
                return Step(shape.name, Action.BEGIN, _inputs("changes", early))
            return Step(shape.name, Action.CONTINUE, "not complete")
        if grown or lives:
            return self._grown(shape, grown)
        if shape.name in self.facts.grown:
            return Step(shape.name, Action.RESUME, "its source grew")
        lost = self.facts.lost.get(shape.name) if self._left_something(shape) else None
        return Step(shape.name, Action.BEGIN, lost) if lost else Step(shape.name, Action.NOTHING, "unchanged")

    def _grown(self, shape: TaskShape, grown: Sequence[str]) -> Step:
        """A complete task of which an input is not the end of the story."""
        reason = _inputs("grew", grown) if grown else "its source is watched" if not shape.inputs else "its inputs are watched"
        if takes_value_by_value(shape):
            return Step(shape.name, Action.RESUME, reason)
        return Step(shape.name, Action.FOLLOW if self.wishes.follow else Action.BEGIN, reason)

    def _is_new(self, task: Task, name: str) -> bool:
        """The link has another generation than the one the task began with, or is about to get one."""
        link = self.ledger.links.get(name)
        if self._news.get(name) is _News.NEW or link is None or name not in task.inputs:
            return True
        newest = link.current
        return newest is not None and newest.number != task.inputs[name]

    def _is_of_another(self, task: Task, name: str) -> bool:
        """What the link has now was made by another task: this one was taken out of the pipeline, or renamed, and is back."""
        link = self.ledger.links.get(name)
        return link is not None and name in task.outputs and link.newest != task.outputs[name]

    def _went_on(self, task: Task, name: str) -> bool:
        """The task took what the input held at a moment, or up to a seal that a run that followed took away; now it has more, or may yet."""
        taken = task.extents.get(name)
        generation = self.ledger.links[name].generations.get(task.inputs[name])
        if generation is None:
            return False
        if taken is None:
            return task.ended and not generation.is_sealed
        return not generation.is_sealed or generation.end_sequence > taken

    def _was_early(self, task: Task, name: str) -> bool:
        """A run that followed gave the task, as the latest of this input, something else than what a run that ends will give it.

        It is told by the snapshots that are remembered. In a run that followed, those that are forgotten may have been early, too.
        """
        generation = self.ledger.links[name].generations.get(task.inputs[name])
        forgotten = task.commits > len(task.committed)
        if forgotten and self.ledger.run is not None and self.ledger.run.follow:
            return True
        snapshots = [one.portions for one in (*task.leases.values(), *task.shelved.values())]
        snapshots += [commit.portions for commit in task.committed.values()]
        seen = {(one.generation, one.last_sequence) for portions in snapshots for one in portions if one.link == name}
        if generation is None or not generation.is_sealed:
            return bool(seen)
        return not seen <= {(generation.number, generation.end_sequence)}

    def _left_something(self, shape: TaskShape) -> bool:
        """Whether a sink that is complete made a file: one that takes value by value makes none of a link without values."""
        generations = (self.ledger.links[name].current for name, _ in shape.inputs)
        return not takes_value_by_value(shape) or any(one is None or one.last_sequence >= one.first_sequence for one in generations)

    def _continues(self, shape: TaskShape) -> bool:
        """Whether another version of it goes on where the one before stands. Sources and sinks are what they are made of: they never do."""
        if shape.kind in (TaskKind.SOURCE, TaskKind.SINK):
            return False
        stated = self.wishes.on_change.get(shape.name)
        return stated == CONTINUE or (stated is None and self.wishes.follow and not shape.is_whole)


def takes_value_by_value(shape: TaskShape) -> bool:
    """Whether what it made of an input stays right when the input grows: a source, or a task of one input whose values come in turn."""
    return not shape.inputs or (len(shape.inputs) == 1 and shape.inputs[0][1] == EACH_TEXT)


def complete(ledger: Ledger, tasks: Sequence[str]) -> bool:
    """Whether these tasks have ended, and so all that they write is sealed."""
    return bool(tasks) and all(name in ledger.tasks and ledger.tasks[name].ended for name in tasks)


def left_unread(ledger: Ledger, layout: Layout, steps: Sequence[Step]) -> dict[str, dict[str, int]]:
    """What complete programs that do not run again left of their inputs: how many values, by task and link."""
    found: dict[str, dict[str, int]] = {}
    for step in steps:
        if step.action is Action.NOTHING and layout.tasks[step.task].kind is TaskKind.RUN:
            left = {link: values for link, values in ledger.tasks[step.task].unread(ledger.links).items() if values}
            if left:
                found[step.task] = left
    return found


def given_up(ledger: Ledger, steps: Sequence[Step]) -> dict[str, int]:
    """How many snapshots tasks that do not run again have given up: they lie in the dead-letter link of each."""
    found = {step.task: ledger.tasks[step.task].given_up for step in steps if step.action is Action.NOTHING and step.task in ledger.tasks}
    return {task: snapshots for task, snapshots in found.items() if snapshots}


def abandoned_with(ledger: Ledger, generations: Mapping[str, int]) -> dict[str, Generation]:
    """The growing generations that are made, directly or not, from `generations` (link to number), which are abandoned: by link."""
    found: dict[str, Generation] = {}
    gone = dict(generations)
    spread = True
    while spread:
        spread = False
        for link in ledger.links.values():
            current = link.current
            if current is None or link.name in gone or current.state is not GenerationState.GROWING:
                continue
            if any(gone.get(parent.link) == parent.generation for parent in current.inputs):
                found[link.name] = current
                gone[link.name] = current.number
                spread = True
    return found


def _same_wires(task: Task, shape: TaskShape) -> bool:
    return {name for name, _ in shape.inputs} == task.inputs.keys() and set(shape.outputs) == task.outputs.keys()


def _inputs(verb: str, names: Sequence[str]) -> str:
    return f"its input {names[0]} {verb}" if len(names) == 1 else f"its inputs {', '.join(names)} {'change' if verb == 'changes' else verb}"
