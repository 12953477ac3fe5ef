"""The plan as people read it before anything starts: `clean: clean.py changed -> run again; sum_up: its input changes; airlines: unchanged`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linkd.app.run.plan import Plan
from linkd.core.layout import Layout
from linkd.core.planning import Action, Step
from linkd.core.tasks import SINK_PREFIX, SOURCE_PREFIX
from linkd.model.records import TaskKind

INPUT_CHANGES = "its input"
UNCHANGED_NAMED_MAX = 8
"""Links and tasks named as unchanged: of a large pipeline the others are counted."""

_AGAIN = {TaskKind.SOURCE: "read again", TaskKind.SINK: "written again"}


def announced(layout: Layout, plan: Plan, width: int) -> list[str]:
    """Lines of the plan: one, if it fits into `width` columns."""
    if plan.first and not plan.having(Action.SKIP):
        return [f"{layout.name}: first run"]
    told = [line for step in plan.steps if (line := _line(layout, step))]
    current = [step_name(step.task) for step in plan.steps if step.action is Action.NOTHING and not step.task.startswith(SINK_PREFIX)]
    joined = "; ".join([*told, *(f"{name}: unchanged" for name in current)])
    if len(joined) <= width:
        return [joined]
    hidden = len(current) - UNCHANGED_NAMED_MAX
    unchanged = ", ".join(current[:UNCHANGED_NAMED_MAX]) + (f" and {hidden} more" if hidden > 0 else "")
    return [*told, *([f"unchanged: {unchanged}"] if current else [])]


def detailed(layout: Layout, plan: Plan, interpreters: Mapping[str, str]) -> list[str]:
    """One line for every task, source and sink, as `--dry-run` shows them. `interpreters` has what would run a program."""
    lines = []
    for step in plan.steps:
        if step.action is Action.SKIP:
            continue
        line = _line(layout, step, every=True) or f"{step_name(step.task)}: {step.reason}"
        runs = interpreters.get(step.task, "")
        lines.append(f"{line} ({runs})" if runs else line)
    return lines


def as_json(plan: Plan) -> list[Mapping[str, Any]]:
    """The plan for programs."""
    return [{"task": step.task, "action": str(step.action), "reason": step.reason} for step in plan.steps]


def step_name(task: str) -> str:
    """A source and a sink by their link."""
    return task.removeprefix(SOURCE_PREFIX).removeprefix(SINK_PREFIX)


def _line(layout: Layout, step: Step, *, every: bool = False) -> str:
    """What a step means, or nothing where it goes without saying."""
    kind = layout.tasks[step.task].kind
    follows_input = step.reason.startswith(INPUT_CHANGES)
    if step.action is Action.NOTHING or (kind is TaskKind.SINK and follows_input and not every):
        return ""
    name = step_name(step.task)
    if step.action is Action.BEGIN:
        return f"{name}: {step.reason}" if follows_input else f"{name}: {step.reason} -> {_AGAIN.get(kind, 'run again')}"
    if step.action in (Action.RESUME, Action.CONTINUE) and not (kind is TaskKind.SINK and not every):
        return f"{name}: {step.reason} -> goes on"
    return f"{name}: {step.reason}" if step.action is Action.FOLLOW else ""
