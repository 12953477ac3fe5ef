"""The one list of things that happen in linkd and are worth telling.

A call site states what happened (`telemetry.emit(ValuePublished(...))`) and knows nothing of metrics, spans and log lines: which of them an
event becomes is written in `metrics`, `spans` and `log_lines`. These are not the records of the journal (`model.records`), some of
which have the same name: records are the state, events are told and forgotten.

Units are in the names: `seconds` are durations, `*_at_ns` nanoseconds since the epoch, `size_bytes` payload bytes. No event carries a
payload, SQL text, a token or any other secret. `span` is None where nothing is traced; a span costs nothing then.
A reason with few values that machines count (an error's `code`, the reason of a drop) is `reason`; text for people is `detail`.
"""

from __future__ import annotations

from typing import get_args

from linkd.model.frozen import frozen
from linkd.telemetry.trace_context import Span

OUTCOME_DONE = "done"
"""The `outcome` of what went well; else it is the `code` of the error."""


# -- the home --------------------------------------------------------------------------------------------------------------------------
@frozen(kw_only=True)
class HomeStarted:
    """The home serves: recovered and bound. `seconds` since its process began to work."""

    pipeline: str
    version: str
    pid: int
    endpoint: str
    seconds: float


@frozen(kw_only=True)
class HomeDraining:
    """The home takes no new work and finishes what it holds."""

    detail: str


@frozen(kw_only=True)
class HomeStopped:
    """The home has let go of everything; `seconds` of draining."""

    seconds: float


@frozen(kw_only=True)
class Recovered:
    """The journal was read again: `frames` of it apply, `cut_bytes` of a torn tail were cut."""

    frames: int
    cut_bytes: int
    seconds: float


@frozen(kw_only=True)
class IncarnationBegan:
    """After an unclean stop the tail of a link whose durability is weak may be lost: what comes has positions of its own, from here on."""

    link: str
    incarnation: int
    first_sequence: int


@frozen(kw_only=True)
class StorageVolatile:
    """The directory lies where nothing survives the power: acks say `memory`."""

    path: str
    reason: str


@frozen(kw_only=True)
class StorageFull:
    """There is no room for what waits to be written, for this reason; with "" it was written after all."""

    path: str
    reason: str


@frozen(kw_only=True)
class FileQuarantined:
    """A damaged file was set aside under another name; what it held is gone, the rest is served."""

    path: str
    detail: str


@frozen(kw_only=True)
class ArtifactKept:
    """An artifact was put, and is durable; `seconds` since all of it had come. One that was there already is told of, too."""

    size_bytes: int
    seconds: float


@frozen(kw_only=True)
class ArtifactRead:
    """So much of an artifact was given to a client."""

    size_bytes: int


@frozen(kw_only=True)
class ArtifactsEvicted:
    """Artifacts that no value names made room for others, those that were used least."""

    count: int
    size_bytes: int


@frozen(kw_only=True)
class StorageFailedEvent:
    """The disk refused `operation`; nothing more is acked. `error` is the name of the operating system's error, such as ENOSPC."""

    operation: str
    path: str
    error: str


@frozen(kw_only=True)
class GroupSynced:
    """The committer made one group durable: `frames` of `size_bytes` in one sync of `sync_seconds`."""

    frames: int
    size_bytes: int
    sync_seconds: float


@frozen(kw_only=True)
class LoopLag:
    """The event loop came back this much later than it was asked to."""

    seconds: float


@frozen(kw_only=True)
class DiskPaused:
    """The disk budget is nearly used up: nothing is published until there is room."""

    held_bytes: int
    budget_bytes: int
    detail: str


@frozen(kw_only=True)
class DiskResumed:
    """There is room again, and publishing goes on."""

    held_bytes: int
    budget_bytes: int


# -- runs and tasks --------------------------------------------------------------------------------------------------------------------
@frozen(kw_only=True)
class RunBegan:
    """A run of the pipeline began; `detail` says why it starts over, or that it continues."""

    pipeline: str
    run_id: str
    epoch: int
    fresh: bool
    detail: str = ""


