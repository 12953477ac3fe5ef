"""What an ack is worth, link by link; and what a home does when the machine lost power."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from pathlib import Path
from typing import TypeVar

import pytest
from raw_client import RawClient, next_snapshot, next_value, rows_value, until
from small_pipeline import PIPELINE, Connect
from unreliable_disk import UnreliableFiles

import linkd.aio
from linkd.core.layout import Layout
from linkd.core.links import LinkShape, lost_behind
from linkd.device import Device, Mounted, device_of, tried
from linkd.errors import ProducerSetBack, StateForeign
from linkd.model.terms import LinkTerms
from linkd.model.values import Durability, Position
from linkd.store.store_limits import StoreLimits
from linkd.telemetry.events import IncarnationBegan, StorageVolatile, ValuePublished, ValuesLost
from linkd.testing.cutting_proxy import CuttingProxy, Way
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.messages import position_message
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2

DURABILITIES = {"safe": Durability.FSYNC, "soon": Durability.INTERVAL, "loose": Durability.MEMORY}
OPEN_LINKS = Layout(
    "pipeline",
    {name: LinkShape(name, "", terms=LinkTerms(durability, 0.02)) for name, durability in DURABILITIES.items()},
    {},
    frozenset(DURABILITIES),
)
T = TypeVar("T")
LAZY = StoreLimits(catalog_idle_s=1_000, inline_commit_max_s=0.0)
"""Nothing but commits has anything synced, and the loop, which may be shut out by a disk that a test holds, commits nothing."""


def told(home: InProcessHome, kind: type[T]) -> list[T]:
    """The events of a kind in the home's present life."""
    return [event for event in home.events.heard if isinstance(event, kind)]


def with_terms(**durability: Durability) -> Layout:
    """`PIPELINE`, some links with other terms."""
    terms = {name: dataclasses.replace(PIPELINE.links[name], terms=LinkTerms(one)) for name, one in durability.items()}
    return dataclasses.replace(PIPELINE, links={**PIPELINE.links, **terms})


async def test_the_ack_says_what_its_link_is_worth(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=OPEN_LINKS, supervised=False) as home:
        client = await connect(home)
        acks = [await client.publish(name, {"n": 1}) for name in DURABILITIES]
        assert [ack.durability for ack in acks] == [value_pb2.FSYNC, value_pb2.INTERVAL, value_pb2.MEMORY]
        assert [await client.numbers(name) for name in DURABILITIES] == [[1], [1], [1]]
        described = {link.name: link.durability for link in (await client.describe()).links}
        assert described == {"safe": value_pb2.FSYNC, "soon": value_pb2.INTERVAL, "loose": value_pb2.MEMORY}
        assert {event.link: event.durability for event in told(home, ValuePublished)} == DURABILITIES


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        (Durability.MEMORY, Durability.MEMORY, value_pb2.MEMORY),
        (Durability.FSYNC, Durability.MEMORY, value_pb2.FSYNC),
        (Durability.MEMORY, Durability.INTERVAL, value_pb2.INTERVAL),
    ],
)
async def test_a_commit_is_worth_the_strongest_of_its_links(
    tmp_path: Path, connect: Connect, inputs: Durability, outputs: Durability, expected: int
) -> None:
    layout = with_terms(numbers=inputs, doubled=outputs)
    async with running_home(tmp_path / "state", layout=layout) as home:
        run, outsider, double = await connect(home, "@run"), await connect(home), await connect(home, "double")
        await outsider.publish("numbers", {"n": 1})
        await run.begin()
        taken = await next_snapshot(await double.snapshots(credit_bytes=1 << 20))
        assert taken is not None
        staged = await double.publish("doubled", {"n": 2}, stage=taken.ready)
        answer = await double.commit(taken.ready, staged.staged)
        assert (answer.durability, answer.repeated) == (expected, False)
        again = await double.commit(taken.ready, staged.staged)
        assert (again.durability, again.repeated) == (expected, True)


async def published(home: InProcessHome, client: RawClient, link: str, *numbers: int) -> None:
    for number in numbers:
        await client.publish(link, {"n": number})


