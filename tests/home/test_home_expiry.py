"""A home drops what is beyond what a link retains, for nobody who still needs it, and says so to whoever asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from raw_client import RawClient, client_of, next_value, send_ack, until

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.errors import InvalidArgument, LinkNotFound
from linkd.limits import CLOCK_STEADY_S, RETENTION_HURRY_INTERVAL_S, RETENTION_LOOK_INTERVAL_S
from linkd.model.records import HoldPlaced
from linkd.model.terms import LinkTerms, Retain
from linkd.telemetry.events import ClockJumped, ValueDropped, ValuesLost
from linkd.testing.clock import FakeClock
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb

HOUR_S = 3600.0
TERMS = {
    "few": Retain(values=3),
    "hard": Retain(values=3, hard=True),
    "young": Retain(age_s=100.0),
    "small": Retain(size_bytes=400_000),
}
LARGE = {"text": "x" * 100_000}
LAYOUT = Layout(
    "pipeline", {name: LinkShape(name, "", terms=LinkTerms(retain=retain)) for name, retain in TERMS.items()}, {}, frozenset(TERMS)
)


@asynccontextmanager
async def served(tmp_path: Path, clock: FakeClock | None = None) -> AsyncIterator[tuple[InProcessHome, RawClient]]:
    async with running_home(tmp_path, layout=LAYOUT, clock=clock or FakeClock()) as home, client_of(home.endpoint) as client:
        yield home, client


async def passes(home: InProcessHome, seconds: float) -> None:
    """Time, for clocks and for whoever waits for it."""
    assert isinstance(home.clock, FakeClock)
    home.clock.advance(seconds)
    home.home.deadlines.poke()


async def there(home: InProcessHome, client: RawClient, link: str, sequences: list[int]) -> None:
    """These values are there, sooner or later."""

    def kept() -> bool:
        generation = home.home.ledger.links[link].generations[1]
        return list(range(generation.kept_sequence, generation.last_sequence + 1)) == sequences

    await until(kept)
    assert [value.sequence for value in await client.read(link)] == sequences


async def test_a_link_keeps_the_last_values_and_says_of_others_why_they_are_gone(tmp_path: Path) -> None:
    async with served(tmp_path) as (home, client):
        for number in range(10):
            await client.publish("few", {"n": number})
        await passes(home, 1.0)
        await there(home, client, "few", [8, 9, 10])
        with pytest.raises(LinkNotFound, match=r"few@2 expired \(values\) at 20\d\d-.*: the first value there is is few@8"):
            await client.read("few", first_sequence=2, last_sequence=2)
        with pytest.raises(InvalidArgument, match=r"few@2 expired \(values\) at 20\d\d-.*: the first behind it is few@8"):
            await (await client.subscribe("few", start="2")).read()
        assert [value.sequence for value in await client.read("few", first_sequence=5, last_sequence=8)] == [8]
        await home.home.barrier()
        told = [event for event in home.events.heard if isinstance(event, ValueDropped)]
        assert (sum(event.values for event in told), {event.reason for event in told}) == (7, {"values"})
        await home.restart()
        await there(home, client, "few", [8, 9, 10])


async def test_bytes_are_freed_with_the_values(tmp_path: Path) -> None:
    async with served(tmp_path) as (home, client):
        for _ in range(20):
            await client.publish("small", LARGE)
            await passes(home, 1.0)
        await there(home, client, "small", [18, 19, 20])
        await until(lambda: home.home.store.usage()["small"] < 500_000)
        assert [envelope.position.sequence for envelope, _ in home.home.store.values("small")] == [18, 19, 20]


async def test_values_go_when_they_are_too_old_and_not_because_the_clock_jumped(tmp_path: Path) -> None:
    clock = FakeClock()
    async with served(tmp_path, clock) as (home, client):
        await client.publish("young", {"n": 1})
        await passes(home, 50.0)
        await client.publish("young", {"n": 2})
        await there(home, client, "young", [1, 2])
        await passes(home, 60.0)
        await there(home, client, "young", [2])
        clock.jump(365 * 86_400.0)
        await passes(home, 90.0)
        await until(lambda: any(isinstance(event, ClockJumped) for event in home.events.heard))
        await there(home, client, "young", [2])
        await passes(home, CLOCK_STEADY_S + 1)
        await there(home, client, "young", [])
        await home.home.barrier()
        dropped = [event for event in home.events.heard if isinstance(event, ValueDropped)]
        assert [(event.values, event.reason) for event in dropped] == [(1, "age"), (1, "age")]


async def test_times_of_values_never_run_backwards(tmp_path: Path) -> None:
    clock = FakeClock()
    async with served(tmp_path, clock) as (home, client):
        await client.publish("young", {"n": 1})
        clock.jump(-HOUR_S / 2)
        await client.publish("young", {"n": 2})
        first, second = [envelope.created_at_ns for envelope, _ in home.home.store.values("young")]
        assert first == second


async def test_a_machine_that_comes_up_with_a_wrong_date_deletes_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    async with served(tmp_path, clock) as (home, client):
        await client.publish("young", {"n": 1})
        clock.jump(365 * 86_400.0)
        await home.restart()
        assert any(isinstance(event, ClockJumped) for event in home.events.heard)
        await there(home, client, "young", [1])
        await passes(home, CLOCK_STEADY_S + 1)
        await there(home, client, "young", [])


async def test_what_a_group_has_not_done_stays_unless_retention_is_hard(tmp_path: Path) -> None:
    async with served(tmp_path) as (home, client):
        for link in ("few", "hard"):
            await client.publish(link, {"n": 1})
            stream = await client.subscribe(link)
            first = await next_value(stream)
            assert first is not None
            await send_ack(stream, first)
            for number in range(2, 8):
                await client.publish(link, {"n": number})
        await until(lambda: all(group.cursor.done_sequence for group in home.home.ledger.groups.values()))
        await passes(home, 1.0)
        await there(home, client, "hard", [5, 6, 7])
        await there(home, client, "few", [2, 3, 4, 5, 6, 7])
        lost = [event for event in home.events.heard if isinstance(event, ValuesLost)]
        assert [(event.link, event.reader, event.values) for event in lost] == [("hard", "g", 3)]
        assert home.home.ledger.groups["g", "hard"].cursor.done_sequence == 4
        for _ in range(2):  # of a home that starts again, too
            described = await client.describe()
            links = {link.name: link for link in described.links}
            assert [(one.reason, one.values) for one in links["hard"].dropped] == [("values", 4)]
            assert (links["hard"].retain, links["young"].retain) == ("3 values, hard", "100s")
            assert {group.link: group.lost_values for group in described.groups} == {"few": 0, "hard": 3}
            await home.restart()


async def test_a_link_of_which_a_reader_keeps_far_too_much_is_looked_at_at_leisure_until_the_reader_goes_on(tmp_path: Path) -> None:
    async with served(tmp_path) as (home, client):
        await client.publish("few", {"n": 1})
        stream = await client.subscribe("few")
        first = await next_value(stream)
        assert first is not None
        looked: set[float] = set()
        for number in range(2, 102):
            await client.publish("few", {"n": number})
            await passes(home, RETENTION_HURRY_INTERVAL_S)
            await home.home.barrier()
            looked.add(home.home.retention._looked_s)
        assert len(looked) <= 100 * RETENTION_HURRY_INTERVAL_S / RETENTION_LOOK_INTERVAL_S + 3
        await send_ack(stream, first)
        await until(lambda: home.home.ledger.groups["g", "few"].cursor.done_sequence == 1)
        await home.home.barrier()
        await passes(home, RETENTION_HURRY_INTERVAL_S)
        await there(home, client, "few", list(range(2, 102)))
        stream.cancel()


async def test_holds_and_readers_keep_what_they_name(tmp_path: Path) -> None:
    clock = FakeClock()
    async with served(tmp_path, clock) as (home, client):
        for number in range(6):
            await client.publish("few", {"n": number})
        retention = home.home.retention
        retention.hold(HoldPlaced("export", "few", 1, 2, 2, clock.now_ns() + 100 * 10**9, "copying"))
        with retention.reading("few", 1, 1, "double"):
            await passes(home, 1.0)
            await there(home, client, "few", [1, 2, 3, 4, 5, 6])
            named, read = (await client.describe("few")).holds
            assert (named.name, named.first_sequence, named.last_sequence, named.reason) == ("export", 2, 2, "copying")
            assert named.until_ns == clock.now_ns() + 99 * 10**9
            assert (read.holder, read.first_sequence, read.last_sequence, read.until_ns) == ("double", 1, 0, 0)
            assert not (await client.describe("young")).holds
        await passes(home, 1.0)
        await there(home, client, "few", [2, 3, 4, 5, 6])
        await home.restart()
        assert list(home.home.ledger.holds) == ["export"]
        await passes(home, 101.0)
        await until(lambda: not home.home.ledger.holds)
        await passes(home, 1.0)
        await there(home, client, "few", [4, 5, 6])
        home.home.retention.hold(HoldPlaced("export", "few", 1, 4, 4, clock.now_ns() + 10**12))
        home.home.retention.release("export")
        assert not home.home.ledger.holds


async def test_a_query_or_export_holds_what_it_reads_and_lets_go_when_it_dies(tmp_path: Path) -> None:
    async with served(tmp_path) as (home, client):
        for _ in range(3):
            await client.publish("few", *({"text": "x" * 1_000} for _ in range(4_000)))
        for call in (pb.ReadRequest(link="few"), pb.ReadRequest(link="few", follow=True)):
            stream = client.stream(methods.READ, call)
            await stream.read()
            await until(lambda: bool(list(home.home.retention.readings)))
            await client.publish("few", {"text": ""})
            await passes(home, 1.0)
            [held] = (await client.describe("few")).holds
            await home.home.barrier()
            assert held.first_sequence >= home.home.ledger.links["few"].generations[1].kept_sequence
            stream.cancel()
            await until(lambda: not list(home.home.retention.readings))
            assert not (await client.describe()).holds


async def test_room_that_is_short_is_made_of_what_may_go(tmp_path: Path) -> None:
    async with served(tmp_path) as (home, client):
        for _ in range(3):
            await client.publish("small", LARGE)
        assert home.home.retention.make_room(150_000) > 150_000
        await there(home, client, "small", [3])
        assert home.home.retention.make_room(10**9) == 0
        await there(home, client, "small", [3])
