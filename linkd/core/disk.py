"""When publishing pauses because the disk is nearly full. Pure: what is held and what is free go in.

The budget is what was asked for, but never more than there is; without one it is what linkd holds and what is free, less a reserve for others
on the volume. Above one share of it nothing is published, until it is clearly below. Above a higher one nothing is staged either: what is left is
the reserve for what says that something ended or moved on (cursors, leases, seals, runs, drops), which is a few hundred bytes each, bounded by the
programs and links there are, and what makes room in the end.
"""

from __future__ import annotations

import enum

from linkd.limits import (
    DISK_PAUSED_SHARE,
    DISK_RESERVE_MIN_BYTES,
    DISK_RESERVE_SHARE_OF_VOLUME,
    DISK_RESERVED_SHARE,
    DISK_RESUMED_SHARE,
    HELD_BY_ONE_DISK_SHARE,
    HELD_DISK_SHARE,
    MIB,
    PAGE_BYTES,
    SHARED_FILE_BYTES,
    SHARED_FILE_DISK_SHARE,
)
from linkd.model.frozen import frozen

PAUSED = "publishing is paused"
"""How the home begins when it says that there is no room."""


class DiskState(enum.IntEnum):
    """Ordered: each takes less than the one before."""

    OPEN = 0
    PAUSED = 1
    RESERVED = 2


@frozen()
class Volume:
    """What the volume has, and how much of it nobody has taken."""

    size_bytes: int
    free_bytes: int


def budget_bytes(asked_bytes: int | None, held_bytes: int, volume: Volume) -> int:
    """How much linkd may hold."""
    if asked_bytes is not None:
        return min(asked_bytes, held_bytes + volume.free_bytes)
    reserve_bytes = max(DISK_RESERVE_MIN_BYTES, int(volume.size_bytes * DISK_RESERVE_SHARE_OF_VOLUME))
    return max(held_bytes + volume.free_bytes - reserve_bytes, 0)


def next_state(before: DiskState, held_bytes: int, budget: int) -> DiskState:
    """What holds now, if `before` held."""
    if held_bytes >= budget * DISK_RESERVED_SHARE:
        return DiskState.RESERVED
    resumed = DISK_RESUMED_SHARE if before is not DiskState.OPEN else DISK_PAUSED_SHARE
    return DiskState.PAUSED if held_bytes >= budget * resumed else DiskState.OPEN


def surplus_bytes(held_bytes: int, budget: int) -> int:
    """How much would have to go for publishing to go on."""
    return max(held_bytes - int(budget * DISK_RESUMED_SHARE) + 1, 0)


def shared_file_bytes(budget: int) -> int:
    """How large a segment file may be that is made ahead for one publisher; less than the smallest value needs on a very small disk."""
    return min(SHARED_FILE_BYTES, int(budget * SHARED_FILE_DISK_SHARE) // PAGE_BYTES * PAGE_BYTES)


def may_be_held(by_one_bytes: int, by_all_bytes: int, budget: int) -> bool:
    """Whether one client may hold so much of segment files, and all together so much: retention frees none of it before it is released."""
    return by_one_bytes <= budget * HELD_BY_ONE_DISK_SHARE and by_all_bytes <= budget * HELD_DISK_SHARE


def in_words(held_bytes: int, budget: int) -> str:
    """For people, and for logs."""
    return f"linkd holds {held_bytes // MIB:,} MiB of the {budget // MIB:,} MiB of disk that it may take"
