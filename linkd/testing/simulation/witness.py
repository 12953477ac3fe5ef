"""What a judge of a simulation is told: only what somebody in it was told, or asked for. A judge raises when a promise is broken."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from linkd.model.terms import Order


class Told(NamedTuple):
    """A value as somebody was told of it. `number` is what its rows say, and no two values are to have the same."""

    link: str
    incarnation: int
    sequence: int
    generation: int
    number: int


class Span(NamedTuple):
    """Sequences of an input of a task, both included; none if the last is before the first."""

    link: str
    generation: int
    first: int
    last: int


class GroupName(NamedTuple):
    """A consumer group of a link."""

    name: str
    link: str


class Handed(NamedTuple):
    """A value in a member's hands. Of the values of one lane (`lane_of`) the earlier go first."""

    generation: int
    sequence: int
    token: int
    attempt: int
    member: int
    order: Order


KEYS = 3


def lane_of(order: Order, number: int) -> int | None:
    """In which lane value `number` has its order; None: there is none."""
    return {Order.LINK: 0, Order.KEY: number % KEYS, Order.NONE: None}[order]


class Stop(enum.StrEnum):
    """How a home ended."""

    CLEAN = "clean"
    KILLED = "killed"
    POWER = "power"


class Witness(Protocol):
    """`durable`: the ack says that it survives power loss; else it survives the end of the process."""

    def submitted(self, link: str, numbers: Sequence[int]) -> None:
        """These are on their way to that link; whether they get there is not known."""
        ...

    def admitted(self, link: str, values: Sequence[tuple[int, int]]) -> None:
        """Values (bytes, number) of an outsider were taken in, behind what was dropped to make room for them."""
        ...

    def tried(
        self, task: str, execution: int, snapshot: bytes, token: int, spans: Sequence[Span], taken: Sequence[Span], numbers: Sequence[int]
    ) -> None:
        """A commit was accepted, and is on its way to the disk: these were made from `spans`; no other snapshot has what is `taken`."""
        ...

    def failed(self, numbers: Sequence[int]) -> None:
        """Somebody was told that these were not stored, and surely are not."""
        ...

    def told(self, values: Sequence[Told], *, durable: bool) -> None:
        """An ack, a delivery or a reader told of these values."""
        ...

    def committed(self, task: str, execution: int, snapshot: bytes, *, durable: bool) -> None:
        """The commit that was accepted last was acked."""
        ...

    def refused(self, task: str, execution: int, snapshot: bytes, token: int) -> None:
        """A commit was refused, which may have been accepted before."""
        ...

    def handed_snapshot(self, task: str, execution: int, snapshot: bytes, token: int, spans: Sequence[Span]) -> None:
        """A program has these on lease."""
        ...

    def handed_value(self, group: GroupName, value: Handed) -> None:
        """A member of a group has this on lease."""
        ...

    def gave_back(self, group: GroupName, generation: int, sequence: int) -> None:
        """A member has refused the value: nobody has it."""
        ...

    def left(self, group: GroupName, member: int) -> None:
        """The connection of a member is gone: what it had nobody has."""
        ...

    def moved(self, group: GroupName, generation: int, first: int, *, durable: bool) -> None:
        """A group goes on to another generation, from its first value on; told again when that is durable."""
        ...

    def sought(self, group: GroupName, generation: int, first: int, *, durable: bool) -> None:
        """A group is put before that value, by its being made or by a seek; told again when that is durable."""
        ...

    def settling(self, group: GroupName, generation: int, sequence: int, token: int) -> None:
        """An ack was taken, under that token; or (0) the value was dropped."""
        ...

    def settled(self, group: GroupName, generation: int, sequence: int, *, durable: bool) -> None:
        """What was settled is answered, or a dead letter is stored."""
        ...

    def buried(self, group: GroupName, generation: int, sequence: int, token: int, number: int, failures: int, max_attempts: int) -> None:
        """A value goes to the dead letters, as value `number` of their link, for it failed so often since it went out first."""
        ...

    def held(self, name: str, link: str, first: int, last: int) -> None:
        """A hold is placed: these values stay, unless power takes the hold away before it is durable."""
        ...

    def let_go(self, name: str) -> None:
        """A hold is released, or its time is over."""
        ...

    def opened(self, producer: str, epoch: int) -> None:
        """A named producer was opened, durably."""
        ...

    def numbered(self, producer: str, epoch: int, sequence: int, values: Sequence[Told], *, durable: bool) -> None:
        """A numbered publish was acked, for the first time or again."""
        ...

    def dropping(self, link: str, generation: int, first: int, last: int) -> None:
        """Retention decided to drop these: all of a generation, or (0) values by themselves."""
        ...

    def dropped(self, link: str, generation: int, first: int, last: int) -> None:
        """That is durable."""
        ...

    def run_began(self) -> None:
        """Programs of the run before are fenced."""
        ...

    def exhausted(self, task: str, execution: int, inputs: Sequence[Span]) -> None:
        """A program was told that there is nothing more for it in these inputs."""
        ...

    def stopped(self, how: Stop) -> None:
        """The home ended. Whoever was connected is not any more."""
        ...

    def executing(self, task: str, execution: int) -> None:
        """A home is up, and the task is in this execution: a later one that was begun has gone with the power, and what was handed out in it."""
        ...

    def folded(self, link: str, files: Sequence[Sequence[int]]) -> None:
        """After a clean stop: what a reader of Arrow finds in each segment of a link, without linkd."""
        ...

    def found(self, link: str, values: Sequence[Told], *, durable: bool) -> None:
        """All there is of a link, in the order in which it is read."""
        ...
