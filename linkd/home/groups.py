"""Consumer groups, made and moved: what their records are, and where they begin."""

from __future__ import annotations

from linkd.core.group_start import Place, check_start, place_of
from linkd.core.group_terms import AskedTerms
from linkd.core.groups import Group
from linkd.core.links import Generation, Link, lost_behind
from linkd.core.names import check_group_name
from linkd.core.rights import Identity
from linkd.errors import InvalidArgument, LinkNotFound
from linkd.home.changes import group_topic
from linkd.home.home import Home
from linkd.home.reading import allow_reading
from linkd.model.frozen import frozen
from linkd.model.records import GroupMoved, GroupOpened
from linkd.model.terms import Order
from linkd.model.values import Position
from linkd.telemetry.events import LOST, ValuesLost

_GROUPS_SHOWN = 20


@frozen()
class Sought:
    """Where a group stands after a seek."""

    generation: int
    next_sequence: int
    run_generation: int


def lost_to(home: Home, group: str, link: Link, seen: Position | None) -> int:
    """How many values up to `seen` the link has lost: told, if there are any."""
    lost = lost_behind(link, seen) if seen is not None else 0
    if lost:
        home.telemetry.emit(ValuesLost(link=link.name, reader=f"group {group}", values=lost, reason=LOST))
    return lost


def place_in(home: Home, link: Link, start: str, *, follow: bool, seen: Position | None = None) -> Place | None:
    """The place that `start` names in the link as it is now; None while there is nothing in it. Raises InvalidArgument.

    What the link has lost of the values up to `seen` leads to the first that came in their place.
    """

    def last_before(at_ns: int) -> int | None:
        found = home.store.last_before(link.name, at_ns)
        return None if found is None else found[0].position.sequence

    lost = lost_behind(link, seen) if seen is not None else 0
    return place_of(link, start, follow=follow, last_before=last_before, lost=lost)


def opened_at(group: str, place: Place, link: str, asked: AskedTerms, *, follow: bool) -> GroupOpened:
    """The record that makes a group whose next value is at that place."""
    terms = AskedTerms.of(asked.of_new_group())
    generation = place.generation
    return GroupOpened(
        group,
        link,
        generation.incarnation,
        generation.number,
        place.next_sequence - 1,
        follow,
        terms.order,
        terms.key,
        terms.lease_ms,
        terms.timeout_ms,
        terms.max_attempts,
    )


def moved_to(group: Group, generation: Generation, next_sequence: int, run_generation: int) -> GroupMoved:
    """The record that puts the group before that value."""
    done = next_sequence - 1
    return GroupMoved(group.name, group.link, generation.incarnation, generation.number, done, next_sequence, run_generation=run_generation)


def check_key(link: str, generation: Generation, asked: AskedTerms) -> None:
    """InvalidArgument if the key of a group's order is no column of the link, as far as its columns are known."""
    terms = asked.of_new_group()
    if terms.order is Order.KEY and generation.schema:
        import pyarrow as pa

        names = pa.ipc.read_schema(pa.py_buffer(generation.schema)).names
        if terms.key not in names:
            raise InvalidArgument(f"{link} has no column {terms.key!r}, which is to be the key: it has {', '.join(names)}")


def catch_up(home: Home, group: Group, link: Link) -> None:
    """A group whose generation is over goes on to the one that readers see now, from its first value."""
    readable = link.readable
    if group.finished(link) and readable is not None and readable.number > group.generation:
        _move(home, group, readable)
    elif group.superseded(link):
        move_on(home, group, link)


def move_on(home: Home, group: Group, link: Link) -> bool:
    """The group goes on to the generation behind its own, if there is one: True."""
    following = link.following(group.generation)
    if following is not None:
        _move(home, group, following)
    return following is not None


def _move(home: Home, group: Group, generation: Generation) -> None:
    home.admit([moved_to(group, generation, generation.first_sequence, group.run_generation)], durable=False)
    home.changes.announce([group_topic(group.name, group.link)])


async def seek(home: Home, who: Identity, group_name: str, link_name: str, to: str) -> Sought:
    """Moves the group, durably, and voids what its members have on lease.

    Raises LinkNotFound for a link or a group that there is not, InvalidArgument for a place that is not kept, NotAllowed.
    """
    check_group_name(group_name)
    allow_reading(home, who, "seek", link_name)
    with home.audited(who, "seek", link_name):
        home.rights.seek(who, link_name)
    check_start(link_name, to)
    await home.room()
    group = home.ledger.groups.get((group_name, link_name))
    if group is None:
        raise _no_group(home, group_name, link_name)
    link = home.ledger.links[link_name]
    place = place_in(home, link, to, follow=False)
    if place is None:
        raise InvalidArgument(f"{link_name} has nothing in which a group could be moved")
    run_generation = group.run_generation + 1
    written = home.admit([moved_to(group, place.generation, place.next_sequence, run_generation)])
    home.changes.announce([group_topic(group_name, link_name)])
    await home.written(written)
    return Sought(place.generation.number, place.next_sequence, run_generation)


def _no_group(home: Home, name: str, link: str) -> LinkNotFound:
    if name in home.layout.tasks:
        return LinkNotFound(
            f"{name} is a task and no consumer group: it reads {link} again in a run with --reset, or as another `version:`"
        )
    import difflib  # only where something is wrong

    known = sorted(group for group, of_link in home.ledger.groups if of_link == link)
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"; did you mean `{near[0]}`?" if near else ""
    shown = ", ".join(known[:_GROUPS_SHOWN]) + (", ..." if len(known) > _GROUPS_SHOWN else "")
    return LinkNotFound(f"{link} has no consumer group `{name}`{meant} (groups: {shown or 'none yet'})")
