"""Upkeep stands still while somebody copies the directory: a lock between the home's thread and another process, on a file of its own.

    upkeep.lock      held (flock) shared by a home while its upkeep works, and alone by whoever copies
    the directory    held alone by whoever copies or waits for that: upkeep that is always at it would never let the other one in

What is left going then only appends: journal and segments grow, and nothing that was there is deleted or moved. The lock is of the open file, so
it ends with the process that holds it, whatever happens; meanwhile the journal grows by what is committed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = "upkeep.lock"


@contextmanager
def working(directory: Path) -> Iterator[bool]:
    """Whether upkeep may work as long as the block runs. Waits for nobody."""
    descriptor = _open(directory)
    try:
        yield _taken(directory, descriptor)
    finally:
        os.close(descriptor)


def _taken(directory: Path, descriptor: int) -> bool:
    """Takes the lock for upkeep, unless somebody copies or waits for it."""
    turn = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(turn, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(turn)
    return True


@contextmanager
def standstill(directory: Path) -> Iterator[None]:
    """Upkeep does nothing as long as the block runs; waits for the end of what it is at, which takes seconds at most."""
    descriptor = _open(directory)
    turn = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
        os.close(turn)


def _open(directory: Path) -> int:
    return os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
