"""Runs and their tasks, and who calls: connections, refusals, queries."""

from __future__ import annotations

from linkd.model.frozen import frozen
from linkd.telemetry.trace_context import Span

OUTCOME_DONE = "done"
"""The `outcome` of what went well; else it is the `code` of the error."""


# -- runs and tasks ------------------------------------------------------------------------------------------------------------------------
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


# -- callers -------------------------------------------------------------------------------------------------------------------------------
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


RunEvent = (
    RunBegan
    | RunEnded
    | TaskStarted
    | TaskExited
    | GenerationBegan
    | GenerationEnded
    | ConnectionOpened
    | ConnectionClosed
    | CallRefused
    | QueryRan
)
