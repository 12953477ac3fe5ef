"""What each system has for making bytes durable, as far as one system can try it; `tests/e2e/test_portable.py` has the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linkd.durability import begin_sync, full_sync, sync_data, sync_directory

F_FULLFSYNC_OF_MACOS = 51


def test_files_and_directories_are_synced(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb", buffering=0) as file:
        file.write(b"kept")
        sync_data(file.fileno())
    sync_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "gone")


def test_a_sync_that_is_begun_changes_nothing_and_refuses_nothing(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb", buffering=0) as file:
        file.write(b"kept")
        begin_sync(file.fileno(), 0, 4)
        begin_sync(file.fileno(), 4, 1_000_000)
        sync_data(file.fileno())
    begin_sync(-1, 0, 1)
    assert (tmp_path / "f").read_bytes() == b"kept"


def test_a_volume_that_has_no_full_sync_gets_an_ordinary_one(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb", buffering=0) as file:
        file.write(b"kept")
        full_sync(F_FULLFSYNC_OF_MACOS)(file.fileno())
    assert (tmp_path / "f").read_bytes() == b"kept"


@pytest.mark.parametrize("sync", [sync_data, full_sync(F_FULLFSYNC_OF_MACOS)])
def test_a_sync_that_fails_is_told(sync: object, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    os.close(descriptor)
    assert callable(sync)
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync(descriptor)
