"""What goes out on a stream of snapshots, beside the values (`home.outgoing`)."""

from __future__ import annotations

from linkd.home.outgoing import Out
from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Parent, Place


@frozen()
class OutputSchema:
    link: str
    schema: bytes
    declared: bool


@frozen()
class Opened:
    """First on the stream: who one is, what goes in (link, policy, generation), what may come out, how long a lease lasts."""

    task: str
    inputs: tuple[tuple[str, str, int], ...]
    outputs: tuple[OutputSchema, ...]
    lease_s: float = 0.0


@frozen()
class Begin:
    snapshot_id: bytes
    token: int
    attempt: int
    traceparent: str


@frozen()
class Ready:
    """The snapshot may be worked on. `empty` has the schemas of inputs that hold no value; `partial` says that a window was cut short."""

    snapshot_id: bytes
    token: int
    attempt: int
    portions: tuple[Parent, ...]
    traceparent: str
    empty: tuple[OutputSchema, ...]
    partial: bool = False


@frozen()
class Over:
    """No further snapshot can come."""

    reason: str


@frozen()
class Recalled:
    """The client is to give this snapshot back, if its program has not begun with it."""

    snapshot_id: bytes
    token: int


@frozen()
class Released:
    """The client gave this snapshot back, and all that this takes with it has been recalled."""

    snapshot_id: bytes
    token: int


Part = Opened | Begin | Out | Ready | Over | Recalled | Released


@frozen()
class Stored:
    """A value of a snapshot: which of its rows belong to it, and whether no other snapshot holds it too."""

    envelope: Envelope
    place: Place
    rows: tuple[int, int]
    settled: bool
