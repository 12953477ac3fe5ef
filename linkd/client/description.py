"""What a pipeline is, as plain values: the answers of `describe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from linkd.client import html
from linkd.model.frozen import frozen
from linkd.model.values import Durability, Parent
from linkd.wire.messages import durability_of, portions_of


@frozen()
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


@frozen()
class SourceDescription:
    """How far a source has read."""

    digest: str
    rows_read: int
    rows_rejected: int
    final: bool
    position: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


@frozen()
class RateDescription:
    """How fast a link grows: averages over the last few seconds."""

    values_per_s: float
    rows_per_s: float
    bytes_per_s: float


@frozen()
class DroppedDescription:
    """Values of a link that were ever dropped for this reason, though their generation stayed; the last of them at `last_at_ns`."""

    reason: str
    values: int
    last_at_ns: int


@frozen()
class HoldDescription:
    """Values that stay, whatever retention says: a named hold, or without a name what `holder` ("": an outsider) reads now.

    `last_sequence` 0: and all behind; `until_ns` 0: as long as it is read.
    """

    name: str
    holder: str
    link: str
    generation: int
    first_sequence: int
    last_sequence: int
    until_ns: int
    reason: str


@frozen()
class LinkDescription:
    """A link: who writes and reads it, and what it holds. `schema` is an encapsulated Arrow IPC schema message, empty while there is none.

    `read` is the generation that readers see, `current` the newest one. `last_created_at_ns` dates the newest value (0: there is none), `rate`
    is None while nothing moves. With a `bound_bytes` other than 0, `waiting_bytes` wait for the slowest reader, and `on_full` says what becomes of
    what is more. `retain` says in words what stays.
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
    last_created_at_ns: int = 0
    rate: RateDescription | None = None
    bound_bytes: int = 0
    on_full: str = ""
    waiting_bytes: int = 0
    retain: str = ""
    dropped: tuple[DroppedDescription, ...] = ()

    def _repr_html_(self) -> str:
        """For notebooks: what the link holds and who is at its ends."""
        return html.table(self.name, _LINK_HEADINGS, [_link_cells(self)])


@frozen()
class InputDescription:
    """An input of a task, its policy, and how far the task has come with it."""

    link: str
    policy: str
    generation: int
    done_values: int = 0
    done_rows: int = 0
    waiting_values: int = 0


@frozen()
class LeaseDescription:
    """A snapshot in a program's hands since `since_ns`."""

    snapshot_id: str
    portions: tuple[Parent, ...]
    attempt: int
    since_ns: int


@frozen()
class TaskDescription:
    """A task and its present execution; `kind` is `run`, `sql`, `source` or `sink`.

    `state` is `not begun`, `starting`, `open` (its place), `waiting`, `running`, `failed`, `stopped` or `done`. `leases` are the oldest ones.
    `given_up` snapshots failed as often as they may and lie in the link `NAME.dead`.
    """

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
    state: str = ""
    leases: tuple[LeaseDescription, ...] = ()
    last_commit_attributes: Mapping[str, str] = field(default_factory=dict)
    given_up: int = 0


@frozen()
class GroupDescription:
    """A consumer group of outsiders. `order` is one of its terms, `run_generation` counts how often it was moved, `lost_values` what was dropped
    before it was done with it."""

    group: str
    link: str
    done_sequence: int
    lag_values: int
    leased: int
    connections: int
    generation: int = 0
    order: str = ""
    run_generation: int = 0
    lost_values: int = 0


@frozen()
class RunDescription:
    """The newest run; `outcome` is `running`, `done`, `failed`, `interrupted`, or empty where there was none."""

    epoch: int
    run_id: str
    began_at_ns: int
    outcome: str
    reason: str
    complete: bool


