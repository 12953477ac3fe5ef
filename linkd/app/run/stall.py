"""Who waits for whom, when nothing moves in a run: said from the home's descriptions. Pure; the clock is the caller's.

clean has held flights@3 for 62 s
import has read nothing of numbers.csv for 62 s
label waits for its program, which has taken nothing
sum_up waits for flown, which clean writes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkd.limits import STALL_AFTER_S, STALL_LINES_MAX

_SEALED = "sealed"


class StallWatch:
    """Sees every description of a run. A stall is told after STALL_AFTER_S, and for as long as it lasts after twice as long each time.

    In a run that follows nothing moves while nothing comes: there only a task that holds something, or takes nothing, is told of.
    """

    def __init__(self, *, follow: bool = False) -> None:
        self._follow = follow
        self._description: Any = None
        self._progress: object = None
        self._moved_s = 0.0
        self._due_s: float | None = None
        self._wait_s = STALL_AFTER_S

    def saw(self, description: Any, now_s: float) -> None:
        """A description came at `now_s`."""
        self._description = description
        progress = _progress(description)
        if progress != self._progress:
            self._progress, self._moved_s, self._wait_s = progress, now_s, STALL_AFTER_S
            self._due_s = now_s + self._wait_s
        if description.run.complete:
            self._due_s = None

    def due_s(self) -> float | None:
        """When to ask for `lines` if nothing is seen before; None while there is nothing to wait for."""
        return self._due_s

    def lines(self, now_s: float) -> list[str]:
        """What there is to say at `now_s`: nothing before it is due."""
        if self._due_s is None or now_s < self._due_s:
            return []
        self._wait_s *= 2
        self._due_s = now_s + self._wait_s
        lines = _waits(self._description, now_s - self._moved_s, self._follow)
        hidden = len(lines) - STALL_LINES_MAX
        return lines if hidden <= 0 else [*lines[:STALL_LINES_MAX], f"and {hidden} more wait"]


def _progress(description: Any) -> object:
    """What is equal in two descriptions if nothing has moved between them."""
    links = [(link.name, _extent(link.current), link.source_state.rows_read) for link in description.links]
    tasks = [
        (task.name, task.execution, task.ended, task.commits, task.leased, [progress.done_values for progress in task.progress])
        for task in description.tasks
    ]
    return links, tasks


def _extent(generation: Any) -> tuple[int, int, int, str]:
    return generation.generation, generation.values, generation.rows, generation.state


def _waits(description: Any, stalled_s: float, follow: bool) -> list[str]:
    """A line for each task that is not done: those that hold something up first, those that only wait for them behind."""
    links = {link.name: link for link in description.links}
    causes: list[str] = []
    waiting: list[str] = []
    for task in description.tasks:
        if task.ended or task.state in ("not begun", "stopped"):
            continue
        cause = _cause(task, links, stalled_s)
        if cause:
            causes.append(cause)
        elif task.kind == "source":
            if not follow:
                causes.append(f"{_name(task)} has read nothing of {_source(task, links)} for {stalled_s:.0f} s")
        elif not follow:
            waiting += [f"{_name(task)} waits for {line}" for line in _awaited(task, links)]
    return causes + waiting


def _cause(task: Any, links: Mapping[str, Any], stalled_s: float) -> str:
    """What a task does itself to keep the others waiting; "" if it is one that waits."""
    if task.kind == "source":
        return ""
    if task.leased:
        return f"{_name(task)} has held {_held(task)} for {stalled_s:.0f} s"
    has_input = any(progress.waiting_values for progress in task.progress) or not task.inputs
    all_sealed = all(links[given.link].current.state == _SEALED for given in task.inputs if given.link in links)
    takes_whole = any(given.policy == "whole" for given in task.inputs)
    ready = all_sealed if takes_whole else has_input or all_sealed
    if not ready:
        return ""
    if task.state == "open":
        return f"{_name(task)} waits for somebody to take its place: eval $(linkd env {task.name})"
    if not task.connections:
        return f"{_name(task)} waits for its program, which has taken nothing"
    if all_sealed and not has_input:
        return f"{_name(task)} waits for its program, which has done everything and does not end"
    return f"{_name(task)} waits for its program, which has asked for nothing more"


def _held(task: Any) -> str:
    """What is on lease: of each link the first value, or the range, of the oldest lease."""
    if not task.leases:
        return f"{task.leased} snapshots" if task.leased > 1 else "a snapshot"
    oldest = task.leases[0]
    held = [_portion(portion) for portion in oldest.portions]
    more = f" and {task.leased - 1} more" if task.leased > 1 else ""
    return (", ".join(held) or "its snapshot") + more


def _portion(portion: Any) -> str:
    first, last = portion.first_sequence, portion.last_sequence
    return f"{portion.link}@{first}" if last <= first else f"{portion.link}@{first}-{last}"


def _awaited(task: Any, links: Mapping[str, Any]) -> Iterator[str]:
    """The inputs that have not ended, and who writes them."""
    for given in task.inputs:
        link = links.get(given.link)
        if link is None or link.current.state == _SEALED:
            continue
        if link.source:
            yield f"{link.name}, which {link.source} fills"
        else:
            yield f"{link.name}, which {link.writer} writes" if link.writer else f"{link.name}, to which nobody appends"


def _source(task: Any, links: Mapping[str, Any]) -> str:
    link = links.get(task.outputs[0]) if task.outputs else None
    return link.source if link is not None and link.source else "its source"


def _name(task: Any) -> str:
    """A source by its link, a sink as what it is."""
    if task.kind == "source":
        return f"the source of {task.name.partition(':')[2]}"
    return f"the sink of {task.name.partition(':')[2]}" if task.kind == "sink" else str(task.name)
