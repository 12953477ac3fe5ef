"""What a task gets next, decided in pure code (`core.tasks`, `core.composition`) from what this home knows."""

from __future__ import annotations

from collections.abc import Iterator

from linkd.core.commits import put_together
from linkd.core.tasks import Again, Ask, End, GiveUp, Look, Offer, Recall, Task, Wait
from linkd.home.changes import task_topic
from linkd.home.home import Home
from linkd.home.key_slots import slots_of
from linkd.model.frozen import frozen
from linkd.model.values import PlaceKind
from linkd.store.store import Store

Decision = Offer | Look | Ask | Recall | GiveUp | Wait | Again | End


def next_snapshot(home: Home, task: Task, session: int = 0) -> Decision:
    """What to hand out now; see `Task.next_snapshot`."""
    return task.next_snapshot(home.ledger.links, follow=home.ledger.follows, rows=StoredRows(home.store), session=session)


async def look(home: Home, task: Task, wanted: Look, session: int) -> None:
    """Finds out which slots the snapshot belongs to. Another session may do so at the same time. Raises InvalidArgument for want of the column."""
    slots: set[int] = set()
    for portion in task.keyed_portions(wanted.offer):
        for envelope, place in home.store.values(portion.link, portion.first_sequence, portion.last_sequence):
            if place.kind is not PlaceKind.DROPPED:
                slots |= await slots_of(home, envelope, place, task.shape.terms.key)
    await home.room()
    if next_snapshot(home, task, session) != wanted:
        return
    if wanted.is_new:
        home.admit([put_together(task, wanted.offer)], durable=False)
    task.looked(wanted.offer, frozenset(slots))
    home.changes.announce([task_topic(task.name)])


@frozen()
class StoredRows:
    """The rows of durable values, for decisions on windows of rows."""

    store: Store

    def rows(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        """(sequence, rows) of each of these values, in order."""
        for envelope, _ in self.store.values(link, first_sequence, last_sequence):
            yield envelope.position.sequence, envelope.rows
