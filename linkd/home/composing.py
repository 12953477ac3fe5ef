"""What a task gets next, decided in pure code (`core.tasks`, `core.composition`) from what this home knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from linkd.core.tasks import Again, End, GiveUp, Offer, Task, Wait
from linkd.home.home import Home
from linkd.store.store import Store


def next_snapshot(home: Home, task: Task) -> Offer | GiveUp | Wait | Again | End:
    """What to hand out now; see `Task.next_snapshot`."""
    return task.next_snapshot(home.ledger.links, follow=home.ledger.follows, rows=StoredRows(home.store))


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows of durable values, for decisions on windows of rows."""

    store: Store

    def rows(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        """(sequence, rows) of each of these values, in order."""
        for envelope, _ in self.store.values(link, first_sequence, last_sequence):
            yield envelope.position.sequence, envelope.rows
