"""What the work beside the commits stands on: the parts of one store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from linkd.store.catalog import Catalog
from linkd.store.commit_log import CommitLog
from linkd.store.copying import Copier
from linkd.store.files import Files
from linkd.store.holdings import Holdings
from linkd.store.journal import Journal
from linkd.store.journal_reader import JournalReader
from linkd.store.open_files import OpenFiles
from linkd.store.segment_format import directory_name, file_name
from linkd.store.segments import SegmentWriter
from linkd.store.store_limits import StoreLimits


@dataclass(frozen=True, slots=True)
class Ground:
    """See the head of the file."""

    files: Files
    checkpoints: Path
    envelopes: Path
    segments_directory: Path
    limits: StoreLimits
    holdings: Holdings
    catalog: Catalog
    journal: Journal
    reader: JournalReader
    segments: SegmentWriter
    open_files: OpenFiles
    copier: Callable[[], Copier]
    commits: CommitLog

    def delete_segments(self, link: str, numbers: list[int]) -> None:
        """Delete these files of a link, of which some may be gone already; durably."""
        directory = self.segments_directory / directory_name(link)
        there = self.files.list(directory)
        names = [name for number in numbers if (name := file_name(number)) in there]
        for name in names:
            self.files.unlink(directory / name)
            self.open_files.forget(directory / name)
        self.segments.let_go(link, numbers)
        if names:
            self.files.sync_directory(directory)
