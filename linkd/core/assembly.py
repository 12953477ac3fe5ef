"""Wiring and declarations together: the pipeline, or every reason why they do not make one."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from linkd import limits
from linkd.core import graph, policy_checks
from linkd.core.declared import Declaration, LinkDeclaration, TaskDeclaration
from linkd.core.diagnostics import Problem, did_you_mean, with_suggestion
from linkd.core.file_terms import file_problems, file_terms, takes_whole
from linkd.core.memo_terms import is_remembered, memo_problems
from linkd.core.names import name_problem
from linkd.core.pipeline import REJECTS_SUFFIX, InputSpec, LinkSpec, Pipeline, TaskSpec
from linkd.core.policies import BARE, WHOLE_TEXT, render_input_policy
from linkd.core.wiring import ParsedWiring, WiredTask, Wiring, render_wiring
from linkd.model.records import TaskKind

_MAGIC = frozenset("*?[")
"""What makes a location a pattern."""


def check(declaration: Declaration, parsed: ParsedWiring, *, directory: str) -> list[Problem]:
    """Everything that is wrong with a file, in no order. Its paths are relative to `directory`, which is absolute.

    While a line of the wiring cannot be read, nothing is said about what the wiring as a whole lacks: it may well stand in that line.
    """
    wiring = parsed.wiring
    sources = _sources(declaration)
    problems = [*declaration.problems, *parsed.problems]
    problems += graph.name_problems(wiring)
    problems += policy_checks.policy_problems(wiring)
    problems += graph.writer_problems(wiring, sources)
    problems += _file_problems(declaration.links.values(), directory)
    for task in wiring.tasks:
        if declared := declaration.tasks.get(task.name):
            problems += _task_problems(task, declared, [link.name for link in declaration.links.values() if link.schema is not None])
    problems += _unwired_name_problems(declaration, wiring)
    if parsed.is_complete and declaration.wiring is not None:
        problems += graph.unwritten_problems(wiring, sources)
        problems += graph.cycle_problems(wiring)
        problems += _unwired_problems(declaration, wiring)
        problems += _size_problems(declaration, wiring)
    return problems


def assemble(declaration: Declaration, wiring: Wiring, statements: Mapping[str, tuple[str, str]], *, path: str, directory: str) -> Pipeline:
    """The pipeline of a file in which `check` found no problem.

    `statements` holds, for each task whose SQL stands in a file, the absolute path of that file and its text.
    """
    tasks = {task.name: _task(task, declaration.tasks[task.name], statements) for task in wiring.tasks}
    return Pipeline(
        name=declaration.name,
        directory=directory,
        path=path,
        links=_links(declaration, wiring),
        tasks=tasks,
        wiring_text=render_wiring(wiring),
        params=declaration.params,
        secrets=declaration.secrets,
    )


def _task(task: WiredTask, declared: TaskDeclaration, statements: Mapping[str, tuple[str, str]]) -> TaskSpec:
    sql_path, sql = statements.get(task.name, (None, declared.sql.value if declared.sql else None))
    inputs = tuple(
        InputSpec(wire.link, WHOLE_TEXT if takes_whole(declared) and wire.policy == BARE else render_input_policy(wire.policy))
        for wire in task.inputs
    )
    return TaskSpec(
        name=task.name,
        kind=TaskKind.SQL if declared.is_sql else TaskKind.RUN,
        inputs=inputs,
        outputs=tuple(wire.link for wire in task.outputs),
        command=declared.command,
        sql=sql,
        sql_path=sql_path,
        version=declared.version,
        env=declared.env,
        retries=declared.retries,
        timeout_s=declared.timeout_s,
        on_change=declared.on_change,
        every_s=declared.every_s,
        terms=declared.terms,
        files=file_terms(task, declared.files) if declared.files is not None else None,
        cache=is_remembered(task, declared, sql),
    )


def _links(declaration: Declaration, wiring: Wiring) -> dict[str, LinkSpec]:
    """All links in the order of the wiring, each source's rejects behind it, and last those without a task: they copy, or are for outsiders."""
    found: dict[str, LinkSpec] = {}
    for task in wiring.tasks:
        for wire in task.inputs:
            link = found.get(wire.link) or LinkSpec(wire.link)
            found[wire.link] = replace(link, is_open=link.is_open or wire.is_open, readers=(*link.readers, task.name))
        for wire in task.outputs:
            found[wire.link] = replace(found.get(wire.link) or LinkSpec(wire.link), writer=task.name)
    for name, declared in declaration.links.items():
        found.setdefault(name, LinkSpec(name, is_open=not declared.has_source))
    links: dict[str, LinkSpec] = {}
    for name, link in found.items():
        links[name] = _declared(link, declaration.links.get(name))
        if links[name].on_bad_row == "reject":
            rejects = f"{name}{REJECTS_SUFFIX}"
            links[rejects] = LinkSpec(rejects, rejects_of=name)
    return links


