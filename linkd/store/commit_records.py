"""Everything that is known of commits, in the order of the journal: what `_commits/` has, and behind it what only the journal says. Blocking.

It may be read while the journal is written, and while its oldest files go: a file goes only when `_commits/` says what it said of commits, so
whoever finds one gone looks there again, behind what he has. The chain goes on through the rows that are in the journal only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkd.errors import StateDamaged
from linkd.limits import CATALOG_BATCH_VALUES
from linkd.store.commit_log import CHAIN_START, file_name, file_number, next_chain, read_file
from linkd.store.commit_rows import commit_row, commit_schema
from linkd.store.files import Files
from linkd.store.journal_reader import JournalReader
from linkd.wire.frames import decode_frame

if TYPE_CHECKING:
    import pyarrow as pa


class CommitRecords:
    """One reading. `until_lsn` is a frame up to which the journal is written, with the end of a group; a batch has some `rows`."""

    def __init__(self, files: Files, directory: Path, journal: JournalReader, until_lsn: int, rows: int = CATALOG_BATCH_VALUES) -> None:
        self._files = files
        self._directory = directory
        self._journal = journal
        self._until_lsn = until_lsn
        self._rows = rows
        self._seen_lsn = 0
        self._seen_file = 0
        self._chain = CHAIN_START

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Rows as `store.commit_log` describes them. Raises `StateDamaged` if what is there is not what was written."""
        while True:
            oldest = self._journal.oldest
            yield from self._kept()
            if self._journal.oldest != oldest:
                continue
            try:
                yield from self._journaled()
            except StateDamaged:
                if self._journal.oldest == oldest:
                    raise
                continue
            return

    def _kept(self) -> Iterator[pa.RecordBatch]:
        """What the files of `_commits/` have that was not seen."""
        for number in self._numbers():
            if number <= self._seen_file:
                continue
            try:
                _, batches = read_file(self._files, self._directory / file_name(number))
            except StateDamaged:
                if number in self._numbers():
                    raise
                continue  # it was too old, and went this moment
            for batch in batches:
                yield from self._unseen(batch)
            self._seen_file = number

    def _unseen(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        lsns = batch.column("lsn").to_pylist()
        first, end = bisect_right(lsns, self._seen_lsn), bisect_right(lsns, self._until_lsn)
        if first < end:
            self._seen_lsn, self._chain = lsns[end - 1], batch.column("chain")[end - 1].as_py()
            yield batch.slice(first, end - first).replace_schema_metadata(None)

    def _journaled(self) -> Iterator[pa.RecordBatch]:
        batch: list[dict[str, Any]] = []
        for rows in self._frames():
            batch += rows
            if len(batch) >= self._rows:
                yield self._made(batch)
                batch = []
        if batch:
            yield self._made(batch)

    def _made(self, rows: list[dict[str, Any]]) -> pa.RecordBatch:
        import pyarrow as pa

        for row in rows:
            row["chain"] = self._chain = next_chain(self._chain, row["lsn"], row["record"])
        self._seen_lsn = rows[-1]["lsn"]
        return pa.RecordBatch.from_pylist(rows, schema=commit_schema())

    def _frames(self) -> Iterator[list[dict[str, Any]]]:
        """The rows of each frame behind what was seen."""
        last_lsn = self._until_lsn
        for header, frame in self._journal.frames(self._seen_lsn):
            last_lsn = frame.lsn
            if last_lsn > self._until_lsn:
                return
            records = decode_frame(frame.records, header.number, frame.payload_offset)
            yield [row for record in records if (row := commit_row(frame.lsn, record, records)) is not None]
        if last_lsn < self._until_lsn:
            raise StateDamaged(f"the journal ends with frame {last_lsn}, but {self._until_lsn} was written: the disk has lost it")

    def _numbers(self) -> list[int]:
        return sorted(number for name in self._files.list(self._directory) if (number := file_number(name)) is not None)
