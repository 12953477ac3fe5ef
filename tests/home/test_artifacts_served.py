"""Artifacts and files as values, over both roads, against a home in this process."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from blake3 import blake3

import linkd
import linkd.aio
from linkd.core.artifact_references import ATTRIBUTE, references_of
from linkd.errors import InvalidArgument, LinkNotFound, Overloaded
from linkd.limits import MIB
from linkd.testing.artifact_conformance import content_of
from linkd.testing.home import InProcessHome, running_home

SMALL, MIDDLE, LARGE = content_of(1_000), content_of(300_000), content_of(5 * MIB + 17)


@asynccontextmanager
async def served(directory: Path, **options: int) -> AsyncIterator[tuple[InProcessHome, linkd.aio.Client]]:
    async with (
        running_home(directory, **options) as home,  # type: ignore[arg-type]
        linkd.aio.connect(home.endpoint, timeout_s=10) as client,
    ):
        yield home, client


async def test_content_goes_in_and_comes_back_in_every_form(tmp_path: Path, road: str) -> None:
    async with served(tmp_path / "home") as (_, client):
        for content in (b"", SMALL, MIDDLE, LARGE):
            source = tmp_path / "source.bin"
            source.write_bytes(content)
            from_bytes = await client.put_artifact(content)
            from_path = await client.put_artifact(source)
            from_file = await client.put_artifact(io.BytesIO(b"xx" + content))
            assert from_bytes == from_path
            assert from_path.digest == blake3(content).hexdigest()
            assert (from_path.name, from_path.media_type, from_path.size_bytes) == ("source.bin", "application/octet-stream", len(content))
            assert await client.get_artifact(from_file, start=2) == content
            assert await client.get_artifact(from_path) == content
            target = tmp_path / "target.bin"
            assert await client.get_artifact(from_path.digest, target) == len(content)
            assert target.read_bytes() == content
            into = io.BytesIO()
            assert await client.get_artifact(from_path, into, start=len(content) // 2) == len(content) - len(content) // 2
            assert into.getvalue() == content[len(content) // 2 :]
        assert not [path for path in tmp_path.iterdir() if path.suffix == ".linkd-part"]


async def test_what_only_tells_its_end_when_it_comes_is_put_as_a_pipe_gives_it(tmp_path: Path, road: str) -> None:
    async with served(tmp_path / "home") as (_, client):
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb") as other_end:
            written = asyncio.create_task(asyncio.to_thread(lambda: (other_end.write(LARGE), other_end.close())))
            artifact = await client.put_artifact(pipe)
            await written
        assert artifact.digest == blake3(LARGE).hexdigest()


async def test_a_file_is_a_value(tmp_path: Path, road: str) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(LARGE)
    async with served(tmp_path / "home") as (home, client):
        ack = await client.publish("photos", linkd.File(photo), attributes={"by": "me"})
        assert ack.rows == 1
        (row,) = await client.read("photos").rows()
        digest = blake3(LARGE).hexdigest()
        assert row == {"name": "photo.jpg", "size_bytes": len(LARGE), "media_type": "image/jpeg", "digest": digest, "is_directory": False}
        async for value in client.read("photos"):
            file = value.file()
            assert (file.name, file.size_bytes, file.media_type, file.digest) == ("photo.jpg", len(LARGE), "image/jpeg", digest)
            assert value.envelope.attributes["by"] == "me"
            assert await value.save(tmp_path / "saved.jpg") == tmp_path / "saved.jpg"
        assert (tmp_path / "saved.jpg").read_bytes() == LARGE
        with pytest.raises(InvalidArgument, match="no file"):
            await client.publish("rows", [{"x": 1}])
            async for value in client.read("rows"):
                value.file()
        await home.restart()
        assert await client.get_artifact(digest, start=5, end=9) == LARGE[5:9]


async def test_a_file_that_failed_too_often_stays_with_its_dead_letter(tmp_path: Path) -> None:
    async with served(tmp_path / "home") as (_, client):
        artifact = await client.put_artifact(MIDDLE, name="photo.jpg")
        await client.publish("photos", artifact)
        async for value in client.subscribe("photos", "group", max_attempts=1):
            await value.nack(reason="no photo")
            break
        async with asyncio.timeout(20):
            while not (letters := [letter async for letter in client.read("photos.dead")] if "photos.dead" in await links(client) else []):
                await asyncio.sleep(0.01)
        [named] = references_of(letters[0].envelope.attributes)
        assert (named.digest.hex(), named.name) == (artifact.digest, "")


async def links(client: linkd.aio.Client) -> set[str]:
    return {link.name for link in (await client.describe()).links}


async def test_a_directory_is_a_value(tmp_path: Path, road: str) -> None:
    folder = tmp_path / "model"
    (folder / "weights" / "empty").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "weights" / "a.bin").write_bytes(LARGE)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("config.json")
    async with served(tmp_path / "home") as (_, client):
        first = await client.put_artifact(folder)
        assert first == await client.put_artifact(folder)
        await client.publish("models", linkd.File(folder, media_type="application/x-model"))
        async for value in client.read("models"):
            assert value.file().is_directory
            assert value.file().size_bytes == len(LARGE) + 2 + 2 + 10
            await client.save(value, tmp_path / "got")
            with pytest.raises(InvalidArgument, match="is there already"):
                await client.save(value, tmp_path / "got")
        got = tmp_path / "got"
        assert (got / "weights/a.bin").read_bytes() == LARGE
        assert (got / "weights/empty").is_dir()
        assert (got / "link").read_text() == "{}"
        assert os.access(got / "run.sh", os.X_OK)
        assert not os.access(got / "config.json", os.X_OK)
        (folder / "out").symlink_to("/etc/passwd")
        with pytest.raises(InvalidArgument, match="out of the directory"):
            await client.put_artifact(folder)


async def test_a_value_that_names_what_is_not_there_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path / "home") as (_, client):
        await client.publish("files", [{"x": 1}])
        for said, error in (
            (f'[{{"digest":"{"0" * 64}","size":1,"name":"x"}}]', LinkNotFound),
            ('[{"digest":"00","size":1}]', InvalidArgument),
            ("{}", InvalidArgument),
            (f'[{{"digest":"{"0" * 64}","size":1,"name":"../x"}}]', InvalidArgument),
        ):
            with pytest.raises(error):
                await client.publish("files", [{"x": 1}], attributes={ATTRIBUTE: said})
        kept = await client.put_artifact(SMALL)
        with pytest.raises(InvalidArgument, match="something else"):
            await client.publish("files", [{"x": 1}], attributes={ATTRIBUTE: f'[{{"digest":"{kept.digest}","size":7}}]'})


async def test_the_synchronous_face_does_the_same(tmp_path: Path) -> None:
    async with running_home(tmp_path / "home") as home:

        def work() -> None:
            with linkd.connect(home.endpoint) as client:
                (tmp_path / "a.txt").write_bytes(SMALL)
                artifact = client.put_artifact(tmp_path / "a.txt")
                client.publish("files", artifact)
                (value,) = list(client.read("files"))
                assert value.save(tmp_path / "b.txt").read_bytes() == SMALL
                assert client.get_artifact(value.file(), end=3) == SMALL[:3]
                assert client.save(value, tmp_path / "c.txt").read_bytes() == SMALL
                contents = [content_of(50, seed) for seed in range(40)]
                kept = client.put_artifacts(contents)
                assert client.artifacts_there([*(one.digest for one in kept), "0" * 64]) == [one.digest for one in kept]

        await asyncio.to_thread(work)


async def test_there_is_no_more_than_the_quota(tmp_path: Path, road: str) -> None:
    async with served(tmp_path / "home", disk_budget_bytes=64 * MIB) as (_, client):
        with pytest.raises(Overloaded, match="does not fit"):
            await client.put_artifact(bytes(33 * MIB))
        await client.put_artifact(SMALL)
        with pytest.raises(InvalidArgument, match="cannot be read"):
            await client.put_artifacts([b"one", tmp_path / "nothing", b"two"])
