"""A link as the ledger knows it: its order, its generations, what of it is durable. Pure state; `core.ledger` changes it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from linkd.model.records import SourceMoved
from linkd.model.values import Parent


class GenerationState(enum.StrEnum):
    GROWING = "growing"
    SEALED = "sealed"
    ABANDONED = "abandoned"


@dataclass(slots=True)
class Generation:
    """One generation of a link.

    `last_sequence` is first_sequence - 1 while it is empty. `state` is as decided, `seal_durable` says that the seal is on disk and may be
    told. `schema` is the encapsulated Arrow schema message, empty until the first value, and `declared` says the pipeline file gave it.
    """

    number: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    task: str
    task_version: str
    inputs: tuple[Parent, ...] = ()
    state: GenerationState = GenerationState.GROWING
    seal_durable: bool = False
    values: int = 0
    rows: int = 0
    size_bytes: int = 0
    schema_id: bytes = b""
    schema: bytes = b""
    declared: bool = False
    source: SourceMoved | None = None

    def extent(self, link: str) -> Parent:
        """All of it, as a range of portions."""
        return Parent(link, self.incarnation, self.number, self.first_sequence, self.last_sequence)


@dataclass(slots=True)
class Link:
    """One link. Sequences below `next_sequence` are given; those up to `durable_sequence` are on disk and may be delivered."""

    name: str
    incarnation: int
    next_sequence: int
    durable_sequence: int
    last_created_at_ns: int = 0
    generations: dict[int, Generation] = field(default_factory=dict)
    newest: int = 0

    @property
    def current(self) -> Generation | None:
        """The newest generation, growing or not."""
        return self.generations.get(self.newest)

    @property
    def readable(self) -> Generation | None:
        """What readers outside the run see: the newest sealed generation, or the growing one while none is sealed."""
        for number in sorted(self.generations, reverse=True):
            generation = self.generations[number]
            if generation.state is GenerationState.SEALED and generation.seal_durable:
                return generation
        current = self.current
        return current if current is not None and current.state is not GenerationState.ABANDONED else None

    def durable_last(self, generation: Generation) -> int:
        """The last sequence of `generation` that is on disk; first_sequence - 1 if none is."""
        return max(min(generation.last_sequence, self.durable_sequence), generation.first_sequence - 1)

    def durable_extent(self, generation: Generation) -> Parent:
        """What of `generation` is on disk, as a range of portions."""
        return Parent(self.name, generation.incarnation, generation.number, generation.first_sequence, self.durable_last(generation))
