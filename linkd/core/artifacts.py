"""What is decided about artifacts: where one lies, which part of one was asked for, which go when room is short, what nobody may let go of. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from linkd.errors import InvalidArgument
from linkd.limits import ARTIFACT_CHUNK_BYTES, ARTIFACT_LEASE_S, ARTIFACT_PACK_LIVE_SHARE, ARTIFACTS_DISK_SHARE, ARTIFACTS_FREED_SHARE
from linkd.model.frozen import frozen

DIGEST_BYTES = 32
"""Of BLAKE3."""


def check_digest(digest: bytes) -> bytes:
    """The digest itself. Raises InvalidArgument for what is none."""
    if len(digest) != DIGEST_BYTES:
        raise InvalidArgument(
            f"the digest of an artifact has {DIGEST_BYTES} bytes, and this one {len(digest)}: it is the BLAKE3 of the content"
        )
    return digest


def digest_of(text: str) -> bytes:
    """The digest that people write in hexadecimal. Raises InvalidArgument."""
    try:
        return check_digest(bytes.fromhex(text))
    except ValueError:
        raise InvalidArgument(f"{text[:80]!r} is not the digest of an artifact: that is {2 * DIGEST_BYTES} hexadecimal digits") from None


def part_of(size_bytes: int, start: int, end: int | None) -> tuple[int, int]:
    """The bytes from `start` up to `end` of an artifact of this size, or to its end. Raises InvalidArgument for what it does not have."""
    stop = size_bytes if end is None else end
    if not 0 <= start <= stop <= size_bytes:
        raise InvalidArgument(f"bytes {start:,} to {stop:,} were asked for of an artifact that has {size_bytes:,}")
    return start, stop


def pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    """A part of an artifact, cut where its pieces of `ARTIFACT_CHUNK_BYTES` begin."""
    while start < end:
        stop = min(end, start - start % ARTIFACT_CHUNK_BYTES + ARTIFACT_CHUNK_BYTES)
        yield start, stop
        start = stop


def quota_bytes(disk_budget_bytes: int) -> int:
    """What artifacts may take of the disk budget of their home."""
    return int(disk_budget_bytes * ARTIFACTS_DISK_SHARE)


def excess_bytes(held_bytes: int, coming_bytes: int, quota: int) -> int:
    """How much has to go for so much to come; somewhat more than is needed, so that not every upload has to ask."""
    needed = held_bytes + coming_bytes - quota
    return needed + int(quota * ARTIFACTS_FREED_SHARE) if needed > 0 else 0


def is_worth_copying(live_bytes: int, size_bytes: int) -> bool:
    """Whether what is left of a pack file is so little that it goes into another one."""
    return live_bytes < size_bytes * ARTIFACT_PACK_LIVE_SHARE


@frozen()
class Candidate:
    """An artifact that no value names. `use` is the number of its last use."""

    digest: bytes
    size_bytes: int
    use: int


def going(candidates: Iterable[Candidate], stays: Callable[[Candidate], bool], excess: int) -> list[Candidate]:
    """Of what no value names, in the order of its last use, what goes so that `excess` bytes come free, or all that may."""
    chosen: list[Candidate] = []
    for one in candidates:
        if excess <= 0:
            break
        if not stays(one):
            chosen.append(one)
            excess -= one.size_bytes
    return chosen


@dataclass(slots=True)
class Uses:
    """Numbers the uses of artifacts, so that the least recently used is known without a clock; and what may not go now though no value names it:
    what is read or written at the moment, and what was in somebody's hands less than `ARTIFACT_LEASE_S` ago.

    Times are monotonic. Of the past only some marks are kept, however many uses there were. A start forgets them.
    """

    last: int = 0
    staged: Callable[[], Collection[bytes]] = tuple
    """What values name that are staged for a commit."""
    _pins: Counter[bytes] = field(default_factory=Counter)
    _marks: deque[tuple[float, int]] = field(default_factory=deque)
    """(when, number of the last use before), at most one for each `_MARK_S`."""

    def next(self, now_s: float) -> int:
        """The number of a use that is made now."""
        if not self._marks or now_s - self._marks[-1][0] >= _MARK_S:
            self._marks.append((now_s, self.last))
            self._forget(now_s)
        self.last += 1
        return self.last

    @contextmanager
    def pinned(self, digest: bytes) -> Iterator[None]:
        """It stays as long as the block runs."""
        self._pins[digest] += 1
        try:
            yield
        finally:
            self._pins[digest] -= 1
            if not self._pins[digest]:
                del self._pins[digest]

    def staying(self, now_s: float) -> Callable[[Candidate], bool]:
        """Which of those that no value names stay, as it is at this moment."""
        self._forget(now_s)
        since = self._marks[0][1] if self._marks else self.last
        kept = {*self._pins, *self.staged()}
        return lambda one: one.use > since or one.digest in kept

    def _forget(self, now_s: float) -> None:
        """Marks that are older than a lease."""
        while self._marks and now_s - self._marks[0][0] > ARTIFACT_LEASE_S + _MARK_S:
            self._marks.popleft()


_MARK_S = 1.0
