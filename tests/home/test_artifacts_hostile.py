"""Artifacts and clients that mean ill, die in the middle, or come back; and what becomes of artifacts when values go."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from blake3 import blake3
from raw_client import RawClient, Stream, client_of, until

import linkd
import linkd.aio
from linkd.client.lane_artifacts import LaneArtifacts
from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.errors import Conflict, ConnectionFailed, Error, InvalidArgument, LinkNotFound, NotAllowed, Overloaded, StateDamaged
from linkd.limits import ARTIFACT_LEASE_S, ARTIFACT_UPLOAD_KEPT_S, ARTIFACTS_STAT_MAX, MIB, RETENTION_LOOK_INTERVAL_S
from linkd.model.terms import LinkTerms, Retain
from linkd.testing.artifact_conformance import content_of
from linkd.testing.clock import FakeClock
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import artifacts_pb2 as pb

LARGE = content_of(3 * MIB + 5)
LAYOUT = Layout("pipeline", {"files": LinkShape("files", "", terms=LinkTerms(retain=Retain(values=1)))}, {}, frozenset(["files"]))


def putting(client: RawClient) -> Stream:
    return client.stream(methods.PUT_ARTIFACT)


async def refused(client: RawClient, *messages: pb.PutArtifactRequest) -> Error:
    """What a stream of these messages, and no more, ends with."""
    stream = putting(client)
    for message in messages:
        await stream.write(message)
    await stream.done_writing()
    with pytest.raises(Error) as told:
        await stream.until_error()
    return told.value


def begin(**fields: object) -> pb.PutArtifactRequest:
    return pb.PutArtifactRequest(begin=pb.PutBegin(**fields))  # type: ignore[arg-type]


async def test_what_is_no_sound_upload_is_refused_and_leaves_nothing(open_home: InProcessHome) -> None:
    chunk = pb.PutArtifactRequest(chunk=LARGE[:MIB])
    async with client_of(open_home.endpoint) as client:
        for kind, messages in (
            (Conflict, [begin(size_bytes=3, data=b"abc", digest=bytes(32))]),
            (InvalidArgument, [begin(size_bytes=3, data=b"abc", digest=bytes(31))]),
            (InvalidArgument, [begin(size_bytes=2, data=b"abc")]),
            (InvalidArgument, [begin(size_bytes=4, data=b"abc")]),
            (InvalidArgument, [begin(size_bytes=2 * MIB), chunk, begin(size_bytes=1)]),
            (InvalidArgument, [begin(size_bytes=MIB), chunk, chunk]),
            (InvalidArgument, [chunk]),
            (InvalidArgument, [pb.PutArtifactRequest(written=3)]),
            (InvalidArgument, [begin(size_bytes=3, by_place=True)]),
            (InvalidArgument, [begin(unsized=True), chunk]),
            (InvalidArgument, [begin(size_bytes=3, upload_id=bytes(65))]),
            (InvalidArgument, [begin(size_bytes=3, data=b"abc", directory=True)]),
            (Overloaded, [begin(size_bytes=2**62)]),
        ):
            assert isinstance(await refused(client, *messages), kind), messages
        store = open_home.home.artifacts.store
        assert (store.held_bytes, store._coming_bytes) == (MIB, 0)  # one was whole before what came behind it
        assert not list((open_home.directory / "artifacts/aside").iterdir())


async def test_what_was_answered_before_a_refusal_stays(open_home: InProcessHome) -> None:
    async with client_of(open_home.endpoint) as client:
        stream = putting(client)
        for message in (begin(size_bytes=3, data=b"abc"), begin(size_bytes=0), begin(size_bytes=3, data=b"abc", digest=bytes(32))):
            await stream.write(message)
        await stream.done_writing()
        assert (await stream.read()).kept.digest == blake3(b"abc").digest()
        assert (await stream.read()).kept.size_bytes == 0
        with pytest.raises(Conflict):
            await stream.read()


async def test_what_is_asked_for_must_make_sense(open_home: InProcessHome) -> None:
    async with client_of(open_home.endpoint) as client, linkd.aio.connect(open_home.endpoint) as own:
        artifact = await own.put_artifact(b"hello")
        digest = bytes.fromhex(artifact.digest)
        for asked, kind in (
            (pb.GetArtifactRequest(digest=digest[:31]), InvalidArgument),
            (pb.GetArtifactRequest(digest=bytes(32)), LinkNotFound),
            (pb.GetArtifactRequest(digest=digest, start=6), InvalidArgument),
            (pb.GetArtifactRequest(digest=digest, start=3, end=2), InvalidArgument),
            (pb.GetArtifactRequest(digest=digest, end=2**63), InvalidArgument),
        ):
            stream = client.stream(methods.GET_ARTIFACT, asked)
            with pytest.raises(kind):
                await stream.until_error()
        with pytest.raises(InvalidArgument, match="at once"):
            await client.call(methods.STAT_ARTIFACTS, pb.StatArtifactsRequest(digests=[digest] * (ARTIFACTS_STAT_MAX + 1)))
        with pytest.raises(InvalidArgument, match="hexadecimal"):
            await own.get_artifact("../../etc/passwd")


async def test_an_upload_goes_on_where_it_stood(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_home(tmp_path / "home", clock=clock) as home, client_of(home.endpoint) as client:
        asked = {"size_bytes": len(LARGE), "upload_id": b"mine"}
        for number, name in enumerate((b"mine", b"forgotten"), 1):
            stream = putting(client)
            await stream.write(begin(**{**asked, "upload_id": name}))
            await stream.write(pb.PutArtifactRequest(chunk=LARGE[:MIB]))
            await until(lambda number=number: home.home.artifacts.store._coming_bytes == number * len(LARGE))
            stream.cancel()
            await until(lambda name=name: any(key[1] == name for key in home.home.artifacts._waiting))
        other = putting(client)
        await other.write(begin(**{**asked, "size_bytes": 7, "resume": True, "upload_id": b"forgotten"}))
        assert (await other.read()).held == 0  # it is another one
        other.cancel()
        stream = putting(client)
        await stream.write(begin(**asked, resume=True))
        held = (await stream.read()).held
        assert held in (0, MIB)
        for at in range(held, len(LARGE), MIB):
            await stream.write(pb.PutArtifactRequest(chunk=LARGE[at : at + MIB]))
        await stream.done_writing()
        assert (await stream.read()).kept.digest == blake3(LARGE).digest()
        await until(lambda: not home.home.artifacts._uploads)
        clock.advance(2 * ARTIFACT_UPLOAD_KEPT_S)
        home.home.deadlines.poke()
        await until(lambda: not home.home.artifacts._waiting)
        assert not list((home.directory / "artifacts/aside").iterdir())


async def test_a_client_goes_on_with_a_home_that_is_started_again(tmp_path: Path, road: str) -> None:
    async with running_home(tmp_path / "home") as home, linkd.aio.connect(home.endpoint, timeout_s=20) as client:
        reading, writing = os.pipe()
        (tmp_path / "large.bin").write_bytes(LARGE)
        with (tmp_path / "large.bin").open("rb") as file:
            many = [client.put_artifact(content_of(500, seed)) for seed in range(50)]
            putting = asyncio.gather(client.put_artifact(file), *many)
            await home.restart(crash=True)
            artifact, *_ = await putting
        os.close(reading)
        os.close(writing)
        assert await client.get_artifact(artifact) == LARGE


async def test_a_writer_who_keeps_its_descriptor_changes_nothing_that_is_served(open_home: InProcessHome, tmp_path: Path) -> None:
    """Over the lane a client writes the file itself; what it does to it afterwards is found out before a byte of it leaves."""
    source = tmp_path / "source.bin"
    source.write_bytes(LARGE)
    async with linkd.aio.connect(open_home.endpoint) as client:
        artifact = await client.put_artifact(source)
        kept = open_home.directory / "artifacts/whole" / artifact.digest
        with kept.open("r+b") as file:
            file.seek(MIB + 3)
            file.write(b"evil")
        with pytest.raises(StateDamaged):
            await client.get_artifact(artifact, tmp_path / "target.bin")
        assert not (tmp_path / "target.bin").exists()
        assert await client.get_artifact(artifact, end=MIB) == LARGE[:MIB]
        with pytest.raises(StateDamaged):
            await client.get_artifact(artifact)
        with pytest.raises(LinkNotFound):
            await client.get_artifact(artifact)
        assert (await client.put_artifact(source)).digest == artifact.digest
        assert await client.get_artifact(artifact) == LARGE


async def test_a_lane_client_that_lies_about_what_it_wrote_is_refused(open_home: InProcessHome, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(LARGE)

    def lie(size_bytes: int) -> None:
        lane = LaneArtifacts(open_home.endpoint.removeprefix("unix:") + ".lane", "", "")
        with source.open("rb") as file:
            lane.put(file.fileno(), size_bytes)

    with pytest.raises(Error, match="shorter while"):
        await asyncio.to_thread(lie, len(LARGE) + 1)
    await until(lambda: not open_home.home.artifacts.store._coming_bytes)
    assert not list((open_home.directory / "artifacts/aside").iterdir())


async def test_who_may_not_publish_puts_nothing(home: InProcessHome) -> None:
    async with client_of(home.endpoint) as outsider:
        if not home.layout.open_links:
            assert isinstance(await refused(outsider, begin(size_bytes=1, data=b"x")), NotAllowed)


async def test_an_artifact_goes_when_no_value_that_is_kept_names_it(tmp_path: Path) -> None:
    clock = FakeClock()
    async with (
        running_home(tmp_path / "home", layout=LAYOUT, clock=clock, disk_budget_bytes=128 * MIB) as home,
        linkd.aio.connect(home.endpoint, timeout_s=20) as client,
    ):
        contents = [content_of(2 * MIB, seed) for seed in range(3)]
        for content in contents:
            await client.publish("files", await client.put_artifact(content, name="some.bin"))
        clock.advance(RETENTION_LOOK_INTERVAL_S + 1)
        home.home.deadlines.poke()
        await until(lambda: home.home.ledger.links["files"].generations[1].values == 1)
        await home.restart()
        clock.advance(2 * ARTIFACT_LEASE_S)
        await client.put_artifact(content_of(1_000))
        home.home.artifacts.store.give_back_soon(64 * MIB)
        digests = [blake3(content).hexdigest() for content in contents]
        await until(lambda: home.home.artifacts.store.find(bytes.fromhex(digests[1])) is None)
        assert await client.artifacts_there(digests) == digests[2:]
        assert await client.get_artifact(digests[2]) == contents[2]


async def test_names_are_found_again_where_the_index_is_lost(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_home(tmp_path / "home", clock=clock) as home, linkd.aio.connect(home.endpoint, timeout_s=20) as client:
        kept = await client.put_artifact(b"named", name="a.txt")
        await client.publish("files", kept)
        other = await client.put_artifact(b"not named")
        await home.stop()
        for path in (home.directory / "artifacts").glob("index.db*"):
            path.unlink()
        await home.start()
        clock.advance(2 * ARTIFACT_LEASE_S)
        home.home.artifacts.store.give_back_soon(MIB)
        await until(lambda: home.home.artifacts.store.find(bytes.fromhex(other.digest)) is None)
        assert await client.artifacts_there([kept.digest, other.digest]) == [kept.digest]


def test_a_lane_call_to_nobody_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="no linkd answers"):
        LaneArtifacts(str(tmp_path / "nobody"), "", "").get(bytes(32), 1)
