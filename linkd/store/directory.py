"""The directory of a store, and the file that says what it is.

`format.json`: `{"format": "linkd store", "version": 1, "id": "<32 hexadecimal digits>", "linkd": "0.3.0"}`. The id is random and tells two
stores apart (the catalog of one is not taken for the other's); `linkd` is the version that made or upgraded the directory (of before it said so: no
such key). It is written aside, synced and renamed, after the folders beside it exist.

`restoring`, an empty file: what is beside it is half a backup. `linkd restore` makes it first and deletes it last; until then the directory is no
store.

**Formats.** One number stands for everything in the directory. linkd reads the newest it knows and the one before (`FORMATS`); a directory of that
one stays as it is, so that the linkd before can go on with it, until `upgrade` takes it one step further.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from importlib import metadata
from pathlib import Path

from linkd.errors import StateForeign
from linkd.model.frozen import frozen
from linkd.store.files import Files

FORMAT = "linkd store"
FORMAT_VERSION = 1
FORMAT_FILE = "format.json"
RESTORING_FILE = "restoring"
JOURNAL = "journal"
SEGMENTS = "segments"
CHECKPOINTS = "checkpoints"
ENVELOPES = "envelopes"
STAGING = "staging"
CATALOG_FILE = "catalog.db"

_FORMAT_FILE_MAX_BYTES = 4_096
_ASIDE_SUFFIX = ".new"

Step = Callable[[Files, Path], None]
"""Makes of a directory of one format one of the next. May be interrupted, and is then done again from its beginning."""


@frozen()
class Format:
    """What `format.json` says. `written_by` is the linkd that made or upgraded the directory, "" where it does not say."""

    version: int
    id: str
    written_by: str = ""


@frozen()
class Formats:
    """The formats that a linkd reads, from `oldest` to `newest`, and the step from each to the next. New directories have the newest."""

    newest: int
    oldest: int
    steps: Mapping[int, Step] = field(default_factory=dict)


FORMATS = Formats(newest=FORMAT_VERSION, oldest=1)


def open_directory(files: Files, directory: Path, new_id: str, formats: Formats = FORMATS) -> str:
    """Make `directory` a store unless it is one; returns its id (`new_id` if it is new). The parent of `directory` must exist.

    Raises `StateForeign` if it is another version's store, or holds a journal but does not say what it is.
    """
    _check_restored(files, directory)
    if FORMAT_FILE in files.list(directory):
        store_id = read_format(files, directory, formats).id
        _make_folders(files, directory)  # a directory of before there were checkpoints lacks some
        if not files.list(directory / JOURNAL):  # whoever made it may have ended before the names were durable
            files.sync_directory(directory)
            files.sync_directory(directory.parent)
        return store_id
    if files.list(directory / JOURNAL):
        raise StateForeign(
            f"{directory} holds a journal but no {FORMAT_FILE}: it is not a store of linkd, or the file was deleted. "
            "Choose another directory"
        )
    files.make_directory(directory)
    files.sync_directory(directory.parent)
    _make_folders(files, directory)
    _write(files, directory, Format(formats.newest, new_id, linkd_version()))
    return new_id


def read_format(files: Files, directory: Path, formats: Formats = FORMATS) -> Format:
    """What the directory says it is. Raises `StateForeign` if it is none of linkd's, or of a version that this linkd does not read."""
    path = directory / FORMAT_FILE
    _check_restored(files, directory)
    if path.name not in files.list(directory):
        raise StateForeign(f"{directory} is no directory of linkd's: it has no {FORMAT_FILE}. Nothing was changed")
    found = _read(files, path)
    if not formats.oldest <= found.version <= formats.newest:
        reads = f"{formats.oldest} to {formats.newest}" if formats.oldest < formats.newest else str(formats.newest)
        writer = f", written by linkd {found.written_by}" if found.written_by else ""
        newer = found.version > formats.newest
        remedy = "upgrade linkd" if newer else "open it with a linkd between the two, `linkd upgrade` it there, then come back"
        raise StateForeign(
            f"{directory} has format version {found.version}{writer}; this is linkd {linkd_version()}, which reads version {reads}: {remedy}"
        )
    return found


def _check_restored(files: Files, directory: Path) -> None:
    if RESTORING_FILE in files.list(directory):
        raise StateForeign(f"{directory} holds a part of a backup: `linkd restore` was interrupted there. Run it again: it begins anew")


def format_is_damaged(files: Files, directory: Path) -> bool:
    """Whether there is a journal, but what says of the directory that it is linkd's is not there or not readable."""
    if not files.list(directory / JOURNAL):
        return False
    try:
        return FORMAT_FILE not in files.list(directory) or not _read(files, directory / FORMAT_FILE).id
    except StateForeign:
        return True


def upgrade(files: Files, directory: Path, formats: Formats = FORMATS) -> tuple[int, int]:
    """Take the directory to the newest format, step by step; returns the versions it had and has. Nobody else may have it open."""
    found = read_format(files, directory, formats)
    for version in range(found.version, formats.newest):
        formats.steps[version](files, directory)
        _write(files, directory, Format(version + 1, found.id, linkd_version()))
    return found.version, formats.newest


def rewrite_format(files: Files, directory: Path, store_id: str) -> None:
    """Say again what the directory is, where `format.json` is damaged."""
    _write(files, directory, Format(FORMAT_VERSION, store_id, linkd_version()))


def linkd_version() -> str:
    """The installed version of linkd, or `source` when it runs from a tree that is not installed."""
    try:
        return metadata.version("linkd")
    except metadata.PackageNotFoundError:
        return "source"


def _make_folders(files: Files, directory: Path) -> None:
    there = files.list(directory)
    missing = [name for name in (JOURNAL, SEGMENTS, CHECKPOINTS, ENVELOPES, STAGING) if name not in there]
    for name in missing:
        files.make_directory(directory / name)
    if missing:
        files.sync_directory(directory)


def _write(files: Files, directory: Path, said: Format) -> None:
    aside = directory / f"{FORMAT_FILE}{_ASIDE_SUFFIX}"
    if aside.name in files.list(directory):
        files.unlink(aside)
    content = {"format": FORMAT, "version": said.version, "id": said.id, "linkd": said.written_by}
    file = files.create(aside)
    try:
        file.pwrite(json.dumps(content).encode() + b"\n", 0)
        file.datasync()
    finally:
        file.close()
    files.sync_directory(directory)
    files.rename(aside, directory / FORMAT_FILE)
    files.sync_directory(directory)


def _read(files: Files, path: Path) -> Format:
    file = files.open(path)
    try:
        content = file.pread(_FORMAT_FILE_MAX_BYTES, 0)
    finally:
        file.close()
    try:
        said = json.loads(content)
    except ValueError as problem:
        raise StateForeign(
            f"{path} cannot be read: {problem}. The directory is not a store of linkd, or the file is damaged: then `linkd repair` writes it again"
        ) from problem
    if not isinstance(said, dict) or said.get("format") != FORMAT or not isinstance(said.get("id"), str):
        raise StateForeign(f"{path} does not describe a store of linkd. Choose another directory")
    version, written_by = said.get("version"), said.get("linkd", "")
    if not isinstance(version, int) or not isinstance(written_by, str):
        raise StateForeign(f"{path} does not say which version of linkd's format the directory has. Choose another directory")
    return Format(version, said["id"], written_by)
