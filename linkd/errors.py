"""Everything linkd raises on purpose, in one tree.

    Error
    +-- UsageFault                  the caller asked wrongly; asking again changes nothing
    |   +-- PipelineFileInvalid     the pipeline file does not say what it must
    |   +-- LinkNotFound            no link (value, task, group) of that name
    |   +-- NotAllowed              the wiring does not give this right
    |   +-- InvalidArgument         an argument that cannot mean anything
    |   +-- QueryInvalid            SQL that cannot be run
    |   +-- SnapshotNotSettled      going on without `with snap:`
    |   +-- ForkedClient            a gRPC client met a fork
    |   +-- MissingExtra            an optional dependency is not installed
    +-- DataFault                   what was given does not fit
    |   +-- SchemaMismatch          rows that the link's schema cannot take without loss
    |   +-- BadRow                  a row of a file that cannot be read
    |   +-- SourceChanged           a file changed while it was read
    |   +-- ValueTooLarge           one row is larger than a value may be
    |   +-- Conflict                the same identity with other content
    +-- TaskFailed                  a program of the pipeline ended badly
    +-- DeliveryFault               the place in the stream is not ours any more
    |   +-- LeaseLost               others were given these portions; take the next snapshot
    |   +-- GenerationAbandoned     what was read or written has been superseded
    |   +-- SessionFenced           a newer run has begun: end
    +-- ConnectionFault
    |   +-- ConnectionFailed        linkd is not there, or went away
    |   +-- OutcomeUnknown          no answer came: it may or may not have happened
    |   +-- Draining                linkd is shutting down; connect again
    +-- StateFault
    |   +-- StateLocked             somebody else holds the directory
    |   +-- StateDamaged            what is on disk does not add up
    |   +-- StateForeign            a directory of another version, or not linkd's
    +-- ResourceFault
    |   +-- Overloaded              a bound is reached; later it will work
    |   +-- StorageFailed           the disk refused; nothing more is acked
    +-- InternalFault               a defect of linkd

Each class says, for machines: `code` (stable, also on the wire), `retryable` (the same call may succeed later) and `exit_code` (of the
`linkd` command). Each message says, for people: what happened, to what, and what to do. Payloads and secrets are never in a message.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_DONE = 0
EXIT_TASK_FAILED = 1
EXIT_USAGE = 2
EXIT_BAD_DATA = 3
EXIT_STATE = 4
EXIT_INTERNAL = 5
EXIT_INTERRUPTED = 130


class Error(Exception):
    """Base of all that linkd raises on purpose."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = EXIT_INTERNAL

    @property
    def message(self) -> str:
        return str(self)


class UsageFault(Error):
    code = "usage"
    exit_code = EXIT_USAGE


class PipelineFileInvalid(UsageFault):
    code = "pipeline_file_invalid"


class LinkNotFound(UsageFault):
    code = "link_not_found"


class NotAllowed(UsageFault):
    code = "not_allowed"


class InvalidArgument(UsageFault):
    code = "invalid_argument"


class QueryInvalid(UsageFault):
    code = "query_invalid"


class SnapshotNotSettled(UsageFault):
    code = "snapshot_not_settled"


class ForkedClient(UsageFault):
    code = "forked_client"


class MissingExtra(UsageFault):
    code = "missing_extra"


class DataFault(Error):
    code = "data"
    exit_code = EXIT_BAD_DATA


class SchemaMismatch(DataFault):
    code = "schema_mismatch"


class BadRow(DataFault):
    code = "bad_row"


class SourceChanged(DataFault):
    code = "source_changed"


class ValueTooLarge(DataFault):
    code = "value_too_large"


class Conflict(DataFault):
    code = "conflict"


class TaskFailed(Error):
    code = "task_failed"
    exit_code = EXIT_TASK_FAILED


class DeliveryFault(Error):
    code = "delivery"
    exit_code = EXIT_TASK_FAILED


class LeaseLost(DeliveryFault):
    code = "lease_lost"


class GenerationAbandoned(DeliveryFault):
    code = "generation_abandoned"


class SessionFenced(DeliveryFault):
    code = "session_fenced"


class ConnectionFault(Error):
    code = "connection"
    retryable = True


class ConnectionFailed(ConnectionFault):
    code = "connection_failed"


class OutcomeUnknown(ConnectionFault):
    code = "outcome_unknown"
    retryable = False


class Draining(ConnectionFault):
    code = "draining"


class StateFault(Error):
    code = "state"
    exit_code = EXIT_STATE


class StateLocked(StateFault):
    code = "state_locked"
    retryable = True


class StateDamaged(StateFault):
    code = "state_damaged"


class StateForeign(StateFault):
    code = "state_foreign"


class ResourceFault(Error):
    code = "resource"


class Overloaded(ResourceFault):
    code = "overloaded"
    retryable = True


class StorageFailed(ResourceFault):
    code = "storage_failed"


class InternalFault(Error):
    code = "internal"


def every_error() -> dict[str, type[Error]]:
    """All classes of the tree by their `code`; a code names one class for ever, for it travels on the wire."""
    found: dict[str, type[Error]] = {}
    waiting: list[type[Error]] = [Error]
    while waiting:
        error = waiting.pop()
        found[error.code] = error
        waiting.extend(error.__subclasses__())
    return found
