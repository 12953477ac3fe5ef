"""What a task made is remembered by the content of what it was given: committed again where that comes again, and made anew where it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from doubling import double, taken
from leased_pipeline import LEASE_S, home_with, pass_time
from raw_client import RawClient, Taken, next_snapshot, until
from small_pipeline import Connect

from linkd.core.memo import REMEMBERED
from linkd.model.terms import Order
from linkd.model.values import Envelope
from linkd.store.memo import MEMO_FILE
from linkd.telemetry.events import MemoFailed, OutcomeChecked, OutcomeRecalled
from linkd.testing.home import InProcessHome
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import runs_pb2

MEMO = {"double": "double, version 1", "sum_up": "sum_up, version 1"}
LARGE = "x" * 100_000


async def begin(home: InProcessHome, connect: Connect, numbers: Sequence[int] = (), **said: Any) -> RawClient:
    """Appends numbers; then a run begins that does all anew, as far as it is not remembered: the client of `double`."""
    outsider = await connect(home)
    for number in numbers:
        await outsider.publish("numbers", {"n": number})
    run_id = f"r{home.home.ledger.epoch}"
    beginning = runs_pb2.BeginRequest(**{"run_id": run_id, "fresh": True, "memo": MEMO, **said})
    await (await connect(home, "@run")).call(methods.RUN_BEGIN, beginning)
    return await connect(home, "double")


async def begin_again(home: InProcessHome, connect: Connect, numbers: Sequence[int] = (), **said: Any) -> RawClient:
    """In another life of the home."""
    await home.restart()
    return await begin(home, connect, numbers, **said)


async def work(client: RawClient, home: InProcessHome, connect: Connect, text: str = "") -> list[int]:
    """Doubles what is handed out, to the end: the numbers that were."""
    given: list[int] = []
    stream = await client.snapshots()
    while (snapshot := await next_snapshot(stream)) is not None:
        given += snapshot.numbers()
        rows = [{"n": 2 * n, "text": text} if text else {"n": 2 * n} for n in snapshot.numbers()]
        staged = await client.publish("doubled", *rows, stage=snapshot.ready)
        await client.commit(snapshot.ready, staged.staged)
    await ended(home, connect)
    return given


async def ended(home: InProcessHome, connect: Connect) -> None:
    await (await connect(home, "@run")).task_exited("double")


async def doubled(home: InProcessHome, connect: Connect) -> list[int]:
    return await (await connect(home)).numbers("doubled")


async def memo_of(client: RawClient, task: str = "double") -> Any:
    [told] = [one for one in (await client.describe()).tasks if one.name == task]
    return told.memo


def token_of(snapshot: Taken) -> pb.SnapshotToken:
    return pb.SnapshotToken(snapshot_id=snapshot.ready.snapshot_id, token=snapshot.ready.token)


async def test_only_what_is_new_is_handed_out_and_the_rest_is_committed_as_it_was_made(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        client = await begin(home, connect, [1, 2, 3])
        assert await work(client, home, connect) == [1, 2, 3]
        assert not [event for event in home.events.heard if isinstance(event, OutcomeRecalled)]

        client = await begin_again(home, connect, [4])
        assert await work(client, home, connect) == [4]
        assert await doubled(home, connect) == [2, 4, 6, 8]
        values = await (await connect(home)).read("doubled")
        assert [dict(value.envelope.attributes) for value in values] == [{REMEMBERED: f"doubled@{n}"} for n in (1, 2, 3)] + [{}]
        assert [value.envelope.parents[0].first_sequence for value in values] == [1, 2, 3, 4]
        assert {value.envelope.generation for value in values} == {2}
        assert (await memo_of(client)).recalled == 3
        assert [event.values for event in home.events.heard if isinstance(event, OutcomeRecalled)] == [1, 1, 1]

        client = await begin_again(home, connect, memo={"double": "double, version 2"})
        assert await work(client, home, connect) == [1, 2, 3, 4]
        client = await begin_again(home, connect)
        assert await work(client, home, connect) == []
        values = await (await connect(home)).read("doubled")
        assert [value.envelope.attributes[REMEMBERED] for value in values] == [f"doubled@{n}" for n in (1, 2, 3, 7)], "as a program made it"


async def test_large_outputs_are_remembered_as_long_as_their_link_keeps_them(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        assert await work(await begin(home, connect, [1, 2]), home, connect, LARGE) == [1, 2]
        for _ in range(3):  # each run remembers what it made, so two generations are enough
            assert await work(await begin_again(home, connect), home, connect, LARGE) == []
        [first, _] = await (await connect(home)).read("doubled")
        assert (first.rows()[0]["n"], len(first.rows()[0]["text"]), first.envelope.attributes[REMEMBERED]) == (2, 100_000, "doubled@1")
        for _ in range(2):
            assert await work(await begin_again(home, connect, memo={}), home, connect) == [1, 2]
        assert await work(await begin_again(home, connect), home, connect) == [1, 2], "the generation that held them is gone"
        assert await work(await begin_again(home, connect), home, connect) == []


async def test_what_is_known_stands_by_until_all_before_it_is_settled_and_newer_ones_go_out(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        assert await work(await begin(home, connect, [2, 4]), home, connect) == [2, 4]
        outsider = await connect(home)
        client = await begin_again(home, connect, [1], memo={})
        await work(client, home, connect)
        # a link of numbers 2, 4, 1, 2, 4, 5, 2 of which 2 and 4 are known
        client = await begin_again(home, connect, [2, 4, 5, 2])
        stream = await client.snapshots(prefetch=8)
        one, five = await taken(stream), await taken(stream)
        assert (one.numbers(), five.numbers()) == ([1], [5])
        assert await outsider.numbers("doubled") == [4, 8, 2]  # of the generation before, the newest that is sealed
        task = home.home.ledger.tasks["double"]
        await until(lambda: task.commits == 2)  # 2 and 4, which stand before all others
        await double(client, one)
        await until(lambda: task.commits == 5)
        await double(client, five)
        assert await next_snapshot(stream) is None
        await ended(home, connect)
        assert await doubled(home, connect) == [4, 8, 2, 4, 8, 10, 4]


async def test_a_run_that_follows_commits_again_what_comes_again_as_it_comes(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        assert await work(await begin(home, connect, [1, 2]), home, connect) == [1, 2]
        client, outsider = await begin_again(home, connect, follow=True), await connect(home)
        stream = await client.snapshots()
        task = home.home.ledger.tasks["double"]
        await until(lambda: task.commits == 2)
        for number, commits in ((3, 3), (1, 4), (3, 5)):
            await outsider.publish("numbers", {"n": number})
            if commits == 3:
                await double(client, await taken(stream))
            await until(lambda commits=commits: task.commits == commits)
        await home.home.memo.settled()
        values = [envelope.attributes.get(REMEMBERED, "") for envelope in made(home, "doubled")]
        assert values == ["doubled@1", "doubled@2", "", "doubled@1", "doubled@5"], "in the order of the input, and made once"
        assert (await memo_of(client)).recalled == 4
        assert len([event for event in home.events.heard if isinstance(event, OutcomeRecalled)]) == 4


def made(home: InProcessHome, link: str) -> list[Envelope]:
    """The values of the newest generation, the growing one."""
    newest = max(home.home.ledger.links[link].generations)
    return [envelope for envelope, _ in home.home.store.values(link) if envelope.generation == newest]


async def test_one_of_two_that_are_alike_is_worked_at_and_the_other_waits_for_it(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, order=Order.NONE) as (home, _):
        client = await begin(home, connect, [7, 7, 8, 9])
        mine = await client.snapshots(says_started=True, prefetch=1)
        theirs = await (await connect(home, "double")).snapshots(says_started=True, prefetch=2)
        first = await taken(mine)
        others = [await taken(theirs), await taken(theirs)]
        assert (first.numbers(), [other.numbers() for other in others]) == ([7], [[8], [9]])
        await double(client, first)
        task = home.home.ledger.tasks["double"]
        await until(lambda: task.commits == 2)
        for other in others:
            await double(client, other)
        assert await next_snapshot(mine) is None
        assert (await memo_of(client)).recalled == 1
        assert sorted(await doubled(home, connect)) == [14, 14, 16, 18]


async def test_who_gives_no_sign_of_life_is_waited_for_no_longer(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, order=Order.NONE) as (home, clock):
        client = await begin(home, connect, [7, 7])
        hanging = await client.snapshots(says_started=True, prefetch=1)
        first = await taken(hanging)
        await hanging.write(pb.SnapshotsRequest(started=token_of(first)))
        task = home.home.ledger.tasks["double"]
        await until(lambda: task.leases[first.ready.snapshot_id].started_s is not None)
        other = await (await connect(home, "double")).snapshots(says_started=True, prefetch=2)
        pass_time(home, clock, LEASE_S)
        for snapshot in [await taken(other), await taken(other)]:
            assert snapshot.numbers() == [7]
            await double(client, snapshot)
        assert await next_snapshot(other) is None
        assert (await memo_of(client)).recalled == 0


async def test_a_whole_task_is_complete_without_its_program(tmp_path: Path, connect: Connect) -> None:
    async def sum_up(home: InProcessHome, client: RawClient) -> list[int]:
        given: list[int] = []
        stream = await client.snapshots()
        while (snapshot := await next_snapshot(stream)) is not None:
            given += snapshot.numbers()
            staged = await client.publish("total", {"n": sum(given)}, stage=snapshot.ready)
            await client.commit(snapshot.ready, staged.staged, final=True)
        return given

    async with home_with(tmp_path) as (home, _):
        for number, expected in ((1, [2]), (0, []), (2, [2, 4])):
            client = await (begin(home, connect, [1]) if number == 1 else begin_again(home, connect, [number] if number else []))
            await work(client, home, connect)
            await (await connect(home, "@run")).task_exited("from:names")
            assert await sum_up(home, await connect(home, "sum_up")) == expected
            assert home.home.ledger.tasks["sum_up"].ended
            assert await (await connect(home)).numbers("total") == [sum(expected) or 2]
            assert (await memo_of(client, "sum_up")).recalled == (0 if expected else 1)


async def test_a_check_runs_all_of_it_and_tells_what_is_another(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        assert await work(await begin(home, connect, [1, 2, 3]), home, connect) == [1, 2, 3]
        client = await begin_again(home, connect, checks_memo=True)
        stream = await client.snapshots()
        for pieces in (["n"], ["n", "n"], ["other"]):  # as it was, cut in another way, and something else
            snapshot = await taken(stream)
            [n] = snapshot.numbers()
            staged = [
                one
                for piece in pieces
                for one in (await client.publish("doubled", {"n": 2 * n if piece == "n" else 0}, stage=snapshot.ready)).staged
            ][: len(pieces)]
            await client.commit(snapshot.ready, staged)
        await home.home.memo.settled()
        checked = [event.differing for event in home.events.heard if isinstance(event, OutcomeChecked)]
        assert checked == [(), ("doubled",), ("doubled",)]
        told = await memo_of(client)
        assert (told.recalled, told.checked, told.differing, list(told.outputs)) == (0, 3, 2, ["doubled"])


async def test_without_a_place_for_the_memo_everything_runs(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        (home.directory / MEMO_FILE).mkdir()
        assert await work(await begin(home, connect, [1, 2]), home, connect) == [1, 2]
        [failed] = [event for event in home.events.heard if isinstance(event, MemoFailed)]
        assert MEMO_FILE in failed.detail
        (home.directory / MEMO_FILE).rmdir()
        assert await work(await begin_again(home, connect), home, connect) == [1, 2]
        assert await work(await begin_again(home, connect), home, connect) == []
        (home.directory / MEMO_FILE).write_bytes(b"not what was written" * 100)
        for suffix in ("-wal", "-shm"):
            (home.directory / f"{MEMO_FILE}{suffix}").unlink(missing_ok=True)
        assert await work(await begin_again(home, connect), home, connect) == [1, 2]


@pytest.mark.parametrize("reason", ["it fails", ""])
async def test_an_attempt_that_was_given_back_is_nothing_to_remember(tmp_path: Path, connect: Connect, reason: str) -> None:
    async with home_with(tmp_path) as (home, _):
        client = await begin(home, connect, [1])
        stream = await client.snapshots(says_started=True)
        snapshot = await taken(stream)
        await client.publish("doubled", {"n": 99}, stage=snapshot.ready)
        token = token_of(snapshot)
        await stream.write(pb.SnapshotsRequest(release=pb.SnapshotRelease(snapshot_id=token.snapshot_id, token=token.token, reason=reason)))
        again = await taken(stream)
        assert again.ready.attempt == 2
        await double(client, again)
        assert await next_snapshot(stream) is None
        await ended(home, connect)
        assert await work(await begin_again(home, connect), home, connect) == []
        assert await doubled(home, connect) == [2]
