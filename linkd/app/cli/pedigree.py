"""The ancestors of a value as an indented tree, consecutive siblings in one line. Pure.

    totals@1  16 rows, by sum_up 9c1f5e02, 2026-11-23T05:31:47.518Z
      flown@1..6  328,521 rows, by clean 4be20a71, 2026-11-23T05:31:46.123Z
        flights@1..6  336,776 rows, from data/flights.csv.zip, lines 2 to 336,777, blake3 77a0c1d2, 2026-11-23T05:31:45.007Z
      airlines@1  16 rows, from data/airlines.csv, lines 2 to 17, blake3 5e0b93aa, 2026-11-23T05:31:44.820Z

A line is a *brood*: values of one generation of a link that follow one another and were used by the brood above; its time is when the last
of them was made. Where two broods share ancestors, those are told once, and pointed at afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from linkd.app.cli.cells import printable
from linkd.app.wording import counted, moment_text, sequence_text
from linkd.client.lineage import Ancestor, Lineage
from linkd.core.dead_letters import is_dead_link
from linkd.core.tasks import SOURCE_PREFIX
from linkd.model.values import Envelope, Parent

INDENT = "  "
DIGEST_SHOWN_CHARS = 8
SEE_ABOVE = "see above"
_PLACES = (("first_line", "last_line", "line"), ("first_row", "last_row", "row"))
"""Attributes by which adapters say where in a file a value's rows were."""


@dataclass(frozen=True, slots=True, order=True)
class Brood:
    """Values `first` to `last` of one generation of a link."""

    link: str
    incarnation: int
    generation: int
    first: int
    last: int

    @property
    def name(self) -> str:
        return sequence_text(self.link, self.first, self.last) if self.last >= self.first else f"{self.link} (no values)"


_Family = Mapping[tuple[str, int], Ancestor]


def pedigree(lineage: Lineage, *, full_digests: bool = False) -> list[str]:
    """The lines of the tree. Of ancestors beyond what the lineage tells, the name is all there is."""
    family = {_key(each.envelope): each for each in lineage.ancestors}
    eldest = lineage.ancestors[0].envelope
    place = eldest.position
    waiting = [(Brood(eldest.link, place.incarnation, eldest.generation, place.sequence, place.sequence), 0)]
    told: set[Brood] = set()
    lines: list[str] = []
    while waiting:
        brood, depth = waiting.pop()
        members = list(_members(brood, family))
        parents = broods(parent for member in members for parent in member.envelope.parents)
        again = brood in told and bool(parents)
        told.add(brood)
        about = (
            SEE_ABOVE if again else about_values(brood, [member.envelope for member in members], _maker(members, full_digests=full_digests))
        )
        lines.append(f"{INDENT * depth}{brood.name}  {about}".rstrip())
        if not again:
            waiting.extend((parent, depth + 1) for parent in reversed(parents))
    return lines


def broods(parents: Iterable[Parent]) -> list[Brood]:
    """The ranges, those that touch or overlap joined, by link in the order in which the links first come."""
    by_link: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
    for parent in parents:
        ranges = by_link.setdefault((parent.link, parent.incarnation, parent.generation), [])
        ranges.append((parent.first_sequence, parent.last_sequence))
    return [Brood(*link, first, last) for link, ranges in by_link.items() for first, last in _joined(ranges)]


def _joined(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges that touch or overlap as one; empty ones only where there is nothing else."""
    held = sorted({(first, last) for first, last in ranges if last >= first})
    if not held:
        yield ranges[0]
        return
    begin, end = held[0]
    for first, last in held[1:]:
        if first > end + 1:
            yield begin, end
            begin = first
        end = max(end, last)
    yield begin, end


def _members(brood: Brood, family: _Family) -> Iterator[Ancestor]:
    if brood.last - brood.first < len(family):
        keys = ((brood.link, sequence) for sequence in range(brood.first, brood.last + 1))
        yield from (family[key] for key in keys if key in family)
        return
    for (link, sequence), ancestor in family.items():
        if link == brood.link and brood.first <= sequence <= brood.last:
            yield ancestor


def about_values(brood: Brood, envelopes: Sequence[Envelope], maker: Sequence[str]) -> str:
    """How much a brood is, who made it, and when; `envelopes` are those of its values that are known."""
    if not envelopes:
        return "" if brood.last < brood.first else "(not told)"
    parts = [counted(sum(envelope.rows for envelope in envelopes), "row")]
    missing = brood.last - brood.first + 1 - len(envelopes)
    if missing:
        parts[0] += f" in {counted(len(envelopes), 'value')} ({missing:,} more not told)"
    return ", ".join([*parts, *maker, moment_text(max(envelope.created_at_ns for envelope in envelopes))])


def by_task(envelope: Envelope, *, full_digests: bool) -> str:
    """Which version of which task made a value."""
    if is_dead_link(envelope.link):
        return "by linkd, as a dead letter"
    return f"by {envelope.task} {envelope.task_version if full_digests else envelope.task_version[:DIGEST_SHOWN_CHARS]}".rstrip()


def _maker(members: Sequence[Ancestor], *, full_digests: bool) -> list[str]:
    """Who made these values: a task of some version, or the rows of a file."""
    if not members:
        return []
    envelope = members[0].envelope
    if is_dead_link(envelope.link) or (envelope.task and not envelope.task.startswith(SOURCE_PREFIX)):
        return [by_task(envelope, full_digests=full_digests)]
    source = members[0].source
    attributes = {**(source.attributes if source is not None else {}), **envelope.attributes}
    if "file" not in attributes and source is None:
        return ["by somebody outside the pipeline"]
    file = printable(attributes.get("file", "its source"))
    digest = source.digest if source is not None else envelope.task_version
    shown = digest if full_digests else digest[:DIGEST_SHOWN_CHARS]
    return [f"from {file}", *_rows_of_file([member.envelope for member in members]), *([f"blake3 {shown}"] if shown else [])]


def _rows_of_file(envelopes: Sequence[Envelope]) -> list[str]:
    for first_name, last_name, what in _PLACES:
        numbers = [
            (int(each.attributes[first_name]), int(each.attributes[last_name]))
            for each in envelopes
            if each.attributes.get(first_name, "").isdecimal() and each.attributes.get(last_name, "").isdecimal()
        ]
        if numbers:
            first, last = min(first for first, _ in numbers), max(last for _, last in numbers)
            return [f"{what} {first:,}" if first == last else f"{what}s {first:,} to {last:,}"]
    return []


def _key(envelope: Envelope) -> tuple[str, int]:
    """Sequences go on through incarnations (and a generation may have values of several): what is there has no other of its number."""
    return envelope.link, envelope.position.sequence
