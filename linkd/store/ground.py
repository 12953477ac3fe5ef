"""What the work beside the commits stands on: the parts of one store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from linkd.model.frozen import frozen
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
from linkd.store.shared_files import SharedFiles
from linkd.store.store_limits import StoreLimits


@frozen()
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
    shared: SharedFiles
    copier: Callable[[], Copier]
    commits: CommitLog

    def path(self, link: str, number: int) -> Path:
        """A segment file."""
        return self.segments_directory / directory_name(link) / file_name(number)

    def delete_segments(self, link: str, numbers: list[int]) -> None:
        """These files of a link, of which some may be gone already, are segments no more; durably."""
        directory = self.segments_directory / directory_name(link)
        there = self.files.list(directory)
        left = [number for number in numbers if file_name(number) in there]
        for number in left:
            self.shared.let_go(link, number, directory / file_name(number))
        self.segments.let_go(link, numbers)
        if left:
            self.files.sync_directory(directory)
