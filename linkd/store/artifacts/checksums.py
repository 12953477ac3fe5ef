"""Checksums of the pieces of a large artifact, so that a part of it is read without the rest.

    0   8   seed, random for each artifact: nobody who can write to the file knows how to change it unnoticed
    8   8n  XXH3-64 under that seed of each piece of `ARTIFACT_CHUNK_BYTES`, big-endian; the last one may be shorter

They say what the content was when it had its digest; the digest itself is looked at where they are not known, and by `linkd verify`.
"""

from __future__ import annotations

import os
from typing import Any

import xxhash

from linkd.limits import ARTIFACT_CHUNK_BYTES, ARTIFACT_HASHED_BYTES
from linkd.store.files import Bytes, File

_SEED_BYTES = 8
_SUM_BYTES = 8


class ContentHash:
    """Takes content in order, and knows its digest and the checksums of its pieces. `with_sums`: of a small one nobody needs these."""

    def __init__(self, *, with_sums: bool = True) -> None:
        self._whole = _blake3()
        self._seed = os.urandom(_SEED_BYTES) if with_sums else b""
        self._piece = self._new()
        self._sums: list[bytes] = []
        self.size_bytes = 0

    def _new(self) -> xxhash.xxh3_64:
        return xxhash.xxh3_64(seed=int.from_bytes(self._seed, "big"))

    def update(self, data: Bytes) -> None:
        """The next bytes."""
        self._whole.update(data)
        if self._seed:
            rest = memoryview(data)
            while rest:
                room = ARTIFACT_CHUNK_BYTES - (self.size_bytes + len(data) - len(rest)) % ARTIFACT_CHUNK_BYTES
                self._piece.update(rest[:room])
                if len(rest) >= room:
                    self._sums.append(self._piece.digest())
                    self._piece = self._new()
                rest = rest[room:]
        self.size_bytes += len(data)

    def update_from(self, file: File, start: int, end: int) -> None:
        """The bytes of a file from `start` to `end`, which are the next ones. Where the file ends before, so do they."""
        while start < end:
            data = file.pread(min(ARTIFACT_HASHED_BYTES, end - start), start)
            if not data:
                return
            self.update(data)
            start += len(data)

    @property
    def digest(self) -> bytes:
        """The BLAKE3 of what came."""
        found: bytes = self._whole.digest()
        return found

    @property
    def sums(self) -> bytes:
        last = [self._piece.digest()] if self.size_bytes % ARTIFACT_CHUNK_BYTES else []
        return b"".join((self._seed, *self._sums, *last))


def digest_of_content(content: Bytes) -> bytes:
    """Of an artifact that is in memory as a whole."""
    hashed = _blake3()
    hashed.update(content)
    found: bytes = hashed.digest()
    return found


def fits(sums: bytes, start: int, piece: Bytes) -> bool:
    """Whether this whole piece of an artifact, which begins at `start`, is what it was."""
    at = _SEED_BYTES + start // ARTIFACT_CHUNK_BYTES * _SUM_BYTES
    seed = int.from_bytes(sums[:_SEED_BYTES], "big")
    return sums[at : at + _SUM_BYTES] == xxhash.xxh3_64_digest(piece, seed=seed)


def _blake3() -> Any:
    from blake3 import blake3  # a home that keeps no artifacts does without

    return blake3()
