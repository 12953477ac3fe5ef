"""Where linkd writes what belongs before a value that its publisher has laid into a shared file. Pure. What the file is then: `segment_format`.

The body lies where the publisher put it; between the end mark and the body there is room, for the prefix and the stamped metadata, which is padded
to fill it. Where more room was left than metadata may take, or values that were laid there before are not committed, a filler comes first.
"""

from __future__ import annotations

from collections.abc import Callable

from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen
from linkd.model.values import Envelope
from linkd.store.segment_format import FILLER_KEY, stamped_metadata
from linkd.wire import arrow_ipc

SKIPPED = "nothing was committed here"
"""What a filler says of the bytes it passes over."""

IsFree = Callable[[int, int], bool]
"""Whether no body that may still be committed lies in any of these bytes."""


@frozen()
class Seat:
    """The value's message begins at `offset`. `filler` (prefix and metadata, "" if there is none) goes to where the end mark is now."""

    offset: int
    metadata: bytes
    filler: bytes = b""


def seat(end: int, body_offset: int, envelope: Envelope, metadata: bytes, is_free: IsFree, padding_max_bytes: int) -> Seat | None:
    """The seat of a value with this published metadata, whose body lies behind the end mark at `end`; None if there is no room for one."""
    room = body_offset - end - arrow_ipc.PREFIX_BYTES
    try:
        if room - len(metadata) <= padding_max_bytes and is_free(end, body_offset):
            return Seat(end, stamped_metadata(envelope, metadata, room))
        stamped = stamped_metadata(envelope, metadata)
        offset = body_offset - arrow_ipc.PREFIX_BYTES - len(stamped)
        filler = skip(metadata, offset - end)
    except InvalidArgument:
        return None
    return Seat(offset, stamped, filler) if is_free(offset, body_offset) and is_free(end, end + len(filler)) else None


def skip(metadata: bytes, size_bytes: int) -> bytes:
    """The beginning of a message of so many bytes that every reader passes over, for a stream of values with such metadata.

    Raises `InvalidArgument` if it has no room, or cannot be made of this metadata.
    """
    return arrow_ipc.filler(arrow_ipc.without_rows(metadata), {FILLER_KEY: SKIPPED}, size_bytes)
