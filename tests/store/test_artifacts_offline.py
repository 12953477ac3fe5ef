"""Artifacts and the tools for a directory: verify, repair, backup and restore."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

import linkd.aio
from linkd.errors import LinkNotFound
from linkd.limits import MIB
from linkd.store.files import LocalFiles
from linkd.store.offline.backup import back_up, restore
from linkd.store.offline.repair_plan import plan_repair
from linkd.store.offline.repairing import carry_out
from linkd.store.offline.verification import verify
from linkd.testing.artifact_conformance import content_of
from linkd.testing.home import running_home

CONTENTS = [content_of(500), content_of(2 * MIB)]


async def filled(directory: Path) -> list[str]:
    """A directory with a small and a large artifact, each named by a value; their digests."""
    async with running_home(directory) as home, linkd.aio.connect(home.endpoint) as client:
        artifacts = [await client.put_artifact(content, name="some.bin") for content in CONTENTS]
        for artifact in artifacts:
            await client.publish("files", artifact)
    return [artifact.digest for artifact in artifacts]


def flip(directory: Path, content: bytes) -> Path:
    """Changes a bit of the artifact with this content."""
    for path in (directory / "artifacts").rglob("*"):
        if path.is_file() and path.suffix in (".pack", ""):
            data = bytearray(path.read_bytes())
            at = data.find(content[:64])
            if at >= 0:
                data[at + 70] ^= 1
                path.write_bytes(data)
                return path
    raise AssertionError


async def test_a_flip_anywhere_is_found_by_verify_and_what_is_whole_outlives_the_repair(tmp_path: Path) -> None:
    files = LocalFiles()
    digests = await filled(tmp_path / "home")
    assert verify(files, tmp_path / "home").damage == []
    changed = [flip(tmp_path / "home", content) for content in CONTENTS]
    found = verify(files, tmp_path / "home").damage
    assert [(finding.file, digest in finding.what) for finding, digest in zip(found, sorted(digests), strict=True)] == [
        (changed[digests.index(digest)], True) for digest in sorted(digests)
    ]
    await filled(tmp_path / "other")
    flip(tmp_path / "other", CONTENTS[1])
    plan = plan_repair(files, tmp_path / "other")
    assert any(digests[1] in note for note in plan.notes)
    await asyncio.to_thread(carry_out, files, tmp_path / "other", plan, "repair", time.time_ns())
    assert verify(files, tmp_path / "other").damage == []
    async with running_home(tmp_path / "other") as home, linkd.aio.connect(home.endpoint) as client:
        assert await client.get_artifact(digests[0]) == CONTENTS[0]
        with pytest.raises(LinkNotFound):
            await client.get_artifact(digests[1])
        assert (await client.put_artifact(CONTENTS[1])).digest == digests[1]
        assert home.home.artifacts.store._there is not None
        assert home.home.artifacts.store._there.index.names_anything


async def test_a_flip_in_the_index_is_found_and_the_index_made_again(tmp_path: Path) -> None:
    files = LocalFiles()
    digests = await filled(tmp_path / "home")
    index = tmp_path / "home/artifacts/index.db"
    data = bytearray(index.read_bytes())
    data[data.index(bytes.fromhex(digests[0])) + 5] ^= 1
    index.write_bytes(data)
    assert verify(files, tmp_path / "home").damage
    await asyncio.to_thread(carry_out, files, tmp_path / "home", plan_repair(files, tmp_path / "home"), "repair", time.time_ns())
    async with running_home(tmp_path / "home") as home, linkd.aio.connect(home.endpoint) as client:
        assert [await client.get_artifact(digest) for digest in digests] == CONTENTS


async def test_a_backup_has_the_artifacts_that_its_values_name(tmp_path: Path) -> None:
    files = LocalFiles()
    async with running_home(tmp_path / "home") as home, linkd.aio.connect(home.endpoint) as client:
        artifact = await client.put_artifact(CONTENTS[1], name="some.bin")
        await client.publish("files", artifact)
        await asyncio.to_thread(back_up, files, tmp_path / "home", tmp_path / "backup")
    restore(files, tmp_path / "backup", tmp_path / "restored")
    assert verify(files, tmp_path / "restored").damage == []
    async with running_home(tmp_path / "restored") as home, linkd.aio.connect(home.endpoint) as client:
        async for value in client.read("files"):
            assert (await value.save(tmp_path / "got.bin")).read_bytes() == CONTENTS[1]
        assert home.home.artifacts.store._there is not None
        assert home.home.artifacts.store._there.index.names_anything
