"""Where a consumer group begins to read its link: `earliest`, `latest`, a position, a time. Pure."""

from __future__ import annotations

from collections.abc import Callable

from linkd.core.links import Generation, GenerationState, Link, dropped_within, expired_text
from linkd.core.value_names import BySequence, ByTime, Newest, parse_value_name
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen

EARLIEST = "earliest"
LATEST = "latest"
FORMS = "earliest, latest, a sequence (42), or a time (2026-11-22T10:00)"


@frozen()
class Place:
    """The next value that the group gets, and the generation in which that is."""

    generation: Generation
    next_sequence: int


def check_start(link: str, start: str) -> None:
    """InvalidArgument, with the forms that there are, if `start` names no place of `link`."""
    _parsed(link, start)


def place_of(link: Link, start: str, *, follow: bool, last_before: Callable[[int], int | None], lost: int = 0) -> Place | None:
    """The place that `start` names; None while the link has nothing in which there are places.

    `last_before` gives the sequence of the newest value that was created by a time in nanoseconds; `lost` is how many of the values before a
    sequence that is named were of an older incarnation and are there no more: others are in their place, or will be. Raises InvalidArgument for
    a position that is not kept, or that nothing has yet.
    """
    generation = link.current if follow else link.readable
    if generation is None:
        return None
    named = _parsed(link.name, start)
    if named == EARLIEST:
        return Place(generation, generation.kept_sequence)
    if named == LATEST:
        return Place(generation, link.durable_last(generation) + 1)
    if isinstance(named, Newest):
        return Place(generation, max(link.durable_last(generation), generation.kept_sequence))
    if isinstance(named, BySequence):
        return _at_sequence(link, named.sequence - lost)
    assert isinstance(named, ByTime)
    before = last_before(named.at_ns - 1)
    if before is None:
        return _first_kept(link, generation)
    return _from_sequence(link, before + 1) or Place(generation, link.durable_last(generation) + 1)


def _parsed(link: str, start: str) -> BySequence | ByTime | Newest | str:
    if start in ("", EARLIEST):
        return EARLIEST
    if start == LATEST:
        return LATEST
    try:
        named = parse_value_name(start if "@" in start else f"{link}@{start}")
    except InvalidArgument:
        raise InvalidArgument(f"{start[:60]!r} names no place in {link}: write {FORMS}") from None
    if not isinstance(named, BySequence | ByTime | Newest) or named.link != link:
        raise InvalidArgument(f"{start[:60]!r} names no place in {link}: write {FORMS}")
    return named


def _at_sequence(link: Link, sequence: int) -> Place:
    place = _from_sequence(link, sequence)
    if place is None or sequence > link.next_sequence:
        last = max((one.last_sequence for one in link.generations.values()), default=0)
        raise InvalidArgument(f"there is no {link.name}@{sequence} yet: the last is {link.name}@{last}")
    if place.next_sequence != sequence:
        gone = dropped_within(link, sequence, sequence)
        why = expired_text(gone[0]) if gone else "is not kept any more"
        raise InvalidArgument(f"{link.name}@{sequence} {why}: the first behind it is {link.name}@{place.next_sequence}")
    return place


def _from_sequence(link: Link, sequence: int) -> Place | None:
    """That value, or the first behind it that is kept; of the newest generation also the place behind its last."""
    for number in sorted(link.generations):
        one = link.generations[number]
        end = one.last_sequence + 1 if number == link.newest else one.last_sequence
        if one.state is not GenerationState.ABANDONED and sequence <= end:
            return Place(one, link.there_from(max(sequence, one.first_sequence)))
    return None


def _first_kept(link: Link, generation: Generation) -> Place:
    return _from_sequence(link, 0) or Place(generation, generation.kept_sequence)