@frozen()
class Description:
    """A pipeline as its home sees it. `transport` is how this client talks to it; `you` the task it is taken for, empty for an outsider.

    `told_at_ns` is when, by the clock that dates values. `notes` say that room is short, and who waits for it.
    """

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
    told_at_ns: int = 0
    notes: tuple[str, ...] = ()
    holds: tuple[HoldDescription, ...] = ()
    artifacts_bytes: int = 0
    """Of all artifacts that are kept: what links name of them is in none of their sizes."""

    @property
    def lags(self) -> Mapping[str, int]:
        """Of each link that has readers: the values that the slowest of them has still to take."""
        waiting = [(each.link, each.waiting_values) for task in self.tasks for each in task.inputs]
        waiting += [(group.link, group.lag_values) for group in self.groups]
        lags: dict[str, int] = {}
        for link, values in waiting:
            lags[link] = max(lags.get(link, 0), values)
        return lags

    def _repr_html_(self) -> str:
        """For notebooks: the links, what they hold, and how far the slowest reader of each is behind."""
        lags = self.lags
        rows = [(*_link_cells(link), f"{lags[link.name]:,}" if link.name in lags else "") for link in self.links]
        run = f"run {self.run.epoch} {self.run.outcome}" if self.run is not None else ""
        return html.table(self.pipeline or self.directory, [*_LINK_HEADINGS, html.Heading("lag", is_number=True)], rows, run)

    def __str__(self) -> str:
        lines = [f"{self.pipeline or self.directory} ({self.transport}, linkd {self.version})"]
        width = max((len(link.name) for link in self.links), default=0)
        for link in self.links:
            shown = link.read
            holds = f"{shown.values:>8,} values {shown.rows:>12,} rows  {shown.state}" if shown else "nothing yet"
            lines.append(f"  {link.name:<{width}}  {holds}")
        return "\n".join(lines)


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
            GroupDescription(
                item.group,
                item.link,
                item.done_sequence,
                item.lag_values,
                item.leased,
                item.connections,
                item.generation,
                item.order,
                item.run_generation,
                item.lost_values,
            )
            for item in answer.groups
        ),
        run=run and RunDescription(run.epoch, run.run_id, run.began_at_ns, run.outcome, run.reason, run.complete),
        you=answer.you,
        pid=answer.pid,
        told_at_ns=answer.told_at_ns,
        notes=tuple(answer.notes),
        holds=tuple(
            HoldDescription(
                item.name,
                item.holder,
                item.link,
                item.generation,
                item.first_sequence,
                item.last_sequence,
                item.until_ns,
                item.reason,
            )
            for item in answer.holds
        ),
        artifacts_bytes=answer.artifacts_bytes,
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
        last_created_at_ns=info.last_created_at_ns,
        rate=RateDescription(info.rate.values_per_s, info.rate.rows_per_s, info.rate.bytes_per_s) if info.HasField("rate") else None,
        bound_bytes=info.bound_bytes,
        on_full=info.on_full,
        waiting_bytes=info.waiting_bytes,
        retain=info.retain,
        dropped=tuple(DroppedDescription(one.reason, one.values, one.last_at_ns) for one in info.dropped),
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
        state=info.state,
        leases=tuple(
            LeaseDescription(item.snapshot_id.hex(), portions_of(item.portions), item.attempt, item.since_ns) for item in info.leases
        ),
        last_commit_attributes=dict(info.last_commit_attributes),
        given_up=info.given_up,
    )


def source_of(item: Any) -> SourceDescription | None:
    """The source in a message that may have one."""
    return _source_of(item.source) if item.HasField("source") else None


def _source_of(info: Any) -> SourceDescription:
    return SourceDescription(info.digest, info.rows_read, info.rows_rejected, info.final, info.position, dict(info.attributes))


_LINK_HEADINGS = (
    html.Heading("link"),
    html.Heading("rows", is_number=True),
    html.Heading("values", is_number=True),
    html.Heading("bytes", is_number=True),
    html.Heading("generation"),
    html.Heading("written by"),
    html.Heading("read by"),
)


def _link_cells(link: LinkDescription) -> tuple[str, ...]:
    shown = link.read
    readers = ", ".join(link.sink if name.startswith("to:") and link.sink else name for name in link.readers)
    held = (f"{shown.rows:,}", f"{shown.values:,}", f"{shown.size_bytes:,}", f"{shown.generation} {shown.state}") if shown else ("",) * 4
    return (link.name, *held, link.source or link.writer, readers)
