"""What a journal frame says: the records that, applied in order, are the state of a home.

A frame is a tuple of records and is atomic: after a crash either all of them are there or none. The same `apply` (`core.ledger`) takes them
when they are decided and when the journal is read again, so there is one meaning. Records are facts ("this was committed"), never requests.
Their encoding is specified in `proto/linkd/store/v1/frame.proto`; a field that a later version gives meaning to has its place already.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field

from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Parent, Place, Position, Producer


class GenerationEnd(enum.IntEnum):
    """How a generation ended: complete and readable, or superseded before it was."""

    SEALED = 1
    ABANDONED = 2


class TaskKind(enum.StrEnum):
    """What runs a task."""

    RUN = "run"
    SQL = "sql"
    SOURCE = "source"
    SINK = "sink"


@frozen()
class RunBegan:
    """A run of the pipeline began. Calls of an older epoch are fenced from here on.

    `fingerprint` maps what a run depends on (`task clean`, `source flights`) to a digest: of what takes no part in this run, as it was when it
    last did. Equal maps make equal results. `tasks` are those that take part, sources and sinks among them; empty is all of them. A run that
    follows has no end of its own: sources are watched, and `whole` tasks begin again whenever their inputs have been idle.
    """

    epoch: int
    run_id: str
    began_at_ns: int
    fresh: bool
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    traceparent: str = ""
    tasks: tuple[str, ...] = ()
    follow: bool = False


@frozen()
class RunEnded:
    """The run of `epoch` ended; `outcome` is `done`, `failed` or `interrupted`."""

    epoch: int
    outcome: str
    ended_at_ns: int


@frozen()
class LinkOpened:
    """A link exists from here on, or begins a new incarnation because its tail may have been lost."""

    link: str
    incarnation: int
    first_sequence: int
    created_at_ns: int


@frozen()
class SchemaKept:
    """The link's values have this schema from here on. `schema` is an encapsulated Arrow IPC schema message."""

    link: str
    schema_id: bytes
    schema: bytes
    declared: bool = False


@frozen()
class GenerationBegan:
    """The next generation of a link begins. `inputs` are the generations (and, of `whole` inputs, the extents) it is made from."""

    link: str
    generation: int
    incarnation: int
    first_sequence: int
    task: str
    task_version: str
    inputs: tuple[Parent, ...] = ()


@frozen()
class GenerationEnded:
    """A generation is sealed behind `last_sequence` (which is first_sequence - 1 if it is empty), or abandoned there."""

    link: str
    generation: int
    end: GenerationEnd
    last_sequence: int
    reason: str = ""


@frozen()
class GenerationReopened:
    """A sealed generation grows again: an outsider appended, or a followed source, or a task made from such.

    What an outsider appends between runs stays behind the seal, for the next run. With `within_run` the seal is lifted: the run's tasks go on
    reading as it grows.
    """

    link: str
    generation: int
    within_run: bool = False


@frozen()
class TaskBegan:
    """A task starts over: its subscription to `inputs` begins at their first values, its outputs go to these generations.

    `execution` counts the starts of this task from 1. `inputs` and `outputs` map a link to its generation. `extents` has, of `whole` inputs
    that are taken while they grow, the last sequence that belongs to this execution; all others are read to their seal.
    """

    task: str
    execution: int
    version: str
    inputs: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)
    extents: Mapping[str, int] = field(default_factory=dict)


@frozen()
class TaskResumed:
    """A task that may have ended goes on where it stands: its input grows again, or another version of it continues (`on_change`)."""

    task: str
    execution: int
    version: str


@frozen()
class TaskEnded:
    """An execution of a task is complete: nothing of it will be handed out again."""

    task: str
    execution: int
    reason: str = ""


@frozen()
class ValueStored:
    """A value is part of its link, and its payload lies at `place`.

    `shared`: in a segment file that its publisher has written to; `volatile`: in one of those that no commit syncs.
    """

    envelope: Envelope
    place: Place
    shared: bool = False
    volatile: bool = False


@frozen()
class SnapshotLeased:
    """A snapshot was put together, or handed out again: its composition is the same for every attempt, `token` is the newest.

    `partial` says that a window in it was cut short by the end of its input. `settles` is what no later snapshot will hold,
    where that is not the portions themselves (a window that slides keeps some for the next one, a newest value passes others over).
    """

    task: str
    execution: int
    snapshot_id: bytes
    token: int
    attempt: int
    portions: tuple[Parent, ...] = ()
    settles: tuple[Parent, ...] = ()
    partial: bool = False


@frozen()
class SnapshotFailed:
    """An attempt at a snapshot failed, for the `failures`-th time: it was given back, its lease ended, or the process died that worked on it."""

    task: str
    execution: int
    snapshot_id: bytes
    failures: int
    reason: str = ""


@frozen()
class OutputRange:
    """The values a commit added to one link."""

    link: str
    incarnation: int
    generation: int
    first_sequence: int
    last_sequence: int