def _declared(link: LinkSpec, declared: LinkDeclaration | None) -> LinkSpec:
    if declared is None:
        return link
    return replace(
        link,
        source=declared.source.value if declared.source else None,
        sink=declared.sink.value if declared.sink else None,
        format=declared.format,
        nulls=declared.nulls,
        schema=dict(declared.schema) if declared.schema is not None else None,
        on_bad_row=declared.on_bad_row,
        dialect=declared.dialect,
        mode=declared.mode,
        overwrite=declared.overwrite,
        query=declared.query,
        key=declared.key,
        every_s=declared.every_s,
        terms=declared.terms,
    )


def _task_problems(task: WiredTask, declared: TaskDeclaration, typed: Collection[str]) -> Iterator[Problem]:
    """What the kind of a task asks of its wires; `typed` are the links that declare a schema."""
    yield from memo_problems(task, declared)
    if declared.is_sql:
        if not task.outputs:
            yield Problem(task.span, f"the SQL task `{task.name}` has no output: its rows would go nowhere", "give it one")
        yield from policy_checks.select_problems(task)
    elif declared.files is not None:
        yield from file_problems(task, declared.files, typed)
    elif declared.command is not None:
        yield from policy_checks.mixture_problems(task)


def _unwired_problems(declaration: Declaration, wiring: Wiring) -> Iterator[Problem]:
    """Tasks and links that stand in the wiring or below it, and not in the other. A slip is told once, where the wiring has it."""
    slips: set[str | None] = set()
    tasks = {task.name: task for task in wiring.tasks}
    links = _wired_links(wiring)
    for task in tasks.values():
        if task.name not in declaration.tasks:
            unused = declaration.tasks.keys() - tasks.keys()
            slips.add(did_you_mean(task.name, unused))
            what = with_suggestion(f"task `{task.name}` has no code: `tasks:` does not name it", task.name, unused)
            remedy = f'add `{task.name}: {{run: "python {task.name}.py"}}` (or `sql:`) below `tasks:`'
            yield Problem(task.span, what, remedy)
    for declared in declaration.tasks.values():
        if declared.name not in tasks and declared.name not in slips:
            what = with_suggestion(f"no line of the wiring names task `{declared.name}`", declared.name, tasks)
            yield Problem(declared.span, what, f"add `(inputs) {declared.name} (outputs)` to the wiring, or take it out here")
    written = graph.written_links(wiring, _sources(declaration))
    slips |= {did_you_mean(link, written) for link in links - written}
    for link in declaration.links.values():
        if link.name in links or link.is_copy or link.name in slips:
            continue
        what = with_suggestion(f"no wire is called `{link.name}`", link.name, links)
        yield Problem(link.span, what, "name it in the wiring, or take it out here (a link with both `from:` and `to:` needs no wire)")


def _sources(declaration: Declaration) -> set[str]:
    return {name for name, link in declaration.links.items() if link.has_source}