async def test_after_the_power_was_gone_weak_links_go_on_in_a_new_incarnation(tmp_path: Path, connect: Connect) -> None:
    left, here = tmp_path / "left", tmp_path / "here"
    async with running_home(here, layout=OPEN_LINKS, supervised=False, store_limits=LAZY) as home:
        client = await connect(home)
        for name in DURABILITIES:
            await published(home, client, name, 1, 2, 3)
        shutil.copytree(here, left)  # as kill -9 leaves it
    shutil.copytree(left, tmp_path / "same")
    async with running_home(tmp_path / "same", layout=OPEN_LINKS, supervised=False) as home:
        client = await connect(home)
        assert told(home, IncarnationBegan) == []
        assert [await client.numbers(name) for name in DURABILITIES] == [[1, 2, 3]] * 3
        ack = await client.publish("loose", {"n": 4})
        assert (ack.first.incarnation, ack.first.sequence) == (1, 4)
    async with running_home(left, layout=OPEN_LINKS, supervised=False, boot="next boot") as home:
        client = await connect(home)
        began = {event.link: (event.incarnation, event.first_sequence) for event in told(home, IncarnationBegan)}
        assert began == {"soon": (2, 4), "loose": (2, 4)}
        acks = [await client.publish(name, {"n": 4}) for name in DURABILITIES]
        assert [(ack.first.incarnation, ack.first.sequence) for ack in acks] == [(1, 4), (2, 4), (2, 4)]
        assert [await client.numbers(name) for name in DURABILITIES] == [[1, 2, 3, 4]] * 3
        assert lost_behind(home.home.ledger.link("loose"), Position(1, 10)) == 7
        for follow in (False, True):  # one that had seen ten values goes on with the first that it has not
            reading = client.stream(methods.READ, pb.ReadRequest(link="loose", first_sequence=11, incarnation=1, follow=follow))
            opened = (await reading.read()).opened
            assert (opened.first_sequence, opened.last_sequence, opened.lost) == (4, 4, 7)
            assert (await reading.read()).value.envelope.position.sequence == 4
            reading.cancel()
        assert [(event.link, event.values, event.reason) for event in told(home, ValuesLost)] == [("loose", 7, "lost")] * 2
        seen = position_message(Position(1, 10))
        for group, start in (("who had ten values", ""), ("who asks for the eleventh", "11")):  # in the group there is, and in a new one
            subscription = client.stream(methods.SUBSCRIBE)
            asked = pb.SubscribeOpen(link="loose", group=group.replace(" ", "_"), start=start, seen=seen)
            await subscription.write(pb.SubscribeRequest(open=asked))
            assert (await subscription.read()).opened.lost == 7
            assert (await subscription.read()).value.envelope.position.sequence == (4 if start else 1)
            subscription.cancel()
        assert [event.reader for event in told(home, ValuesLost)][2:] == ["group who_had_ten_values", "group who_asks_for_the_eleventh"]
        await home.restart()
        assert told(home, IncarnationBegan) == []
        assert lost_behind(home.home.ledger.link("loose"), Position(1, 10)) == 7
        assert (await (await connect(home)).publish("loose", {"n": 5})).first.incarnation == 2


async def test_clients_that_outlive_the_power_go_on_behind_what_was_kept(tmp_path: Path) -> None:
    """linkd has forgotten publishes that it acked, and the client has not: it begins anew by itself, also with one that is in the air then."""
    here, left = tmp_path / "here", tmp_path / "left"
    async with running_home(here, layout=OPEN_LINKS, supervised=False, store_limits=LAZY) as home:
        proxy = CuttingProxy(home.socket.with_name("proxy"), home.socket)
        async with proxy.serving():
            client = await linkd.aio.connect(proxy.endpoint, timeout_s=10)
            named = await client.producer("sensor-7")
            await client.publish("loose", [{"n": 1}])
            await named.publish("soon", [{"n": 1}])
            shutil.copytree(here, left)  # what the disk has
            for number in (2, 3):
                await client.publish("loose", [{"n": number}])
                await named.publish("soon", [{"n": number}])
            proxy.cut_at(Way.TO_CLIENT, 1)
            in_the_air = asyncio.create_task(client.publish("loose", [{"n": 4}]), name="the publish in the air")
            while not proxy.cuts:
                await asyncio.sleep(0)
        await home.stop(crash=True)
        shutil.rmtree(here)
        left.rename(here)
        home.boot = "next boot"
        await home.start()
        async with proxy.serving(), client:
            assert (await in_the_air).first.sequence == 2
            await client.publish("loose", [{"n": 5}])
            with pytest.raises(ProducerSetBack, match=r"publish 4, and its last one was 1: .* lost with the power .* open it again"):
                await named.publish("soon", [{"n": 4}])
            again = await client.producer("sensor-7")
            assert again.last_sequence == 1
            await again.publish("soon", [{"n": 5}])
            assert [row["n"] for row in await client.read("loose").rows()] == [1, 4, 5]
            assert [row["n"] for row in await client.read("soon").rows()] == [1, 5]


