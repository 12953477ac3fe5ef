"""A copy of a directory that says of itself that it is whole, and the way back. A home may have the directory open meanwhile.

    backup.json   {"format": "linkd backup", "version": 1, "linkd": its version, "files": [{"path", "size_bytes", "blake3"}, ...]}
    beside it     the files of a store, as after a clean stop, with its index

What is taken is what the journal has when it is copied: first the newest checkpoint, then the journal, then what its frames name. Nothing of it
is deleted or moved meanwhile (`store.standstill`), so that the copy is what a power cut would leave; it is then opened once and closed, as after
one, synced, and read back for the manifest. That comes last: a copy without it is none. Keys and tokens, logs and locks are not part of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from linkd.errors import InvalidArgument, StateDamaged, StateForeign
from linkd.limits import BACKUP_MANIFEST_MAX_BYTES, STORE_READ_BYTES
from linkd.model.frozen import frozen
from linkd.model.records import ValueStored
from linkd.store import checkpoint_file
from linkd.store import directory as layout_of
from linkd.store.artifacts.naming import FOLDER, UPLOAD_SUFFIX
from linkd.store.files import Files
from linkd.store.holdings import Holdings
from linkd.store.offline.journal_scan import JournalScan
from linkd.store.segment_format import file_name
from linkd.store.standstill import standstill
from linkd.store.store import Store
from linkd.wire import arrow_ipc
from linkd.wire.frames import decode_frame

MANIFEST = "backup.json"
_FORMAT = "linkd backup"
_VERSION = 1
_PARTS = (layout_of.CHECKPOINTS, layout_of.JOURNAL, layout_of.SEGMENTS, layout_of.ENVELOPES, "_commits")
"""In this order: what a part names is copied behind it."""
_ARTIFACTS = tuple(f"{FOLDER}/{name}" for name in ("packs", "aside", "whole"))
"""Without their index, which the first start makes again: it asks the values then what they name."""

Progress = Callable[[str, int], None]


@frozen()
class BackedUp:
    """What a backup holds."""

    files: int
    size_bytes: int


def back_up(files: Files, directory: Path, target: Path, progress: Progress = lambda name, size_bytes: None) -> BackedUp:
    """Make a backup in `target`, which must not be there or be empty. Raises `InvalidArgument`, `StateForeign`, `StateDamaged`, `StorageFailed`."""
    layout_of.read_format(files, directory)
    if files.list(target):
        raise InvalidArgument(f"{target} is not empty: a backup goes into a directory of its own")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with standstill(directory):
        for part in _PARTS:
            ends = _ends(files, target) if part == layout_of.SEGMENTS else None
            _copy_tree(files, directory / part, target / part, progress, ends)
        for part in _ARTIFACTS:
            _copy_tree(files, directory / part, target / part, progress, may_go=True)
        _copy(files, directory / layout_of.FORMAT_FILE, target / layout_of.FORMAT_FILE, progress)
    asyncio.run(_settle(files, target))
    (target / "upkeep.lock").unlink(missing_ok=True)
    entries = [_entry(files, target, path) for path in _files_in(target)]
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        files.sync_directory(folder)
    _write_manifest(files, target, entries)
    return BackedUp(len(entries), sum(entry["size_bytes"] for entry in entries))


def restore(files: Files, source: Path, directory: Path, progress: Progress = lambda name, size_bytes: None) -> BackedUp:
    """Put a backup in the place of a state directory that has no state yet, when all of it was found to be what was backed up.

    Raises `StateForeign` for what is no whole backup, `StateDamaged` naming the file that has changed, `InvalidArgument` if there is state.
    """
    entries = read_manifest(files, source)
    is_half = layout_of.RESTORING_FILE in files.list(directory)
    taken = [name for name in (layout_of.FORMAT_FILE, layout_of.CATALOG_FILE, FOLDER, *_PARTS) if (directory / name).exists()]
    if taken and not is_half:
        raise InvalidArgument(
            f"{directory} has state already ({', '.join(taken)}): nothing is overwritten. Move it away, or name another directory"
        )
    for entry in entries:
        progress(entry["path"], 0)
        if not (source / entry["path"]).is_file() or _entry(files, source, source / entry["path"]) != entry:
            raise StateDamaged(f"{source / entry['path']} is not what was backed up. Nothing was restored; take another backup")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = directory / layout_of.RESTORING_FILE
    if not is_half:
        files.create(mark).close()
        files.sync_directory(directory)
    for name in taken:  # of a restore that was interrupted
        _delete(files, directory / name)
    for entry in entries:
        target = directory / entry["path"]
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _copy(files, source / entry["path"], target, progress)
        files.sync_directory(target.parent)
    for folder in [directory, *(path for path in directory.rglob("*") if path.is_dir())]:
        files.sync_directory(folder)
    files.unlink(mark)
    files.sync_directory(directory)
    return BackedUp(len(entries), sum(entry["size_bytes"] for entry in entries))


def read_manifest(files: Files, source: Path) -> list[dict[str, Any]]:
    """What is in a backup. Raises `StateForeign` if it is none, or was not finished."""
    if MANIFEST not in files.list(source):
        raise StateForeign(f"{source} is no backup, or one that was not finished: it has no {MANIFEST}. Nothing was restored")
    file = files.open(source / MANIFEST)
    try:
        said = json.loads(file.pread(BACKUP_MANIFEST_MAX_BYTES, 0))
        version, entries = said["version"], said["files"]
        checked = [{"path": str(one["path"]), "size_bytes": int(one["size_bytes"]), "blake3": str(one["blake3"])} for one in entries]
    except (ValueError, KeyError, TypeError) as problem:
        raise StateDamaged(f"{source / MANIFEST} cannot be read: {problem}. Nothing was restored; take another backup") from problem
    finally:
        file.close()
    if said.get("format") != _FORMAT or version != _VERSION:
        raise StateForeign(f"{source / MANIFEST} is of version {version}, written by linkd {said.get('linkd')}: restore it with that linkd")
    if any(path.is_absolute() or ".." in path.parts for path in (Path(str(one["path"])) for one in checked)):
        raise StateForeign(f"{source / MANIFEST} names files outside of the backup: it is not linkd's. Nothing was restored")
    return checked


async def _settle(files: Files, target: Path) -> None:
    """Open the copy once: what was on its way is cut off, the index is made, all is folded, the journal sealed."""
    store = Store.open(target, files, catalog_path=target / layout_of.CATALOG_FILE)
    for _ in store.replay():
        pass
    store.start(asyncio.get_running_loop(), thread=False)
    store.fold()
    await store.close()


def _files_in(directory: Path) -> Iterator[Path]:
    yield from sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)


def _entry(files: Files, directory: Path, path: Path) -> dict[str, Any]:
    """A file as the manifest has it; what was read is synced."""
    digest, at = blake3(), 0
    file = files.open(path)
    try:
        while piece := file.pread(STORE_READ_BYTES, at):
            digest.update(piece)
            at += len(piece)
        file.datasync()
    finally:
        file.close()
    return {"path": str(path.relative_to(directory)), "size_bytes": at, "blake3": digest.hexdigest()}


def _delete(files: Files, path: Path) -> None:
    """A file, or a folder with all that is in it."""
    if path.is_dir():
        for name in files.list(path):
            _delete(files, path / name)
        path.rmdir()
    else:
        files.unlink(path)


def _ends(files: Files, target: Path) -> dict[tuple[str, str], int | None]:
    """The segment files (link and name) that the copied checkpoint and journal name, with how much of those that are made ahead is in use."""
    found = checkpoint_file.recover(files, target / layout_of.CHECKPOINTS).checkpoint
    holdings = Holdings(found.held)
    for header, frame in JournalScan(files, target / layout_of.JOURNAL).frames():
        for record in decode_frame(frame.records, header.number, frame.payload_offset) if frame.lsn > found.lsn else ():
            if isinstance(record, ValueStored):
                holdings.stored(record.envelope, record.place, shared=record.shared, volatile=record.volatile)
    held = [*holdings.files(), *holdings.leaving()]
    return {(link, file_name(file.file)): file.end + len(arrow_ipc.EOS) if file.shared else None for link, file in held}


def _copy_tree(
    files: Files,
    source: Path,
    target: Path,
    progress: Progress,
    ends: Mapping[tuple[str, str], int | None] | None = None,
    *,
    may_go: bool = False,
) -> None:
    """Copies what is there; of segments those that have `ends`, up to there. `may_go`: what gets another name meanwhile is copied under that."""
    target_made = False
    for name in files.list(source):
        if name.endswith(UPLOAD_SUFFIX):
            continue  # it has not come to its end
        if not target_made:
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
            target_made = True
        if (source / name).is_dir():
            _copy_tree(files, source / name, target / name, progress, ends)
        elif ends is None:
            try:
                _copy(files, source / name, target / name, progress)
            except StateDamaged:
                if not may_go or name in files.list(source):
                    raise
        elif (source.name, name) in ends:
            _copy(files, source / name, target / name, progress, ends[source.name, name])


def _copy(files: Files, source: Path, target: Path, progress: Progress, size_bytes: int | None = None) -> None:
    reading, writing = files.open(source), files.create(target)
    try:
        at = 0
        while piece := reading.pread(STORE_READ_BYTES if size_bytes is None else min(STORE_READ_BYTES, size_bytes - at), at):
            writing.pwrite(piece, at)
            at += len(piece)
            progress(source.name, len(piece))
        writing.datasync()
    finally:
        reading.close()
        writing.close()


def _write_manifest(files: Files, target: Path, entries: list[dict[str, Any]]) -> None:
    content = {"format": _FORMAT, "version": _VERSION, "linkd": layout_of.linkd_version(), "files": entries}
    aside = target / f"{MANIFEST}.new"
    file = files.create(aside)
    try:
        file.pwrite(json.dumps(content, indent=1).encode() + b"\n", 0)
        file.datasync()
    finally:
        file.close()
    files.sync_directory(target)
    files.rename(aside, target / MANIFEST)
    files.sync_directory(target)
    files.sync_directory(target.parent)
