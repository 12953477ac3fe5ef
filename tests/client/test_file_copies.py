"""Copies from file to file, hashed behind: the digest is that of what stands in the target, whatever happens to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blake3 import blake3

from linkd.client.file_copies import HashedBehind, copied
from linkd.errors import StorageFailed, StorageFull
from linkd.limits import ARTIFACT_HASHED_BYTES

CONTENT = os.urandom(3 * ARTIFACT_HASHED_BYTES + 17)


@contextmanager
def opened(path: Path | str, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_the_digest_is_that_of_what_was_copied_in_whatever_steps(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    for step in (1 << 16, len(CONTENT), 2 * len(CONTENT)):
        with opened(tmp_path / "source") as source, opened(tmp_path / "target") as target, HashedBehind(target) as hashed:
            os.ftruncate(target, 0)
            at = 0
            while more_bytes := copied(source, target, at, step):
                at += more_bytes
                hashed.reached(at)
            assert hashed.digest() == blake3(CONTENT).digest()
        assert (tmp_path / "target").read_bytes() == CONTENT


def test_what_the_kernel_does_not_copy_is_read_and_written(tmp_path: Path) -> None:
    with opened("/dev/zero", os.O_RDONLY) as source, opened(tmp_path / "target") as target:
        assert copied(source, target, 0, 5_000) == 5_000
    assert (tmp_path / "target").read_bytes() == bytes(5_000)


def test_a_target_that_is_cut_off_meanwhile_has_another_digest(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(CONTENT[:100])
    with opened(tmp_path / "target") as target, HashedBehind(target) as hashed:
        hashed.reached(len(CONTENT))
        assert hashed.digest() == blake3(CONTENT[:100]).digest()


def test_nothing_has_the_digest_of_nothing_and_a_hash_that_is_left_ends(tmp_path: Path) -> None:
    with opened(tmp_path / "target") as target:
        with HashedBehind(target) as hashed:
            assert hashed.digest() == blake3(b"").digest()
        with HashedBehind(target):
            pass


def test_what_cannot_be_copied_or_read_says_why(tmp_path: Path) -> None:
    with opened(tmp_path, os.O_RDONLY) as folder, opened(tmp_path / "target") as target:
        with pytest.raises(StorageFailed, match="an artifact cannot be copied: Is a directory"):
            copied(folder, target, 0, 10)
        with HashedBehind(folder) as hashed, pytest.raises(StorageFailed, match="Is a directory"):
            hashed.reached(10)
            hashed.digest()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_disk_that_is_full_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    with (
        opened(tmp_path / "source") as source,
        opened("/dev/full", os.O_WRONLY) as target,
        pytest.raises(StorageFull, match="No space left on device"),
    ):
        copied(source, target, 0, len(CONTENT))
