"""What a restart of the home does to snapshots in hand and to runs."""

from __future__ import annotations

import pytest
from doubling import begun, double, taken
from raw_client import next_snapshot
from small_pipeline import Connect

from linkd.errors import LeaseLost, NotAllowed
from linkd.testing.home import InProcessHome


async def test_a_commit_with_a_token_from_before_a_restart_is_taken_if_nobody_else_has_the_snapshot(
    home: InProcessHome, connect: Connect
) -> None:
    home.supervised = False  # the run's programs live on, and so does its epoch
    client = await begun(home, connect, 2)
    snapshot = await taken(await client.snapshots())
    await home.restart()
    client = await connect(home, "double")
    assert not (await client.commit(snapshot.ready)).repeated
    assert (await taken(await client.snapshots())).numbers() == [2]


async def test_a_restarted_home_has_no_staged_values(home: InProcessHome, connect: Connect) -> None:
    home.supervised = False
    client = await begun(home, connect, 1)
    snapshot = await taken(await client.snapshots())
    staged = (await client.publish("doubled", {"n": 2}, stage=snapshot.ready)).staged
    await home.restart()
    client = await connect(home, "double")
    with pytest.raises(LeaseLost, match="restarted"):
        await client.commit(snapshot.ready, staged)
    again = await taken(await client.snapshots())
    assert (again.ready.snapshot_id, again.ready.attempt) == (snapshot.ready.snapshot_id, 2)
    await double(client, again)
    assert await (await connect(home)).numbers("doubled") == [2]


async def test_a_commit_from_before_a_restart_is_known_after_it(home: InProcessHome, connect: Connect) -> None:
    home.supervised = False
    client = await begun(home, connect, 1)
    snapshot = await taken(await client.snapshots())
    staged = (await client.publish("doubled", {"n": 2}, stage=snapshot.ready)).staged
    await client.commit(snapshot.ready, staged)
    await home.restart(crash=True)
    assert (await (await connect(home, "double")).commit(snapshot.ready, staged)).repeated


async def test_tokens_are_not_given_twice_though_leases_were_lost_with_a_crash(home: InProcessHome, connect: Connect) -> None:
    home.supervised = False
    client = await begun(home, connect, 1)
    before = await taken(await client.snapshots())
    last = home.home.ledger.last_token
    await home.restart(crash=True)
    assert home.home.ledger.last_token > last
    after = await taken(await (await connect(home, "double")).snapshots())
    assert after.ready.token != before.ready.token


async def test_a_run_that_is_continued_goes_on_behind_the_last_commit(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 3)
    await double(client, await taken(await client.snapshots()))
    await home.restart()
    await (await connect(home, "@run")).begin("r2", fresh=False)
    client = await connect(home, "double")
    stream = await client.snapshots()
    for n in (2, 3):
        snapshot = await taken(stream)
        assert snapshot.numbers() == [n]
        await double(client, snapshot)
    assert await next_snapshot(stream) is None
    values = await (await connect(home)).read("doubled")
    assert [(value.sequence, value.envelope.generation, value.rows()[0]["n"]) for value in values] == [(1, 1, 2), (2, 1, 4), (3, 1, 6)]


async def test_a_fresh_run_begins_new_generations_and_sequences_run_on(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 2)
    await double(client, await taken(await client.snapshots()))
    await home.restart()
    await (await connect(home, "@run")).begin("r2")
    client = await connect(home, "double")
    stream = await client.snapshots()
    await double(client, await taken(stream))
    [value] = await (await connect(home)).read("doubled")
    assert (value.sequence, value.envelope.generation) == (2, 2)
    [link] = (await (await connect(home)).describe("doubled")).links
    assert (link.current.generation, link.values) == (2, 1)  # the first was abandoned, and nobody stands in it
    with pytest.raises(NotAllowed):
        await (await connect(home, "@run")).begin("r3")
