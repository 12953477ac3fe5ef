"""What a judge of a simulation is told: only what somebody in it was told, or asked for. A judge raises when a promise is broken."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple, Protocol


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

    def handed_value(self, group: str, link: str, generation: int, token: int, sequence: int) -> None:
        """A member of a group has this on lease."""
        ...

    def moved(self, group: str, link: str, generation: int) -> None:
        """A group goes on to another generation."""
        ...

    def settling(self, group: str, link: str, generation: int, sequence: int) -> None:
        """An ack was sent."""
        ...

    def settled(self, group: str, link: str, generation: int, sequence: int, *, durable: bool) -> None:
        """The ack of a member was answered."""
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

    def found(self, link: str, values: Sequence[Told], *, durable: bool) -> None:
        """All there is of a link, in the order in which it is read."""
        ...
