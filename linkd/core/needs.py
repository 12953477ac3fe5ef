"""What the readers of a link still need of it. Pure.

A task of the pipeline and a consumer group need everything behind what they have settled in the generation that they read, of the newest one
all if they read an older one (they will begin it anew), and a task that has never begun needs all of the newest. `latest` and `swap` read the
newest value again and again. What is on lease is needed until it is settled.
"""

from __future__ import annotations

from collections.abc import Iterator

from linkd.core.groups import Group
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, Link
from linkd.core.policies import WirePolicyKind, parse_input_policy
from linkd.core.tasks import Task, TaskShape
from linkd.model.frozen import frozen


@frozen()
class Need:
    """`reader` (the name of a task or of a group) needs the values from `first_sequence` on; those from `read_sequence` on it has not settled."""

    reader: str
    first_sequence: int
    read_sequence: int


def needs(ledger: Ledger, link: Link) -> Iterator[Need]:
    """What each reader of the link needs. Who needs nothing that is there is not named."""
    for shape in ledger.shapes.values():
        for name, policy in shape.inputs:
            if name == link.name:
                need = _of_task(ledger.tasks.get(shape.name), shape, link, parse_input_policy(policy).kind)
                if need is not None:
                    yield need
    for group in ledger.groups.values():
        if group.link == link.name:
            need = _of_group(group, link)
            if need is not None:
                yield need


def _of_task(task: Task | None, shape: TaskShape, link: Link, kind: WirePolicyKind) -> Need | None:
    current = link.current
    if current is None:
        return None
    begun = task is not None and task.execution > 0
    bound = link.generations.get(task.inputs.get(link.name, 0)) if task is not None and begun else None
    if task is None or bound is None or (task.ended and bound is not current):
        first = link.readable_last(current) if kind is WirePolicyKind.LATEST else current.kept_sequence
        return Need(shape.name, first, current.kept_sequence)
    done = task.cursors[link.name].done_sequence
    newest = link.readable_last(link.readable or bound if kind is WirePolicyKind.LATEST else bound)
    first = min(done + 1, task.marks[link.name].next_sequence)  # a window that slides holds what an earlier one settled
    if kind is WirePolicyKind.LATEST:
        first = newest
    elif kind is WirePolicyKind.SWAP:
        first = min(first, newest)
    held = [
        portion.first_sequence
        for lease in (*task.leases.values(), *task.shelved.values())
        for portion in lease.portions
        if portion.link == link.name and portion.first_sequence <= portion.last_sequence
    ]
    return Need(shape.name, min(first, *held) if held else first, newest if kind is WirePolicyKind.LATEST else done + 1)


def _of_group(group: Group, link: Link) -> Need | None:
    bound = link.generations.get(group.generation)
    following = _next_of(group, link)
    if bound is not None and not (group.finished(link) and following is not None):
        first = group.cursor.done_sequence + 1
        return Need(group.name, first, first)
    if following is None:
        return None
    return Need(group.name, following.kept_sequence, following.kept_sequence)


def _next_of(group: Group, link: Link) -> Generation | None:
    """The generation that a group which is through with its own goes on with."""
    newer = [one for one in (link.readable, link.current) if one is not None and one.number > group.generation]
    return min(newer, key=lambda one: one.number, default=None)
