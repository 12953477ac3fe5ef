"""What a start does with artifacts: brings the index up to date with the packs, and decides what each file in `aside/` is. Blocking.

Of an ordinary start that is the end of the newest pack file, and a folder that is empty. Only where the index is gone all packs are read, and the
names of all large artifacts.
"""

from __future__ import annotations

from pathlib import Path

from linkd.core.artifacts import Uses
from linkd.core.file_lists import file_list
from linkd.errors import InvalidArgument, StateDamaged
from linkd.limits import ARTIFACT_INDEX_BATCH
from linkd.store.artifacts.checksums import digest_of_content
from linkd.store.artifacts.index import ArtifactEntry, ArtifactIndex
from linkd.store.artifacts.naming import Paths, digest_in
from linkd.store.artifacts.packs import FoundRecord, Packs
from linkd.store.files import Files


def make_folders(files: Files, paths: Paths) -> None:
    """Durably."""
    for made in (paths.directory, paths.packs, paths.whole, paths.aside):
        files.make_directory(made)
    files.sync_directory(paths.directory)
    files.sync_directory(paths.directory.parent)


def recover(files: Files, paths: Paths, packs: Packs, index: ArtifactIndex, uses: Uses) -> None:
    """Raises StateDamaged for a damaged index, StorageFailed."""
    uses.last = index.last_use
    end = index.read_to
    for found in packs.found(index.read_to):
        end = found.pack, found.record.end
        if index.find(found.record.kept.digest) is None and (parts := _parts(files, paths, found)) is not None:
            uses.last += 1
            kept, is_whole = found.record.kept, found.record.is_whole
            index.add(ArtifactEntry(kept, found.pack, found.record.offset, is_whole, uses.last, parts=parts))
        if index.waiting >= ARTIFACT_INDEX_BATCH:
            index.write(end, ARTIFACT_INDEX_BATCH)
    while index.waiting and index.write(max(end, packs.end), ARTIFACT_INDEX_BATCH):
        pass
    _sort_out(files, paths, index)


def _parts(files: Files, paths: Paths, found: FoundRecord) -> tuple[bytes, ...] | None:
    """The files that it names, if it is the list of a directory; None for a record that says nothing: its content is not there."""
    kept, content = found.record.kept, found.content
    if content is None:
        path = _whole_path(files, paths, kept.digest, kept.size_bytes)
        if path is None or not kept.is_directory:
            return None if path is None else ()
        file = files.open(path)
        try:
            content = file.pread(kept.size_bytes, 0)
        finally:
            file.close()
    elif digest_of_content(content) != kept.digest:
        return None
    return parts_of(content) if kept.is_directory else ()


def parts_of(content: bytes) -> tuple[bytes, ...]:
    """The digests of the files that a directory's list names, each once."""
    try:
        return tuple(dict.fromkeys(one.digest for one in file_list(content).files))
    except InvalidArgument:  # it was looked at before it was kept; a later version may have lists of another kind
        return ()


def _whole_path(files: Files, paths: Paths, digest: bytes, size_bytes: int) -> Path | None:
    """Where a large artifact lies, complete."""
    for path in (paths.of_whole(digest), paths.on_its_way(digest)):
        try:
            if files.size(path) == size_bytes:
                return path
        except StateDamaged:  # it is not there
            continue
    return None


def _sort_out(files: Files, paths: Paths, index: ArtifactIndex) -> None:
    """What is in `aside/` goes where it belongs; of an index that was made again, so does what is in `whole/`."""
    changed = False
    for name in files.list(paths.aside):
        digest, changed = digest_in(name), True
        entry = index.find(digest) if digest is not None else None
        belongs = digest is not None and entry is not None and entry.is_whole and files.size(paths.aside / name) == entry.kept.size_bytes
        if digest is not None and belongs:
            files.rename(paths.aside / name, paths.of_whole(digest))
        else:
            files.unlink(paths.aside / name)
    if index.is_new:
        for name in files.list(paths.whole):
            digest = digest_in(name)
            if digest is None or index.find(digest) is None:
                files.unlink(paths.whole / name)
    if changed:
        files.sync_directory(paths.whole)
        files.sync_directory(paths.aside)
