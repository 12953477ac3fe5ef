"""What a link and a task are promised beyond the wiring: how durable, how long kept, how full, in which order, how often tried."""

from __future__ import annotations

import enum
import math

from linkd.limits import DURABILITY_INTERVAL_S, LEASE_S
from linkd.model.frozen import frozen
from linkd.model.values import Durability

AT_ONCE_S = 0.0
"""To the sync of what is acked when it is durable."""
NEVER_S = math.inf
"""To the sync of what is acked when it is written, and no sync is made for."""


def durability_of(sync_within_s: float) -> Durability:
    """What the ack says of what is synced so soon behind it."""
    if sync_within_s == AT_ONCE_S:
        return Durability.FSYNC
    return Durability.MEMORY if sync_within_s == NEVER_S else Durability.INTERVAL


class OnFull(enum.StrEnum):
    """What becomes of a publish to a link that holds as much as its `bound` allows."""

    BLOCK = "block"  # the publisher waits for room
    REFUSE = "refuse"  # it is told to try again later
    DROP_OLDEST = "drop_oldest"  # what was kept longest, and nobody has on lease, makes room
    DROP_NEWEST = "drop_newest"  # the new value is dropped


class Handover(enum.StrEnum):
    """How large values of a link come to linkd from programs on its host."""

    PLACE = "place"  # their publisher writes them where they stay, in a file that it shares with linkd and with readers
    COPY = "copy"  # it sends them, and linkd alone writes files: for publishers that are not trusted


class Order(enum.StrEnum):
    """What comes one behind the other to the members of a consumer group, or to the replicas of a task, through any redelivery."""

    LINK = "link"  # every value of the link
    KEY = "key"  # the values of one hash slot of a column
    NONE = "none"  # nothing


@frozen()
class Retain:
    """What stays of a link, at most: what is older than `age_s`, above `size_bytes` or more than the last `values` goes; None: no bound.

    Nothing goes that a task or a consumer group still needs, unless this is `hard`; then it is counted as lost to them.
    """

    age_s: float | None = None
    size_bytes: int | None = None
    values: int | None = None
    hard: bool = False


@frozen()
class LinkTerms:
    """The terms of one link. `interval_s` is that of `Durability.INTERVAL`.

    `bound_bytes` bounds the payload bytes that are kept for those who have not taken them yet; None: only the disk does. `retain` of None
    keeps the newest generation whole and the one before.
    """

    durability: Durability = Durability.FSYNC
    interval_s: float = DURABILITY_INTERVAL_S
    retain: Retain | None = None
    bound_bytes: int | None = None
    on_full: OnFull = OnFull.BLOCK
    handover: Handover = Handover.PLACE

    @property
    def sync_within_s(self) -> float:
        """From the ack of a value to the sync that makes it durable, at the latest."""
        if self.durability is Durability.FSYNC:
            return AT_ONCE_S
        return NEVER_S if self.durability is Durability.MEMORY else self.interval_s


@frozen()
class TaskTerms:
    """The terms of one task. `key` is the column of `Order.KEY`.

    A snapshot that is not settled within `lease_s` of its last renewal goes to another replica; the process of the task renews it, for
    `timeout_s` at most. What failed `max_attempts` times goes to the task's dead-letter link; None: it is tried for ever.
    """

    order: Order = Order.LINK
    key: str = ""
    lease_s: float = LEASE_S
    timeout_s: float | None = None
    max_attempts: int | None = None
