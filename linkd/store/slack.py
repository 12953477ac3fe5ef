"""Which segment files take much more room than what is live in them, so that it is worth copying. Blocking."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from linkd.model.kept import SegmentFileHeld
from linkd.store.ground import Ground


def worth_copying(ground: Ground, links: Collection[str], closed: Iterable[tuple[str, int]]) -> Iterator[tuple[str, SegmentFileHeld]]:
    """Files of these links that are mostly free, and shared files, of those that were `closed`, that were not filled by half.

    None that its writer will use again: that comes free as a whole.
    """
    left = {(link, file.file): file for link, file in ground.holdings.partly_spent() if link in links}
    for key, file in left.items():
        if not ground.shared.is_in_use(*key) and _is_mostly_free(ground, key[0], file):
            yield key[0], file
    for link, number in closed:
        held = ground.holdings.file(link, number)
        if (
            held is not None
            and held.closed
            and not ground.shared.is_in_use(link, number)
            and 2 * held.end < _size_bytes(ground, link, number)
        ):
            yield link, held


def _is_mostly_free(ground: Ground, link: str, file: SegmentFileHeld) -> bool:
    """What is live in it begins in its second half."""
    if file.end < ground.limits.segment_roll_min_bytes:
        return False
    first = ground.holdings.first_live(link, file.first_sequence)
    found = next(ground.catalog.in_file(link, file.file, first, file.last_sequence), None)
    return found is not None and 2 * found[1].offset > file.end


def _size_bytes(ground: Ground, link: str, number: int) -> int:
    """As it was made; 0 if it is not there (a power cut may have taken a volatile one)."""
    path = ground.path(link, number)
    return ground.files.size(path) if path.name in ground.files.list(path.parent) else 0
