"""What a task says of the files that its program meets its links as: `pipe:`, `files:`, `each:`, and what goes with them.

A program of `run:` meets files if it says so (`files:` or `each:`), or if its command names LINKD_IN or LINKD_OUT. Inputs without a policy are
taken `whole`, since one run is one commit; with `each` they are taken as by any program, and a run sees one snapshot. A pipe that is told to
commit before its end takes its input value by value: whole inputs end only where it would.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import cast, get_args

from linkd import limits
from linkd.core import policy_checks
from linkd.core.declared import FilesDeclaration, TaskDeclaration
from linkd.core.diagnostics import Problem, Span, one_of, with_suggestion
from linkd.core.document import Node, Reader, Record, Text
from linkd.core.pipeline import FileFormat, FileMode, FileTerms, PipeCommit
from linkd.core.policies import BARE, WirePolicyKind
from linkd.core.wiring import WiredTask

FILE_MODES: tuple[str, ...] = get_args(FileMode)
FILE_FORMATS: tuple[str, ...] = get_args(FileFormat)
PIPE_COMMITS: tuple[str, ...] = get_args(PipeCommit)
_WHOLE_ONLY: Mapping[FileFormat, str] = {
    "parquet": "parquet is read from its end",
    "arrow": "arrow is read from its end",
    "file": "`file` is a file or a directory, as it is",
}
"""Formats that no program can take from a pipe, and why."""

_KEYS = ("files", "format", "header", "each", "parallel", "commit")
_MEETS_FILES = re.compile(r"\bLINKD_(?:IN|OUT)\b")


def read_files(reader: Reader, owner: Text, fields: Mapping[str, Node]) -> FilesDeclaration | None:
    """What the entries of the task `owner` say of its files; None if it meets none. What is wrong with them goes to the reader."""
    said = {key: fields[key].span for key in _KEYS if key in fields}
    name = f"tasks.{owner.value}"
    each = reader.flag(fields.get("each"), f"{name}.each", False)
    if "sql" in fields:
        for key, span in said.items():
            reader.note(span, f"`{key}` is for programs, and `{owner.value}` is a SELECT", "take it out")
        return None
    is_pipe = "pipe" in fields
    if not (is_pipe or "files" in fields or each or _names_files(fields.get("run"))):
        for key, span in said.items():
            what = f"`{key}` is for programs that meet their links as files, and `{owner.value}` is none"
            reader.note(span, what, "add `files: whole`, or take it out")
        return None
    _check_together(reader, owner.value, said, each, is_pipe)
    mode, modes = _by_wire(reader, fields.get("files"), f"{name}.files", FILE_MODES, "whole")
    kind, formats = _by_wire(reader, fields.get("format"), f"{name}.format", FILE_FORMATS, "csv")
    return FilesDeclaration(
        is_pipe=is_pipe,
        mode="stream" if is_pipe else cast(FileMode, mode),
        modes=tuple((wire, cast(FileMode, word)) for wire, word in modes),
        format=cast(FileFormat, kind),
        formats=tuple((wire, cast(FileFormat, word)) for wire, word in formats),
        header=reader.flag(fields.get("header"), f"{name}.header", True),
        each=each,
        parallel=_parallel(reader, fields.get("parallel"), name),
        commit=cast(PipeCommit, reader.choice(fields.get("commit"), f"{name}.commit", PIPE_COMMITS, "run")),
        spans=said,
    )


def file_terms(task: WiredTask, declared: FilesDeclaration) -> FileTerms:
    """The terms of a task in whose files `file_problems` found nothing wrong."""
    modes = {wire.value: mode for wire, mode in declared.modes}
    formats = {wire.value: kind for wire, kind in declared.formats}
    wires = _wires(task)
    return FileTerms(
        modes={wire: modes.get(wire, declared.mode) for wire in wires},
        formats={wire: formats.get(wire, declared.format) for wire in wires},
        is_pipe=declared.is_pipe,
        header=declared.header,
        each=declared.each,
        parallel=declared.parallel,
        commit=declared.commit,
    )


def takes_whole(declared: TaskDeclaration) -> bool:
    """Whether inputs that say nothing are taken whole."""
    files = declared.files
    return declared.is_sql or (files is not None and not files.each and files.commit == "run")


def file_problems(task: WiredTask, declared: FilesDeclaration, typed: Collection[str]) -> Iterator[Problem]:
    """What files ask of the wires of their task; `typed` are the links that declare a schema."""
    if declared.is_pipe:
        yield from _pipe_problems(task)
    yield from _unknown_wires(task, declared)
    yield from _format_problems(task, declared)
    yield from _stream_problems(task, declared)
    yield from _header_problems(task, declared, typed)
    if declared.each:
        yield from policy_checks.mixture_problems(task)
    elif declared.commit != "run":
        yield from _endless_problems(task, declared)
    else:
        yield from policy_checks.select_problems(task)
        yield from _once_problems(task)


def _names_files(command: Node | None) -> bool:
    match command:
        case Text():
            return _MEETS_FILES.search(command.value) is not None
        case Record() | None:
            return False
    return any(_names_files(item) for item in command.items)


def _check_together(reader: Reader, name: str, said: Mapping[str, Span], each: bool, is_pipe: bool) -> None:
    """Keys that ask for each other, or exclude each other."""
    if is_pipe and "files" in said:
        what = f"`{name}` is a pipe: it meets its links as its standard input and output"
        reader.note(said["files"], what, "take `files` out, or make it a program of `run:`")
    if "parallel" in said and not each:
        reader.note(
            said["parallel"], f"`parallel` is of runs for each snapshot, and `{name}` runs once", "add `each: true`, or take it out"
        )
    if "commit" in said and not is_pipe:
        reader.note(said["commit"], f"`commit` is for pipes: one run of `{name}` is one commit", "take it out")
    elif "commit" in said and each:
        what = f"`commit` is of a pipe that reads on, and each run of `{name}` is one commit"
        reader.note(said["commit"], what, "take `commit` out, or `each`")


def _by_wire(reader: Reader, node: Node | None, name: str, words: tuple[str, ...], default: str) -> tuple[str, list[tuple[Text, str]]]:
    """One word for all wires, or a mapping of some of them."""
    if not isinstance(node, Record):
        return reader.choice(node, name, words, default), []
    return default, [(wire, reader.choice(word, f"{name}.{wire.value}", words, default)) for wire, word in node.entries]


def _parallel(reader: Reader, node: Node | None, name: str) -> int:
    parallel = reader.count(node, f"{name}.parallel", "parallel: 4", limits.TASK_PARALLEL_MAX)
    if parallel == 0 and node is not None:
        reader.note(node.span, f"`{name}.parallel` of 0 would run nothing at all", "write at least 1, or leave it out")
    return parallel or 1


def _wires(task: WiredTask) -> list[str]:
    return [wire.link for wire in (*task.inputs, *task.outputs)]


def _pipe_problems(task: WiredTask) -> Iterator[Problem]:
    for count, which, where in ((len(task.inputs), "input", "standard input"), (len(task.outputs), "output", "standard output")):
        if count != 1:
            has = f"{count} {which}s" if count else f"no {which}"
            what = f"the pipe `{task.name}` has {has}: one {which} is its {where}"
            yield Problem(task.span, what, f"give it one, or make it a program of `run:` with `files: whole` ({which}s are files then)")


def _unknown_wires(task: WiredTask, declared: FilesDeclaration) -> Iterator[Problem]:
    wires = _wires(task)
    for key, named in (("files", declared.modes), ("format", declared.formats)):
        for wire, _ in named:
            if wire.value not in wires:
                what = with_suggestion(f"`{key}` of `{task.name}` names `{wire.value}`, which is no wire of it", wire.value, wires)
                yield Problem(wire.span, what, f"its wires are {one_of(wires)}" if wires else "take it out: it has no wires")


def _format_problems(task: WiredTask, declared: FilesDeclaration) -> Iterator[Problem]:
    terms = file_terms(task, declared)
    places = {wire.value: wire.span for wire, _ in (*declared.modes, *declared.formats)}
    of_all = declared.spans.get("format", declared.spans.get("files", task.span))
    told: set[Span] = set()
    for wire, kind in terms.formats.items():
        place = places.get(wire, of_all)
        if terms.modes[wire] == "stream" and kind in _WHOLE_ONLY and place not in told:
            told.add(place)
            how = f"`{task.name}` is a pipe" if declared.is_pipe else f"`{wire}` of `{task.name}` is a stream"
            remedy = "make it a program of `run:` with `files: whole`" if declared.is_pipe else "take it `whole`"
            yield Problem(place, f"{how}, and {_WHOLE_ONLY[kind]}", f"{remedy}, or write `format: csv`, `jsonl` or `raw`")


def _stream_problems(task: WiredTask, declared: FilesDeclaration) -> Iterator[Problem]:
    """What goes through a FIFO goes once, and a program of `each` runs many times."""
    if not declared.each or declared.is_pipe:
        return
    places = [wire.span for wire, mode in declared.modes if mode == "stream"]
    if declared.mode == "stream":
        places.insert(0, declared.spans["files"])
    for place in places[:1]:
        what = f"`{task.name}` runs for each snapshot, and a stream is for a program that runs once"
        yield Problem(place, what, "write `files: whole`, or take `each` out")


def _header_problems(task: WiredTask, declared: FilesDeclaration, typed: Collection[str]) -> Iterator[Problem]:
    terms = file_terms(task, declared)
    if "header" not in declared.spans:
        return
    if terms.formats and "csv" not in terms.formats.values():
        formats = one_of(sorted(set(terms.formats.values())))
        yield Problem(declared.spans["header"], f"`header` is of CSV, and the files of `{task.name}` are {formats}", "take it out")
    for wire in () if terms.header else task.outputs:
        if wire.link not in typed and terms.formats[wire.link] == "csv" and terms.modes[wire.link] == "whole":
            what = f"`{task.name}` writes `{wire.link}` without a header: nothing names its columns"
            remedy = f"declare them, `links: {{{wire.link}: {{schema: {{name: string, ...}}}}}}`, or take `header: false` out"
            yield Problem(declared.spans["header"], what, remedy)


def _endless_problems(task: WiredTask, declared: FilesDeclaration) -> Iterator[Problem]:
    for wire in task.inputs:
        if wire.policy != BARE:
            what = f"the pipe `{task.name}` reads on as values come (`commit: {declared.commit}`), and `{wire.link} {wire.policy_text}` does not"
            yield Problem(wire.policy_span, what, f"write `({wire.link}{'*' if wire.is_open else ''})`, or `commit: run`")


def _once_problems(task: WiredTask) -> Iterator[Problem]:
    """A program that runs once has one snapshot: there would be more."""
    for wire in task.inputs:
        if wire.policy.kind not in (WirePolicyKind.BARE, WirePolicyKind.WHOLE, WirePolicyKind.LATEST):
            what = f"`{task.name}` runs once, over whole inputs, and `{wire.link}` comes in parts"
            yield Problem(wire.policy_span, what, "add `each: true` to run it for each of them, or take the input `whole`")
            return
