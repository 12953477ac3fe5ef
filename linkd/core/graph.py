"""Whether tasks and links make a graph that can run.

One writer per link, something behind every input, no cycles, and names that files, SQL and Kubernetes can bear.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from linkd.core.diagnostics import Problem, with_suggestion
from linkd.core.names import Named, name_problem
from linkd.core.wiring import Wire, WiredTask, Wiring


def name_problems(wiring: Wiring) -> list[Problem]:
    """Names that cannot be, each at its first mention; a name of both a link and a task; a task twice."""
    problems: list[Problem] = []
    links: dict[str, Wire] = {}
    for task in wiring.tasks:
        for wire in (*task.inputs, *task.outputs):
            links.setdefault(wire.link, wire)
    tasks: dict[str, WiredTask] = {}
    for task in wiring.tasks:
        if task.name in tasks:
            remedy = f"a task has one line; give this one another name, or its wires to line {tasks[task.name].span.line}"
            problems.append(Problem(task.span, f"task `{task.name}` is wired twice", remedy))
        elif task.name in links:
            what = f"`{task.name}` is both a task and a link"
            problems.append(Problem(task.span, what, f"give the task another name, such as `make_{task.name}`"))
        tasks.setdefault(task.name, task)
    named: list[tuple[str, Named, WiredTask | Wire]] = [(name, "link", wire) for name, wire in links.items()]
    named += [(name, "task", task) for name, task in tasks.items()]
    for name, what, place in named:
        if found := name_problem(name, what):
            problems.append(Problem(place.span, *found))
    return problems


def writer_problems(wiring: Wiring, sources: Collection[str]) -> list[Problem]:
    """Links with two writers, wires twice at one task, tasks without wires. `sources` are the links with `from:`."""
    problems: list[Problem] = []
    writers: dict[str, str] = {}
    for task in wiring.tasks:
        if not task.inputs and not task.outputs:
            remedy = "give it an input or an output"
            problems.append(Problem(task.span, f"task `{task.name}` has neither inputs nor outputs", remedy))
        problems.extend(_twice(task, task.inputs, "an input"))
        problems.extend(_twice(task, task.outputs, "an output"))
        for wire in {wire.link: wire for wire in reversed(task.outputs)}.values():
            other = writers.setdefault(wire.link, task.name)
            if other != task.name:
                what = f"`{wire.link}` has two writers: tasks `{other}` and `{task.name}`"
                remedy = "a link has one writer; give this output a name of its own and let the reader take both"
                problems.append(Problem(wire.span, what, remedy))
            elif wire.link in sources:
                what = f"`{wire.link}` has two writers: task `{task.name}` and the `from:` of the link"
                problems.append(Problem(wire.span, what, f"remove `from:` from `links.{wire.link}`, or rename this output"))
    problems.extend(_open_and_written(wiring, writers, sources))
    return problems


def written_links(wiring: Wiring, sources: Collection[str]) -> set[str]:
    """Links that something writes: a task, a source, or people and programs outside."""
    written = {wire.link for task in wiring.tasks for wire in task.outputs}
    return written.union(sources, (wire.link for task in wiring.tasks for wire in task.inputs if wire.is_open))


def unwritten_problems(wiring: Wiring, sources: Collection[str]) -> list[Problem]:
    """Inputs that nothing writes: no task, no `from:`, and no `*` anywhere behind their name."""
    written = written_links(wiring, sources)
    problems: list[Problem] = []
    for task in wiring.tasks:
        for wire in task.inputs:
            if wire.link not in written:
                what = with_suggestion(f"nothing writes `{wire.link}`", wire.link, written)
                remedy = (
                    f"let a task write it, or give it a source (`links: {{{wire.link}: {{from: FILE}}}}`), "
                    f"or write `{wire.link}*` if outsiders append to it"
                )
                problems.append(Problem(wire.span, what, remedy))
    return problems


def cycle_problems(wiring: Wiring) -> list[Problem]:
    """Cycles of tasks, each named once: they would have no end."""
    writers = {wire.link: task.name for task in wiring.tasks for wire in task.outputs}
    before: dict[str, dict[str, Wire]] = {task.name: {} for task in wiring.tasks}
    for task in wiring.tasks:
        for wire in task.inputs:
            if wire.link in writers:
                before[task.name].setdefault(writers[wire.link], wire)
    problems: list[Problem] = []
    waiting = _strip_settled(before)
    while waiting:
        cycle = _walk_back(waiting)
        closing = waiting[cycle[0]][cycle[-1]]
        path = " -> ".join((*cycle, cycle[0]))
        what = f"the tasks {path} go in a circle" if len(cycle) > 1 else f"the task `{cycle[0]}` reads what it writes: {path}"
        problems.append(Problem(closing.span, what, f"a pipeline has an end: take `{closing.link}` out of the inputs of `{cycle[0]}`"))
        waiting = _strip_settled(
            {task: inputs for task, inputs in waiting.items() if task not in cycle},
        )
    return problems


def _strip_settled(before: dict[str, dict[str, Wire]]) -> dict[str, dict[str, Wire]]:
    """What is left when tasks that wait for nobody are taken away, again and again: every one left waits for one that is left."""
    waiting_for = {task: {name for name in inputs if name in before} for task, inputs in before.items()}
    readers: dict[str, list[str]] = {}
    for task, writers in waiting_for.items():
        for writer in writers:
            readers.setdefault(writer, []).append(task)
    settled = [task for task, writers in waiting_for.items() if not writers]
    for task in settled:
        for reader in readers.get(task, ()):
            waiting_for[reader].discard(task)
            if not waiting_for[reader]:
                settled.append(reader)
    done = set(settled)
    return {
        task: {writer: wire for writer, wire in inputs.items() if writer in before and writer not in done}
        for task, inputs in before.items()
        if task not in done
    }


def _walk_back(waiting: dict[str, dict[str, Wire]]) -> list[str]:
    """A cycle in the direction of the data, beginning with the task that stands first in the wiring."""
    task = next(iter(waiting))
    seen: dict[str, None] = {}
    while task not in seen:
        seen[task] = None
        task = next(iter(waiting[task]))
    path = list(seen)
    cycle = path[path.index(task) :][::-1]
    order = list(waiting)
    first = min(range(len(cycle)), key=lambda index: order.index(cycle[index]))
    return cycle[first:] + cycle[:first]


def _twice(task: WiredTask, wires: tuple[Wire, ...], role: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for wire in wires:
        if wire.link in seen:
            yield Problem(wire.span, f"`{wire.link}` is {role} of task `{task.name}` twice", "name it once")
        seen.add(wire.link)


def _open_and_written(wiring: Wiring, writers: dict[str, str], sources: Collection[str]) -> Iterator[Problem]:
    for task in wiring.tasks:
        for wire in task.inputs:
            if not wire.is_open:
                continue
            if wire.link in sources:
                what = f"`{wire.link}` has two writers: the `from:` of the link, and whoever is outside (`*`)"
                yield Problem(wire.span, what, f"remove the `*`, or `from:` from `links.{wire.link}`")
            elif wire.link in writers:
                what = f"`{wire.link}` has two writers: task `{writers[wire.link]}`, and whoever is outside (`*`)"
                yield Problem(wire.span, what, "remove the `*`, or give outsiders a link of their own")
