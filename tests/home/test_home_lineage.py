"""What became of a value, and the names by which values are found."""

from __future__ import annotations

from typing import Any

import pytest
from doubling import begun, double, names, taken
from raw_client import RawClient, nack, next_value, until
from small_pipeline import Connect

from linkd.core.iso8601 import timestamp_text
from linkd.errors import InvalidArgument, LinkNotFound
from linkd.model.records import Dropped
from linkd.testing.home import InProcessHome
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb


async def run(home: InProcessHome, connect: Connect) -> RawClient:
    """Three numbers doubled one by one, then summed up beside two names, then written by a sink. An outsider's client."""
    client = await begun(home, connect, 3)
    await names(home, connect, {"name": "a"}, {"name": "b"})
    stream = await client.snapshots()
    for _ in range(3):
        await double(client, await taken(stream))
    await (await connect(home, "@run")).task_exited("double")
    summing = await connect(home, "sum_up")
    snapshot = await taken(await summing.snapshots())
    staged = (await summing.publish("total", {"n": 12}, stage=snapshot.ready)).staged
    await summing.commit(snapshot.ready, staged, final=True)
    adapters = await connect(home, "@adapters")
    written = await taken(await adapters.snapshots(task="to:total"))
    await adapters.commit(written.ready, final=True, task="to:total", attributes={"path": "/out/total.csv", "rows": "1", "digest": "d1"})
    return await connect(home)


async def forward(client: RawClient, value: str, **arguments: Any) -> Any:
    return await client.call(methods.TRACE, pb.TraceRequest(value=value, forward=True, **arguments))


def told(relatives: Any) -> list[tuple[str, int, int]]:
    return [(each.envelope.link, each.envelope.position.sequence, each.depth) for each in relatives]


async def test_a_trace_forward_leads_to_all_that_was_made_and_written(home: InProcessHome, connect: Connect) -> None:
    client = await run(home, connect)
    answer = await forward(client, "numbers@2")
    assert told(answer.ancestors) == [("numbers", 2, 0)]
    assert told(answer.descendants) == [("doubled", 2, 1), ("total", 1, 2)]
    [sink] = answer.sinks
    assert (sink.task, dict(sink.attributes)) == ("to:total", {"path": "/out/total.csv", "rows": "1", "digest": "d1"})
    assert [(portion.link, portion.first_sequence, portion.last_sequence) for portion in sink.portions] == [("total", 1, 1)]
    assert not answer.cut


async def test_a_source_value_names_its_source_and_its_descendants(home: InProcessHome, connect: Connect) -> None:
    client = await run(home, connect)
    answer = await forward(client, "names@last")
    assert answer.ancestors[0].source.digest == "d"
    assert told(answer.descendants) == [("total", 1, 1)]


async def test_values_whose_data_are_gone_are_still_told_of_both_ways_and_over_a_restart(home: InProcessHome, connect: Connect) -> None:
    client = await run(home, connect)
    gone = [Dropped(link, 1, 1, 3, "age", dropped_at_ns=5) for link in ("numbers", "doubled")]
    await home.home.written(home.home.admit(gone))
    for _ in range(2):
        assert await client.numbers("numbers") == []
        answer = await forward(client, "numbers@2")
        assert (told(answer.ancestors), told(answer.descendants)) == ([("numbers", 2, 0)], [("doubled", 2, 1), ("total", 1, 2)])
        back = await client.call(methods.TRACE, pb.TraceRequest(value="total@1"))
        assert {("numbers", 2, 2), ("doubled", 2, 1), ("names", 1, 1)} <= set(told(back.ancestors))
        await home.restart()
        client = await connect(home)


async def test_the_last_link_has_a_sink_only(home: InProcessHome, connect: Connect) -> None:
    answer = await forward(await run(home, connect), "total@1")
    assert (told(answer.descendants), len(answer.sinks)) == ([], 1)


async def test_a_value_that_could_not_be_worked_on_has_its_dead_letters_as_descendants(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await client.publish("events", {"n": 1})
    await client.publish("events", {"n": 2})
    stream = await client.subscribe("events", max_attempts=1)
    values = [await next_value(stream) for _ in range(2)]
    assert values[1] is not None
    await nack(stream, values[1])
    await until(lambda: "events.dead" in open_home.home.ledger.links)
    await until(lambda: open_home.home.ledger.links["events.dead"].durable_sequence == 1)
    assert told((await forward(client, "events@2")).descendants) == [("events.dead", 1, 1)]
    assert not (await forward(client, "events@1")).descendants
    back = await client.call(methods.TRACE, pb.TraceRequest(value="events.dead@last"))
    assert told(back.ancestors) == [("events.dead", 1, 0), ("events", 2, 1)]


async def test_depth_and_limit_bound_what_is_told(home: InProcessHome, connect: Connect) -> None:
    client = await run(home, connect)
    near = await forward(client, "numbers@1", depth=1)
    assert (told(near.descendants), list(near.sinks), near.cut) == ([("doubled", 1, 1)], [], False)
    few = await forward(client, "numbers@1", limit=2)
    assert (told(few.descendants), few.cut) == ([("doubled", 1, 1)], True)
    back = await client.call(methods.TRACE, pb.TraceRequest(value="total@1", depth=1))
    assert told(back.ancestors) == [("total", 1, 0), ("doubled", 1, 1), ("doubled", 2, 1), ("doubled", 3, 1), ("names", 1, 1)]


async def test_what_an_older_run_made_is_not_what_a_newer_one_made(home: InProcessHome, connect: Connect) -> None:
    await run(home, connect)
    await home.restart()
    await (await connect(home, "@run")).begin("r2")
    client = await connect(home, "double")
    await double(client, await taken(await client.snapshots()))
    answer = await forward(await connect(home), "numbers@1")
    assert told(answer.descendants)[:2] == [("doubled", 1, 1), ("doubled", 4, 1)]
    assert not (await forward(await connect(home), "doubled@4")).descendants


async def test_a_time_names_the_value_that_was_the_newest_then(home: InProcessHome, connect: Connect) -> None:
    client = await run(home, connect)
    first, second = [value.envelope for value in await client.read("doubled")][:2]
    assert first.created_at_ns < second.created_at_ns
    between = timestamp_text(second.created_at_ns - 1, "ns", zoned=False)
    assert told((await client.call(methods.TRACE, pb.TraceRequest(value=f"doubled@{between}", limit=1))).ancestors) == [("doubled", 1, 0)]
    with pytest.raises(LinkNotFound, match="doubled held no value yet at 2013-01-01T00:00:00Z"):
        await client.call(methods.TRACE, pb.TraceRequest(value="doubled@2013-01-01"))
    with pytest.raises(InvalidArgument, match="names no value"):
        await client.call(methods.TRACE, pb.TraceRequest(value="doubled@noon"))
