"""Snapshots against a fake home: one atomic commit for each block, and what happens when it is not reached."""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest
from arrow_values import put
from fake_home import FakeHome

import linkd.aio
from linkd import errors


def _flights(*miles: int | None) -> pa.Table:
    return pa.table({"carrier": ["UA"] * len(miles), "miles": pa.array(miles, pa.int64())})


async def test_each_snapshot_is_one_commit_of_all_that_was_published(home: FakeHome, client: linkd.aio.Client) -> None:
    for number in range(3):
        home.offer(flights=[put(home, "flights", _flights(number, None), told=number == 0)])
    async for snap in client.snapshots():
        async with snap:
            frame = snap["flights"].to_pandas()
            await snap.publish("flown", frame[frame.miles.notna()])
            await snap.publish("cancelled", frame[frame.miles.isna()])
    assert len(home.committed) == 3
    assert all(len(commit.staged) == 2 for commit in home.commits)
    assert await client.read("flown").rows() == [{"carrier": "UA", "miles": number} for number in range(3)]
    flown = await client.read("flown").to_table()
    assert flown.schema == _flights(1).schema, "types come from the input, not from pandas"
    assert sum(home.credits) == sum(len(stored.payload) for stored in home.links["flights"])


async def test_an_exception_takes_nothing_and_gives_the_snapshot_back(home: FakeHome, client: linkd.aio.Client) -> None:
    offer = home.offer(flights=[put(home, "flights", _flights(1))])
    snap = await anext(client.snapshots())
    with pytest.raises(ZeroDivisionError):
        async with snap:
            await snap.publish("flown", _flights(1))
            raise ZeroDivisionError
    while not home.released:
        await asyncio.sleep(0)
    assert home.released == [(offer.snapshot_id, "ZeroDivisionError")]
    assert home.commits == []


async def test_a_window_of_rows_holds_its_rows_and_says_whether_it_is_partial(home: FakeHome, client: linkd.aio.Client) -> None:
    offer = home.offer(flights=[put(home, "flights", _flights(3, 4))])
    offer.cut = (2, 4)
    offer.inputs["flights"][0].envelope.rows = 10
    snap = await anext(client.snapshots())
    async with snap:
        [value] = snap["flights"].values
        assert (len(snap["flights"]), len(value), value.envelope.rows) == (2, 2, 10)
        assert [row["miles"] for row in snap["flights"].rows()] == [3, 4]
    assert snap.partial
    assert [(portion.link, portion.first_row, portion.end_row) for portion in snap.portions] == [("flights", 2, 4)]
    assert repr(value).startswith("<Value flights@1: 2 of 10 rows")


async def test_going_on_without_the_block_is_refused(home: FakeHome, client: linkd.aio.Client) -> None:
    for _ in range(2):
        home.offer(flights=[put(home, "flights", _flights(1))])
    with pytest.raises(errors.SnapshotNotSettled, match=r"^use `with snap:` around the work on each snapshot"):
        async for snap in client.snapshots():
            assert len(snap["flights"]) == 1
    while not home.released:
        await asyncio.sleep(0)


async def test_publishing_outside_the_block_is_refused(home: FakeHome, client: linkd.aio.Client) -> None:
    home.offer(flights=[put(home, "flights", _flights(1))])
    snap = await anext(client.snapshots())
    with pytest.raises(errors.SnapshotNotSettled, match="use `with snap:` around the work"):
        await snap.publish("flown", _flights(1))
    async with snap:
        pass
    with pytest.raises(errors.SnapshotNotSettled, match="is settled: publish to flown inside"):
        await snap.publish("flown", _flights(1))
    with pytest.raises(errors.InvalidArgument, match="its block was entered before"):
        async with snap:
            pass


async def test_names_that_the_wiring_does_not_know_get_a_suggestion(home: FakeHome, client: linkd.aio.Client) -> None:
    home.offer(flights=[put(home, "flights", _flights(1))])
    snap = await anext(client.snapshots())
    with pytest.raises(errors.NotAllowed) as refused:
        async with snap:
            await snap.publish("flwn", _flights(1))
    assert str(refused.value) == "no output `flwn` in task clean (outputs: flown, cancelled); did you mean `flown`?"
    with pytest.raises(errors.NotAllowed, match=r"no input `flight` in task clean \(inputs: flights\); did you mean `flights`\?"):
        snap["flight"]


