"""What a pipeline file declares, before the wiring says how it belongs together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from linkd.core.diagnostics import Problem, Span
from linkd.core.document import Text
from linkd.core.pipeline import CsvDialect, FileFormat, FileMode, OnBadRow, OnChange, ParamValue, PipeCommit, SinkMode
from linkd.core.substitution import Surroundings
from linkd.limits import FOLLOW_EVERY_S
from linkd.model.frozen import frozen
from linkd.model.terms import LinkTerms, TaskTerms


@frozen()
class Knowledge:
    """What only the outside can say: which time zones and text codecs there are, what the command line set, what the environment holds."""

    is_zone: Callable[[str], bool] = lambda zone: True
    is_codec: Callable[[str], bool] = lambda codec: True
    said: Mapping[str, str] = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)


@frozen()
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
    dialect: CsvDialect = CsvDialect()
    mode: SinkMode = "replace"
    overwrite: bool = False
    query: str | None = None
    key: tuple[str, ...] = ()
    every_s: float = FOLLOW_EVERY_S
    terms: LinkTerms = LinkTerms()

    @property
    def is_copy(self) -> bool:
        """Whether it leads from an adapter to an adapter, so that no task is needed."""
        return self.source is not None and self.sink is not None


@frozen()
class FilesDeclaration:
    """What a task says of its files, before the wiring says which there are.

    `modes` and `formats` are those of the wires they name, `mode` and `format` those of all others. `spans` are the places of what was said,
    by key.
    """

    is_pipe: bool = False
    mode: FileMode = "whole"
    modes: tuple[tuple[Text, FileMode], ...] = ()
    format: FileFormat = "csv"
    formats: tuple[tuple[Text, FileFormat], ...] = ()
    header: bool = True
    each: bool = False
    parallel: int = 1
    commit: PipeCommit = "run"
    spans: Mapping[str, Span] = field(default_factory=dict)


@frozen()
class TaskDeclaration:
    """One of `command`, `sql` (a statement) and `sql_path` (as written, relative to the file) is given, or `is_usable` is False.

    `files` is of a program that knows only files: a pipe, or one that meets its links below LINKD_IN and LINKD_OUT. `cache` is what the file
    says of remembering its outcomes, and where.
    """

    name: str
    span: Span
    command: str | tuple[str, ...] | None = None
    sql: Text | None = None
    sql_path: Text | None = None
    version: str | None = None
    is_usable: bool = True
    env: Mapping[str, str] = field(default_factory=dict)
    retries: int = 0
    timeout_s: float | None = None
    on_change: OnChange | None = None
    every_s: float = FOLLOW_EVERY_S
    terms: TaskTerms = TaskTerms()
    files: FilesDeclaration | None = None
    cache: bool | None = None
    cache_span: Span | None = None

    @property
    def is_sql(self) -> bool:
        return self.sql is not None or self.sql_path is not None


@frozen()
class Declaration:
    """All that a file says, apart from what its wiring means. Without `wiring` there is already a problem, or no task."""

    name: str
    wiring: Text | None
    links: dict[str, LinkDeclaration] = field(default_factory=dict)
    tasks: dict[str, TaskDeclaration] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
