"""The schema of the pipeline file: from a tree of texts to what it declares about links and tasks, or what is wrong with it.

    pipeline: NAME
    wiring: TEXT                                    the grammar of `wiring`
    links:
      LINK: {from: TEXT, to: TEXT, format: TEXT, nulls: [TEXT, ...], schema: {COLUMN: TYPE, ...}, on_bad_row: stop | reject}
    tasks:
      TASK: {run: TEXT or [TEXT, ...], version: TEXT}
      TASK: {sql: SELECT or PATH.sql, version: TEXT}

Whether links and tasks exist is decided in `assembly`, where the wiring is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from linkd import limits
from linkd.core.column_types import NoType, parse_column_type
from linkd.core.diagnostics import Problem, Span
from linkd.core.document import Node, Reader, Record, Text
from linkd.core.names import name_problem
from linkd.core.pipeline import OnBadRow

TOP_KEYS = ("pipeline", "wiring", "links", "tasks")
LINK_KEYS = ("from", "to", "format", "nulls", "schema", "on_bad_row")
TASK_KEYS = ("run", "sql", "version")
_KEYS_OF_LATER_VERSIONS = """
    cache commit defaults durability each env every files follow handover header image interval key memo mode on on_change on_full order
    overwrite parallel params password pipe policy query resources retain retries sample secrets store stream timeout visible
"""
LATER_KEYS = frozenset(_KEYS_OF_LATER_VERSIONS.split())
"""Keys that the design knows, and that get their meaning in a later version."""

_SUBSTITUTION = re.compile(r"\$\{(params|env|secret)\.[^}]*\}?")
_STATEMENT = re.compile(r"(?:\(|(?:from|pivot|select|table|unpivot|values|with)\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LinkDeclaration:
    """`has_source` is also True where a source was meant, and what was written could not be used."""

    name: str
    span: Span
    source: Text | None = None
    sink: Text | None = None
    format: str | None = None
    nulls: tuple[str, ...] = ()
    schema: tuple[tuple[str, str], ...] | None = None
    on_bad_row: OnBadRow = "stop"
    has_source: bool = False

    @property
    def is_copy(self) -> bool:
        """Whether it leads from an adapter to an adapter, so that no task is needed."""
        return self.source is not None and self.sink is not None


@dataclass(frozen=True, slots=True)
class TaskDeclaration:
    """One of `command`, `sql` (a statement) and `sql_path` (as written, relative to the file) is given, or `is_usable` is False."""

    name: str
    span: Span
    command: str | tuple[str, ...] | None = None
    sql: Text | None = None
    sql_path: Text | None = None
    version: str | None = None
    is_usable: bool = True

    @property
    def is_sql(self) -> bool:
        return self.sql is not None or self.sql_path is not None


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that a file says, apart from what its wiring means. Without `wiring` there is already a problem, or there are only copies."""

    name: str
    wiring: Text | None
    links: dict[str, LinkDeclaration] = field(default_factory=dict)
    tasks: dict[str, TaskDeclaration] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_declaration(root: Record, is_zone: Callable[[str], bool] = lambda zone: True) -> Declaration:
    """What the tree declares. Never raises; what cannot be used is left out and is among the problems."""
    reader = Reader()
    fields = reader.fields(root.entries, "a pipeline file", TOP_KEYS, LATER_KEYS)
    name = _pipeline_name(reader, fields.get("pipeline"))
    wiring = reader.text(fields.get("wiring"), "wiring", "wiring: |")
    links: dict[str, LinkDeclaration] = {}
    for key, node in reader.record(fields.get("links"), "links", "links: {flights: {from: flights.csv}}"):
        links[key.value] = _link(reader, key, node, is_zone)
    tasks: dict[str, TaskDeclaration] = {}
    for key, node in reader.record(fields.get("tasks"), "tasks", 'tasks: {clean: {run: "python clean.py"}}'):
        tasks[key.value] = _task(reader, key, node)
    if "wiring" not in fields and (tasks or not links or not all(link.is_copy for link in links.values())):
        reader.note(None, "the file wires nothing", "add `wiring: |`, and below it lines such as `(flights) clean (flown)`")
    return Declaration(name, wiring, links, tasks, tuple(reader.problems))


def _pipeline_name(reader: Reader, node: Node | None) -> str:
    if node is None:
        reader.note(None, "the file does not say which pipeline it is", "begin it with `pipeline: NAME`")
        return ""
    name = reader.text(node, "pipeline", "pipeline: flights")
    if name is None:
        return ""
    if found := name_problem(name.value, "pipeline"):
        reader.note(name.span, *found)
    return name.value