async def test_a_lost_answer_is_asked_for_again_and_commits_once(home: FakeHome, client: linkd.aio.Client) -> None:
    home.offer(flights=[put(home, "flights", _flights(1))])
    home.lose_answers = 1
    async for snap in client.snapshots():
        async with snap:
            await snap.publish("flown", _flights(7))
    assert len(home.commits) == 2
    assert home.commits[0] == home.commits[1]
    assert len(home.links["flown"]) == 1


async def test_an_answer_that_never_comes_is_an_unknown_outcome(home: FakeHome) -> None:
    home.offer(flights=[put(home, "flights", _flights(1))])
    async with linkd.aio.connect(home.address, timeout_s=0.3) as client:
        snap = await anext(client.snapshots())
        with pytest.raises(errors.OutcomeUnknown, match=r"linkd gave no answer for 0.3 s"):
            async with snap:
                await home.stop()


async def test_a_stale_lease_is_lost_and_the_next_snapshot_comes(home: FakeHome, client: linkd.aio.Client) -> None:
    lost = home.offer(flights=[put(home, "flights", _flights(1))])
    home.offer(flights=[put(home, "flights", _flights(2))])
    snapshots = client.snapshots()
    snap = await anext(snapshots)
    with pytest.raises(errors.LeaseLost, match="handed out again"):
        async with snap:
            lost.token += 100
    lost.done = True
    async for snap in snapshots:
        async with snap:
            assert snap["flights"].rows()[0]["miles"] == 2


async def test_outputs_that_went_down_with_a_home_that_stays_away_are_a_lost_lease(home: FakeHome) -> None:
    home.offer(flights=[put(home, "flights", _flights(1))])
    home.hold_acks = asyncio.Event()
    async with linkd.aio.connect(home.address, timeout_s=1) as client:
        snap = await anext(client.snapshots())
        with pytest.raises(errors.LeaseLost, match="the connection to linkd broke while outputs were staged"):
            async with snap:
                await snap.publish("flown", _flights(1))
                while not home.publishes_waiting:
                    await asyncio.sleep(0)
                await home.stop()
    await home.start()


async def test_a_home_that_comes_back_between_snapshots_goes_on(home: FakeHome, client: linkd.aio.Client) -> None:
    for number in range(2):
        home.offer(flights=[put(home, "flights", _flights(number))])
    seen = []
    async for snap in client.snapshots():
        async with snap:
            seen.append(snap["flights"].rows()[0]["miles"])
        if len(seen) == 1:
            await home.stop()
            await home.start()
    assert seen == [0, 1], "what was fetched ahead, if anything was by then, is handed out again"


async def test_a_refused_output_is_raised_and_the_snapshot_given_back(home: FakeHome, client: linkd.aio.Client) -> None:
    home.outputs.append("forbidden")
    home.offer(flights=[put(home, "flights", _flights(1))])
    snap = await anext(client.snapshots())
    with pytest.raises(errors.NotAllowed, match="forbidden is written by the pipeline itself"):
        async with snap:
            await snap.publish("forbidden", _flights(1))
    while not home.released:
        await asyncio.sleep(0)


async def test_whole_inputs_give_their_credit_back_as_they_come(home: FakeHome, client: linkd.aio.Client) -> None:
    home.policies = {"flights": "whole", "airlines": "whole"}
    values = [put(home, "flights", _flights(number), told=number == 0) for number in range(5)]
    offer = home.offer(flights=values)
    offer.schemas["airlines"] = pa.schema([("name", pa.string())]).serialize().to_pybytes()
    async for snap in client.snapshots():
        async with snap:
            while sum(home.credits) < sum(len(stored.payload) for stored in values):
                await asyncio.sleep(0)
            assert [row["miles"] for row in snap["flights"].rows()] == [0, 1, 2, 3, 4]
            assert snap["airlines"].to_table().schema.names == ["name"]
            assert snap["airlines"].rows() == []


async def test_a_second_flow_of_snapshots_ends_the_first(home: FakeHome, client: linkd.aio.Client) -> None:
    home.offer(flights=[put(home, "flights", _flights(1))])
    first = client.snapshots()
    await anext(first)
    second = client.snapshots()
    snap = await anext(second)
    assert snap.attempt == 2
    async with snap:
        pass
    assert [snap async for snap in second] == []


async def test_a_task_without_inputs_gets_one_empty_snapshot(home: FakeHome, client: linkd.aio.Client) -> None:
    home.policies = {}
    home.offer()
    async for snap in client.snapshots():
        async with snap:
            assert dict(snap.inputs) == {}
            await snap.publish("flown", [{"a": 1}], attributes={"why": "because"})
    assert home.staged[1][0].attributes == {"why": "because"}
    assert repr(snap).startswith("<Snapshot 00000000 of clean, attempt 1: no inputs>")
