"""What went wrong with the links of the system before this one (koalja.md, section (d)), played again over a real home: it ends the other way."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from doubling import begun, double, taken
from raw_client import ack, nack, next_snapshot, next_value, rows_value, send_ack, until
from small_pipeline import Connect

import linkd.aio
from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.core.tasks import TaskShape
from linkd.model.records import TaskKind
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import runs_pb2

LAYERS = 12
"""Of diamonds: four thousand roads lead from the last value to the first."""
MANY = 250


async def test_seven_values_for_newest_of_each_are_taken_as_they_come_and_never_twice(tmp_path: Path, connect: Connect) -> None:
    """There the task stopped for ever behind its first snapshot (d1)."""
    links = {name: LinkShape(name, "") for name in ("ticks", "rates")} | {"out": LinkShape("out", "newest")}
    tasks = {"newest": TaskShape("newest", TaskKind.RUN, (("ticks", "swap"), ("rates", "swap")), ("out",))}
    async with running_home(tmp_path / "state", layout=Layout("swap", links, tasks, frozenset({"ticks", "rates"}))) as home:
        await (await connect(home, "@run")).call(methods.RUN_BEGIN, runs_pb2.BeginRequest(run_id="r1", fresh=True, follow=True))
        outsider, task = await connect(home), await connect(home, "newest")
        await outsider.publish("ticks", {"n": 1})
        stream = await task.snapshots()
        seen = []
        for link, number in (("rates", 10), ("ticks", 2), ("ticks", 3), ("rates", 20), ("ticks", 4), ("rates", 30)):
            await outsider.publish(link, {"n": number})
            snapshot = await taken(stream)
            seen.append(tuple(snapshot.numbers()))
            await task.commit(snapshot.ready)
        assert seen == [(1, 10), (2, 10), (3, 10), (3, 20), (4, 20), (4, 30)]
        described = {each.name: each for each in (await outsider.describe()).tasks}
        assert [part.waiting_values for part in described["newest"].progress] == [0, 0]


async def test_what_a_program_has_done_is_done_for_good_and_what_failed_is_not(home: InProcessHome, connect: Connect) -> None:
    """There nothing that a program pulled was ever acked (d2), what failed was counted as done and gone (d3), and counts began anew (d24)."""
    home.supervised = False
    client = await begun(home, connect, 5)
    stream = await client.snapshots()
    for _ in range(2):
        await double(client, await taken(stream))
    failed = await taken(stream)
    stream.cancel()
    await until(lambda: not home.tasks_of_calls())

    async def counts() -> tuple[int, int, int, int]:
        told = await (await connect(home)).describe()
        [task] = [each for each in told.tasks if each.name == "double"]
        [link] = [each for each in told.links if each.name == "doubled"]
        [part] = task.progress
        return task.commits, part.done_values, part.waiting_values, link.values

    assert await counts() == (2, 2, 3, 2)
    await home.restart(crash=True)
    assert await counts() == (2, 2, 3, 2)
    client = await connect(home, "double")
    stream = await client.snapshots()
    again = await taken(stream)
    assert (again.numbers(), again.ready.snapshot_id) == (failed.numbers(), failed.ready.snapshot_id)
    await double(client, again)
    for _ in range(2):
        await double(client, await taken(stream))
    assert await next_snapshot(stream) is None
    assert await counts() == (5, 5, 0, 5)


async def test_while_linkd_is_away_a_consumer_waits_quietly_and_goes_on(open_home: InProcessHome, caplog: pytest.LogCaptureFixture) -> None:
    """There a restarted link was never heard of again, and its consumer wrote 17,000 lines a second about it (d4)."""
    caplog.set_level(logging.DEBUG, "linkd")
    tries = 0

    def on_state(change: linkd.StateChange) -> None:
        nonlocal tries
        tries = max(tries, change.attempt)

    async with linkd.aio.connect(open_home.endpoint, on_state=on_state) as client:
        await client.publish("events", [{"n": 1}])
        values = client.subscribe("events", "g", follow=True)
        await (await anext(values)).ack()
        coming = asyncio.ensure_future(anext(values))
        await open_home.stop()
        caplog.clear()
        await until(lambda: tries >= 3)
        lines = [record for record in caplog.records if record.name.startswith("linkd")]
        await open_home.start()
        await client.publish("events", [{"n": 2}])
        assert (await coming).rows() == [{"n": 2}]
        values.close()
    assert len(lines) <= tries


async def test_hundreds_of_values_in_the_hands_of_a_consumer_that_goes_are_all_handed_out_again(
    open_home: InProcessHome, connect: Connect
) -> None:
    """There the thirty-third could not be given back, and one that was just being fetched was lost (d6)."""
    client = await connect(open_home)
    publishing = client.stream(methods.PUBLISH)
    for number in range(MANY):
        await publishing.write(rows_value("events", {"n": number}))
    await publishing.done_writing()
    await publishing.until_error()
    leaving = await client.subscribe("events", credit_bytes=64 << 20)
    for _ in range(MANY - 1):
        assert await next_value(leaving) is not None
    leaving.cancel()  # the last one is on its way
    await until(lambda: not open_home.tasks_of_calls())
    taking_over = await client.subscribe("events", credit_bytes=64 << 20)
    got = [await next_value(taking_over) for _ in range(MANY)]
    assert [row["n"] for value in got if value for row in value.rows()] == list(range(MANY))


async def test_every_branch_gets_what_was_acked_however_long_one_of_them_fails(open_home: InProcessHome, connect: Connect) -> None:
    """There one branch got a value that another, which was away meanwhile, never saw: "accepted" was a word (d7), and a full one held up all (d8)."""
    client = await connect(open_home)
    acked = [(await client.publish("events", {"n": number})).first.sequence for number in range(1, 41)]
    healthy = await client.subscribe("events", "healthy")
    failing = await client.subscribe("events", "failing", credit_bytes=1)
    for _ in range(20):
        value = await next_value(failing)
        assert value is not None
        assert value.sequence == 1
        await nack(failing, value)
    seen = []
    while len(seen) < len(acked):
        value = await next_value(healthy)
        assert value is not None
        seen.append(value.sequence)
        await send_ack(healthy, value)
    assert seen == acked
    await open_home.restart(crash=True)
    client = await connect(open_home)
    late = await client.subscribe("events", "failing")
    assert [value.sequence for value in [await next_value(late) for _ in acked] if value] == acked


async def test_one_group_name_on_two_links_is_two_cursors(open_home: InProcessHome, connect: Connect) -> None:
    """There a task that read two links under its one name read the first link's queue twice (d11)."""
    client = await connect(open_home)
    for link, number in (("left", 1), ("right", 2)):
        await client.publish(link, {"n": number})
    streams = [await client.subscribe(link) for link in ("left", "right")]
    values = [await next_value(stream) for stream in streams]
    assert [value.rows() for value in values if value] == [[{"n": 1}], [{"n": 2}]]
    assert values[0] is not None
    await ack(streams[0], values[0])
    groups = {group.link: group for group in (await client.describe()).groups}
    assert [(groups[link].done_sequence, groups[link].leased) for link in ("left", "right")] == [(1, 0), (0, 1)]


