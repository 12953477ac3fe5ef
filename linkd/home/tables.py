"""What a link is as a table: which of its values a statement reads, decided when it starts.

A bare name is the generation that whoever asks sees; its history is every generation that is kept and was not abandoned.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from linkd.core.links import Generation, GenerationState, Link
from linkd.core.names import COMMITS_LINK
from linkd.core.rights import Identity, Role
from linkd.errors import LinkNotFound, NotAllowed
from linkd.home.home import Home
from linkd.model.frozen import frozen


@frozen()
class TableAsked:
    """A table of a statement: a link, with `history` all of it; of a `generation` only that one (0: the one that readers see)."""

    link: str
    generation: int = 0
    history: bool = False


@frozen()
class Extent:
    """The values of one generation that a statement reads: those on disk when it starts. `last_sequence` < `first_sequence` if there are none.

    `generation` is 0 where the link has none yet; `schema` is then what is declared.
    """

    link: str
    incarnation: int
    generation: int
    first_sequence: int
    last_sequence: int
    schema: bytes

    def told(self) -> dict[str, str | int]:
        """As JSON has it."""
        return {**dataclasses.asdict(self), "schema": base64.b64encode(self.schema).decode()}


def readable_names(home: Home, who: Identity) -> list[str]:
    """The links that whoever asks may read: a task its inputs, everybody else all of them, and what was committed."""
    if who.role is Role.TASK:
        return sorted(name for name, _ in home.layout.tasks[who.task].inputs)
    return sorted({*home.layout.links, *home.ledger.links, COMMITS_LINK})


def extents(home: Home, who: Identity, asked: TableAsked) -> list[Extent]:
    """What the table holds now, oldest generation first. Raises LinkNotFound, NotAllowed (audited)."""
    home.check_link(asked.link)
    with home.audited(who, "query", asked.link):
        home.rights.read(who, asked.link)
    link = home.ledger.links.get(asked.link)
    found = _generations(link, asked) if link is not None else []
    if link is None or not found:
        shape = home.layout.links.get(asked.link)
        return [Extent(asked.link, 0, 0, 1, 0, shape.declared[1] if shape is not None and shape.declared is not None else b"")]
    return [Extent(link.name, one.incarnation, one.number, one.kept_sequence, link.durable_last(one), one.schema) for one in found]


def may_read(home: Home, who: Identity, asked: Sequence[TableAsked]) -> bool:
    """Whether all of these are links that whoever asks may read; a denial is told."""
    try:
        for table in asked:
            if table.link != COMMITS_LINK:
                home.check_link(table.link)
            with home.audited(who, "query", table.link):
                home.rights.read(who, table.link)
    except (LinkNotFound, NotAllowed):
        return False
    return True


@contextmanager
def held(home: Home, who: Identity, read: Sequence[Extent]) -> Iterator[None]:
    """Retention leaves these values where they are for the length of the block."""
    with ExitStack() as stack:
        for one in read:
            if one.generation:
                stack.enter_context(home.retention.reading(one.link, one.generation, one.first_sequence, who.name))
        yield


def _generations(link: Link, asked: TableAsked) -> list[Generation]:
    if asked.generation:
        one = link.generations.get(asked.generation)
        if one is None:
            there = ", ".join(map(str, sorted(link.generations)))
            was_there = asked.generation <= link.newest
            fault = "is not kept any more" if was_there else "does not exist yet"
            raise LinkNotFound(f"generation {asked.generation} of {link.name} {fault} (there are: {there})")
        return [one]
    if asked.history:
        kept = (link.generations[number] for number in sorted(link.generations))
        return [one for one in kept if one.state is not GenerationState.ABANDONED]
    return [link.readable] if link.readable is not None else []
