"""linkd's errors as gRPC status, and back. The stable code travels in the trailing metadata `linkd-error`."""

from __future__ import annotations

from collections.abc import Iterable

from linkd import errors

ERROR_KEY = "linkd-error"
TOKEN_KEY = "authorization"
TOKEN_PREFIX = "Bearer "
TRACE_KEY = "traceparent"

_STATUS: tuple[tuple[type[errors.Error], str], ...] = (
    (errors.LinkNotFound, "NOT_FOUND"),
    (errors.NotAllowed, "PERMISSION_DENIED"),
    (errors.SnapshotNotSettled, "FAILED_PRECONDITION"),
    (errors.UsageFault, "INVALID_ARGUMENT"),
    (errors.Conflict, "ALREADY_EXISTS"),
    (errors.DataFault, "INVALID_ARGUMENT"),
    (errors.SessionFenced, "FAILED_PRECONDITION"),
    (errors.DeliveryFault, "ABORTED"),
    (errors.Draining, "UNAVAILABLE"),
    (errors.ConnectionFault, "UNAVAILABLE"),
    (errors.StateLocked, "FAILED_PRECONDITION"),
    (errors.StateFault, "DATA_LOSS"),
    (errors.Overloaded, "RESOURCE_EXHAUSTED"),
    (errors.StorageFailed, "UNAVAILABLE"),
    (errors.TaskFailed, "ABORTED"),
    (errors.Error, "INTERNAL"),
)

_FALLBACK: dict[str, type[errors.Error]] = {
    "NOT_FOUND": errors.LinkNotFound,
    "PERMISSION_DENIED": errors.NotAllowed,
    "UNAUTHENTICATED": errors.NotAllowed,
    "INVALID_ARGUMENT": errors.InvalidArgument,
    "OUT_OF_RANGE": errors.InvalidArgument,
    "UNIMPLEMENTED": errors.InvalidArgument,
    "RESOURCE_EXHAUSTED": errors.Overloaded,
    "UNAVAILABLE": errors.ConnectionFailed,
    # Ours comes with a code: without one it is the transport's, when a server goes away in the middle of a stream.
    "INTERNAL": errors.ConnectionFailed,
    "CANCELLED": errors.ConnectionFailed,
    "DEADLINE_EXCEEDED": errors.ConnectionFailed,
}


def status_name(error: errors.Error) -> str:
    """The name of the gRPC status code for `error`."""
    return next(name for kind, name in _STATUS if isinstance(error, kind))


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
