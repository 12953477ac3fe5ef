"""How far every reader is behind its links, told when somebody asks (a scrape), so that the data path pays nothing for it."""

from __future__ import annotations

from linkd.core.cursor import Cursor
from linkd.core.links import Generation, Link
from linkd.home.home import Home
from linkd.telemetry.events import LinkLag


def tell_lags(home: Home) -> None:
    """One `LinkLag` for each input of each task (a task is never behind what it takes the latest of), and for each consumer group."""
    if not home.telemetry.wants(LinkLag):
        return
    for task in home.ledger.tasks.values():
        for name, number in task.inputs.items():
            link = home.ledger.links[name]
            generation = link.generations.get(number)
            if generation is not None and not task.is_read_only(name):
                _tell(home, link, generation, task.cursors[name], task.name)
    for group in home.ledger.groups.values():
        link = home.ledger.links[group.link]
        generation = link.generations.get(group.generation)
        if generation is not None:
            _tell(home, link, generation, group.cursor, group.name)


def _tell(home: Home, link: Link, generation: Generation, cursor: Cursor, reader: str) -> None:
    values = cursor.left(link.durable_last(generation))
    seconds = 0.0
    oldest = cursor.next_after((), link.durable_last(generation))
    if values and oldest is not None:
        for envelope, _ in home.store.values(link.name, oldest, oldest):
            seconds = max((home.clock.now_ns() - envelope.created_at_ns) / 1e9, 0.0)
    home.telemetry.emit(LinkLag(link=link.name, group=reader, values=values, seconds=seconds))
