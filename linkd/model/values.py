"""What a link holds: positions, portions, envelopes, and where payload bytes lie."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from linkd.model.frozen import frozen

OUTSIDER = ""
"""The task name of whoever is not a task of the pipeline."""


class Durability(enum.StrEnum):
    """What an ack promises: `FSYNC` survives power loss, of which `INTERVAL` loses at most the interval, `MEMORY` all that was not synced yet.

    All of them survive the end of the process.
    """

    FSYNC = "fsync"
    INTERVAL = "interval"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a link's order. Sequences start at 1 and are gapless within one incarnation; a new incarnation follows a loss."""

    incarnation: int
    sequence: int


@frozen()
class Portion:
    """A value and a selection of its rows: what a snapshot, a lease or an ack names. `rows` of `None` is all of them."""

    link: str
    position: Position
    rows: tuple[tuple[int, int], ...] | None = None


@frozen()
class Parent:
    """The values `first_sequence` to `last_sequence` of one incarnation and generation of a link, both included.

    Where only some rows belong to it: those of the first value from row `first_row` on, those of the last one before row `end_row` (0: all).
    """

    link: str
    incarnation: int
    generation: int
    first_sequence: int
    last_sequence: int
    first_row: int = 0
    end_row: int = 0


@frozen()
class Producer:
    """Who numbered a publish: an idempotent producer's id, the epoch that fences its predecessors, and its own count from 1.

    All values of one publish have the same. `request_xxh3` is that of the publish as it was sent, to tell a repeat from a contradiction. An
    `id` of "" is a producer without idempotence.
    """

    id: str = ""
    epoch: int = 0
    sequence: int = 0
    request_xxh3: int = 0


@frozen()
class Envelope:
    """All that is known of a value beside its rows. Immutable once committed.

    `id` is a UUIDv8 (RFC 9562): for values of a commit the hash of (task version, snapshot id, output, index), else time-ordered.
    `size_bytes` and `payload_xxh3` are those of the payload as stored: one encapsulated Arrow IPC record batch message without its schema.
    `schema_id` is the xxh3-128 of the schema message. `created_at_ns` is the home's clock, never decreasing within a link.
    `task` is "" for an outsider, a link's name with `task_version` of its file's digest for a source.
    """

    id: bytes
    link: str
    position: Position
    generation: int
    rows: int
    size_bytes: int
    schema_id: bytes
    payload_xxh3: int
    created_at_ns: int
    task: str = OUTSIDER
    task_version: str = ""
    attempt: int = 1
    parents: tuple[Parent, ...] = ()
    producer: Producer = Producer()
    traceparent: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that people use: `flown@42`."""
        return f"{self.link}@{self.position.sequence}"


class PlaceKind(enum.IntEnum):
    """Which kind of file holds a payload; none does when the value was dropped."""

    JOURNAL = 1
    SEGMENT = 2
    DROPPED = 3


@frozen()
class Place:
    """Where the payload of a value lies.

    For `JOURNAL`, `file` is the journal file's number and the bytes [offset, offset + size_bytes) are the payload. For `SEGMENT`, `file` is
    the segment's number within its link, `offset` is that of the stored message (the payload with the envelope added to its metadata),
    `metadata_bytes` the length of its metadata, and the body of `body_bytes` follows.
    """

    kind: PlaceKind
    file: int
    offset: int
    size_bytes: int
    metadata_bytes: int = 0
    body_bytes: int = 0


def value_id_text(identity: bytes) -> str:
    """The 36 characters of a UUID, as printed."""
    text = identity.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
