"""A home that makes one generation after the other keeps the last two, and whatever somebody stands in."""

from __future__ import annotations

import pytest
from raw_client import RawClient, ack, next_value, send_ack, until
from small_pipeline import Connect

from linkd.core import publishing
from linkd.errors import LinkNotFound
from linkd.home.home import Home
from linkd.model.records import GenerationBegan
from linkd.model.values import OUTSIDER, Parent
from linkd.telemetry.events import ValueDropped
from linkd.testing.home import InProcessHome

LARGE = {"text": "x" * 100_000}
"""A row of a value that lies in a segment."""


async def next_generation(home: Home, link: str, made_from: tuple[Parent, ...] = ()) -> None:
    """The present one is complete, and the next one begins."""
    await home.admit(publishing.seal(home.ledger, link, "over", 0))
    known = home.ledger.links[link]
    await home.admit([GenerationBegan(link, known.newest + 1, 1, known.next_sequence, OUTSIDER, "", made_from)])


async def generations(home: Home, client: RawClient, link: str, count: int) -> None:
    """So many complete generations of one large value each, and one that grows."""
    for _ in range(count):
        await client.publish(link, LARGE)
        await next_generation(home, link)


def segment_files(home: InProcessHome, link: str) -> int:
    return len(list((home.directory / "segments" / link).iterdir()))


async def test_generations_that_were_superseded_are_gone_from_disk_and_memory(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await generations(open_home.home, client, "a", 6)
    link = open_home.home.ledger.links["a"]
    assert (list(link.generations), link.remembered) == ([5, 6, 7], {})
    await until(lambda: segment_files(open_home, "a") == 2)
    assert [value.sequence for value in await client.read("a")] == [6]
    assert [value.sequence for value in await client.read("a", generation=5)] == [5]
    with pytest.raises(LinkNotFound, match=r"generation 4 of a is not kept any more \(there are: 5, 6, 7\)"):
        await client.read("a", generation=4)
    with pytest.raises(LinkNotFound, match="a has no generation 8"):
        await client.read("a", generation=8)
    told = [event for event in open_home.events.heard if isinstance(event, ValueDropped)]
    assert [(event.link, event.values, event.reason) for event in told] == [("a", 1, "superseded")] * 4
    await open_home.restart()
    assert list(open_home.home.ledger.links["a"].generations) == [5, 6, 7]
    assert [value.sequence for value in await (await connect(open_home)).read("a")] == [6]


async def test_a_consumer_group_keeps_the_generation_it_is_in_until_it_goes_on(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await client.publish("a", LARGE)
    stream = await client.subscribe("a", follow=True)
    first = await next_value(stream)
    assert first is not None
    await next_generation(open_home.home, "a")
    await generations(open_home.home, client, "a", 4)
    assert list(open_home.home.ledger.links["a"].generations) == [1, 4, 5, 6]
    await send_ack(stream, first)
    await until(lambda: open_home.home.ledger.groups["g", "a"].generation == 4)
    await until(lambda: 1 not in open_home.home.ledger.links["a"].generations)
    assert list(open_home.home.ledger.links["a"].generations) == [4, 5, 6]


@pytest.mark.parametrize("follow", [False, True])
async def test_a_group_that_has_left_when_it_was_through_keeps_nothing_and_goes_on_with_what_there_is(
    open_home: InProcessHome, connect: Connect, follow: bool
) -> None:
    client = await connect(open_home)
    await client.publish("a", LARGE)
    stream = await client.subscribe("a")
    value = await next_value(stream)
    assert value is not None
    await next_generation(open_home.home, "a")
    await ack(stream, value)
    stream.cancel()
    await until(lambda: not open_home.tasks_of_calls())
    await generations(open_home.home, client, "a", 4)
    assert list(open_home.home.ledger.links["a"].generations) == [4, 5, 6]
    for restart in (False, True):
        if restart:
            await open_home.restart()
            client = await connect(open_home)
        [group] = (await client.describe("a")).groups
        assert group.lag_values == 0
    found = await next_value(await client.subscribe("a", follow=follow))
    assert found is not None
    assert found.sequence == 5


async def test_a_reader_gets_to_the_end_of_what_it_began(open_home: InProcessHome, connect: Connect) -> None:
    client, home = await connect(open_home), open_home.home
    await generations(home, client, "a", 2)
    with home.retention.reading("a", 1):
        await generations(home, client, "a", 2)
        assert list(home.ledger.links["a"].generations) == [1, 3, 4, 5]
        [(envelope, place)] = home.store.values("a", 1, 1)
        assert len((await home.store.read_payload(envelope, place))[1]) > 100_000
    await until(lambda: 1 not in home.ledger.links["a"].generations)


async def test_where_something_came_from_is_known_as_long_as_it_is_there(open_home: InProcessHome, connect: Connect) -> None:
    client, home = await connect(open_home), open_home.home
    await client.publish("a", LARGE)
    await client.publish("b", LARGE)
    await next_generation(home, "b", (Parent("a", 1, 1, 1, 1),))
    await client.publish("b", LARGE)
    await next_generation(home, "b")
    await next_generation(home, "a")
    await generations(home, client, "a", 3)
    link = home.ledger.links["a"]
    assert (list(link.generations), list(link.remembered)) == ([3, 4, 5], [1])
    envelopes = open_home.directory / "envelopes" / "a"
    await until(lambda: segment_files(open_home, "a") == 2)
    await until(lambda: [envelope.position.sequence for envelope, _ in home.store.values("a")] == [1, 3, 4])
    assert [path.name for path in envelopes.iterdir()] == ["00000001.envelopes"]
    await generations(home, client, "b", 2)
    assert link.remembered == {}
    await until(lambda: list(envelopes.iterdir()) == [])
    await until(lambda: [envelope.position.sequence for envelope, _ in home.store.values("a")] == [3, 4])


async def test_what_an_earlier_life_did_not_drop_is_dropped_at_the_start(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    with open_home.home.retention.reading("a", 1):
        await generations(open_home.home, client, "a", 4)
        assert 1 in open_home.home.ledger.links["a"].generations
        await open_home.restart()
    await until(lambda: list(open_home.home.ledger.links["a"].generations) == [3, 4, 5])
