"""Private directories of query processes below one parent, and the removal of those whose process was killed.

    PARENT/PID-RANDOM/       locked (flock) by its process for the process's life
    PARENT/.lock             locked while directories are made and removed

A lock ends with its process, whatever ends that; so a directory whose lock can be taken is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkd.errors import StorageFailed


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """A new directory below `parent` for the length of the block, gone behind it. Raises StorageFailed where the disk refuses."""
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(parent / ".lock"):
            _remove_abandoned(parent)
            directory = parent / f"{os.getpid()}-{secrets.token_hex(4)}"
            directory.mkdir(mode=0o700)
            descriptor = os.open(directory, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise StorageFailed(f"{parent} cannot hold the rows that a query reads: {error.strerror}; make room there") from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for directory in parent.iterdir():
        if not directory.is_dir():
            continue
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(directory, ignore_errors=True)
        finally:
            os.close(descriptor)
