"""What the machine itself can do: nobody who hands data over is faster."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from side_by_side.batches import BATCH_BYTES
from side_by_side.role import done, play, ready

COPY_BLOCK_BYTES = 64 << 20
SYNC_EVERY_BYTES = 64 << 20
PIECE_BYTES = BATCH_BYTES
SMALL_BYTES = 100


def copy(size_bytes: int) -> None:
    """Memory to memory, one core, blocks larger than the caches, into pages that are there already."""
    source = np.random.default_rng(1).integers(0, 255, max(2 * COPY_BLOCK_BYTES, 1), dtype=np.uint8)
    target = np.zeros_like(source)
    began_ns = ready()
    for start in range(0, size_bytes, source.size):
        length = min(source.size, size_bytes - start)
        np.copyto(target[:length], source[:length])
    done(began_ns=began_ns, ended_ns=time.monotonic_ns())


def write(directory: str, size_bytes: int, sync: bool) -> None:
    """Into a file, a new one or (without syncs) what the page cache takes; with `sync` fdatasync behind every 64 MiB, and in the end."""
    source = np.random.default_rng(1).integers(0, 255, size_bytes, dtype=np.uint8)
    file = os.open(Path(directory) / "written", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    began_ns = ready()
    unsynced = 0
    for start in range(0, size_bytes, PIECE_BYTES):
        unsynced += os.write(file, source[start : start + PIECE_BYTES])
        if sync and unsynced >= SYNC_EVERY_BYTES:
            os.fdatasync(file)
            unsynced = 0
    if sync:
        os.fdatasync(file)
    done(began_ns=began_ns, ended_ns=time.monotonic_ns())


def sync_small(directory: str, count: int) -> None:
    """100 bytes appended to a file that has its room, and fdatasync, again and again."""
    file = os.open(Path(directory) / "appended", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.posix_fallocate(file, 0, max(count * SMALL_BYTES, 1 << 20))
    os.write(file, bytes(max(count * SMALL_BYTES, 1 << 20)))
    os.fsync(file)
    ready()
    took_ns = []
    for number in range(count):
        piece = os.urandom(SMALL_BYTES)
        began_ns = time.monotonic_ns()
        os.pwrite(file, piece, number * SMALL_BYTES)
        os.fdatasync(file)
        took_ns.append(time.monotonic_ns() - began_ns)
    done(took_ns=took_ns)


if __name__ == "__main__":
    play({role.__name__: role for role in (copy, write, sync_small)})