async def test_the_ancestors_of_a_value_behind_many_diamonds_are_told_once_each(tmp_path: Path, connect: Connect) -> None:
    """There the tree was built anew for each road to a value, twice as many with each diamond (d22)."""
    links = {"a0": LinkShape("a0", ""), "b0": LinkShape("b0", "")}
    tasks = {}
    for layer in range(1, LAYERS + 1):
        name, outputs = f"t{layer}", (f"a{layer}", f"b{layer}")
        tasks[name] = TaskShape(name, TaskKind.RUN, ((f"a{layer - 1}", "each"), (f"b{layer - 1}", "each")), outputs)
        links |= {output: LinkShape(output, name) for output in outputs}
    async with running_home(tmp_path / "state", layout=Layout("diamonds", links, tasks, frozenset({"a0", "b0"}))) as home:
        outsider = await connect(home)
        for link in ("a0", "b0"):
            await outsider.publish(link, {"n": 0})
        await (await connect(home, "@run")).begin()
        for layer in range(1, LAYERS + 1):
            client = await connect(home, f"t{layer}")
            snapshot = await taken(await client.snapshots())
            staged = []
            for output in tasks[f"t{layer}"].outputs:
                staged += (await client.publish(output, {"n": layer}, stage=snapshot.ready)).staged
            await client.commit(snapshot.ready, staged)
        told = await outsider.call(methods.TRACE, pb.TraceRequest(value=f"a{LAYERS}@1"))
        names = [(each.envelope.link, each.depth) for each in told.ancestors]
        assert len(names) == 2 * LAYERS + 1
        assert set(names[1:]) == {(f"{side}{layer}", LAYERS - layer) for layer in range(LAYERS) for side in "ab"}
        assert not told.cut


async def test_results_are_there_before_the_program_ends(home: InProcessHome, connect: Connect) -> None:
    """There what a program wrote went on when it had exited (d15), without the names of what it was made of where it went on earlier (d9)."""
    client = await begun(home, connect, 3)
    onlooker = await connect(home)
    stream = await client.snapshots()
    for number in range(1, 4):
        await double(client, await taken(stream))
        [newest] = await onlooker.read("doubled", last_values=1)
        assert newest.rows() == [{"n": 2 * number}]
        [parent] = newest.envelope.parents
        assert (parent.link, parent.first_sequence, parent.last_sequence) == ("numbers", number, number)
