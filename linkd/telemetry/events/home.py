"""The home and what it lies on, its artifacts, and telemetry itself."""

from __future__ import annotations

from linkd.model.frozen import frozen


# -- the home ------------------------------------------------------------------------------------------------------------------------------
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
class CertificateReplaced:
    """The files of the TCP port's certificate have changed: new connections are shown the new one, unless `detail` says what is wrong with it."""

    path: str
    detail: str


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


# -- telemetry itself ----------------------------------------------------------------------------------------------------------------------
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


HomeEvent = (
    HomeStarted
    | HomeDraining
    | HomeStopped
    | CertificateReplaced
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
    | SinkFailed
    | SpansLost
    | SpansResumed
    | LogLinesLost
)
