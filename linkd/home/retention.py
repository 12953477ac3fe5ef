"""When generations are dropped: whenever one ended, or somebody left one, and that is on disk. What may go is `core.retention`'s to say.

Decisions are taken once in a turn of the event loop, however many generations ended in it, and only of the links concerned. The store frees
what the records drop, in its own time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from linkd.core import retention
from linkd.core.ledger import Ledger
from linkd.errors import Draining, Overloaded, StorageFailed
from linkd.model.records import Dropped, GenerationBegan, GenerationEnded, GroupMoved, Record, TaskBegan, TaskEnded


class Retention:
    """Belongs to one event loop. `admit` makes records durable and raises what `Home.admit` does."""

    def __init__(self, ledger: Ledger, admit: Callable[[Sequence[Dropped]], object]) -> None:
        self._ledger = ledger
        self._admit = admit
        self._held: Counter[retention.Key] = Counter()
        self._links: set[str] = set()
        self._scheduled = False

    def look_at_all(self) -> None:
        """At the start: what an earlier life of the home did not come to."""
        self._look_at(self._ledger.links)

    def settled(self, records: Iterable[Record]) -> None:
        """A frame is durable."""
        for record in records:
            if isinstance(record, GenerationBegan | GenerationEnded | GroupMoved):
                self._look_at([record.link])
            elif isinstance(record, TaskBegan | TaskEnded):
                shape = self._ledger.shapes.get(record.task)
                if shape is not None:
                    self._look_at([name for name, _ in shape.inputs])
                    self._look_at(shape.outputs)
        self._look_at(())  # what there was no room for

    @contextmanager
    def reading(self, link: str, generation: int) -> Iterator[None]:
        """The generation stays as long as the block runs: a reader gets to the end of what it began."""
        key = (link, generation)
        self._held[key] += 1
        try:
            yield
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
                self._look_at([link])

    def _look_at(self, links: Iterable[str]) -> None:
        """Decide about these links soon, if there can be anything to decide."""
        known = self._ledger.links
        self._links.update(name for name in links if name in known and len(known[name].generations) > 1)
        if self._links and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._scheduled = False
        links, self._links = self._links, set()
        records = retention.drops(self._ledger, sorted(links), self._held)
        if not records:
            return
        try:
            self._admit(records)
        except Overloaded:  # commits wait to be written: when the next one is, there is room for this, too
            self._links |= links
        except (Draining, StorageFailed):  # the home ends; the next one begins with this
            self._links.clear()
