"""What runs, as digests: the version of a task, the fingerprint of a run, and one line that says what changed between two of them.

A digest of something is BLAKE3 over the UTF-8 of a JSON list `[label, ...]`, without white space and with sorted keys, in hex: 32 digits
for what runs, 64 for the content of a file. Labels, and what follows them:

    "linkd task 1"    command (a text, a list of words, or null), [[name as written, digest], ...] of its files, SQL or null
    "linkd wiring 1"  the canonical wiring
    "linkd link 1"    the link's settings by name

The fingerprint of a run maps each thing whose change starts everything again to a digest:

    wiring                         link flights                  file clean.py of task clean
    task clean                     command of task clean         sql of task sum_up            version of task clean
"""

from __future__ import annotations

import json
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from linkd import limits
from linkd.core.pipeline import LinkSpec, Pipeline, TaskSpec
from linkd.errors import UsageFault

_VERSION_DIGITS = 32
_CHANGES_NAMED = 3
_REDIRECTIONS = frozenset({">", ">>", ">|", ">&", "&>", "&>>"})


@dataclass(frozen=True, slots=True)
class SourceStat:
    """What tells a file that was touched from one that was not, without reading it."""

    size_bytes: int
    mtime_ns: int
    inode: int


def source_stat(path: Path) -> SourceStat:
    """The stat of the file behind `path`, links followed. Raises `OSError` as `stat` does."""
    found = path.stat()
    return SourceStat(found.st_size, found.st_mtime_ns, found.st_ino)


def file_digest(path: Path) -> str:
    """BLAKE3 of a file's content, 64 hex digits, read in blocks. Raises `OSError` as reading does."""
    digest = blake3()
    with path.open("rb") as file:
        while block := file.read(limits.FILE_DIGEST_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def script_files(task: TaskSpec, directory: Path) -> dict[str, Path]:
    """The files that are part of a task's version, by the name they have in its command.

    Every word of the command (or what stands behind `=` in it) that is a regular file below `SCRIPT_FILE_MAX_BYTES`, relative to
    `directory`; not what the command writes to by `>`, and not programs found by PATH. Modules that a script imports are not seen:
    give such a task a `version:`.
    """
    found: dict[str, Path] = {}
    for word in _words(task.command):
        for name in (word, word.partition("=")[2]):
            if name and name not in found and _is_script(directory / name):
                found[name] = directory / name
                break
    return found


def task_version(task: TaskSpec, directory: Path) -> str:
    """`version:` of the file if it is given, else the digest of command, script files and SQL.

    Raises `UsageFault` if a file that the command names cannot be read.
    """
    return _task_version(task, _script_digests(task, directory))


def fingerprint(pipeline: Pipeline) -> dict[str, str]:
    """Digests of all that a run depends on, apart from the content of its sources, which the caller adds.

    Raises `UsageFault` if a file that a command names cannot be read.
    """
    found = {"wiring": _digest("linkd wiring 1", pipeline.wiring_text)}
    for link in pipeline.links.values():
        settings = _settings(link)
        if settings:
            found[f"link {link.name}"] = _digest("linkd link 1", settings)
    directory = Path(pipeline.directory)
    for task in pipeline.tasks.values():
        found.update(_task_entries(task, directory))
    return found


def explain(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What changed from one fingerprint to the next, in one line: `clean.py changed`; "" if nothing did."""
    keys = [key for key in (*after, *(key for key in before if key not in after)) if before.get(key) != after.get(key)]
    parts = {_owner(key) for key in keys if " of task " in key}
    changes: dict[str, None] = {}
    for key in keys:
        if key in parts and key in before and key in after:
            continue
        owner = _owner(key)
        if owner != key and (owner in before) != (owner in after):
            continue
        changes[_change(key, before, after)] = None
    named = list(changes)[:_CHANGES_NAMED]
    hidden = len(changes) - len(named)
    return ", ".join(named) + (f", and {hidden} more" if hidden else "")


def _change(key: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    verb = "changed" if key in before and key in after else "is new" if key in after else "is gone"
    part, of, owner = key.partition(" of ")
    if of and part.startswith("file "):
        return f"{part.removeprefix('file ')} {verb}"
    if of:
        name = "SQL" if part == "sql" else part
        return f"the {name} of {owner.removeprefix('task ')} {verb}"
    kind, _, name = key.partition(" ")
    return f"{kind} {name} {verb}" if name else f"the {key} {verb}"


def _owner(key: str) -> str:
    """The task or link that a part belongs to; of anything else the key itself."""
    return key.rpartition(" of ")[2]


def _task_entries(task: TaskSpec, directory: Path) -> dict[str, str]:
    if task.version is not None:
        return {f"version of task {task.name}": task.version, f"task {task.name}": task.version}
    digests = _script_digests(task, directory)
    entries = {f"file {name} of task {task.name}": digest for name, digest in digests.items()}
    if task.command is not None:
        entries[f"command of task {task.name}"] = _digest("linkd task 1", task.command)
    if task.sql is not None:
        entries[f"sql of task {task.name}"] = _digest("linkd task 1", task.sql)
    entries[f"task {task.name}"] = _task_version(task, digests)
    return entries


def _task_version(task: TaskSpec, digests: Mapping[str, str]) -> str:
    if task.version is not None:
        return task.version
    return _digest("linkd task 1", task.command, sorted(digests.items()), task.sql)


def _script_digests(task: TaskSpec, directory: Path) -> dict[str, str]:
    digests: dict[str, str] = {}
    if task.version is not None:
        return digests
    for name, path in script_files(task, directory).items():
        try:
            digests[name] = file_digest(path)
        except OSError as error:
            remedy = f"make it readable, or give the task a `version:` in the pipeline file (tasks.{task.name}.version)"
            raise UsageFault(f"task {task.name}: {path}, which its command names, cannot be read: {error.strerror}\n  {remedy}") from error
    return digests


def _words(command: str | tuple[str, ...] | None) -> Iterator[str]:
    if command is None:
        return
    if not isinstance(command, str):
        yield from command
        return
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        # An open quote: the shell will say so when it runs; until then its words are as good as any.
        words = command.split()
    is_target = False
    for word in words:
        if not is_target:
            yield word
        is_target = word in _REDIRECTIONS


def _is_script(path: Path) -> bool:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size < limits.SCRIPT_FILE_MAX_BYTES


def _settings(link: LinkSpec) -> dict[str, object]:
    """What the file says about a link beyond its ends; empty for a link that only the wiring names."""
    schema = list(link.schema.items()) if link.schema is not None else None
    settings: dict[str, object] = {
        "from": link.source,
        "to": link.sink,
        "format": link.format,
        "nulls": list(link.nulls),
        "schema": schema,
        "on_bad_row": None if link.on_bad_row == "stop" else link.on_bad_row,
    }
    return {name: value for name, value in settings.items() if value}


def _digest(label: str, *parts: object) -> str:
    encoded = json.dumps([label, *parts], ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    return blake3(encoded).hexdigest()[:_VERSION_DIGITS]
