"""The index, held against what the files say of the same values. What is wrong with it is never a loss: it can be made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.offline.catalog_scan import CatalogScan, IndexedValue, IndexUnreadable
from linkd.store.offline.findings import INDEX_ONLY, Finding, Verification


class IndexCheck:
    """`open`; then `saw` each value of the journal, `compare` each there is, at last `check_rows`. Without a readable index all do nothing.

    Findings go to `found`.
    """

    def __init__(self, path: Path, store_id: str, found: Verification) -> None:
        self._path = path
        self._store_id = store_id
        self._found = found
        self._index: CatalogScan | None = None
        self._applied_lsn = 0
        self._matched = 0
        self._late: set[tuple[str, int, int]] = set()

    def open(self, checkpoint_lsn: int, copied_file: int) -> None:
        """See whether it can be read, and whether it is of the same time as the rest."""
        if not self._path.exists():
            self._harmless("there is no index", "the next start makes it")
            return
        try:
            self._index = CatalogScan(self._path, running=self._found.running)
            meta = self._index.meta()
        except IndexUnreadable as problem:
            self._give_up(problem)
            return
        if meta is None or meta.store_id != self._store_id:
            self._give_up("what it says of itself is not what was written, or it is another directory's")
            return
        self._found.files += 1
        self._found.size_bytes += self._path.stat().st_size
        if self._found.running:
            return
        self._applied_lsn = meta.applied_lsn
        if meta.applied_lsn < checkpoint_lsn or meta.journal_from != copied_file + 1:
            self._harmless("the index is of an earlier time than the rest", "the next start brings it up to date")
            self.close()

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    def saw(self, lsn: int, envelope: Envelope) -> None:
        """The journal has this value. What came behind the last frame of the index need not be in it: the next start enters that."""
        if self._index is not None and lsn > self._applied_lsn:
            self._late.add(_position(envelope))

    def compare(self, envelope: Envelope, place: Place, lsn: int) -> None:
        """What the files say of a value, and its row. `lsn` is that of its frame, 0 if it is not known."""
        if self._index is None or lsn > self._applied_lsn or _position(envelope) in self._late:
            return
        try:
            row = self._index.value(_position(envelope))
        except IndexUnreadable as problem:
            self._give_up(problem)
            return
        if row is None:
            self._damage(f"there is no whole row of {envelope.name}", envelope.link)
            return
        if place.kind is not PlaceKind.DROPPED:
            self._matched += 1
        if (row.envelope, row.place) != (envelope, place):
            self._damage(f"the row of {envelope.name} says otherwise than the files", envelope.link)

    def in_frames(self, first_lsn: int, last_lsn: int) -> list[IndexedValue]:
        """What it knows of these frames."""
        try:
            return self._index.in_frames(first_lsn, last_lsn) if self._index is not None else []
        except IndexUnreadable:
            return []

    def in_segment(self, link: str, file: int) -> Mapping[int, tuple[Envelope, Place]]:
        """What it knows of a segment file."""
        try:
            return self._index.in_segment(link, file) if self._index is not None else {}
        except IndexUnreadable:
            return {}

    def check_rows(self, is_live: Callable[[Envelope], bool]) -> None:
        """Every row by itself, their number, and SQLite's structures."""
        if self._index is None:
            return
        payloads = 0
        try:
            for name, value in self._index.rows():
                self._found.rows += 1
                if value is None:
                    self._damage(f"the row of {name} does not fit its checksum")
                elif value.place.kind is not PlaceKind.DROPPED and is_live(value.envelope):
                    payloads += 1
            if self._found.running:
                return
            if payloads > self._matched and not self._found.damage:
                self._damage(f"it has {payloads - self._matched} rows of values that the files do not have")
            for fault in self._index.faults():
                self._damage(fault)
        except IndexUnreadable as problem:
            self._give_up(problem)

    def _give_up(self, what: object) -> None:
        self._damage(str(what))
        self.close()

    def _damage(self, what: str, link: str = "") -> None:
        self._found.findings.append(Finding(self._path, what, INDEX_ONLY, link=link))

    def _harmless(self, what: str, meaning: str) -> None:
        self._found.findings.append(Finding(self._path, what, meaning, harmless=True))


def _position(envelope: Envelope) -> tuple[str, int, int]:
    return envelope.link, envelope.position.incarnation, envelope.position.sequence
