"""Bulk that was laid just now, in the pieces in which it came: for streams that go along with a link and are sent it as bytes.

To write it to a file and read it from there again costs a copy, a hash and two changes of threads. So it stays in memory until every stream that
goes along has had it, as long as there is room for it; a stream that is further behind reads the file. It goes along with a link from the first
bulk of it that it is sent; while none does, nothing is kept. Whoever needs the memory has it at once, also of what is being sent: the rest of
that comes from the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from linkd.home.budget import Budget, Share
from linkd.limits import DECODED_KEPT_MAX_BYTES, RECENT_KEPT_MAX_BYTES, STREAM_FRAME_MAX_BYTES
from linkd.model.values import Place, PlaceKind
from linkd.store.staging import Piece
from linkd.wire.arrow_ipc import PREFIX_BYTES

_Key = tuple[str, int, int]
"""Link, file, and where the body begins in it: nothing else ever lies there under this number of the file."""


@dataclass(slots=True, eq=False)
class Kept:
    """One message. `pieces` are none once it was dropped; `awaited` are the streams that have not been through with it."""

    pieces: Sequence[Piece]
    size_bytes: int
    awaited: int


class Recent:
    """Of one home. Belongs to its event loop."""

    def __init__(self, memory: Share) -> None:
        self._memory = memory
        self._along: Counter[str] = Counter()
        self._kept: dict[_Key, Kept] = {}

    def join(self, link: str) -> None:
        """A stream goes along with the link, until it leaves."""
        self._along[link] += 1

    def leave(self, link: str) -> None:
        """When the last one has left nobody will ask for what is kept."""
        self._along[link] -= 1
        if not self._along[link]:
            del self._along[link]
            for key in [key for key in self._kept if key[0] == link]:
                self._drop(key)

    def keep(self, link: str, file: int, body_offset: int, pieces: Sequence[Piece]) -> None:
        """This message was laid there. What came in other pieces than we would make is not kept, nor what there is no memory for, or for others."""
        if link not in self._along or self._memory.is_short or not _are_ours(pieces):
            return
        size_bytes = sum(map(len, pieces))
        while self._kept and self._memory.used_bytes + size_bytes > self._memory.size_bytes:
            self._drop(next(iter(self._kept)))
        if self._memory.try_take(size_bytes):
            self._kept[link, file, body_offset] = Kept([piece for piece in pieces if len(piece)], size_bytes, self._along[link])

    @contextmanager
    def given(self, link: str, place: Place) -> Iterator[Kept | None]:
        """The message of the value at this place for one stream, or None. It may be dropped at any await: look at its pieces again then."""
        key = link, place.file, place.offset + PREFIX_BYTES + place.metadata_bytes
        kept = self._kept.get(key) if place.kind is PlaceKind.SEGMENT else None
        try:
            yield kept
        finally:
            if kept is not None:
                kept.awaited -= 1
                if kept.awaited <= 0 and self._kept.get(key) is kept:
                    self._drop(key)

    def clear(self) -> None:
        """The memory is needed for something else."""
        for key in list(self._kept):
            self._drop(key)

    def _drop(self, key: _Key) -> None:
        kept = self._kept.pop(key)
        kept.pieces = ()
        self._memory.give(kept.size_bytes)


def _are_ours(pieces: Sequence[Piece]) -> bool:
    """Whether they may go out as they came: none too large for a frame, and not many more of them than we would make."""
    size_bytes = sum(map(len, pieces))
    return len(pieces) <= 2 + 2 * size_bytes // STREAM_FRAME_MAX_BYTES and all(len(piece) <= STREAM_FRAME_MAX_BYTES for piece in pieces)


class KeptPayloads:
    """What a home keeps of payloads because it may be asked for soon: values `decoded` for windows of rows, and `recent` bulk."""

    def __init__(self, memory: Budget) -> None:
        self.decoded = memory.share(DECODED_KEPT_MAX_BYTES)
        self.recent = Recent(memory.share(RECENT_KEPT_MAX_BYTES))
        memory.spare = self.recent.clear
