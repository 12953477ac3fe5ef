"""A link as the ledger knows it: its order, its generations, what of it is durable. Pure state; `core.ledger` changes it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from linkd.model.records import SourceMoved
from linkd.model.terms import LinkTerms
from linkd.model.values import Parent


@dataclass(frozen=True, slots=True)
class LinkShape:
    """What the pipeline file says of a link: who writes it ("" for outsiders), the schema it declares, as (id, schema message), its terms."""

    name: str
    writer: str
    declared: tuple[bytes, bytes] | None = None
    terms: LinkTerms = LinkTerms()


class GenerationState(enum.StrEnum):
    GROWING = "growing"
    SEALED = "sealed"
    ABANDONED = "abandoned"


@dataclass(slots=True)
class Generation:
    """One generation of a link.

    `last_sequence` is first_sequence - 1 while it is empty. `state` is as decided. `sealed_sequence` is where it was sealed last, and stays
    when it is reopened: the run's tasks read up to there, what came behind it is the next run's. `seal_durable` says that this seal is on
    disk and may be told, `was_sealed` that one was, ever. `schema` is the encapsulated Arrow schema message, empty until the
    first value, and `declared` says the pipeline file gave it; `schemas` has all that its values have, by id.
    """

    number: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    task: str
    task_version: str
    inputs: tuple[Parent, ...] = ()
    state: GenerationState = GenerationState.GROWING
    sealed_sequence: int | None = None
    seal_durable: bool = False
    was_sealed: bool = False
    values: int = 0
    rows: int = 0
    size_bytes: int = 0
    schema_id: bytes = b""
    schema: bytes = b""
    declared: bool = False
    source: SourceMoved | None = None
    schemas: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def is_sealed(self) -> bool:
        """It is complete, on disk, and was not reopened."""
        return self.state is GenerationState.SEALED and self.seal_durable

    @property
    def end_sequence(self) -> int:
        """The last sequence, as far as is known, of what a run's tasks read of it."""
        return self.last_sequence if self.sealed_sequence is None else self.sealed_sequence

    def extent(self, link: str) -> Parent:
        """What a run's tasks read of it, as a range of portions."""
        return Parent(link, self.incarnation, self.number, self.first_sequence, self.end_sequence)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A generation that was dropped, of whose values the envelopes are kept: something there still is was made from it."""

    number: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    inputs: tuple[Parent, ...]


@dataclass(slots=True)
class Link:
    """One link. Sequences below `next_sequence` are given; those up to `durable_sequence` are on disk and may be delivered.

    `generations` are those that were not dropped, the `newest` always among them.
    """

    name: str
    incarnation: int
    next_sequence: int
    durable_sequence: int
    last_created_at_ns: int = 0
    generations: dict[int, Generation] = field(default_factory=dict)
    newest: int = 0
    remembered: dict[int, Remembered] = field(default_factory=dict)

    @property
    def current(self) -> Generation | None:
        """The newest generation, growing or not."""
        return self.generations.get(self.newest)

    @property
    def readable(self) -> Generation | None:
        """What readers outside the run see: the newest generation that was complete once, or the growing one while none was.

        One that was reopened is seen as it grows: nothing that was told of it is taken back.
        """
        for number in sorted(self.generations, reverse=True):
            generation = self.generations[number]
            if generation.was_sealed and generation.state is not GenerationState.ABANDONED:
                return generation
        current = self.current
        return current if current is not None and current.state is not GenerationState.ABANDONED else None

    def durable_last(self, generation: Generation) -> int:
        """The last sequence of `generation` that is on disk; first_sequence - 1 if none is."""
        return max(min(generation.last_sequence, self.durable_sequence), generation.first_sequence - 1)

    def readable_last(self, generation: Generation) -> int:
        """The last sequence of `generation` that a run's tasks may have by now."""
        return min(self.durable_last(generation), generation.end_sequence)

    def following(self, number: int) -> Generation | None:
        """The first generation behind `number` that was not abandoned."""
        for later in sorted(self.generations):
            if later > number and self.generations[later].state is not GenerationState.ABANDONED:
                return self.generations[later]
        return None