@frozen()
class SnapshotCommitted:
    """These portions are done and these values exist. `request_xxh3` tells a repeat of the request from a contradiction.

    `settled` are the portions that are done, where these are not the portions themselves.
    """

    task: str
    execution: int
    snapshot_id: bytes
    token: int
    attempt: int
    portions: tuple[Parent, ...]
    outputs: tuple[OutputRange, ...]
    request_xxh3: int
    committed_at_ns: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    settled: tuple[Parent, ...] = ()


@frozen()
class PolicySaved:
    """The state of a task's input policy changed (window start, cells of swap): opaque here, part of the frame that fired it."""

    task: str
    execution: int
    state: bytes


@frozen()
class GroupOpened:
    """A consumer group of an outsider exists: it reads `link` from behind `done_sequence`.

    Its terms (`core.group_terms`) are those of its first member; "" and 0 are the defaults.
    """

    group: str
    link: str
    incarnation: int
    generation: int
    done_sequence: int
    follow: bool = False
    order: str = ""
    key: str = ""
    lease_ms: int = 0
    timeout_ms: int = 0
    max_attempts: int = 0


@frozen()
class GroupMoved:
    """A group's durable cursor: all up to `done_sequence` is done, and so are the `ahead` ranges (first, last) beyond it.

    `needed_sequence` is the first that its policy still needs; retention follows that mark. `run_generation` counts the seeks of the group.
    Where there are `settled` ranges, these are done besides what was before, and the cursor is not told again; `token` is that of the consumer
    who acked them, 0 where nobody did.
    """

    group: str
    link: str
    incarnation: int
    generation: int
    done_sequence: int
    needed_sequence: int
    ahead: tuple[tuple[int, int], ...] = ()
    run_generation: int = 0
    settled: tuple[tuple[int, int], ...] = ()
    token: int = 0


@frozen()
class GroupLeased:
    """A value was handed to a consumer of a group under `token`; attempts, and those that failed before, are counted here.

    `failed` says that the attempt under this token is among them.
    """

    group: str
    link: str
    position: Position
    token: int
    attempt: int
    failures: int = 0
    reason: str = ""
    delay_ms: int = 0
    failed: bool = False


@frozen()
class GroupFailed:
    """A consumer of a group gave a value back, for `delay_ms` at least: so many attempts at it have failed now, the last one for this `reason`."""

    group: str
    link: str
    position: Position
    failures: int
    reason: str = ""
    delay_ms: int = 0


@frozen()
class SourceMoved:
    """A source has published all before `position` (opaque to linkd, from the adapter) of the file (or whatever) named by `digest`.

    In the same frame as the values before it, so that a restart neither repeats nor skips. `final` is the end of the source.
    """

    link: str
    generation: int
    position: bytes
    digest: str
    rows_read: int
    rows_rejected: int
    final: bool
    attributes: Mapping[str, str] = field(default_factory=dict)


@frozen()
class ProducerOpened:
    """A named producer was opened: `epoch` is its newest, and fences whoever opened it before. Its count goes on."""

    producer: str
    epoch: int


@frozen()
class DigestKnown:
    """The BLAKE3 over a value's canonical content was computed."""

    link: str
    position: Position
    digest: bytes


@frozen()
class Dropped:
    """These sequences hold no value any more (or never did), for this reason; they stay in the order and are counted.

    `generation` is the one that goes with them. With 0 these sequences alone go, and the generations that they are a part of stay; whoever
    reads one of those passes over them. The envelopes of the values stay as long as something made from them does; with `forgotten` they go
    too, now or behind an earlier record that left them.
    """

    link: str
    incarnation: int
    first_sequence: int
    last_sequence: int
    reason: str
    generation: int = 0
    forgotten: bool = False
    dropped_at_ns: int = 0
    producer: Producer | None = None
    """Who numbered the publish of which these were to be the values."""


@frozen()
class HoldPlaced:
    """These values stay, whatever retention says, until `until_ns` or the hold is released. A second one of that name replaces the first."""

    name: str
    link: str
    generation: int
    first_sequence: int
    last_sequence: int
    until_ns: int
    reason: str = ""


@frozen()
class HoldReleased:
    """The hold of that name is no more: it was released, or its time is over."""

    name: str


@frozen()
class HomeStarted:
    """A home works on this boot of the machine ("": unknown) from here on, and `weak_links` (`*`: every link) may lose what they acked with
    the power.
    """

    boot: str
    weak_links: tuple[str, ...] = ()


Record = (
    RunBegan
    | RunEnded
    | LinkOpened
    | SchemaKept
    | GenerationBegan
    | GenerationEnded
    | GenerationReopened
    | TaskBegan
    | TaskResumed
    | TaskEnded
    | ValueStored
    | SnapshotLeased
    | SnapshotFailed
    | SnapshotCommitted
    | PolicySaved
    | GroupOpened
    | GroupMoved
    | GroupLeased
    | GroupFailed
    | SourceMoved
    | ProducerOpened
    | DigestKnown
    | Dropped
    | HoldPlaced
    | HoldReleased
    | HomeStarted
)
