"""`cache:` of a task: whether its outcomes are remembered (`core.memo`), by itself or because the file says so.

What linkd runs once for each snapshot, or over whole inputs, sees the content of these and nothing else, so it is remembered unless the file says
`cache: false`. It is not by itself where that is not so: inputs of `latest`, which depend on when one looks; no inputs, or no outputs, so that
it meets the rest of the world; a SELECT that asks the clock, for chance, or when and by whom a value was made; a program that holds a connection
and may keep something from one snapshot to the next. Of those the file may say `cache: true`, but for the ones that it cannot mean anything for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from linkd.core.declared import TaskDeclaration
from linkd.core.diagnostics import Problem
from linkd.core.policies import WirePolicyKind
from linkd.core.wiring import WiredTask

_UNREPEATABLE = re.compile(
    r"\b(?:(?P<function>age|ago|gen_random_uuid|get_current_time|get_current_timestamp|now|random|today|uuid|uuidv4|uuidv7)\s*\("
    r"|(?P<word>current_date|current_localtime|current_localtimestamp|current_time|current_timestamp|localtime|localtimestamp|tablesample"
    r"|_seq|_task|_time|_value)\b)",
    re.IGNORECASE,
)
"""What gives a SELECT something else the next time: functions, and the columns that every link has besides its own."""


def is_remembered(task: WiredTask, declared: TaskDeclaration, sql: str | None) -> bool:
    """Whether outcomes of the task are remembered. `sql` is its statement, wherever it stands; `memo_problems` found nothing wrong."""
    if declared.is_sql and _UNREPEATABLE.search(sql or ""):
        return False
    if declared.cache is not None:
        return declared.cache
    if not task.outputs or not task.inputs or any(wire.policy.kind is WirePolicyKind.LATEST for wire in task.inputs):
        return False
    files = declared.files
    return declared.is_sql or (files is not None and files.commit == "run" and (files.is_pipe or not _has_streams(declared)))


def memo_problems(task: WiredTask, declared: TaskDeclaration) -> Iterator[Problem]:
    """What `cache: true` asks of a task."""
    if not declared.cache or declared.cache_span is None:
        return
    files, found = declared.files, _UNREPEATABLE.search(declared.sql.value) if declared.sql is not None else None
    if not task.outputs:
        what, remedy = f"`{task.name}` has no output: there is nothing to remember of it", "take `cache` out"
    elif files is not None and files.commit != "run":
        what = f"the pipe `{task.name}` commits before its end (`commit: {files.commit}`): no part of its output is that of one snapshot"
        remedy = "take `cache` out, or write `commit: run`"
    elif files is not None and not files.is_pipe and _has_streams(declared):
        what = f"`{task.name}` meets links as streams, which may end anywhere: what it read is not known"
        remedy = "take `cache` out, or `files: stream`"
    elif found is not None:
        what = f"`{task.name}` asks for `{found['function'] or found['word']}`, which is something else the next time"
        remedy = "take `cache` out, or give it the value as a parameter: `$name`"
    else:
        return
    yield Problem(declared.cache_span, what, remedy)


def _has_streams(declared: TaskDeclaration) -> bool:
    files = declared.files
    return files is not None and (files.mode == "stream" or any(mode == "stream" for _, mode in files.modes))