@frozen(kw_only=True)
class RunEnded:
    """The run is over; `outcome` is `done`, `failed` or `interrupted`. Its span is the root of the run's trace."""

    pipeline: str
    run_id: str
    epoch: int
    outcome: str
    seconds: float
    span: Span | None = None


@frozen(kw_only=True)
class TaskStarted:
    """A program of the pipeline was started."""

    task: str
    pid: int
    execution: int = 1


@frozen(kw_only=True)
class TaskExited:
    """A program of the pipeline ended: `code` as the shell has it, negative for the signal that killed it."""

    task: str
    code: int
    seconds: float
    span: Span | None = None


@frozen(kw_only=True)
class GenerationBegan:
    """The next contents of a link begin."""

    link: str
    generation: int


@frozen(kw_only=True)
class GenerationEnded:
    """The contents of a link are complete (`sealed`) or superseded."""

    link: str
    generation: int
    sealed: bool
    values: int
    detail: str = ""


# -- values ----------------------------------------------------------------------------------------------------------------------------
@frozen(kw_only=True)
class ValuePublished:
    """Values became part of a link; `seconds` from their arrival until they were as durable as acked.

    `task` is "" for an outsider. `value_id` names the value where there is just one.
    """

    link: str
    task: str
    values: int
    rows: int
    size_bytes: int
    seconds: float
    durability: str = "fsync"
    generation: int = 1
    value_id: str = ""
    span: Span | None = None


@frozen(kw_only=True)
class PublishRepeated:
    """A publish came that its producer had sent before: it was answered as it was then, and happened once."""

    link: str
    producer: str
    sequence: int


@frozen(kw_only=True)
class ProducerRefused:
    """A publish was refused for its number: `reason` is the error's code (`conflict`, `producer_fenced`, `invalid_argument`, ...)."""

    producer: str
    link: str
    reason: str
    detail: str = ""


@frozen(kw_only=True)
class ValueDelivered:
    """Values of a link were handed to a task or to a consumer of a group; `wait_seconds` since the oldest of them was created."""

    link: str
    group: str
    values: int
    rows: int
    size_bytes: int
    wait_seconds: float
    attempt: int = 1
    value_id: str = ""
    span: Span | None = None


@frozen(kw_only=True)
class ValueDropped:
    """Values left a link, or never came to be, for an enumerated `reason`."""

    link: str
    values: int
    reason: str


@frozen(kw_only=True)
class LinkFilled:
    """A link holds as much as its bound allows, and who publishes to it waits for `readers`."""

    link: str
    waiting_bytes: int
    bound_bytes: int
    readers: str


@frozen(kw_only=True)
class CircleOfWaits:
    """Tasks wait for each other for room, each for the next and the last for the first."""

    tasks: tuple[str, ...]
    detail: str


LOST = "lost"


@frozen(kw_only=True)
class ValuesLost:
    """Values were dropped, for an enumerated `reason`, before a task or a consumer group had done them: retention of the link is `hard`.

    Or, for the reason `LOST`, a reader had seen them when they were lost with the power.
    """

    link: str
    reader: str
    values: int
    reason: str


@frozen(kw_only=True)
class ClockJumped:
    """The clock of the machine jumped by so many seconds (0: between two lives of the home): for `paused_seconds` nothing is dropped for its age."""

    seconds: float
    paused_seconds: float


@frozen(kw_only=True)
class RowsRejected:
    """Rows of a source's file that did not fit went to `<link>.rejects`."""

    link: str
    rows: int


@frozen(kw_only=True)
class SnapshotCommitted:
    """A task's snapshot is done: `inputs` values taken and `outputs` values made in one frame; `seconds` from the call to durable."""

    task: str
    inputs: int
    outputs: int
    seconds: float
    attempt: int = 1
    span: Span | None = None


@frozen(kw_only=True)
class SnapshotRefused:
    """A commit was refused: `reason` is the error's code (`lease_lost`, `generation_abandoned`, ...)."""

    task: str
    reason: str
    detail: str = ""
    span: Span | None = None


