"""How durable a frame has to be before it is told, and what a start does where some of a weaker durability may be lost. Pure.

A frame is as durable as the strongest of the links it touches asks for, all parts of it: what a commit took may not be forgotten while what it
made is there, nor the other way round. Whatever is not about the values of links (runs, generations, tasks, drops) is always durable first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from linkd.core.ledger import Ledger
from linkd.model.records import (
    DigestKnown,
    Dropped,
    GroupFailed,
    GroupLeased,
    GroupMoved,
    HomeStarted,
    LinkOpened,
    PolicySaved,
    Record,
    SchemaKept,
    SnapshotCommitted,
    SnapshotLeased,
    SourceMoved,
    ValueStored,
)
from linkd.model.terms import AT_ONCE_S, NEVER_S, LinkTerms

LOST = "lost"
"""The reason of what a power cut may have taken, and whose durability promised no more."""
EVERY_LINK = "*"
"""Stands for all links, those to come too, where syncs have no effect. No link has this name."""


def sync_within_s(records: Iterable[Record], terms: Callable[[str], LinkTerms]) -> float:
    """Seconds from the ack of this frame to its sync at the latest: `AT_ONCE_S` if the sync comes first, `NEVER_S` if it needs none."""
    within_s, touched = NEVER_S, False
    for record in records:
        if isinstance(record, PolicySaved):  # goes with the commit beside it
            continue
        touched = True
        if isinstance(record, GroupLeased):  # the value is on its way already: what the power could take is that it was
            continue
        links = _links(record)
        if not links:
            return AT_ONCE_S
        for link in links:
            within_s = min(within_s, terms(link).sync_within_s)
    return within_s if touched else AT_ONCE_S


def bulk_within_s(records: Iterable[Record], terms: Callable[[str], LinkTerms]) -> float:
    """The same, for the payloads in the frame: what else it says (a seal, a drop) is no reason to make more of them durable than their links
    promise. What a power cut takes of them is told as lost at the next start, as it is of values in frames before."""
    return sync_within_s([record for record in records if _links(record)], terms)


def started(
    ledger: Ledger,
    *,
    boot: str,
    clean: bool,
    voided: bool,
    weak: Collection[str],
    now_ns: int,
    volatile: Iterable[tuple[str, int, int]] = (),
) -> list[Record]:
    """What a home records at its start: `weak` are the links with less than `fsync` (or `EVERY_LINK`), `boot` the machine's boot ("": unknown).

    Links that were weak before an unclean stop begin a new incarnation, behind what is there of them, unless it was on this very boot (the
    system keeps what a process has written) and nothing was void: values that somebody saw may be lost, and no other may take their positions.
    With that go the `volatile` values (link, first and last sequence), of which nobody knows what the disk has.
    """
    records: list[Record] = []
    kept_all = clean or (boot and boot == ledger.boot and not voided)
    for name, first, last in volatile if not kept_all else ():
        records += _lost(ledger, name, first, last, now_ns)
    before = ledger.links if EVERY_LINK in ledger.weak_links else ledger.weak_links
    for name in sorted(before) if not kept_all else ():
        link = ledger.links.get(name)
        if link is not None:
            records.append(LinkOpened(name, link.incarnation + 1, link.next_sequence, max(now_ns, link.last_created_at_ns)))
    names = tuple(sorted(weak))
    if records or ((names or ledger.weak_links) and (boot, names) != (ledger.boot, ledger.weak_links)):
        records.append(HomeStarted(boot, names))
    return records


def _lost(ledger: Ledger, name: str, first: int, last: int, now_ns: int) -> Iterator[Dropped]:
    """The records that drop these values, as far as there are such; one for each generation."""
    link = ledger.links.get(name)
    for generation in link.generations.values() if link is not None else ():
        of_it = max(first, generation.first_sequence), min(last, generation.last_sequence)
        if of_it[0] <= of_it[1]:
            yield Dropped(name, generation.incarnation, *of_it, LOST, dropped_at_ns=now_ns)


def _links(record: Record) -> Collection[str]:
    """The links whose values, or readers' places in them, a record is about; none if it is about something else."""
    if isinstance(record, ValueStored):
        return (record.envelope.link,)
    if isinstance(record, SchemaKept | SourceMoved | GroupMoved | GroupLeased | GroupFailed | DigestKnown):
        return (record.link,)
    if isinstance(record, SnapshotLeased):
        return {portion.link for portion in record.portions}
    if isinstance(record, SnapshotCommitted):
        return {portion.link for portion in record.portions} | {output.link for output in record.outputs}
    return ()
