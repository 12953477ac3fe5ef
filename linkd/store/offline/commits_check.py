"""`_commits/`, read and held against its own checksums and its chain. Format: `store.commit_log`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linkd.errors import StateDamaged
from linkd.model.frozen import frozen
from linkd.store import commit_log
from linkd.store.files import Files
from linkd.store.offline.findings import Finding

_MEANING = "what these commits were is lost for audits and for `linkd trace`; no value and no cursor is lost by it"


@frozen()
class CommitsFault:
    """A file that is not what was written, or (`leads_on` is False) one that does not lead on from the one before."""

    path: Path
    what: str
    leads_on: bool = True

    @property
    def finding(self) -> Finding:
        return Finding(self.path, self.what, _MEANING)


def commit_files(files: Files, directory: Path) -> list[Path]:
    """The files of the commits of a store, the oldest first."""
    there = directory / commit_log.DIRECTORY
    return [there / name for name in sorted(files.list(there)) if commit_log.file_number(name) is not None]


def check_commits(files: Files, directory: Path) -> Iterator[CommitsFault]:
    """Reads all of them. A file that is gone when its turn comes is passed over: a home may have let it go."""
    chain: bytes | None = None
    for path in commit_files(files, directory):
        if path.name not in files.list(path.parent):
            continue
        try:
            start, batches = commit_log.read_file(files, path)
            end = commit_log.check_chain(batches, start)
        except StateDamaged:
            yield CommitsFault(path, "the records of commits are not what was written")
            chain = None
            continue
        if chain is not None and start != chain and not commit_log.says_lost(commit_log.content(files, path)):
            yield CommitsFault(path, "it does not lead on from the file before it: one between is gone, or was changed", leads_on=False)
        chain = end
