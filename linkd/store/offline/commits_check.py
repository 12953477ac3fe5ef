"""`_commits/`, read and held against its own chain; and what a repair puts in the place of what is damaged in it. Format: `store.commit_log`.

A file whose schema metadata have `linkd.lost` was written again by a repair: the chain before it is not known to lead on to it, and it says why.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linkd.errors import StateDamaged
from linkd.store import commit_log
from linkd.store.files import Files
from linkd.store.offline.findings import Finding

LOST_KEY = b"linkd.lost"
_MEANING = "which commits these were is lost, for audits and for `linkd trace` of what was dropped; values and cursors are whole as far as nothing else is said"


@dataclass(frozen=True, slots=True)
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
        except StateDamaged as damage:
            yield CommitsFault(path, f"it is not what was written: {damage}")
            chain = None
            continue
        if chain is not None and start != chain and not _says_lost(files, path):
            yield CommitsFault(path, "it does not lead on from the file before it: one between is gone, or was changed", leads_on=False)
        chain = end


def written_again(files: Files, path: Path, why: str) -> bytes:
    """The same rows, and in the metadata that what was before them is lost."""
    import pyarrow as pa

    reader = pa.ipc.open_stream(pa.py_buffer(_content(files, path)))
    schema = reader.schema.with_metadata({**(reader.schema.metadata or {}), LOST_KEY: why.encode()})
    written = io.BytesIO()
    with pa.ipc.new_stream(written, schema) as writer:
        for batch in reader:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    return written.getvalue()


def _says_lost(files: Files, path: Path) -> bool:
    import pyarrow as pa

    return LOST_KEY in (pa.ipc.open_stream(pa.py_buffer(_content(files, path))).schema.metadata or {})


def _content(files: Files, path: Path) -> bytes:
    file = files.open(path)
    try:
        return file.pread(file.size(), 0)
    finally:
        file.close()
