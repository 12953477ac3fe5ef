"""The artifact store on a real file system."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from blake3 import blake3

from linkd.core.file_lists import FileList, ListedFile
from linkd.errors import InvalidArgument, LinkNotFound, Overloaded, StateDamaged, StorageFull
from linkd.limits import ARTIFACT_CHUNK_BYTES, ARTIFACT_LEASE_S, ARTIFACT_PACKED_MAX_BYTES
from linkd.model.artifacts import ArtifactKept
from linkd.store.artifacts.incoming import IncomingArtifact
from linkd.store.artifacts.store import ArtifactStore
from linkd.store.files import LocalFiles
from linkd.testing.artifact_conformance import ArtifactConformance, content_of, whole
from linkd.testing.faulty_files import FaultyFiles


class OnDisk:
    """The store as the suite wants it."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self.artifacts = artifacts

    async def put(self, pieces: Sequence[bytes], digest: bytes = b"") -> ArtifactKept:
        incoming = await self.artifacts.begin(sum(map(len, pieces)))
        for piece in pieces:
            incoming.write(piece)
        return await self.artifacts.keep(incoming, digest=digest)

    async def find(self, digest: bytes) -> ArtifactKept | None:
        return self.artifacts.find(digest)

    def read(self, digest: bytes, start: int = 0, end: int | None = None) -> AsyncIterable[bytes]:
        return self.artifacts.read(digest, start, end)


@asynccontextmanager
async def opened(directory: Path, quota_bytes: int = 2**40) -> AsyncIterator[OnDisk]:
    artifacts = ArtifactStore.open(directory / "artifacts", LocalFiles())
    artifacts.start(asyncio.get_running_loop(), quota_bytes=lambda: quota_bytes)
    try:
        yield OnDisk(artifacts)
    finally:
        await artifacts.close()


class TestConformance(ArtifactConformance):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def store(self):  # type: ignore[no-untyped-def]
        return opened(self.directory)


SMALL, LARGE = content_of(900), content_of(ARTIFACT_PACKED_MAX_BYTES + 70_000)


