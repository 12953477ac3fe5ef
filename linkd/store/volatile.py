"""What a power cut may have taken of links whose durability is `memory`, though their frames are there."""

from __future__ import annotations

from collections.abc import Iterator

from linkd.model.values import PlaceKind
from linkd.store.catalog import Catalog
from linkd.store.holdings import Holdings


def volatile_values(holdings: Holdings, catalog: Catalog) -> list[tuple[str, int, int]]:
    """Link, first and last sequence of the values that lie in volatile files: those between the ends of one that lie nowhere else."""
    found = [(link, file) for link, file in holdings.files() if file.volatile]
    files = {(link, file.file) for link, file in found}
    values: list[tuple[str, int, int]] = []
    extents = sorted((link, file.first_sequence, file.last_sequence) for link, file in found)
    reached: dict[str, int] = {}
    for link, first, last in extents:  # those of two writers overlap
        values += _lying(catalog, files, link, max(first, reached.get(link, 0) + 1), last)
        reached[link] = max(last, reached.get(link, 0))
    return values


def _lying(catalog: Catalog, files: set[tuple[str, int]], link: str, first: int, last: int) -> Iterator[tuple[str, int, int]]:
    for envelope, place in catalog.values(link, first, last):
        if place.kind is PlaceKind.SEGMENT and (link, place.file) in files:
            continue
        sequence = envelope.position.sequence
        if sequence > first:
            yield link, first, sequence - 1
        first = sequence + 1
    if first <= last:
        yield link, first, last
