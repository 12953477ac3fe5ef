"""What every store of artifacts must do: a suite of tests to be inherited by the tests of one.

    class TestMyStore(ArtifactConformance):
        @asynccontextmanager
        async def store(self) -> AsyncIterator[ArtifactStore]: ...

A store takes content in any pieces, knows it by its BLAKE3, gives any part of it, and never a wrong byte.
"""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from collections.abc import AsyncIterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest
from blake3 import blake3

from linkd.errors import Conflict, InvalidArgument, LinkNotFound
from linkd.limits import ARTIFACT_CHUNK_BYTES, ARTIFACT_PACKED_MAX_BYTES
from linkd.model.artifacts import ArtifactKept

SIZES = (0, 1, 7, 8, 9, 1_000, ARTIFACT_PACKED_MAX_BYTES - 1, ARTIFACT_PACKED_MAX_BYTES, ARTIFACT_PACKED_MAX_BYTES + 1)
LARGE_SIZES = (ARTIFACT_CHUNK_BYTES - 1, ARTIFACT_CHUNK_BYTES, ARTIFACT_CHUNK_BYTES + 1, 3 * ARTIFACT_CHUNK_BYTES + 5)


class ArtifactStore(Protocol):
    """As much of a store as the suite needs."""

    async def put(self, pieces: Sequence[bytes], digest: bytes = b"") -> ArtifactKept:
        """Keeps the content that these pieces are, one behind the other. Raises Conflict if it has not the digest that was said."""
        ...

    async def find(self, digest: bytes) -> ArtifactKept | None: ...

    def read(self, digest: bytes, start: int = 0, end: int | None = None) -> AsyncIterable[bytes]:
        """Raises LinkNotFound for what is not there, InvalidArgument for bytes that it does not have."""
        ...


def content_of(size_bytes: int, seed: int = 0) -> bytes:
    """Bytes that are no others' by chance."""
    return random.Random(f"{seed}/{size_bytes}").randbytes(size_bytes)


async def whole(pieces: AsyncIterable[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


class ArtifactConformance:
    """See the head of the file."""

    @abstractmethod
    def store(self) -> AbstractAsyncContextManager[ArtifactStore]:
        """An empty store."""

    async def test_content_of_any_size_comes_back_as_it_was_put(self) -> None:
        async with self.store() as store:
            for size_bytes in (*SIZES, *LARGE_SIZES):
                content = content_of(size_bytes)
                kept = await store.put(_cut(content, 300_000))
                assert (kept.digest, kept.size_bytes) == (blake3(content).digest(), size_bytes)
                assert await whole(store.read(kept.digest)) == content
                assert await store.find(kept.digest) == kept

    async def test_any_part_of_it_is_given(self) -> None:
        async with self.store() as store:
            for size_bytes in (1_000, *LARGE_SIZES):
                content, chance = content_of(size_bytes), random.Random(size_bytes)
                digest = (await store.put([content])).digest
                parts = [sorted((chance.randint(0, size_bytes), chance.randint(0, size_bytes))) for _ in range(20)]
                for start, end in [*parts, [0, 0], [size_bytes, size_bytes], [size_bytes - 1, size_bytes]]:
                    assert await whole(store.read(digest, start, end)) == content[start:end]
                assert await whole(store.read(digest, size_bytes // 2)) == content[size_bytes // 2 :]

    async def test_bytes_that_it_does_not_have_are_refused(self) -> None:
        async with self.store() as store:
            digest = (await store.put([b"hello"])).digest
            for start, end in ((0, 6), (6, None), (3, 2), (-1, 2)):
                with pytest.raises(InvalidArgument):
                    await whole(store.read(digest, start, end))

    async def test_content_with_another_digest_than_was_said_is_not_kept(self) -> None:
        async with self.store() as store:
            for size_bytes in (10, ARTIFACT_PACKED_MAX_BYTES + 10):
                content = content_of(size_bytes)
                with pytest.raises(Conflict, match=blake3(content).hexdigest()):
                    await store.put([content], digest=blake3(b"something else").digest())
                assert await store.find(blake3(content).digest()) is None

    async def test_what_is_no_digest_is_refused(self) -> None:
        async with self.store() as store:
            for digest in (b"", bytes(31), bytes(33)):
                with pytest.raises(InvalidArgument, match="32 bytes"):
                    await store.find(digest)

    async def test_what_is_not_there_is_not_found(self) -> None:
        async with self.store() as store:
            assert await store.find(bytes(32)) is None
            with pytest.raises(LinkNotFound):
                await whole(store.read(bytes(32)))

    async def test_the_same_content_is_kept_once_however_often_and_at_once_it_is_put(self) -> None:
        async with self.store() as store:
            for size_bytes in (500, ARTIFACT_PACKED_MAX_BYTES + 500):
                content = content_of(size_bytes)
                kept = await asyncio.gather(*[store.put(_cut(content, 1_000 + 37 * turn)) for turn in range(8)])
                assert len(set(kept)) == 1
                assert await whole(store.read(kept[0].digest)) == content

    async def test_many_are_put_at_once(self) -> None:
        async with self.store() as store:
            contents = [content_of(700, seed) for seed in range(300)]
            kept = await asyncio.gather(*[store.put([content]) for content in contents])
            for one, content in zip(kept, contents, strict=True):
                assert await whole(store.read(one.digest)) == content


def _cut(content: bytes, piece_bytes: int) -> list[bytes]:
    return [content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes)]