def _unwired_name_problems(declaration: Declaration, wiring: Wiring) -> Iterator[Problem]:
    """Names of links that no wire has: those of the wires are checked with the graph."""
    wired = _wired_links(wiring)
    for link in declaration.links.values():
        if (link.is_copy or declaration.wiring is None) and link.name not in wired and (found := name_problem(link.name, "link")):
            yield Problem(link.span, *found)


def _wired_links(wiring: Wiring) -> set[str]:
    return {wire.link for task in wiring.tasks for wire in (*task.inputs, *task.outputs)}


def _size_problems(declaration: Declaration, wiring: Wiring) -> Iterator[Problem]:
    links = _wired_links(wiring) | declaration.links.keys()
    if not links and not wiring.tasks and not declaration.tasks:
        yield Problem(None, "the file wires nothing", "add `wiring: |` and below it lines such as `(flights) clean (flown)`")
    for count, bound, things in ((len(links), limits.LINKS_MAX, "links"), (len(wiring.tasks), limits.TASKS_MAX, "tasks")):
        if count > bound:
            yield Problem(None, f"the pipeline has {count} {things}", f"one pipeline holds at most {bound}: make two of it")


def _file_problems(links: Collection[LinkDeclaration], directory: str) -> Iterator[Problem]:
    """Two links that write one file, and links that write a file that is read: each run would undo or feed the other."""
    readers: dict[str, LinkDeclaration] = {}
    for link in links:
        if link.source is not None:
            readers.setdefault(_target(link.source.value, directory), link)
    writers: dict[str, LinkDeclaration] = {}
    for link in links:
        if link.sink is None:
            continue
        target = _target(link.sink.value, directory)
        other = writers.setdefault(target, link)
        if other is not link:
            what = f"`{link.name}` and `{other.name}` both write `{link.sink.value}`"
            yield Problem(link.sink.span, what, "give each link a file of its own")
        elif target in readers:
            what = f"`{link.name}` would overwrite `{link.sink.value}`, which `{readers[target].name}` reads"
            yield Problem(link.sink.span, what, "write to another file")
        elif (source := _source_with(link, target, readers)) is not None and source.source is not None:
            what = f"`{link.name}` would write `{link.sink.value}`, which `{source.name}` reads with `{source.source.value}`"
            yield Problem(
                link.sink.span, what, "write into another directory, or narrow what is read: each run would read what the last one wrote"
            )


def _source_with(link: LinkDeclaration, target: str, readers: Mapping[str, LinkDeclaration]) -> LinkDeclaration | None:
    """The first source of several files (a pattern, a directory) that would have what the link writes to `target` among them."""
    if "://" in target:
        return None
    is_parts = link.mode == "parts"
    written = posixpath.join(target, "part") if is_parts else target
    directory, name = posixpath.split(written)
    of_directory = readers.get(directory or ".")
    if of_directory is not None and not name.startswith(".") and (is_parts or _is_of_format(name, of_directory.format)):
        return of_directory
    for location, source in readers.items():
        if _MAGIC.isdisjoint(location):
            continue
        # Whatever the pattern says of names, the parts that lie in its directory are for its readers.
        pattern = posixpath.join(posixpath.dirname(location), "*") if is_parts else location
        if _matches(written.split("/"), pattern.split("/")):
            return source
    return None


def _is_of_format(name: str, kind: str | None) -> bool:
    """Whether a directory whose files of this format are read has the file among them. Without a format they are all of one."""
    return kind is None or kind in name.split(".")[1:]


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a shell's pattern, part by part, matches; `**` stands for any number of directories, and only a dot matches a leading dot."""
    if not pattern:
        return not path
    if pattern[0] == "**" and _matches(path, pattern[1:]):
        return True
    if not path or (path[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    if pattern[0] == "**":
        return _matches(path[1:], pattern)
    return fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])


def _target(path: str, directory: str) -> str:
    """A path without detours, from `directory` on, however it was written; addresses (`s3://...`) stay what they are."""
    return path if "://" in path else posixpath.relpath(posixpath.join(directory, path), directory)
