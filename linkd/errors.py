"""Everything linkd raises on purpose, in one tree.

    Error
    +-- UsageFault                  the caller asked wrongly; asking again changes nothing
    |   +-- PipelineFileInvalid     the pipeline file does not say what it must
    |   +-- LinkNotFound            no link (value, task, group) of that name
    |   +-- NotAllowed              the wiring does not give this right
    |   +-- InvalidArgument         an argument that cannot mean anything
    |   +-- NotSupported            a protocol asks for what linkd does not have
    |   +-- QueryInvalid            SQL that cannot be run
    |   |   +-- QueryCancelled      somebody ended it
    |   +-- SnapshotNotSettled      going on without `with snap:`
    |   +-- ForkedClient            a client met a fork
    |   +-- MissingExtra            an optional dependency is not installed
    +-- DataFault                   what was given does not fit
    |   +-- SchemaMismatch          rows that the link's schema cannot take without loss
    |   +-- BadRow                  a row of a file that cannot be read
    |   +-- SourceChanged           a file changed while it was read
    |   +-- ValueTooLarge           one row is larger than a value may be
    |   +-- Conflict                the same identity with other content
    +-- TaskFailed                  a program of the pipeline ended badly
    +-- PlaceAway                   the database at an end of a link is not there; linkd asks again
    +-- DeliveryFault               the place in the stream is not ours any more
    |   +-- LeaseLost               others were given these portions; take the next snapshot
    |   |   +-- StagedLost          a restarted home has nothing of what was staged
    |   +-- GenerationAbandoned     what was read or written has been superseded
    |   +-- SessionFenced           a newer run has begun: end
    |   +-- ProducerFenced          another program opened the producer of this name: end
    |   +-- ProducerForgotten       linkd does not know how far this producer has come
    |   |   +-- ProducerSetBack     publishes of it that linkd had, or should have, are not there
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
    |   |   +-- NoRoom              a link is full; a client asks again by itself
    |   +-- Stalled                 programs wait for each other in a circle
    |   +-- StorageFailed           the disk refused; nothing more is acked
    |       +-- StorageFull         no room is left; linkd goes on when there is
    +-- InternalFault               a defect of linkd

Each class says, for machines: `code` (stable, also on the wire), `retryable` (the same call may succeed later) and `exit_code` (of the
`linkd` command). Each message says, for people: what happened, to what, and what to do; the docstring of a class says what to do in general,
that of a family whose fault it is. Payloads and secrets are never in a message.
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
    """The caller asked wrongly: change the call, the command or the file; asking again changes nothing."""

    code = "usage"
    exit_code = EXIT_USAGE


class PipelineFileInvalid(UsageFault):
    """Mend the places that the message names; `linkd check FILE` shows all of them."""

    code = "pipeline_file_invalid"


class LinkNotFound(UsageFault):
    """Take a name that the message offers, or that `linkd ls` lists."""

    code = "link_not_found"


class NotAllowed(UsageFault):
    """Name the link at the task in the wiring, or write `LINK*` there to let outsiders append."""

    code = "not_allowed"


class InvalidArgument(UsageFault):
    """Correct the argument that the message names."""

    code = "invalid_argument"


class NotSupported(UsageFault):
    """Do without it, or as the message says: a standard protocol has more than linkd offers."""

    code = "not_supported"


class QueryInvalid(UsageFault):
    """Correct the statement: one SELECT over links."""

    code = "query_invalid"


class QueryCancelled(QueryInvalid):
    """Run it again if it was not meant: somebody with the same rights cancelled it."""

    code = "query_cancelled"


class SnapshotNotSettled(UsageFault):
    """Work on every snapshot in its block: `with snap:`."""

    code = "snapshot_not_settled"


class ForkedClient(UsageFault):
    """Connect in the child process, or start children by `spawn`."""

    code = "forked_client"


class MissingExtra(UsageFault):
    """Install what the message names, such as `pip install 'linkd[arrow]'`."""

    code = "missing_extra"


class DataFault(Error):
    """What was given does not fit: mend the data, or what the pipeline file says of it."""

    code = "data"
    exit_code = EXIT_BAD_DATA


class SchemaMismatch(DataFault):
    """Publish columns of the link's types, or declare others in its `schema:`."""

    code = "schema_mismatch"


