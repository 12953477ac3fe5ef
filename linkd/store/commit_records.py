"""Everything that is known of commits, in the order of the journal: what `_commits/` has, and behind it what only the journal says. Blocking.

It may be read while the journal is written, and while its oldest files go: a file goes only when `_commits/` says what it said of commits, so
whoever finds one gone looks there again, behind what he has. The chain goes on through the rows that are in the journal only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
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
    """One reading. `until_lsn` is a frame up to which the journal is written, with the end of a group."""

    def __init__(self, files: Files, directory: Path, journal: JournalReader, until_lsn: int) -> None:
        self._files = files
        self._directory = directory
        self._journal = journal
        self._until_lsn = until_lsn
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
        first = next((index for index, lsn in enumerate(lsns) if lsn > self._seen_lsn), len(lsns))
        self._chain = batch.column("chain")[-1].as_py() if lsns else self._chain
        if first < len(lsns):
            self._seen_lsn = lsns[-1]
            yield batch.slice(first).replace_schema_metadata(None)

    def _journaled(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        rows = self._rows()
        while batch := list(islice(rows, CATALOG_BATCH_VALUES)):
            made = pa.RecordBatch.from_pylist(batch, schema=commit_schema())
            yield made
            self._seen_lsn, self._chain = batch[-1]["lsn"], batch[-1]["chain"]

    def _rows(self) -> Iterator[dict[str, Any]]:
        chain = self._chain
        for header, frame in self._journal.frames(self._seen_lsn, self._until_lsn + 1):
            records = decode_frame(frame.records, header.number, frame.payload_offset)
            for record in records:
                row = commit_row(frame.lsn, record, records)
                if row is not None:
                    row["chain"] = chain = next_chain(chain, frame.lsn, row["record"])
                    yield row

    def _numbers(self) -> list[int]:
        return sorted(number for name in self._files.list(self._directory) if (number := file_number(name)) is not None)
