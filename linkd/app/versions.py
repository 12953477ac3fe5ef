"""What runs, as digests: the version of a task, the fingerprint of a pipeline, and one line that says what changed of a task.

A digest of something is BLAKE3 over the UTF-8 of a JSON list `[label, ...]`, without white space and with sorted keys, in hex: 32 digits
for what runs, 64 for the content of a file. Labels, and what follows them:

    "linkd task 2"     command (a text, a list of words, or null), [[name, digest], ...] of its files, SQL or null, env, parameters
    "linkd part 2"     what the part is called, and what it is
    "linkd memo 1"     the version, [[part, digest], ...] of the task, its parameters

The fingerprint maps each thing whose change makes a task begin again to a digest; the owner is the task's name in the home (a source is
`from:LINK`, a sink `to:LINK`):

    version of clean                command of clean                 file clean.py of clean          SQL of sum_up
    parameters of clean             environment of clean             wiring of clean                 schema of flown of clean
    setting from of from:flights    setting mode of to:totals       setting each of clean
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from blake3 import blake3

from linkd import limits
from linkd.app.script_files import script_files
from linkd.core.pipeline import CsvDialect, FileTerms, LinkSpec, ParamValue, Pipeline, TaskSpec
from linkd.core.rights import sink_task, source_task
from linkd.errors import UsageFault
from linkd.model.frozen import frozen

_VERSION_DIGITS = 32
_CHANGES_NAMED = 3
_OF = " of "
_PLACE = f"setting to{_OF}"
_PARAMETER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def file_digest(path: Path) -> str:
    """BLAKE3 of a file's content, 64 hex digits, read in blocks. Raises `OSError` as reading does."""
    digest = blake3()
    with path.open("rb") as file:
        while block := file.read(limits.FILE_DIGEST_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@frozen()
class Versions:
    """What a pipeline's tasks are now: the version of each, and the parts that it is made of (`fingerprint`).

    `memo` is, of tasks whose outcomes are remembered, what these depend on besides the content of a snapshot.
    """

    tasks: Mapping[str, str]
    fingerprint: Mapping[str, str]
    memo: Mapping[str, str] = field(default_factory=dict)


def versions(pipeline: Pipeline) -> Versions:
    """Reads the files that commands name, each once. Raises `UsageFault` if one of them cannot be read."""
    tasks: dict[str, str] = {}
    parts: dict[str, str] = {}
    memo: dict[str, str] = {}
    directory = Path(pipeline.directory)
    digests: dict[Path, str] = {}
    for task in pipeline.tasks.values():
        of_task = _task_parts(task, directory, pipeline, digests)
        tasks[task.name] = task.version if task.version is not None else _digest("linkd task 2", *sorted(of_task.items()))
        of_task["wiring"] = _digest("linkd part 2", "wiring", [[wire.link, wire.policy] for wire in task.inputs], list(task.outputs))
        for link in task.outputs:
            schema = pipeline.links[link].schema
            if schema is not None:
                of_task[f"schema of {link}"] = _digest("linkd part 2", "schema", list(schema.items()))
        parts |= {f"{part}{_OF}{task.name}": digest for part, digest in of_task.items()}
        if task.cache:
            memo[task.name] = _digest("linkd memo 1", tasks[task.name], sorted(of_task.items()), _parameters(task, pipeline.params))
    for spec in pipeline.links.values():
        if spec.rejects_of is not None:
            continue
        if spec.source is not None:
            parts |= _settings(source_task(spec.name), _source_settings(spec))
        if spec.sink is not None:
            parts |= _settings(sink_task(spec.name), _sink_settings(spec))
    return Versions(tasks, parts, memo)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Of each task that is not what it was, by its name in the home: what changed, in one line (`clean.py changed`)."""
    changed: dict[str, list[str]] = {}
    for key in sorted({*before, *after}, key=_order):
        if before.get(key) != after.get(key):
            part, _, owner = key.rpartition(_OF)
            changed.setdefault(owner, []).append(_change(part, before.get(key), after.get(key)))
    return {owner: _joined(told) for owner, told in changed.items()}


def merged(before: Mapping[str, str], after: Mapping[str, str], taking_part: frozenset[str]) -> dict[str, str]:
    """The fingerprint to record: of those that take part as they are now, of all others as it was recorded last.

    A place that one of them writes to is not recorded any more of a sink that wrote there before: what it wrote is gone.
    """
    now = {key: digest for key, digest in after.items() if key.rpartition(_OF)[2] in taking_part}
    written = {digest for key, digest in now.items() if key.startswith(_PLACE)}
    kept = {key: digest for key, digest in before.items() if key.rpartition(_OF)[2] not in taking_part}
    return {key: digest for key, digest in kept.items() if not (key.startswith(_PLACE) and digest in written)} | now


def _order(key: str) -> tuple[int, str]:
    """Files first: they are what people edit."""
    return (0 if key.startswith("file ") else 1, key)


def _joined(told: list[str]) -> str:
    named, hidden = told[:_CHANGES_NAMED], len(told) - _CHANGES_NAMED
    return ", ".join(named) + (f", and {hidden} more" if hidden > 0 else "")


def _change(part: str, before: str | None, after: str | None) -> str:
    verb = "changed" if before is not None and after is not None else "is new" if after is not None else "is gone"
    kind, _, name = part.partition(" ")
    if kind == "file":
        return f"{name} {verb}"
    if kind == "setting":
        return f"its `{name}:` {verb}"
    return f"the {part} {verb}" if name else f"its {part} {verb}"


def _task_parts(task: TaskSpec, directory: Path, pipeline: Pipeline, digests: dict[Path, str]) -> dict[str, str]:
    """What a task is made of, by part."""
    if task.version is not None:
        return {"version": task.version}
    parts = {f"file {name}": _file_digest(task, path, digests) for name, path in script_files(task, directory).items()}
    if task.command is not None:
        parts["command"] = _digest("linkd part 2", "command", task.command)
    if task.sql is not None:
        parts["SQL"] = _digest("linkd part 2", "SQL", task.sql)
    if task.files is not None:
        parts |= {f"setting {key}": _digest("linkd part 2", key, value) for key, value in _file_settings(task.files).items() if value}
    if task.env:
        parts["environment"] = _digest("linkd part 2", "environment", dict(task.env))
    parameters = _parameters(task, pipeline.params)
    if parameters:
        parts["parameters"] = _digest("linkd part 2", "parameters", parameters)
    return parts


def _parameters(task: TaskSpec, params: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
    """Those that can reach the task: a program has all of them in its environment, a SELECT those that it names."""
    if task.sql is None:
        return dict(params)
    named = set(_PARAMETER.findall(task.sql))
    return {name: value for name, value in params.items() if name in named}


def _file_digest(task: TaskSpec, path: Path, digests: dict[Path, str]) -> str:
    try:
        if path not in digests:
            digests[path] = file_digest(path)
    except OSError as error:
        remedy = f"make it readable, or give the task a `version:` in the pipeline file (tasks.{task.name}.version)"
        raise UsageFault(f"task {task.name}: {path}, which its command names, cannot be read: {error.strerror}\n  {remedy}") from error
    return digests[path]


def _source_settings(link: LinkSpec) -> dict[str, object]:
    schema = list(link.schema.items()) if link.schema is not None else None
    on_bad_row = None if link.on_bad_row == "stop" else link.on_bad_row
    settings = {"from": link.source, "format": link.format, "nulls": list(link.nulls), "schema": schema, "on_bad_row": on_bad_row}
    return settings | {"query": link.query, "key": list(link.key)} | _dialect(link)


def _sink_settings(link: LinkSpec) -> dict[str, object]:
    mode = None if link.mode == "replace" else link.mode
    key = list(link.key) if link.mode == "upsert" else None
    return {"to": link.sink, "format": link.format, "mode": mode, "key": key} | _dialect(link)


def _file_settings(files: FileTerms) -> dict[str, object]:
    """What decides what a program sees and what is made of what it writes, by key of the file; how many run at a time does not."""
    return {
        "pipe": files.is_pipe,
        "files": dict(files.modes),
        "format": dict(files.formats),
        "header": None if files.header else "false",
        "each": files.each,
        "commit": None if files.commit == "run" else files.commit,
    }


def _dialect(link: LinkSpec) -> dict[str, object]:
    usual, dialect = CsvDialect(), link.dialect
    names = ("header", "separator", "quote", "encoding", "decimal")
    return {name: repr(getattr(dialect, name)) for name in names if getattr(dialect, name) != getattr(usual, name)}


def _settings(owner: str, settings: Mapping[str, object]) -> dict[str, str]:
    return {f"setting {name}{_OF}{owner}": _digest("linkd part 2", name, value) for name, value in settings.items() if value}


def _digest(label: str, *parts: object) -> str:
    encoded = json.dumps([label, *parts], ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    return blake3(encoded).hexdigest()[:_VERSION_DIGITS]
