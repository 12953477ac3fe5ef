"""linkd's errors as gRPC status, and back. The stable code travels in the trailing metadata `linkd-error`.

What is refused for want of room has a `google.rpc.RetryInfo` in its status details, which says when to try again (linkd/v1/status.proto).
"""

from __future__ import annotations

from collections.abc import Iterable

from linkd import errors
from linkd.limits import RETRY_FULL_S

ERROR_KEY = "linkd-error"
TOKEN_KEY = "authorization"
TOKEN_PREFIX = "Bearer "
TRACE_KEY = "traceparent"
CLIENT_KEY = "linkd-client"
"""Made up by a client over gRPC for all its calls: bulk is shared out equally among clients, and the address of a unix socket names nobody."""
_DETAILS_KEY = "grpc-status-details-bin"
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"

STATUS_NAMES = dict(enumerate((
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
    "UNAUTHENTICATED",
)))  # fmt: skip
"""gRPC's statuses by their numbers."""

_STATUS: tuple[tuple[type[errors.Error], str], ...] = (
    (errors.LinkNotFound, "NOT_FOUND"),
    (errors.NotAllowed, "PERMISSION_DENIED"),
    (errors.SnapshotNotSettled, "FAILED_PRECONDITION"),
    (errors.NotSupported, "UNIMPLEMENTED"),
    (errors.QueryCancelled, "CANCELLED"),
    (errors.UsageFault, "INVALID_ARGUMENT"),
    (errors.Conflict, "ALREADY_EXISTS"),
    (errors.DataFault, "INVALID_ARGUMENT"),
    (errors.SessionFenced, "FAILED_PRECONDITION"),
    (errors.ProducerFenced, "FAILED_PRECONDITION"),
    (errors.ProducerForgotten, "FAILED_PRECONDITION"),
    (errors.DeliveryFault, "ABORTED"),
    (errors.Draining, "UNAVAILABLE"),
    (errors.ConnectionFault, "UNAVAILABLE"),
    (errors.StateLocked, "FAILED_PRECONDITION"),
    (errors.StateFault, "DATA_LOSS"),
    (errors.Overloaded, "RESOURCE_EXHAUSTED"),
    (errors.StorageFull, "RESOURCE_EXHAUSTED"),
    (errors.StorageFailed, "UNAVAILABLE"),
    (errors.TaskFailed, "ABORTED"),
    (errors.PlaceAway, "UNAVAILABLE"),
    (errors.Error, "INTERNAL"),
)

_FALLBACK: dict[str, type[errors.Error]] = {
    "NOT_FOUND": errors.LinkNotFound,
    "PERMISSION_DENIED": errors.NotAllowed,
    "UNAUTHENTICATED": errors.NotAllowed,
    "INVALID_ARGUMENT": errors.InvalidArgument,
    "OUT_OF_RANGE": errors.InvalidArgument,
    "UNIMPLEMENTED": errors.NotSupported,
    "RESOURCE_EXHAUSTED": errors.Overloaded,
    "ABORTED": errors.LeaseLost,
    "UNAVAILABLE": errors.ConnectionFailed,
    # Ours comes with a code: without one it is the transport's, when a server goes away in the middle of a stream.
    "INTERNAL": errors.ConnectionFailed,
    "CANCELLED": errors.ConnectionFailed,
    "DEADLINE_EXCEEDED": errors.ConnectionFailed,
}


def status_name(error: errors.Error) -> str:
    """The name of the gRPC status code for `error`."""
    return next(name for kind, name in _STATUS if isinstance(error, kind))


def retry_after_s(error: errors.Error) -> float | None:
    """When the same call may succeed; None for an error that says nothing of it."""
    return RETRY_FULL_S if isinstance(error, errors.Overloaded | errors.StorageFull) else None


def trailing_metadata(error: errors.Error, status_number: int) -> tuple[tuple[str, str | bytes], ...]:
    """What travels with the status of a call that `error` ends."""
    code: tuple[str, str | bytes] = (ERROR_KEY, error.code)
    delay_s = retry_after_s(error)
    if delay_s is None:
        return (code,)
    from linkd.wire.v1 import status_pb2 as pb

    delay = pb.RetryDelay(seconds=int(delay_s), nanos=int(delay_s % 1 * 1e9))
    detail = pb.StatusDetail(type_url=_RETRY_INFO, value=pb.RetryInfo(retry_delay=delay).SerializeToString())
    details = pb.Status(code=status_number, message=str(error), details=[detail]).SerializeToString()
    return code, (_DETAILS_KEY, details)


def lane_error(content: bytes | memoryview) -> errors.Error | None:
    """What the `LaneStatus` says that a call over the lane ended with; None if it did what was asked."""
    from linkd.wire.v1 import lane_pb2 as pb

    said = pb.LaneStatus.FromString(bytes(content))
    if not said.status:
        return None
    return to_error(STATUS_NAMES.get(said.status, "UNKNOWN"), said.details, ((ERROR_KEY, said.code),) if said.code else ())


def to_error(status: str, details: str, trailing: Iterable[tuple[str, str | bytes]]) -> errors.Error:
    """The error that a failed call stands for. A status that no linkd sent becomes the nearest of ours."""
    for key, value in trailing:
        if key == ERROR_KEY:
            known = errors.every_error().get(value if isinstance(value, str) else value.decode("ascii", "replace"))
            if known is not None:
                return known(details)
    kind = _FALLBACK.get(status, errors.InternalFault)
    if kind is errors.ConnectionFailed:
        return kind(f"linkd did not answer ({status.lower()}: {details})")
    return kind(details or status)
