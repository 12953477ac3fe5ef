"""A pipeline as everybody else sees it: checked, complete, immutable.

`app.pipeline_file` makes it from a file, `core.assembly` from what was read of it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from linkd.model.records import TaskKind

OnBadRow = Literal["stop", "reject"]

REJECTS_SUFFIX = ".rejects"
"""Behind the name of a source's link: the link of the rows that did not fit. No name of the grammar has a dot, so nothing can clash."""


class PolicyKind(enum.StrEnum):
    """How values of an input become snapshots: each in turn, or all of the generation once, at its seal."""

    EACH = "each"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class InputSpec:
    link: str
    policy: PolicyKind


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task. A `RUN` task has a `command`: a text for `sh -c`, or the words of a command that runs without a shell.

    An `SQL` task has `sql`, one SELECT (read from the absolute `sql_path` if it stands in a file), and exactly one output. `version` is
    what the file says, and overrides the digest of what runs.
    """

    name: str
    kind: TaskKind
    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]
    command: str | tuple[str, ...] | None = None
    sql: str | None = None
    sql_path: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link, and who is at its ends.

    `writer` is a task, and None for a source's link (`source`: what `from:` says), an open one (`is_open`: outsiders append) and a link of
    rejects (`rejects_of`: the source's link). `schema` maps columns, in their order, to canonical types (`core.column_types`).
    """

    name: str
    is_open: bool = False
    source: str | None = None
    sink: str | None = None
    format: str | None = None
    nulls: tuple[str, ...] = ()
    schema: Mapping[str, str] | None = None
    on_bad_row: OnBadRow = "stop"
    writer: str | None = None
    readers: tuple[str, ...] = ()
    rejects_of: str | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`directory` and `path` are absolute; `links` and `tasks` are in the order of the wiring.

    `wiring_text` is the wiring in canonical form: equal where only white space and comments differ.
    """

    name: str
    directory: str
    path: str
    links: Mapping[str, LinkSpec]
    tasks: Mapping[str, TaskSpec]
    wiring_text: str