def _link(reader: Reader, key: Text, node: Node, is_zone: Callable[[str], bool]) -> LinkDeclaration:
    name = f"links.{key.value}"
    example = f"{key.value}: {{from: {node.value or 'FILE'}}}" if isinstance(node, Text) else f"{key.value}: {{from: FILE}}"
    fields = reader.fields(reader.record(node, name, example), f"link `{key.value}`", LINK_KEYS, LATER_KEYS)
    source = _plain(reader, reader.text(fields.get("from"), f"{name}.from", "from: data/flights.csv"))
    sink = _plain(reader, reader.text(fields.get("to"), f"{name}.to", "to: out/totals.csv"))
    form = reader.text(fields.get("format"), f"{name}.format", "format: csv")
    nulls = tuple(text.value for text in reader.texts(fields.get("nulls"), f"{name}.nulls", "nulls: [NA]"))
    on_bad_row = reader.choice(fields.get("on_bad_row"), f"{name}.on_bad_row", ("stop", "reject"), "stop")
    for option in ("nulls", "on_bad_row"):
        if option in fields and "from" not in fields:
            what = f"`{option}` says how a file is read, and `{key.value}` has no `from:`"
            reader.note(fields[option].span, what, f"take it out, or give `{key.value}` a `from:`")
    if form is not None and "from" not in fields and "to" not in fields:
        what = f"`format` says what a file holds, and `{key.value}` has neither `from:` nor `to:`"
        reader.note(form.span, what, "take it out")
    return LinkDeclaration(
        name=key.value,
        span=key.span,
        source=source,
        sink=sink,
        format=form.value if form else None,
        nulls=nulls,
        schema=_schema(reader, fields.get("schema"), name, is_zone),
        on_bad_row=cast(OnBadRow, on_bad_row),
        has_source="from" in fields or isinstance(node, Text),
    )


def _schema(reader: Reader, node: Node | None, name: str, is_zone: Callable[[str], bool]) -> tuple[tuple[str, str], ...] | None:
    if node is None:
        return None
    example = "schema: {carrier: string, distance: int64}"
    entries = reader.record(node, f"{name}.schema", example)
    if not entries and (isinstance(node, Record) or (isinstance(node, Text) and not node.value)):
        reader.note(node.span, f"`{name}.schema` names no column", f"write `{example}`, or leave it out")
    columns: list[tuple[str, str]] = []
    for column, type_node in entries:
        if not column.value:
            reader.note(column.span, f"a column of `{name}.schema` has no name", f"write `{example}`")
            continue
        text = reader.text(type_node, f"{name}.schema.{column.value}", f"{column.value}: string")
        if text is None:
            continue
        parsed = parse_column_type(text.value, is_zone)
        if isinstance(parsed, NoType):
            reader.note(text.span, parsed.what, parsed.remedy)
        else:
            columns.append((column.value, str(parsed)))
    return tuple(columns)


def _task(reader: Reader, key: Text, node: Node) -> TaskDeclaration:
    name = f"tasks.{key.value}"
    if isinstance(node, Text) and node.value:
        reader.note(
            node.span,
            f"`{name}` does not say what kind of program this is",
            f'write `{key.value}: {{run: "..."}}` or `{key.value}: {{sql: "..."}}`',
        )
        return TaskDeclaration(key.value, key.span, is_usable=False)
    before = len(reader.problems)
    entries = reader.record(node, name, f'{key.value}: {{run: "python {key.value}.py"}}')
    fields = reader.fields(entries, f"task `{key.value}`", TASK_KEYS, LATER_KEYS)
    command = _command(reader, fields.get("run"), name)
    statement = _plain(reader, reader.text(fields.get("sql"), f"{name}.sql", "sql: SELECT ..."))
    is_path = statement is not None and is_sql_path(statement.value)
    if "run" in fields and "sql" in fields:
        reader.note(fields["sql"].span, f"task `{key.value}` has both `run:` and `sql:`", "a task is one program: make two tasks of it")
    if len(reader.problems) == before and command is None and statement is None:
        remedy = f'write `{key.value}: {{run: "python {key.value}.py"}}` or `{key.value}: {{sql: "SELECT ..."}}`'
        reader.note(key.span, f"task `{key.value}` has no code: neither `run:` nor `sql:`", remedy)
    return TaskDeclaration(
        name=key.value,
        span=key.span,
        command=command,
        sql=None if is_path else statement,
        sql_path=statement if is_path else None,
        version=_version(reader, fields.get("version"), name),
        is_usable=(command is None) != (statement is None),
    )


def is_sql_path(text: str) -> bool:
    """Whether what `sql:` says is the path of a file: one line that ends in `.sql` and does not begin as a statement does."""
    body = text.strip()
    return body.endswith(".sql") and "\n" not in body and _STATEMENT.match(body) is None


def _command(reader: Reader, node: Node | None, name: str) -> str | tuple[str, ...] | None:
    if node is None:
        return None
    if isinstance(node, Text):
        text = _plain(reader, reader.text(node, f"{name}.run", f"run: python {name.rpartition('.')[2]}.py"))
        return text.value if text else None
    words = reader.texts(node, f"{name}.run", 'run: [python, "clean.py"]')
    usable = [text for word in words if (text := _plain(reader, word)) is not None]
    if not words or not words[0].value:
        reader.note(node.span, f"`{name}.run` names no program", 'write `run: [python, "clean.py"]`')
        return None
    return tuple(text.value for text in usable) if len(usable) == len(words) else None


def _version(reader: Reader, node: Node | None, name: str) -> str | None:
    text = reader.text(node, f"{name}.version", 'version: "1.4"')
    if text is None:
        return None
    if len(text.value) > limits.TASK_VERSION_MAX_CHARS:
        what = f"`{name}.version` has {len(text.value)} characters"
        reader.note(text.span, what, f"at most {limits.TASK_VERSION_MAX_CHARS} are kept with every value")
        return None
    return text.value


def _plain(reader: Reader, text: Text | None) -> Text | None:
    """`text`, unless it asks for a substitution: those come later, and must not reach a program or a path as they are."""
    if text is None or (match := _SUBSTITUTION.search(text.value)) is None:
        return text
    what = f"`{match[0]}` has no meaning yet in this version of linkd"
    reader.note(text.span, what, f"write the value itself in place of `${{{match[1]}.…}}`")
    return None
