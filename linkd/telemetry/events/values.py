"""What happens to values: publishing, delivery, loss; snapshots, consumer groups, and how far they are behind."""

from __future__ import annotations

from linkd.model.frozen import frozen
from linkd.telemetry.trace_context import Span


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
class OutcomeRecalled:
    """What a task once made of the same snapshot was committed again, `values` of it, and nothing ran; `seconds` since that was known."""

    task: str
    values: int
    seconds: float


@frozen(kw_only=True)
class OutcomeChecked:
    """A remembered outcome was made again and compared: `differing` are the outputs that are something else now."""

    task: str
    differing: tuple[str, ...]


@frozen(kw_only=True)
class MemoFailed:
    """What is remembered cannot be read or written: programs run as if nothing were."""

    detail: str


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


ValueEvent = (
    ValuePublished
    | PublishRepeated
    | ProducerRefused
    | ValueDelivered
    | ValueDropped
    | LinkFilled
    | CircleOfWaits
    | ValuesLost
    | ClockJumped
    | RowsRejected
    | SnapshotCommitted
    | SnapshotRefused
    | SnapshotLeaseEnded
    | SnapshotGivenUp
    | OutcomeRecalled
    | OutcomeChecked
    | MemoFailed
    | GroupLeaseEnded
    | ValueGivenUp
    | LinkLag
    | GroupClosed
)