class BadRow(DataFault):
    """Mend the line that the message names, or set rows like it aside: `on_bad_row: reject`."""

    code = "bad_row"


class SourceChanged(DataFault):
    """Run again when nobody writes to the file any more; growing files are for `--follow`."""

    code = "source_changed"


class ValueTooLarge(DataFault):
    """Publish fewer rows, or smaller ones, at once."""

    code = "value_too_large"


class Conflict(DataFault):
    """Find out who else writes under this identity; nothing was overwritten."""

    code = "conflict"


class TaskFailed(Error):
    """A program of the pipeline ended badly: read the end of its output, mend it, run again."""

    code = "task_failed"
    exit_code = EXIT_TASK_FAILED


class PlaceAway(Error):
    """See that the database or object store that the message names runs: linkd asks again by itself, and nothing is lost meanwhile."""

    code = "place_away"
    retryable = True
    exit_code = EXIT_TASK_FAILED


class DeliveryFault(Error):
    """Nobody's fault: meanwhile others were given the work, or it was superseded. Nothing was committed."""

    code = "delivery"
    exit_code = EXIT_TASK_FAILED


class LeaseLost(DeliveryFault):
    """Take the next snapshot or value: this one is handed out again."""

    code = "lease_lost"


class StagedLost(LeaseLost):
    """Stage the outputs again and repeat the commit: the token is the newest. linkd's own clients do that by themselves."""

    code = "staged_lost"


class GenerationAbandoned(DeliveryFault):
    """Ask again: what replaces it is there or on its way."""

    code = "generation_abandoned"


class SessionFenced(DeliveryFault):
    """End this program; the newer run has its own."""

    code = "session_fenced"


class ProducerFenced(DeliveryFault):
    """End this program, or open the producer again if the other one is gone; nothing of the publish was stored."""

    code = "producer_fenced"


class ProducerForgotten(DeliveryFault):
    """Open the producer again, and look at the end of its links before publishing what may be there already."""

    code = "producer_forgotten"


class ProducerSetBack(ProducerForgotten):
    """Open the producer again: it goes on behind its `last_sequence`. What it published after that is lost, and may be published again."""

    code = "producer_set_back"


class ConnectionFault(Error):
    """linkd is away, or the way to it: a client has tried for `timeout_s` before it raises."""

    code = "connection"
    retryable = True


class ConnectionFailed(ConnectionFault):
    """See that linkd runs where the message looked for it, and try again."""

    code = "connection_failed"


class OutcomeUnknown(ConnectionFault):
    """Look whether it happened (`linkd tail LINK`) before doing it again."""

    code = "outcome_unknown"
    retryable = False


class Draining(ConnectionFault):
    """Connect again: another home takes its place."""

    code = "draining"


class StateFault(Error):
    """What lies on disk cannot be used as it is, or not by two at once."""

    code = "state"
    exit_code = EXIT_STATE


class StateLocked(StateFault):
    """Wait for the process that the message names, or end it."""

    code = "state_locked"
    retryable = True


class StateDamaged(StateFault):
    """Do what the message says of the file it names; what is not damaged stays readable."""

    code = "state_damaged"


class StateForeign(StateFault):
    """Use the version of linkd that made the directory, or name another directory."""

    code = "state_foreign"


class ResourceFault(Error):
    """The machine has not enough of something."""

    code = "resource"


class Overloaded(ResourceFault):
    """Try again later, or in smaller pieces."""

    code = "overloaded"
    retryable = True


class NoRoom(Overloaded):
    """Wait: readers of the link that the message names have not taken what is there. A client asks again by itself."""

    code = "no_room"


class Stalled(ResourceFault):
    """Raise the bound of one of the links that the message names."""

    code = "stalled"
    exit_code = EXIT_TASK_FAILED


class StorageFailed(ResourceFault):
    """Make room or repair the disk, then run again: what was acked is safe."""

    code = "storage_failed"


class StorageFull(StorageFailed):
    """Make room on the volume that the message names: what was acked is safe, and linkd goes on by itself."""

    code = "storage_full"
    retryable = True


class InternalFault(Error):
    """A defect of linkd: run it again, and report it with what `-v` shows."""

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