VOLATILE = {
    "in memory": device_of(Path("/dev/shm"), lambda _: Mounted("tmpfs")),
    "a disk that lies": tried(Path("/work"), lambda _: Mounted("ext4"), lambda _: [2e-6]),
}


@pytest.mark.parametrize("device", VOLATILE.values(), ids=VOLATILE)
async def test_no_ack_of_a_volatile_directory_says_more_than_memory(tmp_path: Path, connect: Connect, device: Device) -> None:
    async with running_home(tmp_path / "state", layout=OPEN_LINKS, supervised=False, device=device) as home:
        client = await connect(home)
        assert {(await client.publish(name, {"n": 1})).durability for name in DURABILITIES} == {value_pb2.MEMORY}
        assert [event.reason for event in told(home, StorageVolatile)] == [device.why]


async def test_a_link_of_fsync_on_a_disk_that_lies_goes_on_in_a_new_incarnation_after_the_power_was_gone(
    tmp_path: Path, connect: Connect
) -> None:
    left, device = tmp_path / "left", VOLATILE["a disk that lies"]
    async with running_home(tmp_path / "here", layout=OPEN_LINKS, supervised=False, store_limits=LAZY, device=device) as home:
        await published(home, await connect(home), "safe", 1, 2, 3)
        shutil.copytree(tmp_path / "here", left)
    async with running_home(left, layout=OPEN_LINKS, supervised=False, boot="next boot", device=device) as home:
        assert {event.link: event.first_sequence for event in told(home, IncarnationBegan)} == {"safe": 4}
        ack = await (await connect(home)).publish("safe", {"n": 4})
        assert (ack.first.incarnation, ack.first.sequence) == (2, 4)


async def test_a_home_does_not_open_on_a_network_file_system(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with pytest.raises(StateForeign, match="a network file system"):
        async with running_home(directory, device=device_of(directory, lambda _: Mounted("nfs4"))):
            pass
    assert not directory.exists()


async def test_values_of_a_memory_link_are_delivered_before_any_sync(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=OPEN_LINKS, supervised=False, store_limits=LAZY) as home:
        client = await connect(home)
        await client.publish("loose", {"n": 0})
        await home.home.barrier()
        journal = home.home.store._committer._journal
        before = journal.durable_lsn
        stream = client.stream(methods.PUBLISH)
        for number in range(1, 50):
            await stream.write(rows_value("loose", {"n": number}))
        await stream.done_writing()
        while await stream.read() is not None:
            pass
        assert await client.numbers("loose") == list(range(50))
        assert journal.durable_lsn == before
        assert journal.written_lsn > before
        await client.publish("safe", {"n": 1})
        assert journal.durable_lsn == journal.written_lsn


async def test_nobody_sees_a_value_of_a_link_of_fsync_before_its_sync(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=OPEN_LINKS, supervised=False, store_limits=LAZY) as home:
        await home.home.barrier()  # it has said under which boot it runs
        disk, client, journal = UnreliableFiles.under(home), await connect(home), home.home.store._committer._journal
        await client.publish("safe", {"n": 1})
        values = await client.subscribe("safe", follow=True)
        assert await next_value(values) is not None
        disk.gate.clear()
        publishing, waiting = asyncio.create_task(client.publish("safe", {"n": 2})), asyncio.create_task(next_value(values))
        try:
            await until(lambda: journal.written_lsn > journal.durable_lsn)
            assert await client.numbers("safe") == [1]
            assert not publishing.done()
            assert not waiting.done()
        finally:
            disk.gate.set()
        assert (await publishing).first.sequence == 2
        value = await waiting
        assert value is not None
        assert value.envelope.position.sequence == 2
