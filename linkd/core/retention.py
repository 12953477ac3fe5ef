"""Which generations may go. Pure decisions over a `Ledger`.

Of each link there stay: the newest generation, whatever became of it; the last two that were complete once; every one that is growing or of
which the end is not on disk yet; and every one that somebody stands in: a task that has not ended reads or writes it, a consumer group is in
it and not through with it, or the caller says so (`held`). The rest is dropped: its payloads go at once, and the envelopes of its values when
nothing there still is was made from it, over any number of steps; until then a trace finds them.

What goes of a generation that stays is `core.expiry`'s to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from linkd.core.ledger import Ledger
from linkd.core.links import Generation, GenerationState, Link
from linkd.model.records import Dropped
from linkd.model.values import Parent

COMPLETE_KEPT = 2
"""The one that readers see, and the one before it: whoever began to read that gets to its end, and people look at what changed."""

FORGOTTEN = "nothing that is kept was made from it"
"""The reason of a record that follows the one that dropped a generation."""

Key = tuple[str, int]
"""A link and the number of a generation of it."""


def drops(
    ledger: Ledger, links: Iterable[str], held: Collection[Key] = (), *, now_ns: int = 0, complete_kept: int = COMPLETE_KEPT
) -> list[Dropped]:
    """The records that drop what may go of `links`, and forget what nothing was made from any more. None while there is nothing to drop.

    With fewer `complete_kept`, down to 1, room comes free that is short.
    """
    surplus = {(name, one.number): one for name in links if name in ledger.links for one in _surplus(ledger.links[name], complete_kept)}
    if not surplus:
        return []
    standing = {*_stood_in(ledger), *held}
    going = {key: generation for key, generation in surplus.items() if key not in standing}
    if not going:
        return []
    needed = _ancestors(ledger, going)
    records = [
        _dropped(ledger.links[name], one, forgotten=(name, one.number) not in needed, now_ns=now_ns) for (name, _), one in going.items()
    ]
    for link in ledger.links.values():
        for old in link.remembered.values():
            if (link.name, old.number) not in needed:
                first, last = old.first_sequence, old.last_sequence
                records.append(
                    Dropped(link.name, old.incarnation, first, last, FORGOTTEN, old.number, forgotten=True, dropped_at_ns=now_ns)
                )
    return records


def _surplus(link: Link, complete_kept: int) -> list[Generation]:
    """What would go if nobody stood in it."""
    if len(link.generations) < 2:
        return []
    complete = sorted(number for number, one in link.generations.items() if one.was_sealed and one.state is not GenerationState.ABANDONED)
    kept = {link.newest, *complete[-complete_kept:]}
    return [one for number, one in sorted(link.generations.items()) if number not in kept and _has_ended(one)]


def _has_ended(generation: Generation) -> bool:
    """It grows no more, and this is on disk."""
    return generation.state is GenerationState.ABANDONED or generation.is_sealed


def _stood_in(ledger: Ledger) -> Iterable[Key]:
    for task in ledger.tasks.values():
        if not task.ended:
            yield from task.inputs.items()
            yield from task.outputs.items()
    for group in ledger.groups.values():
        if not group.finished(ledger.links[group.link]):
            yield group.link, group.generation


def _ancestors(ledger: Ledger, going: Collection[Key]) -> set[Key]:
    """All that the generations that stay were made from, directly or not."""
    found: set[Key] = set()
    waiting: list[tuple[Parent, ...]] = [
        one.inputs for link in ledger.links.values() for one in link.generations.values() if (link.name, one.number) not in going
    ]
    while waiting:
        for parent in waiting.pop():
            key = (parent.link, parent.generation)
            link = ledger.links.get(parent.link)
            if key in found or link is None:
                continue
            found.add(key)
            made = link.generations.get(parent.generation) or link.remembered.get(parent.generation)
            if made is not None:
                waiting.append(made.inputs)
    return found


def _dropped(link: Link, generation: Generation, *, forgotten: bool, now_ns: int) -> Dropped:
    if generation.state is GenerationState.ABANDONED:
        reason = "abandoned"
    else:
        readable = link.readable
        reason = f"superseded by generation {link.newest if readable is None else readable.number}"
    first, last = generation.kept_sequence, generation.last_sequence
    return Dropped(link.name, generation.incarnation, first, last, reason, generation.number, forgotten, now_ns)
