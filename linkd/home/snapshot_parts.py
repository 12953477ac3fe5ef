"""What goes out on a stream of snapshots, beside the values (`home.outgoing`)."""

from __future__ import annotations

from dataclasses import dataclass

from linkd.home.outgoing import Out
from linkd.model.values import Envelope, Parent, Place


@dataclass(frozen=True, slots=True)
class OutputSchema:
    link: str
    schema: bytes
    declared: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """First on the stream: who one is, what goes in (link, policy, generation), what may come out, how long a lease lasts."""

    task: str
    inputs: tuple[tuple[str, str, int], ...]
    outputs: tuple[OutputSchema, ...]
    lease_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Begin:
    snapshot_id: bytes
    token: int
    attempt: int
    traceparent: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The snapshot may be worked on. `empty` has the schemas of inputs that hold no value; `partial` says that a window was cut short."""

    snapshot_id: bytes
    token: int
    attempt: int
    portions: tuple[Parent, ...]
    traceparent: str
    empty: tuple[OutputSchema, ...]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Over:
    """No further snapshot can come."""

    reason: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """The client is to give this snapshot back, if its program has not begun with it."""

    snapshot_id: bytes
    token: int


@dataclass(frozen=True, slots=True)
class Released:
    """The client gave this snapshot back, and all that this takes with it has been recalled."""

    snapshot_id: bytes
    token: int


Part = Opened | Begin | Out | Ready | Over | Recalled | Released


@dataclass(frozen=True, slots=True)
class Stored:
    """A value of a snapshot: which of its rows belong to it, and whether no other snapshot holds it too."""

    envelope: Envelope
    place: Place
    rows: tuple[int, int]
    settled: bool
