"""What `tasks:` says of one task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from linkd import limits
from linkd.core.declared import TaskDeclaration
from linkd.core.document import Node, Reader, Text
from linkd.core.file_keys import LATER_KEYS, TASK_KEYS, TASK_KINDS
from linkd.core.file_terms import read_files
from linkd.core.pipeline import OnChange, ParamValue
from linkd.core.sql_parameters import sql_parameters, unknown_parameter
from linkd.core.substitution import is_sql_path
from linkd.core.term_keys import read_task_terms

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = "LINKD_"


def read_task(reader: Reader, key: Text, node: Node, params: Mapping[str, ParamValue], on_change: OnChange | None) -> TaskDeclaration:
    """The declaration of the task `key`; `on_change` is what the file says for all. What is wrong with it goes to the reader."""
    name = f"tasks.{key.value}"
    if isinstance(node, Text) and node.value:
        reader.note(
            node.span,
            f"`{name}` does not say what kind of program this is",
            f'write `{key.value}: {{run: "..."}}`, `{key.value}: {{pipe: "..."}}` or `{key.value}: {{sql: "..."}}`',
        )
        return TaskDeclaration(key.value, key.span, is_usable=False)
    before = len(reader.problems)
    entries = reader.record(node, name, f'{key.value}: {{run: "python {key.value}.py"}}')
    fields = reader.fields(entries, f"task `{key.value}`", tuple(TASK_KEYS), LATER_KEYS)
    command = _command(reader, fields, name)
    statement = reader.text(fields.get("sql"), f"{name}.sql", "sql: SELECT ...")
    is_path = statement is not None and is_sql_path(statement.value)
    kinds = [kind for kind in TASK_KINDS if kind in fields]
    if len(kinds) > 1:
        what = f"task `{key.value}` has both `{kinds[0]}:` and `{kinds[1]}:`"
        reader.note(fields[kinds[1]].span, what, "a task is one program: make two tasks of it")
    if len(reader.problems) == before and command is None and statement is None:
        remedy = f'write `{key.value}: {{run: "python {key.value}.py"}}`, or `pipe:` and a filter, or `sql:` and a SELECT'
        reader.note(key.span, f"task `{key.value}` has no code: neither `run:` nor `pipe:` nor `sql:`", remedy)
    if statement is not None and not is_path:
        _check_parameters(reader, statement, params)
    if "env" in fields and "sql" in fields:
        remedy = "take it out; a statement gets values as parameters: `$x`"
        reader.note(fields["env"].span, f"`env` is for programs, and `{key.value}` is a SELECT", remedy)
    every_s = reader.duration(fields.get("every"), f"{name}.every", "every: 10s", limits.EVERY_MIN_S, limits.EVERY_MAX_S)
    timeout_s = reader.duration(
        fields.get("timeout"), f"{name}.timeout", "timeout: 10m", limits.TASK_TIMEOUT_MIN_S, limits.TASK_TIMEOUT_MAX_S
    )
    return TaskDeclaration(
        name=key.value,
        span=key.span,
        command=command,
        sql=None if is_path else statement,
        sql_path=statement if is_path else None,
        version=_version(reader, fields.get("version"), name),
        is_usable=len(kinds) == 1 and (command is None) != (statement is None),
        env=_env(reader, fields.get("env"), name),
        retries=reader.count(fields.get("retries"), f"{name}.retries", "retries: 2", limits.TASK_RETRIES_MAX) or 0,
        timeout_s=timeout_s,
        on_change=read_on_change(reader, fields.get("on_change"), f"{name}.on_change") or on_change,
        every_s=limits.FOLLOW_EVERY_S if every_s is None else every_s,
        terms=read_task_terms(reader, name, fields, timeout_s),
        files=read_files(reader, key, fields),
        cache=reader.flag(fields["cache"], f"{name}.cache", False) if "cache" in fields else None,
        cache_span=fields["cache"].span if "cache" in fields else None,
    )


def read_on_change(reader: Reader, node: Node | None, name: str) -> OnChange | None:
    """What happens when a task is not what it was; None if nothing is said."""
    if node is None:
        return None
    return cast(OnChange, reader.choice(node, name, ("rerun", "continue"), "rerun"))


def _command(reader: Reader, fields: Mapping[str, Node], name: str) -> str | tuple[str, ...] | None:
    """What `run:` or `pipe:` says."""
    if "pipe" in fields:
        text = reader.text(fields["pipe"], f"{name}.pipe", "pipe: grep -v NA")
        return text.value if text else None
    node = fields.get("run")
    if node is None:
        return None
    if isinstance(node, Text):
        text = reader.text(node, f"{name}.run", f"run: python {name.rpartition('.')[2]}.py")
        return text.value if text else None
    words = reader.texts(node, f"{name}.run", 'run: [python, "clean.py"]')
    if not words or not words[0].value:
        reader.note(node.span, f"`{name}.run` names no program", 'write `run: [python, "clean.py"]`')
        return None
    return tuple(text.value for text in words)


def _check_parameters(reader: Reader, statement: Text, params: Mapping[str, ParamValue]) -> None:
    for offset, parameter in sql_parameters(statement.value):
        if parameter not in params:
            reader.note(reader.inside(statement, offset, f"${parameter}"), *unknown_parameter(parameter, params))


def _env(reader: Reader, node: Node | None, name: str) -> dict[str, str]:
    variables: dict[str, str] = {}
    entries = reader.record(node, f"{name}.env", "env: {TZ: UTC}")
    if node is not None and len(entries) > limits.TASK_ENV_MAX:
        reader.note(node.span, f"`{name}.env` has {len(entries)} variables", f"a task has at most {limits.TASK_ENV_MAX}")
        return variables
    for key, value in entries:
        if not _VARIABLE.fullmatch(key.value):
            what = f"`{key.value}` cannot be the name of a variable"
            reader.note(key.span, what, "names are letters, digits and `_`, no digit first")
        elif key.value.startswith(_OURS):
            what = f"`{key.value}`: variables that begin with {_OURS} are linkd's own"
            reader.note(key.span, what, "give it another name; a parameter of the pipeline is there as LINKD_PARAM_NAME")
        elif not isinstance(value, Text):
            reader.text(value, f"{name}.env.{key.value}", f"{key.value}: text")
        else:
            variables[key.value] = value.value
    return variables


def _version(reader: Reader, node: Node | None, name: str) -> str | None:
    text = reader.text(node, f"{name}.version", 'version: "1.4"')
    if text is None:
        return None
    if len(text.value) > limits.TASK_VERSION_MAX_CHARS:
        what = f"`{name}.version` has {len(text.value)} characters"
        reader.note(text.span, what, f"at most {limits.TASK_VERSION_MAX_CHARS} are kept with every value")
        return None
    return text.value