async def test_artifacts_outlive_their_store(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        kept = [await store.put([content]) for content in (SMALL, LARGE)]
        held_bytes = store.artifacts.held_bytes
    async with opened(tmp_path) as store:
        assert [await whole(store.read(one.digest)) for one in kept] == [SMALL, LARGE]
        assert store.artifacts.held_bytes == held_bytes == len(SMALL) + len(LARGE)
        assert not store.artifacts.index_is_new


async def test_a_lost_index_is_made_again_from_the_packs(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        kept = [await store.put([content]) for content in (SMALL, LARGE)]
    for name in ("index.db", "index.db-wal", "index.db-shm"):
        (tmp_path / "artifacts" / name).unlink(missing_ok=True)
    orphan = tmp_path / "artifacts/whole" / bytes(32).hex()
    orphan.write_bytes(b"nobody was told of it")
    async with opened(tmp_path) as store:
        assert store.artifacts.index_is_new
        assert [await whole(store.read(one.digest, 5)) for one in kept] == [SMALL[5:], LARGE[5:]]
        assert store.artifacts.held_bytes == len(SMALL) + len(LARGE)
    assert not orphan.exists()


async def test_a_home_without_artifacts_has_no_trace_of_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert await store.find(bytes(32)) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["packed", "whole"])
async def test_a_flipped_bit_never_leaves_and_its_artifact_is_set_aside(tmp_path: Path, content: bytes) -> None:
    async with opened(tmp_path) as store:
        kept = await store.put([content])
        other = await store.put([b"another one"])
    path = next((tmp_path / "artifacts").glob("whole/*" if content is LARGE else "packs/*"))
    data = bytearray(path.read_bytes())
    data[data.index(content[-100:]) + 50] ^= 4
    path.write_bytes(data)
    async with opened(tmp_path) as store:
        told: list[str] = []
        store.artifacts.on_damage = told.append
        with pytest.raises(StateDamaged, match=kept.digest.hex()):
            await whole(store.read(kept.digest))
        assert kept.digest.hex() in told[0]
        assert await store.find(kept.digest) is None
        assert (tmp_path / "quarantine" / f"artifact-{kept.digest.hex()}").exists()
        assert await whole(store.read(other.digest)) == b"another one"
        assert await store.put([content]) == kept
        assert await whole(store.read(kept.digest)) == content


async def test_the_checksums_of_pieces_are_made_again_where_they_are_lost(tmp_path: Path) -> None:
    content = content_of(2 * ARTIFACT_CHUNK_BYTES + 9)
    async with opened(tmp_path) as store:
        digest = (await store.put([content])).digest
    (tmp_path / "artifacts/index.db").unlink()
    path = tmp_path / "artifacts/whole" / digest.hex()
    for damaged in (False, True):
        if damaged:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        async with opened(tmp_path) as store:
            if not damaged:
                assert await whole(store.read(digest, 10, 20)) == content[10:20]
                continue
            assert await whole(store.read(digest, 10, 20)) == content[10:20]  # the piece that it lies in is whole
            with pytest.raises(StateDamaged):
                await whole(store.read(digest))


async def test_what_was_used_least_makes_room_but_never_what_is_named_or_in_hand(tmp_path: Path) -> None:
    now_s = [0.0]
    contents = [content_of(100_000, seed) for seed in range(10)]
    artifacts = ArtifactStore.open(tmp_path / "artifacts", LocalFiles(), now_s=lambda: now_s[0])
    artifacts.start(asyncio.get_running_loop(), quota_bytes=lambda: 1_000_000)
    store = OnDisk(artifacts)
    try:
        digests = [(await store.put([content])).digest for content in contents]
        with pytest.raises(Overloaded, match="does not fit"):
            await store.put([content_of(100_000, 11)])  # all of them were put just now
        now_s[0] += 2 * ARTIFACT_LEASE_S
        artifacts.named([("files", 7, digests[0])])
        artifacts.touch(digests[1])
        with artifacts.pinned(digests[2]):
            await store.put([content_of(100_000, 12)])
        there = [await store.find(digest) is not None for digest in digests]
        assert there[:3] == [True, True, True]
        assert not there[3]
        assert there[5:] == [True] * 5
        artifacts.name_no_more([("files", 1, 7)])
        now_s[0] += 2 * ARTIFACT_LEASE_S
        with pytest.raises(Overloaded):
            await artifacts.begin(1_000_001)
        await store.put([content_of(950_000, 13)])
        assert [await store.find(digest) for digest in digests] == [None] * 10
        assert len(list((tmp_path / "artifacts/packs").iterdir())) == 1
    finally:
        await artifacts.close()


async def test_small_content_is_taken_at_once_unless_that_takes_waiting(tmp_path: Path) -> None:
    async with opened(tmp_path, quota_bytes=3_000) as store:
        artifacts, first, second = store.artifacts, content_of(1_000, 1), content_of(1_000, 2)
        assert artifacts.keep_at_once(first) is None  # there is no directory yet
        assert (await store.put([first])).size_bytes == 1_000
        found = artifacts.keep_at_once(first)
        assert found is not None
        assert found.done()
        written = artifacts.keep_at_once(second)
        assert written is not None
        assert artifacts.keep_at_once(second) is None  # it is under way
        same = asyncio.create_task(store.put([second]))
        assert await written == await same == ArtifactKept(blake3(second).digest(), 1_000, False)
        assert await whole(store.read(found.result().digest)) == first
        assert await whole(store.read(written.result().digest)) == second
        assert artifacts.keep_at_once(content_of(1_500, 3)) is None  # others have to make room for it
        assert artifacts.held_bytes == 2_000


async def test_small_content_that_cannot_be_written_is_refused_and_may_be_put_again(tmp_path: Path) -> None:
    files = FaultyFiles()
    files.make_directory(Path("/home"))
    artifacts = ArtifactStore.open(Path("/home/artifacts"), files, index_path=tmp_path / "index.db")
    artifacts.start(asyncio.get_running_loop(), thread=False)
    await OnDisk(artifacts).put([content_of(1_000, 1)])
    content = content_of(1_000, 2)
    files.fill(0)
    refused = artifacts.keep_at_once(content)
    assert refused is not None
    with pytest.raises(StorageFull):
        await refused
    files.fill(None)
    await asyncio.sleep(0)
    written = artifacts.keep_at_once(content)
    assert written is not None
    assert await whole(artifacts.read((await written).digest)) == content
    await artifacts.close()
    with pytest.raises(LinkNotFound):
        await whole(artifacts.read(written.result().digest))
    assert artifacts.keep_at_once(content) is None


async def test_a_pack_file_that_is_mostly_empty_is_copied(tmp_path: Path) -> None:
    now_s = [0.0]
    artifacts = ArtifactStore.open(tmp_path / "artifacts", LocalFiles(), now_s=lambda: now_s[0])
    artifacts.pack_file_max_bytes = 300_000
    artifacts.start(asyncio.get_running_loop(), quota_bytes=lambda: 1_000_000)
    store = OnDisk(artifacts)
    try:
        digests = [(await store.put([content_of(90_000, seed)])).digest for seed in range(10)]
        artifacts.named([("files", 1, digests[1])])
        now_s[0] += 2 * ARTIFACT_LEASE_S
        await store.put([content_of(500_000)])
        assert await whole(store.read(digests[1])) == content_of(90_000, 1)
        assert "00000001.pack" not in {path.name for path in (tmp_path / "artifacts/packs").iterdir()}
    finally:
        await artifacts.close()
    (tmp_path / "artifacts/index.db").unlink()
    async with opened(tmp_path) as store:
        assert await whole(store.read(digests[1])) == content_of(90_000, 1)


async def test_a_directory_keeps_the_files_that_it_names(tmp_path: Path) -> None:
    now_s = [0.0]
    artifacts = ArtifactStore.open(tmp_path / "artifacts", LocalFiles(), now_s=lambda: now_s[0])
    artifacts.start(asyncio.get_running_loop(), quota_bytes=lambda: 100_000)
    store = OnDisk(artifacts)
    try:
        named = FileList((ListedFile("a/b.txt", len(SMALL), blake3(SMALL).digest()),)).encoded()
        with pytest.raises(LinkNotFound, match=r"a/b\.txt"):
            await artifacts.keep(await _incoming(artifacts, named), is_directory=True)
        await store.put([SMALL])
        listed = await artifacts.keep(await _incoming(artifacts, named), is_directory=True)
        assert listed.is_directory
        artifacts.named([("files", 1, listed.digest)])
        now_s[0] += 2 * ARTIFACT_LEASE_S
        await store.put([content_of(90_000)])
        assert await whole(store.read(blake3(SMALL).digest())) == SMALL
    finally:
        await artifacts.close()


async def test_what_is_no_list_of_a_directory_is_not_kept_as_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for content in (
            b"",
            b"{}",
            b"[1]",
            b'{"linkd":"directory","version":1,"files":[{"path":"../x","size":1,"digest":"00"}],"folders":[]}',
        ):
            with pytest.raises(InvalidArgument):
                await store.artifacts.keep(await _incoming(store.artifacts, content), is_directory=True)


async def test_an_upload_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for content in (SMALL, LARGE):
            incoming = await store.artifacts.begin(len(content) + 1)
            incoming.write(content)
            with pytest.raises(InvalidArgument, match="announced"):
                await store.artifacts.keep(incoming)
            assert await store.find(blake3(content).digest()) is None
        abandoned = await store.artifacts.begin(len(LARGE))
        abandoned.write(LARGE[:-1])
        with pytest.raises(InvalidArgument, match="more came"):
            abandoned.write(b"12")
    async with opened(tmp_path):
        assert not list((tmp_path / "artifacts/aside").iterdir())


async def _incoming(artifacts: ArtifactStore, content: bytes) -> IncomingArtifact:
    incoming = await artifacts.begin(len(content))
    incoming.write(content)
    return incoming
