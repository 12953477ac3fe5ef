"""What a pipeline is and where its values come from, as plain values: the answers of `describe` and `trace`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from linkd.model.values import Durability, Envelope
from linkd.wire.messages import durability_of, envelope_of


@dataclass(frozen=True, slots=True)
class GenerationDescription:
    """One generation of a link; `state` is `growing`, `sealed` or `abandoned`."""

    generation: int
    state: str
    task: str
    task_version: str
    first_sequence: int
    last_sequence: int
    values: int
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """How far a source has read."""

    digest: str
    rows_read: int
    rows_rejected: int
    final: bool
    position: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkDescription:
    """A link: who writes and reads it, and what it holds. `schema` is an encapsulated Arrow IPC schema message, empty while there is none.

    `read` is the generation that readers see, `current` the newest one.
    """

    name: str
    writer: str
    readers: tuple[str, ...]
    source: str
    sink: str
    open: bool
    declared: bool
    durability: Durability | None
    schema: bytes
    read: GenerationDescription | None
    current: GenerationDescription | None
    size_bytes: int
    values: int
    source_state: SourceDescription | None
    on_bad_row: str


@dataclass(frozen=True, slots=True)
class InputDescription:
    """An input of a task, its policy, and how far the task has come with it."""

    link: str
    policy: str
    generation: int
    done_values: int = 0
    done_rows: int = 0
    waiting_values: int = 0


@dataclass(frozen=True, slots=True)
class TaskDescription:
    """A task and its present execution; `kind` is `run`, `sql`, `source` or `sink`."""

    name: str
    kind: str
    version: str
    inputs: tuple[InputDescription, ...]
    outputs: tuple[str, ...]
    execution: int
    ended: bool
    commits: int
    leased: int
    connections: int


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A consumer group of outsiders."""

    group: str
    link: str
    done_sequence: int
    lag_values: int
    leased: int
    connections: int


@dataclass(frozen=True, slots=True)
class RunDescription:
    """The newest run; `outcome` is `running`, `done`, `failed`, `interrupted`, or empty where there was none."""

    epoch: int
    run_id: str
    began_at_ns: int
    outcome: str
    reason: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Description:
    """A pipeline as its home sees it. `transport` is how this client talks to it; `you` the task it is taken for, empty for an outsider."""

    pipeline: str
    version: str
    directory: str
    transport: str
    open: bool
    epoch: int
    links: tuple[LinkDescription, ...]
    tasks: tuple[TaskDescription, ...]
    groups: tuple[GroupDescription, ...]
    run: RunDescription | None
    you: str
    pid: int

    def __str__(self) -> str:
        lines = [f"{self.pipeline or self.directory} ({self.transport}, linkd {self.version})"]
        width = max((len(link.name) for link in self.links), default=0)
        for link in self.links:
            shown = link.read
            holds = f"{shown.values:>8,} values {shown.rows:>12,} rows  {shown.state}" if shown else "nothing yet"
            lines.append(f"  {link.name:<{width}}  {holds}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A value that another was made from, `depth` steps up; `source` is set where it came from a source."""

    envelope: Envelope
    depth: int
    source: SourceDescription | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a value comes from: itself (depth 0) and its ancestors, nearest first. `cut` says that there are more."""

    ancestors: tuple[Ancestor, ...]
    cut: bool

    def __str__(self) -> str:
        lines = [_ancestor_line(ancestor) for ancestor in self.ancestors]
        return "\n".join([*lines, "..."] if self.cut else lines)


def _ancestor_line(ancestor: Ancestor) -> str:
    envelope = ancestor.envelope
    line = f"{'  ' * ancestor.depth}{envelope.name}  {envelope.rows:,} rows"
    if envelope.task:
        line += f"  by {envelope.task} {envelope.task_version[:8]}".rstrip()
    return line + "".join(f"  {key}={value}" for key, value in sorted(envelope.attributes.items()))


def describe(answer: Any) -> Description:
    """The description in a `DescribeResponse`."""
    run = answer.run if answer.HasField("run") else None
    return Description(
        pipeline=answer.pipeline,
        version=answer.version,
        directory=answer.directory,
        transport=answer.transport,
        open=answer.open,
        epoch=answer.epoch,
        links=tuple(_link(link) for link in answer.links),
        tasks=tuple(_task(task) for task in answer.tasks),
        groups=tuple(
            GroupDescription(item.group, item.link, item.done_sequence, item.lag_values, item.leased, item.connections)
            for item in answer.groups
        ),
        run=run and RunDescription(run.epoch, run.run_id, run.began_at_ns, run.outcome, run.reason, run.complete),
        you=answer.you,
        pid=answer.pid,
    )


def lineage(answer: Any) -> Lineage:
    """The lineage in a `TraceResponse`."""
    return Lineage(
        tuple(Ancestor(envelope_of(item.envelope), item.depth, _source(item)) for item in answer.ancestors),
        answer.cut,
    )


def _link(info: Any) -> LinkDescription:
    return LinkDescription(
        name=info.name,
        writer=info.writer,
        readers=tuple(info.readers),
        source=info.source,
        sink=info.sink,
        open=info.open,
        declared=info.declared,
        durability=durability_of(info.durability) if info.durability else None,
        schema=info.schema,
        read=_generation(info.read) if info.HasField("read") else None,
        current=_generation(info.current) if info.HasField("current") else None,
        size_bytes=info.size_bytes,
        values=info.values,
        source_state=_source_of(info.source_state) if info.HasField("source_state") else None,
        on_bad_row=info.on_bad_row,
    )


def _generation(info: Any) -> GenerationDescription:
    return GenerationDescription(
        info.generation,
        info.state,
        info.task,
        info.task_version,
        info.first_sequence,
        info.last_sequence,
        info.values,
        info.rows,
        info.size_bytes,
    )


def _task(info: Any) -> TaskDescription:
    progress = {item.link: (item.done_values, item.done_rows, item.waiting_values) for item in info.progress}
    return TaskDescription(
        name=info.name,
        kind=info.kind,
        version=info.version,
        inputs=tuple(
            InputDescription(item.link, item.policy, item.generation, *progress.get(item.link, (0, 0, 0))) for item in info.inputs
        ),
        outputs=tuple(info.outputs),
        execution=info.execution,
        ended=info.ended,
        commits=info.commits,
        leased=info.leased,
        connections=info.connections,
    )


def _source(item: Any) -> SourceDescription | None:
    return _source_of(item.source) if item.HasField("source") else None


def _source_of(info: Any) -> SourceDescription:
    return SourceDescription(info.digest, info.rows_read, info.rows_rejected, info.final, info.position, dict(info.attributes))
