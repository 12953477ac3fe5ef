"""A pipeline as everybody else sees it: checked, complete, immutable.

`app.pipeline_file` makes it from a file, `core.assembly` from what was read of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from linkd.limits import FOLLOW_EVERY_S
from linkd.model.frozen import frozen
from linkd.model.records import TaskKind
from linkd.model.terms import LinkTerms, TaskTerms

OnBadRow = Literal["stop", "reject"]
OnChange = Literal["rerun", "continue"]
SinkMode = Literal["replace", "append", "upsert", "parts"]
FileMode = Literal["whole", "stream"]
FileFormat = Literal["csv", "jsonl", "parquet", "arrow", "raw", "file"]
PipeCommit = Literal["run", "line", "none"]
ParamValue = str | int | float | bool

REJECTS_SUFFIX = ".rejects"
"""Behind the name of a source's link: the link of the rows that did not fit. No name of the grammar has a dot, so nothing can clash."""


@frozen()
class InputSpec:
    """An input of a task. `policy` is the canonical text of `core.policies.render_input_policy`: `each`, `whole`, `latest`, `swap`, `[10]`."""

    link: str
    policy: str


@frozen()
class CsvDialect:
    """How a text file is written. `separator` and `quote` are one character each (`quote` "" is none); `decimal` is `.` or `,`."""

    header: bool = True
    separator: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    decimal: str = "."


@frozen()
class FileTerms:
    """How a program meets its links as files: a pipe as its standard input and output, others below LINKD_IN and LINKD_OUT.

    `modes` and `formats` have every wire of the task; those of a pipe are streams. `header` is of CSV. With `each` the program runs once for
    each snapshot, `parallel` of them at a time. `commit` says what of an endless pipe is committed when; a run that ends is one commit.
    """

    modes: Mapping[str, FileMode] = field(default_factory=dict)
    formats: Mapping[str, FileFormat] = field(default_factory=dict)
    is_pipe: bool = False
    header: bool = True
    each: bool = False
    parallel: int = 1
    commit: PipeCommit = "run"


@frozen()
class TaskSpec:
    """A task. A `RUN` task has a `command`: a text for `sh -c`, or the words of a command that runs without a shell.

    With `files` that program knows only files, and linkd is its client; without, it is one itself.

    An `SQL` task has `sql` (read from the absolute `sql_path` if it stands in a file): one SELECT for one output, or INSERTs into several.
    `version` is what the file says, and overrides the digest of what runs. Parameters and `${env.X}` are put in already; `${secret.X}` stands as
    written in `env` until the program is started. `on_change` of None leaves it to the kind of the run (`rerun`, under `--follow` `continue`).
    What a task with `cache` makes is remembered, and not made again of the same.
    """

    name: str
    kind: TaskKind
    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]
    command: str | tuple[str, ...] | None = None
    sql: str | None = None
    sql_path: str | None = None
    version: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    retries: int = 0
    timeout_s: float | None = None
    on_change: OnChange | None = None
    every_s: float = FOLLOW_EVERY_S
    terms: TaskTerms = TaskTerms()
    files: FileTerms | None = None
    cache: bool = False


@frozen()
class LinkSpec:
    """A link, and who is at its ends.

    `writer` is a task, and None for a source's link (`source`: what `from:` says), an open one (`is_open`: outsiders append) and a link of
    rejects (`rejects_of`: the source's link). `query` is what a database is asked instead of giving a table; `key` names the columns that say
    which row it is. `schema` maps columns, in their order, to canonical types (`core.column_types`). Parameters and
    `${env.X}` are put into `source` and `sink` already; `${secret.X}` stands as written until an adapter needs it.
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
    dialect: CsvDialect = CsvDialect()
    mode: SinkMode = "replace"
    overwrite: bool = False
    query: str | None = None
    key: tuple[str, ...] = ()
    every_s: float = FOLLOW_EVERY_S
    terms: LinkTerms = LinkTerms()


@frozen()
class Pipeline:
    """`directory` and `path` are absolute; `links` and `tasks` are in the order of the wiring.

    `wiring_text` is the wiring in canonical form: equal where only white space and comments differ. `params` are those of the file with what
    the command line said instead. `secrets` are the names behind `${secret.X}` anywhere in the file.
    """

    name: str
    directory: str
    path: str
    links: Mapping[str, LinkSpec]
    tasks: Mapping[str, TaskSpec]
    wiring_text: str
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
