"""`INSERT INTO link`: rows that a statement has made from links become one publish, with what was read as their parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from linkd.core.rights import Identity
from linkd.home.budget import Taken
from linkd.home.home import Home
from linkd.home.intake import ARROW, NO_TARGET, Incoming, Target
from linkd.home.publishing import PublishSession
from linkd.home.staging import StagedValues
from linkd.home.tables import Extent
from linkd.model.values import Parent
from linkd.wire.arrow_ipc import PREFIX_BYTES, is_schema


def insertion_target(home: Home, who: Identity, link: str) -> Target:
    """The schema of the link that rows are to be inserted into, if it has one yet. Raises NotAllowed (audited), LinkNotFound."""
    with home.audited(who, "insert", link):
        if not home.layout.anyone:
            home.check_link(link)
        home.rights.publish(who, link, source=False)
    found = home.ledger.links.get(link)
    generation = found.current if found is not None else None
    if generation is not None:
        return Target(generation.schema_id, generation.schema, generation.declared)
    shape = home.layout.links.get(link)
    return Target(*shape.declared, declared=True) if shape is not None and shape.declared is not None else NO_TARGET


@dataclass(slots=True)
class Insertion:
    """The rows of one statement on their way into `link`: nothing of them is there before `commit`, all of them behind it. `close` it."""

    home: Home
    who: Identity
    traceparent: str = ""
    _session: PublishSession = field(init=False)
    _schema: bytes = b""

    def __post_init__(self) -> None:
        self._session = PublishSession(self.home, StagedValues(0), self.who, self.traceparent)

    async def add(self, link: str, message: bytes) -> None:
        """The next Arrow message: a schema, then record batches of it. Raises what a publish of them is refused with."""
        if is_schema(memoryview(message)[PREFIX_BYTES:]):
            self._schema = message
            return
        await self.home.memory.take(len(message))
        self._session.taken = Taken(self.home.memory, len(message))
        try:
            await self._session.add(Incoming(link, ARROW, (message,), self._schema), more=True)
        finally:
            self._session.taken.give()

    async def commit(self, link: str, read: Sequence[Extent]) -> int:
        """The number of rows, durable now; `read` are the values that they were made from. No rows are no publish."""
        if not self._session.holds:
            return 0
        self._session.parents = tuple(_parent(extent) for extent in read if extent.first_sequence <= extent.last_sequence)
        ack = await (await self._session.complete(link))
        return ack.rows

    def close(self) -> None:
        """What was not committed is dropped."""
        self._session.close()


def _parent(extent: Extent) -> Parent:
    return Parent(extent.link, extent.incarnation, extent.generation, extent.first_sequence, extent.last_sequence)
