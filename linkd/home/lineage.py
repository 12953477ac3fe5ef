"""Where a value comes from: itself and all its ancestors, nearest first, bounded."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from linkd.core.rights import Identity
from linkd.errors import InvalidArgument, LinkNotFound
from linkd.home.home import Home
from linkd.home.reading import allow_reading
from linkd.limits import TRACE_VALUES_DEFAULT, TRACE_VALUES_MAX
from linkd.model.records import SourceMoved
from linkd.model.values import Envelope, Parent

_NAMED = re.compile(r"(?P<link>[a-z][a-z0-9_]*(?:\.rejects)?)@(?P<which>last|\d+)")
_BY_ID = re.compile(r"[0-9a-f-]{8,36}")


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A value of the family, `depth` steps up; `source` where it came from outside."""

    envelope: Envelope
    depth: int
    source: SourceMoved | None


def trace(home: Home, who: Identity, name: str, limit: int) -> tuple[list[Ancestor], bool]:
    """The value named `name` and its ancestors, each once, and whether there are more than `limit` of them. Raises LinkNotFound."""
    first = find(home, name)
    allow_reading(home, who, "trace", first.link)
    bound = min(limit or TRACE_VALUES_DEFAULT, TRACE_VALUES_MAX)
    found: list[Ancestor] = []
    seen: set[bytes] = {first.id}
    asked: set[Parent] = set()
    waiting: deque[tuple[Envelope, int]] = deque([(first, 0)])
    while waiting:
        envelope, depth = waiting.popleft()
        if len(found) == bound:
            return found, True
        found.append(Ancestor(envelope, depth, _source(home, envelope)))
        for parent in envelope.parents:
            if parent in asked:  # many values made from one snapshot have the same
                continue
            asked.add(parent)
            for above in _values(home, parent):
                if len(seen) > bound:  # enough to know that there are more than are told
                    break
                if above.id not in seen:
                    seen.add(above.id)
                    waiting.append((above, depth + 1))
    return found, False


def find(home: Home, name: str) -> Envelope:
    """The value that people call `flown@42`, `flown@last`, or by the beginning of its id. Raises LinkNotFound, InvalidArgument."""
    named = _NAMED.fullmatch(name)
    if named is not None:
        return _by_place(home, named["link"], named["which"])
    if _BY_ID.fullmatch(name):
        matches = home.store.find(name.replace("-", ""))
        if not matches:
            raise LinkNotFound(f"no value has an id that begins with {name}")
        if len(matches) > 1:
            raise InvalidArgument(f"{len(matches)} values have ids that begin with {name}: give more of it")
        return matches[0][0]
    raise InvalidArgument(f"{name!r} names no value: write LINK@42, LINK@last, or at least 8 characters of its id")


def _by_place(home: Home, link_name: str, which: str) -> Envelope:
    link = home.ledger.link(link_name)
    generation = link.readable
    if which == "last":
        if generation is None or link.durable_last(generation) < generation.first_sequence:
            raise LinkNotFound(f"{link_name} holds no value yet")
        sequence = link.durable_last(generation)
    else:
        sequence = int(which)
    for envelope, _ in home.store.values(link_name, sequence, sequence):
        return envelope
    raise LinkNotFound(f"there is no value {link_name}@{sequence} (its last is {link_name}@{link.durable_sequence})")


def _values(home: Home, parent: Parent) -> Iterator[Envelope]:
    for envelope, _ in home.store.values(parent.link, parent.first_sequence, parent.last_sequence):
        yield envelope


def _source(home: Home, envelope: Envelope) -> SourceMoved | None:
    link = home.ledger.links.get(envelope.link)
    generation = link.generations.get(envelope.generation) if link is not None else None
    return generation.source if generation is not None and not envelope.parents else None