@frozen(kw_only=True)
class SnapshotLeaseEnded:
    """The program that worked on a snapshot gave no sign of life for `seconds`: it goes to whoever asks next."""

    task: str
    attempt: int
    seconds: float


@frozen(kw_only=True)
class SnapshotGivenUp:
    """A snapshot failed as often as it may (`attempts`) and went to the dead-letter link; `detail` is why it failed last."""

    task: str
    attempts: int
    link: str
    detail: str = ""


@frozen(kw_only=True)
class GroupLeaseEnded:
    """A member of a consumer group gave no sign of life for `seconds`: what it had goes to the others, or to it again."""

    link: str
    group: str
    seconds: float


@frozen(kw_only=True)
class ValueGivenUp:
    """A consumer group failed at a value as often as it may (`attempts`), and it went to the dead-letter link `to`."""

    link: str
    group: str
    attempts: int
    to: str
    detail: str = ""


@frozen(kw_only=True)
class LinkLag:
    """How far a group is behind its link now: values it has not done, and the age of the oldest of them."""

    link: str
    group: str
    values: int
    seconds: float


@frozen(kw_only=True)
class GroupClosed:
    """A group of a link is no more: its lag is not told any longer."""

    link: str
    group: str


# -- callers ---------------------------------------------------------------------------------------------------------------------------
@frozen(kw_only=True)
class ConnectionOpened:
    """A client connected by `face` (`grpc`, `lane`); `peer` is who it is (a task, or a user id), never a token."""

    face: str
    peer: str


@frozen(kw_only=True)
class ConnectionClosed:
    face: str
    peer: str
    seconds: float


@frozen(kw_only=True)
class CallRefused:
    """Default deny: every denial is audited. `reason` is the error's code, `task` is "" for an outsider, `link` "" where none is meant."""

    task: str
    operation: str
    link: str
    reason: str
    detail: str = ""


@frozen(kw_only=True)
class QueryRan:
    """A query ended: `outcome` is `done` or the error's code. The text of the query is not told."""

    task: str
    links: tuple[str, ...]
    rows: int
    seconds: float
    outcome: str = OUTCOME_DONE
    span: Span | None = None


# -- telemetry itself ------------------------------------------------------------------------------------------------------------------
@frozen(kw_only=True)
class SinkFailed:
    """A sink raised on an event. `first` is true once for each sink."""

    sink: str
    event: str
    error: str
    first: bool


@frozen(kw_only=True)
class SpansLost:
    """Spans could not be exported. `first` is true when this begins, and not again before an export succeeded."""

    endpoint: str
    spans: int
    detail: str
    first: bool = True


@frozen(kw_only=True)
class SpansResumed:
    """Spans are exported again; `lost` of them were not."""

    endpoint: str
    lost: int


@frozen(kw_only=True)
class LogLinesLost:
    """Whoever reads the log was too slow for this many lines."""

    lines: int


Event = (
    HomeStarted
    | HomeDraining
    | HomeStopped
    | Recovered
    | IncarnationBegan
    | StorageVolatile
    | StorageFull
    | FileQuarantined
    | ArtifactKept
    | ArtifactRead
    | ArtifactsEvicted
    | StorageFailedEvent
    | GroupSynced
    | LoopLag
    | DiskPaused
    | DiskResumed
    | RunBegan
    | RunEnded
    | TaskStarted
    | TaskExited
    | GenerationBegan
    | GenerationEnded
    | ValuePublished
    | PublishRepeated
    | ProducerRefused
    | ValueDelivered
    | ValueDropped
    | ValuesLost
    | ClockJumped
    | LinkFilled
    | CircleOfWaits
    | RowsRejected
    | SnapshotCommitted
    | SnapshotRefused
    | SnapshotLeaseEnded
    | SnapshotGivenUp
    | GroupLeaseEnded
    | ValueGivenUp
    | LinkLag
    | GroupClosed
    | ConnectionOpened
    | ConnectionClosed
    | CallRefused
    | QueryRan
    | SinkFailed
    | SpansLost
    | SpansResumed
    | LogLinesLost
)

EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)
