"""Snapshots over gRPC of tasks that take windows, rows and newest values: what a client is sent, how it is told, and what a crash keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from raw_client import RawClient, Stream, Taken, arrow_message, arrow_table, next_snapshot, whole_value
from small_pipeline import Connect

from linkd.core import following
from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.core.tasks import TaskShape
from linkd.home.home import Home
from linkd.model.records import SnapshotLeased, TaskKind
from linkd.telemetry.events import ValueDelivered
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import runs_pb2, value_pb2

LINKS = ("ticks", "rates")
INPUTS = {
    "pair": (("ticks", "[2]"),),
    "slide": (("ticks", "[4/2]"),),
    "batch": (("ticks", "[5 rows]"),),
    "price": (("ticks", "each"), ("rates", "latest")),
    "total": (("ticks", "whole"), ("rates", "latest")),
    "newest": (("ticks", "swap"), ("rates", "swap")),
}
PIPELINE = Layout(
    "windows",
    {
        **{name: LinkShape(name, "") for name in LINKS},
        **{f"{name}_out": LinkShape(f"{name}_out", name) for name in INPUTS},
    },
    {name: TaskShape(name, TaskKind.RUN, inputs, (f"{name}_out",)) for name, inputs in INPUTS.items()},
    frozenset(LINKS),
)


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    async with running_home(tmp_path / "state", layout=PIPELINE) as home:
        yield home


async def begun(home: InProcessHome, connect: Connect, *, follow: bool = False, **contents: list[list[int]]) -> None:
    """Outsiders publish values with these numbers as rows, and a run begins."""
    outsider = await connect(home)
    for link, values in contents.items():
        for numbers in values:
            await outsider.publish(link, *({"n": n} for n in numbers))
    await (await connect(home, "@run")).call(methods.RUN_BEGIN, runs_pb2.BeginRequest(run_id="r1", fresh=True, follow=follow))


def by_input(snapshot: Taken) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for value in snapshot.values:
        found.setdefault(value.header.input, []).extend(row["n"] for row in value.rows())
    return found


async def taken(stream: Stream) -> Taken:
    snapshot = await next_snapshot(stream)
    assert snapshot is not None
    return snapshot


async def all_of(client: RawClient, **arguments: Any) -> list[tuple[dict[str, list[int]], bool]]:
    """Takes and commits every snapshot: what was in it, and whether it was partial."""
    stream = await client.snapshots(**arguments)
    found = []
    while (snapshot := await next_snapshot(stream)) is not None:
        found.append((by_input(snapshot), snapshot.ready.partial))
        await client.commit(snapshot.ready)
    return found


async def test_windows_come_whole_and_what_is_left_is_partial(home: InProcessHome, connect: Connect) -> None:
    await begun(home, connect, ticks=[[n] for n in range(1, 10)])
    assert await all_of(await connect(home, "slide")) == [
        ({"ticks": [1, 2, 3, 4]}, False),
        ({"ticks": [3, 4, 5, 6]}, False),
        ({"ticks": [5, 6, 7, 8]}, False),
        ({"ticks": [7, 8, 9]}, True),
    ]
    [slide] = [task for task in (await (await connect(home)).describe()).tasks if task.name == "slide"]
    assert [(part.done_values, part.done_rows, part.waiting_values) for part in slide.progress] == [(9, 9, 0)]
    assert slide.inputs[0].policy == "[4/2]"


async def test_a_window_larger_than_the_credit_comes_all_the_same(home: InProcessHome, connect: Connect) -> None:
    await begun(home, connect, ticks=[[n] for n in range(5)])
    found = await all_of(await connect(home, "pair"), credit_bytes=1)
    assert found == [({"ticks": [0, 1]}, False), ({"ticks": [2, 3]}, False), ({"ticks": [4]}, True)]


async def test_a_client_sees_only_the_rows_that_belong_to_its_window(home: InProcessHome, connect: Connect) -> None:
    await begun(home, connect, ticks=[[1, 2, 3], [4, 5, 6, 7, 8, 9, 10], [11, 12]])
    client = await connect(home, "batch")
    stream = await client.snapshots()
    first, second = await taken(stream), await taken(stream)
    assert (first.numbers(), second.numbers()) == ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    headers = [value.header for value in (*first.values, *second.values)]
    assert [(header.first_row, header.end_row, header.envelope.rows) for header in headers] == [(0, 0, 3), (0, 2, 7), (2, 7, 7)]
    [portion] = second.ready.portions
    assert (portion.first_sequence, portion.first_row, portion.last_sequence, portion.end_row) == (2, 2, 2, 0)
    staged = (await client.publish("batch_out", {"n": 0}, stage=first.ready)).staged
    await client.commit(first.ready, staged)
    [parent] = (await (await connect(home)).read("batch_out"))[0].envelope.parents
    assert (parent.first_sequence, parent.last_sequence, parent.end_row) == (1, 2, 2), "lineage names the rows too"
    await client.commit(second.ready)
    last = await taken(stream)
    assert (last.numbers(), last.ready.partial) == ([11, 12], True)
    delivered = [event for event in home.events.heard if isinstance(event, ValueDelivered) and event.group == "batch"]
    assert sum(event.rows for event in delivered) == 12


async def test_rows_of_arrow_are_cut_out_of_their_batch(home: InProcessHome, connect: Connect) -> None:
    schema, payload = arrow_message({"n": list(range(12)), "text": ["x" * 1000] * 12})
    outsider = await connect(home)
    stream = outsider.stream(methods.PUBLISH)
    value = pb.PublishValue(link="ticks", format=value_pb2.ARROW, payload_bytes=len(payload), schema=schema, data=payload)
    await stream.write(pb.PublishRequest(value=value))
    await stream.done_writing()
    assert await stream.read() is not None
    await begun(home, connect)
    task = await connect(home, "batch")
    snapshots = await task.snapshots(format=value_pb2.ARROW)
    found = []
    sent_schema = b""
    while (snapshot := await next_snapshot(snapshots)) is not None:
        [got] = snapshot.values
        sent_schema = got.header.schema or sent_schema
        found.append(arrow_table(sent_schema, got.payload)["n"].to_pylist())
        assert len(got.payload) < len(payload) / 2, "only the rows of the window travel"
        await task.commit(snapshot.ready)
    assert found == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]


async def test_windows_of_rows_go_on_where_they_were_after_a_crash(home: InProcessHome, connect: Connect) -> None:
    home.supervised = False
    await begun(home, connect, ticks=[list(range(12))])
    client = await connect(home, "batch")
    stream = await client.snapshots()
    first, second = await taken(stream), await taken(stream)
    await client.commit(first.ready)
    await home.restart(crash=True)
    client = await connect(home, "batch")
    again = await taken(await client.snapshots())
    assert (again.numbers(), again.ready.snapshot_id) == ([5, 6, 7, 8, 9], second.ready.snapshot_id)


async def test_latest_goes_with_every_value_and_with_the_whole(home: InProcessHome, connect: Connect) -> None:
    await begun(home, connect, ticks=[[1], [2]], rates=[[10], [20], [30]])
    assert await all_of(await connect(home, "price")) == [
        ({"ticks": [1], "rates": [30]}, False),
        ({"ticks": [2], "rates": [30]}, False),
    ]
    assert await all_of(await connect(home, "total")) == [({"ticks": [1, 2], "rates": [30]}, False)]


async def test_swap_is_durable_before_it_is_handed_out_and_comes_again_as_it_was(home: InProcessHome, connect: Connect) -> None:
    home.supervised = False
    await begun(home, connect, ticks=[[1], [2]], rates=[[10]], follow=True)
    client, outsider = await connect(home, "newest"), await connect(home)
    first = await taken(await client.snapshots())
    assert by_input(first) == {"ticks": [2], "rates": [10]}
    await outsider.publish("ticks", {"n": 3})
    await home.restart(crash=True)
    assert first.ready.snapshot_id in leased_on_disk(home.home)
    client = await connect(home, "newest")
    stream = await client.snapshots()
    again = await taken(stream)
    assert (again.ready.snapshot_id, by_input(again)) == (first.ready.snapshot_id, by_input(first))
    await client.commit(again.ready)
    assert by_input(await taken(stream)) == {"ticks": [3], "rates": [10]}


def leased_on_disk(home: Home) -> set[bytes]:
    """The snapshots of which the home knew when it started."""
    return {
        record.snapshot_id for task in home.ledger.tasks.values() for record in task.open_snapshots() if isinstance(record, SnapshotLeased)
    }


async def test_a_stream_of_whole_snapshots_stays_open_from_execution_to_execution(home: InProcessHome, connect: Connect) -> None:
    await begun(home, connect, ticks=[[1]], rates=[[10]], follow=True)
    client, outsider = await connect(home, "total"), await connect(home)
    stream = await client.snapshots()
    assert (await stream.read()).WhichOneof("message") == "begin"
    early = await whole_value(stream, await stream.read())
    assert early.rows() == [{"n": 1}], "values go out before the task may run"

    begin_again(home.home, "total")
    first = await taken(stream)
    assert by_input(first) == {"ticks": [1], "rates": [10]}
    await client.commit(first.ready)
    assert home.home.ledger.links["total_out"].generations[1].is_sealed, "every commit of it is final"

    await outsider.publish("ticks", {"n": 2})
    begin_again(home.home, "total")
    await outsider.publish("ticks", {"n": 3})
    second = await taken(stream)
    assert by_input(second) == {"ticks": [1, 2], "rates": [10]}, "from the first value to the extent of the execution"
    await client.commit(second.ready)


def begin_again(home: Home, name: str) -> None:
    """What the conductor does when the task's inputs were idle."""
    home.admit(following.begin_again(home.ledger, home.ledger.tasks[name], home.layout.links))


async def test_a_task_that_follows_waits_at_a_seal_and_takes_what_comes(home: InProcessHome, connect: Connect) -> None:
    await begun(home, connect, ticks=[[1], [2], [3]], follow=True)
    client, outsider = await connect(home, "pair"), await connect(home)
    stream = await client.snapshots()
    await client.commit((await taken(stream)).ready)
    await outsider.publish("ticks", {"n": 4})
    assert by_input(await taken(stream)) == {"ticks": [3, 4]}
