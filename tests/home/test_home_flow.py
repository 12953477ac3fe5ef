"""Bounded links over gRPC: who waits, who does not, what is dropped, and that every graph that can move does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from raw_client import RawClient, Stream, Taken, next_snapshot, next_value, rows_value, send_ack, until
from small_pipeline import Connect

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.core.tasks import TaskShape
from linkd.errors import NoRoom, Overloaded, Stalled
from linkd.model.records import TaskKind
from linkd.model.terms import LinkTerms, OnFull
from linkd.telemetry.events import CircleOfWaits, LinkFilled, ValueDropped
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import runs_pb2

SIZE_BYTES = 152
"""Of a value of one row with a number in it: the bounds below are so many times that."""

Wires = Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]]
"""Of each task its inputs with their policies, and its outputs."""


def layout(wires: Wires, bounds: Mapping[str, int], on_full: OnFull = OnFull.BLOCK, outside: tuple[str, ...] = ("s",)) -> Layout:
    """A pipeline whose links in `bounds` hold so many values."""

    def terms(link: str) -> LinkTerms:
        return LinkTerms(bound_bytes=bounds[link] * SIZE_BYTES, on_full=on_full) if link in bounds else LinkTerms()

    links = {link: LinkShape(link, "", terms=terms(link)) for link in outside}
    for task, (_, outputs) in wires.items():
        links |= {link: LinkShape(link, task, terms=terms(link)) for link in outputs}
    tasks = {name: TaskShape(name, TaskKind.RUN, tuple(inputs.items()), outputs) for name, (inputs, outputs) in wires.items()}
    return Layout("bounded", links, tasks, frozenset(outside))


async def begin(home: InProcessHome, connect: Connect, *, follow: bool = True) -> None:
    """A run that follows, so that outsiders may publish while it goes on."""
    supervisor = await connect(home, "@run")
    await supervisor.call(methods.RUN_BEGIN, runs_pb2.BeginRequest(run_id="r1", fresh=True, follow=follow))


async def taken(stream: Stream) -> Taken:
    snapshot = await next_snapshot(stream)
    assert snapshot is not None
    return snapshot


async def commit(client: RawClient, snapshot: Taken, **outputs: int) -> None:
    """Commits a value with that number to each of these outputs; asks again as long as there is no room."""
    staged = [ref for link, number in outputs.items() for ref in (await client.publish(link, {"n": number}, stage=snapshot.ready)).staged]
    while True:
        try:
            await client.commit(snapshot.ready, staged)
        except NoRoom:
            continue
        return


async def work(client: RawClient, many: int, outputs: Any) -> list[list[int]]:
    """A task: takes so many snapshots, and of each publishes what `outputs` makes of its numbers. Returns the numbers."""
    stream, seen = await client.snapshots(), []
    while len(seen) < many:
        snapshot = await taken(stream)
        await commit(client, snapshot, **outputs(snapshot.numbers()))
        seen.append(snapshot.numbers())
    stream.cancel()
    return seen


async def feed(client: RawClient, link: str, many: int) -> None:
    for number in range(many):
        await client.publish(link, {"n": number})


def is_waiting(home: InProcessHome) -> bool:
    return bool(home.home.flow.waits())


ONE = {"t": ({"s": "each"}, ("out",))}


async def test_a_full_link_holds_back_its_publishers_who_go_on_in_order(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 2})) as home:
        await begin(home, connect)
        client = await connect(home)
        await feed(client, "s", 2)
        third = asyncio.create_task(client.publish("s", {"n": 2}), name="third")
        await until(lambda: is_waiting(home))
        fourth = asyncio.create_task(client.publish("s", {"n": 3}), name="fourth")
        fifth = asyncio.create_task(client.publish("s", {"n": 4}), name="fifth")
        await until(lambda: len(home.home.flow.waits()) == 3)
        assert home.home.flow.waits()[0].startswith("a publisher waits: s is full (")
        staged_bytes = home.home.store._staging.in_memory_bytes
        assert home.home.memory.used_bytes == staged_bytes, "what came is given back; what is staged goes to disk where memory is short"
        fourth.cancel()
        await until(lambda: len(home.home.flow.waits()) == 2)
        task = await connect(home, "t")
        assert await work(task, 4, lambda numbers: {}) == [[0], [1], [2], [4]]
        assert [(await one).first.sequence for one in (third, fifth)] == [3, 4]
        [filled] = [event for event in home.events.heard if isinstance(event, LinkFilled)]
        assert (filled.link, filled.readers) == ("s", "t")


async def test_one_value_goes_into_an_empty_link_however_large(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 1})) as home:
        await begin(home, connect)
        ack = await (await connect(home)).publish("s", *({"n": number} for number in range(10_000)))
        assert ack.rows == 10_000


async def test_without_a_reader_at_work_nothing_is_full_and_a_group_is_one(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 2})) as home:
        client = await connect(home)
        await feed(client, "s", 5)
        values = await client.subscribe("s", follow=True)
        waiting = asyncio.create_task(client.publish("s", {"n": 5}), name="waiting")
        await until(lambda: is_waiting(home))
        assert "group g" in home.home.flow.waits()[0]
        for _ in range(4):
            value = await next_value(values)
            assert value is not None
            await send_ack(values, value)
        assert (await waiting).first.sequence == 6


async def test_a_link_that_refuses_says_so_and_takes_values_again(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 2}, OnFull.REFUSE)) as home:
        await begin(home, connect)
        client = await connect(home)
        await feed(client, "s", 2)
        with pytest.raises(Overloaded, match=r"s is full \([0-9,]+ of [0-9,]+ bytes wait for t\); it refuses"):
            await client.publish("s", {"n": 2})
        await work(await connect(home, "t"), 1, lambda numbers: {})
        assert (await client.publish("s", {"n": 2})).first.sequence == 3


async def test_the_newest_is_dropped_counted_and_keeps_its_place(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 2}, OnFull.DROP_NEWEST)) as home:
        await begin(home, connect)
        client = await connect(home)
        stream = client.stream(methods.PUBLISH)
        answers = []
        for number in range(4):
            await stream.write(rows_value("s", {"n": number}, producer={"id": "~p", "epoch": 1, "sequence": number + 1}))
            answers.append(await stream.read())
        assert [(answer.dropped, answer.first.sequence) for answer in answers] == [(False, 1), (False, 2), (True, 3), (True, 4)]
        await stream.write(rows_value("s", {"n": 3}, producer={"id": "~p", "epoch": 1, "sequence": 4}))
        again = await stream.read()
        assert (again.repeated, again.dropped, again.first.sequence) == (True, True, 4)
        [told] = (await client.describe("s")).links
        assert (told.bound_bytes, told.waiting_bytes, told.on_full) == (2 * SIZE_BYTES, 2 * SIZE_BYTES, "drop_newest")
        assert [(one.reason, one.values) for one in told.dropped] == [("full", 2)]
        assert await work(await connect(home, "t"), 2, lambda numbers: {}) == [[0], [1]]
        await stream.write(rows_value("s", {"n": 4}, producer={"id": "~p", "epoch": 1, "sequence": 5}))
        assert (await stream.read()).first.sequence == 5
        await home.restart()
        assert await work(await connect(home, "t"), 1, lambda numbers: {}) == [[4]]
        assert await (await connect(home)).numbers("s") == [0, 1, 4]


async def test_the_oldest_make_room_but_never_what_is_on_lease(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 3}, OnFull.DROP_OLDEST)) as home:
        await begin(home, connect)
        client, task = await connect(home), await connect(home, "t")
        await feed(client, "s", 5)
        dropped = [event for event in home.events.heard if isinstance(event, ValueDropped)]
        assert [(event.link, event.values, event.reason) for event in dropped] == [("s", 1, "full"), ("s", 1, "full")]
        stream = await task.snapshots(prefetch=2)
        held = [await taken(stream), await taken(stream)]
        assert [snapshot.numbers() for snapshot in held] == [[2], [3]]
        await feed(client, "s", 2)  # 0 and 1 again, in the places of 4 and of the first of them
        await commit(task, held[0])
        await commit(task, held[1])
        assert (await taken(stream)).numbers() == [1]
        assert sum(event.values for event in home.events.heard if isinstance(event, ValueDropped)) == 4


async def test_values_on_lease_are_waited_for_where_nothing_else_is_left_to_drop(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 2}, OnFull.DROP_OLDEST)) as home:
        await begin(home, connect)
        client, task = await connect(home), await connect(home, "t")
        stream = await task.snapshots(prefetch=2)
        await feed(client, "s", 2)
        held = [await taken(stream), await taken(stream)]
        waiting = asyncio.create_task(client.publish("s", {"n": 2}), name="waiting")
        await until(lambda: is_waiting(home))
        await commit(task, held[0])
        assert (await waiting).first.sequence == 3


DIAMOND: Wires = {
    "a": ({"s": "each"}, ("x", "y")),
    "b": ({"x": "each"}, ("z",)),
    "j": ({"y": "each", "z": "each"}, ("out",)),
}


async def test_a_diamond_of_which_one_branch_filters_runs_with_small_bounds(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(DIAMOND, {"s": 2, "x": 2, "y": 2, "z": 2, "out": 2})) as home:
        await begin(home, connect)
        feeding = asyncio.create_task(feed(await connect(home), "s", 60), name="feeding")
        a = asyncio.create_task(work(await connect(home, "a"), 60, lambda n: {"x": n[0], "y": n[0]}), name="a")
        b = asyncio.create_task(work(await connect(home, "b"), 60, lambda n: {"z": n[0]} if n[0] % 20 == 0 else {}), name="b")
        joined = await work(await connect(home, "j"), 3, lambda n: {"out": n[0]})
        assert joined == [[0, 0], [1, 20], [2, 40]]
        await asyncio.gather(feeding, a, b)


async def test_a_window_larger_than_the_bound_fills(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout({"t": ({"s": "[10]"}, ("out",))}, {"s": 2})) as home:
        await begin(home, connect)
        feeding = asyncio.create_task(feed(await connect(home), "s", 30), name="feeding")
        assert await work(await connect(home, "t"), 3, lambda n: {}) == [list(range(start, start + 10)) for start in (0, 10, 20)]
        await feeding


async def test_a_window_of_rows_larger_than_the_bound_fills(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout({"t": ({"s": "[10 rows]"}, ("out",))}, {"s": 2})) as home:
        await begin(home, connect)
        feeding = asyncio.create_task(feed(await connect(home), "s", 20), name="feeding")
        assert await work(await connect(home, "t"), 2, lambda n: {}) == [list(range(10)), list(range(10, 20))]
        await feeding


async def test_an_input_that_is_taken_whole_is_never_full(tmp_path: Path, connect: Connect) -> None:
    wires: Wires = {"t": ({"s": "each"}, ("x",)), "sum": ({"x": "whole"}, ("out",))}
    async with running_home(tmp_path / "state", layout=layout(wires, {"s": 2, "x": 2})) as home:
        client = await connect(home)
        await feed(client, "s", 20)
        await begin(home, connect, follow=False)
        assert await work(await connect(home, "t"), 20, lambda n: {"x": n[0]}) == [[number] for number in range(20)]
        await (await connect(home, "@run")).task_exited("t")
        assert await work(await connect(home, "sum"), 1, lambda n: {}) == [list(range(20))]


async def test_a_slow_branch_holds_back_only_the_producer_of_its_own_link(tmp_path: Path, connect: Connect) -> None:
    wires: Wires = {"quick": ({"s": "each"}, ("fast",)), "slow": ({"s": "each"}, ("late",)), "other": ({"r": "each"}, ("more",))}
    async with running_home(tmp_path / "state", layout=layout(wires, {"s": 2, "r": 2}, outside=("s", "r"))) as home:
        await begin(home, connect)
        client = await connect(home)
        feeding = asyncio.create_task(feed(client, "s", 10), name="feeding")
        await work(await connect(home, "quick"), 2, lambda n: {"fast": n[0]})
        await until(lambda: is_waiting(home))
        assert "wait for slow" in home.home.flow.waits()[0]
        more = asyncio.create_task(feed(client, "r", 10), name="more")
        assert len(await work(await connect(home, "other"), 10, lambda n: {"more": n[0]})) == 10
        await more
        quick = asyncio.create_task(work(await connect(home, "quick"), 8, lambda n: {}), name="quick")
        assert len(await work(await connect(home, "slow"), 10, lambda n: {})) == 10
        await asyncio.gather(feeding, quick)


async def test_a_commit_waits_for_all_its_outputs_and_holds_none(tmp_path: Path, connect: Connect) -> None:
    wires: Wires = {"a": ({"s": "each"}, ("x", "y")), "b": ({"x": "each"}, ()), "c": ({"y": "each"}, ())}
    async with running_home(tmp_path / "state", layout=layout(wires, {"x": 1, "y": 1})) as home:
        await begin(home, connect)
        await feed(await connect(home), "s", 3)
        task = await connect(home, "a")
        stream = await task.snapshots()
        await commit(task, await taken(stream), y=0)
        waiting = asyncio.create_task(commit(task, await taken(stream), x=1, y=1), name="waiting")
        await until(lambda: is_waiting(home))
        assert home.home.flow.waits()[0].startswith("a waits: y is full")
        assert home.home.flow.flow.waiting_bytes("x") == 0, "nothing is held of what has room"
        await work(await connect(home, "c"), 1, lambda n: {})
        await waiting


async def test_what_waits_is_counted_anew_by_a_home_that_starts_again(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 3})) as home:
        client = await connect(home)
        await feed(client, "s", 3)
        values = await client.subscribe("s", follow=True)
        first = await next_value(values)
        assert first is not None
        await send_ack(values, first)
        assert (await client.publish("s", {"n": 3})).first.sequence == 4
        await home.restart(crash=True)
        client = await connect(home)
        waiting = asyncio.create_task(client.publish("s", {"n": 4}), name="waiting")
        await until(lambda: is_waiting(home))
        values = await client.subscribe("s", follow=True)
        second = await next_value(values)
        assert second is not None
        await send_ack(values, second)
        assert (await waiting).first.sequence == 5


async def test_a_circle_of_waits_is_named_and_ends(tmp_path: Path, connect: Connect) -> None:
    """Wirings have no circles, so `b` is made to wait for what only `a` could free."""
    wires: Wires = {"a": ({"s": "each"}, ("x",)), "b": ({"x": "each"}, ("out",))}
    async with running_home(tmp_path / "state", layout=layout(wires, {"s": 1, "x": 1})) as home:
        flow = home.home.flow
        flow.stall_timeout_s = 0.2
        await begin(home, connect)
        outsider, a, b = await connect(home), await connect(home, "a"), await connect(home, "b")
        from_a, from_b = await a.snapshots(prefetch=1), await b.snapshots(prefetch=1)
        await outsider.publish("s", {"n": 0})
        await commit(a, await taken(from_a), x=0)
        held = await taken(from_b)
        await outsider.publish("s", {"n": 1})
        stuck = asyncio.create_task(commit(a, await taken(from_a), x=1), name="a")
        await until(lambda: is_waiting(home))
        wanted = {"s": SIZE_BYTES}
        named = r"nothing can move any more: a waits for b waits for a, for 0\.2 s"
        with pytest.raises(Stalled, match=named), flow.in_line(wanted, "b") as place:
            while full := flow.full(wanted, place):
                await flow.wait(place, full)
        [event] = [event for event in home.events.heard if isinstance(event, CircleOfWaits)]
        assert event.tasks == ("a", "b")
        await commit(b, held)
        await stuck
        assert not is_waiting(home)


async def test_who_only_waits_is_in_no_circle(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=layout(ONE, {"s": 1})) as home:
        home.home.flow.stall_timeout_s = 0.0
        await begin(home, connect)
        client = await connect(home)
        await feed(client, "s", 1)
        waiting = asyncio.create_task(client.publish("s", {"n": 1}), name="waiting")
        await until(lambda: is_waiting(home))
        await work(await connect(home, "t"), 2, lambda n: {})
        await waiting
        assert not any(isinstance(event, CircleOfWaits) for event in home.events.heard)
        assert not is_waiting(home)


async def test_a_huge_input_does_not_eat_the_credit_of_a_tiny_one(tmp_path: Path, connect: Connect) -> None:
    wires: Wires = {"t": ({"s": "[3]", "r": "each"}, ("out",))}
    async with running_home(tmp_path / "state", layout=layout(wires, {}, outside=("s", "r"))) as home:
        client = await connect(home)
        for number in range(9):
            await client.publish("s", *({"n": number} for _ in range(5_000)))
        await feed(client, "r", 3)
        await begin(home, connect, follow=False)
        task = await connect(home, "t")
        stream = await task.snapshots(credit_bytes=1, prefetch=2)  # and none is given back
        for number in range(3):
            snapshot = await taken(stream)
            assert len(snapshot.values) == 4
            assert snapshot.numbers()[-1] == number, "the tiny one comes with each window, larger than the credit as that is"
            await commit(task, snapshot)
        assert await next_snapshot(stream) is None
