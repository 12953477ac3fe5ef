"""The directory of a store, and the file that says what it is.

`format.json`, written once: `{"format": "linkd store", "version": 1, "id": "<32 hexadecimal digits>"}`. The id is
random and tells two stores apart (the catalog of one is not taken for the other's). It is written aside, synced and
renamed, after the folders beside it exist.
"""

from __future__ import annotations

import json
from pathlib import Path

from linkd.errors import StateForeign
from linkd.store.files import Files

FORMAT = "linkd store"
FORMAT_VERSION = 1
FORMAT_FILE = "format.json"
JOURNAL = "journal"
SEGMENTS = "segments"
CHECKPOINTS = "checkpoints"
ENVELOPES = "envelopes"
STAGING = "staging"
CATALOG_FILE = "catalog.db"

_FORMAT_FILE_MAX_BYTES = 4_096


def open_directory(files: Files, directory: Path, new_id: str) -> str:
    """Make `directory` a store unless it is one; returns its id (`new_id` if it is new). The parent of `directory` must exist.

    Raises `StateForeign` if it is another version's store, or holds a journal but does not say what it is.
    """
    if FORMAT_FILE in files.list(directory):
        store_id = _read(files, directory / FORMAT_FILE)
        _make_folders(files, directory)  # a directory of before there were checkpoints lacks some
        return store_id
    if files.list(directory / JOURNAL):
        raise StateForeign(
            f"{directory} holds a journal but no {FORMAT_FILE}: it is not a store of linkd, or the file was deleted. "
            "Choose another directory"
        )
    files.make_directory(directory)
    files.sync_directory(directory.parent)
    _make_folders(files, directory)
    _write(files, directory, new_id)
    return new_id


def _make_folders(files: Files, directory: Path) -> None:
    there = files.list(directory)
    missing = [name for name in (JOURNAL, SEGMENTS, CHECKPOINTS, ENVELOPES, STAGING) if name not in there]
    for name in missing:
        files.make_directory(directory / name)
    if missing:
        files.sync_directory(directory)


def _write(files: Files, directory: Path, store_id: str) -> None:
    aside = directory / f"{FORMAT_FILE}.new"
    if aside.name in files.list(directory):
        files.unlink(aside)
    content = json.dumps({"format": FORMAT, "version": FORMAT_VERSION, "id": store_id}).encode() + b"\n"
    file = files.create(aside)
    try:
        file.pwrite(content, 0)
        file.datasync()
    finally:
        file.close()
    files.sync_directory(directory)
    files.rename(aside, directory / FORMAT_FILE)
    files.sync_directory(directory)


def _read(files: Files, path: Path) -> str:
    file = files.open(path)
    try:
        content = file.pread(_FORMAT_FILE_MAX_BYTES, 0)
    finally:
        file.close()
    try:
        said = json.loads(content)
    except ValueError as problem:
        raise StateForeign(f"{path} cannot be read: {problem}. The directory is not a store of linkd") from problem
    if not isinstance(said, dict) or said.get("format") != FORMAT or not isinstance(said.get("id"), str):
        raise StateForeign(f"{path} does not describe a store of linkd. Choose another directory")
    if said.get("version") != FORMAT_VERSION:
        raise StateForeign(
            f"{path}: the store has version {said.get('version')}; this version of linkd reads version {FORMAT_VERSION}. "
            "Use the version of linkd that wrote it"
        )
    return str(said["id"])
