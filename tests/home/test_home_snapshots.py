"""Snapshots and commits over gRPC: hand-out, prefetch, leases, staged values, repeats, whole inputs, ends, and restarts in between."""

from __future__ import annotations

import asyncio

import pytest
from doubling import begun, double, names, taken
from raw_client import RawClient, Stream, next_snapshot, until, whole_value
from small_pipeline import PIPELINE, Connect

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.errors import Conflict, Draining, InvalidArgument, LeaseLost, LinkNotFound, SchemaMismatch
from linkd.limits import PREFETCH_SNAPSHOTS
from linkd.telemetry.events import SnapshotRefused
from linkd.testing.home import InProcessHome
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import runs_pb2


async def test_each_value_is_a_snapshot_in_turn_until_the_seal(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 3)
    stream = await client.snapshots()
    for n in (1, 2, 3):
        snapshot = await taken(stream)
        assert snapshot.numbers() == [n]
        response = await double(client, snapshot)
        assert [(output.link, output.first_sequence, output.last_sequence) for output in response.outputs] == [("doubled", n, n)]
        assert not response.repeated
    assert await next_snapshot(stream) is None
    assert await client.channel.close() is None
    assert await (await connect(home)).numbers("doubled") == [2, 4, 6]


async def test_the_lineage_of_a_committed_value_is_its_snapshot(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 2)
    stream = await client.snapshots()
    await double(client, await taken(stream))
    await double(client, await taken(stream))
    [_, value] = await (await connect(home)).read("doubled")
    [parent] = value.envelope.parents
    assert (parent.link, parent.first_sequence, parent.last_sequence) == ("numbers", 2, 2)
    assert (value.envelope.task, value.envelope.attempt) == ("double", 1)


async def test_so_many_are_handed_out_ahead_and_no_more(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 6)
    stream = await client.snapshots()
    first, _ = await taken(stream), await taken(stream)
    leases = home.home.ledger.tasks["double"].leases
    assert len(leases) == PREFETCH_SNAPSHOTS
    await client.commit(first.ready)
    assert (await taken(stream)).numbers() == [3]
    assert len(leases) == PREFETCH_SNAPSHOTS


async def test_one_snapshot_goes_however_little_credit_there_is(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 3)
    stream = await client.snapshots(credit_bytes=1)
    for n in (1, 2, 3):
        snapshot = await taken(stream)
        assert snapshot.numbers() == [n]
        await client.commit(snapshot.ready)
    assert await next_snapshot(stream) is None


async def test_a_repeat_of_a_commit_is_answered_from_its_record(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    snapshot = await taken(await client.snapshots())
    staged = (await client.publish("doubled", {"n": 2}, stage=snapshot.ready)).staged
    first = await client.commit(snapshot.ready, staged)
    again = await client.commit(snapshot.ready, staged)
    assert (first.repeated, again.repeated) == (False, True)
    assert first.outputs == again.outputs
    assert await (await connect(home)).numbers("doubled") == [2]


async def test_the_same_commit_over_several_connections_at_once_happens_once(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    snapshot = await taken(await client.snapshots())
    staged = (await client.publish("doubled", {"n": 2}, stage=snapshot.ready)).staged
    others = [await connect(home, "double") for _ in range(4)]
    answers = await asyncio.gather(*(other.commit(snapshot.ready, staged) for other in others))
    assert sorted(answer.repeated for answer in answers) == [False, True, True, True]
    assert await (await connect(home)).numbers("doubled") == [2]


async def test_the_same_snapshot_with_other_content_is_a_conflict(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    snapshot = await taken(await client.snapshots())
    await double(client, snapshot)
    with pytest.raises(Conflict):
        await client.commit(snapshot.ready)
    assert [event.reason for event in home.events.heard if isinstance(event, SnapshotRefused)] == ["conflict"]
    assert await (await connect(home)).numbers("doubled") == [2]


async def test_a_commit_over_a_new_connection_is_taken(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    stream = await client.snapshots()
    snapshot = await taken(stream)
    staged = (await client.publish("doubled", {"n": 2}, stage=snapshot.ready)).staged
    stream.cancel()
    await until(lambda: home.is_idle or not home.tasks_of_calls())
    assert not (await (await connect(home, "double")).commit(snapshot.ready, staged)).repeated


async def test_handing_it_out_again_makes_the_old_token_stale(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    stream = await client.snapshots()
    snapshot = await taken(stream)
    staged = (await client.publish("doubled", {"n": 2}, stage=snapshot.ready)).staged
    stream.cancel()
    newer = await taken(await client.snapshots())
    assert (newer.ready.snapshot_id, newer.ready.attempt) == (snapshot.ready.snapshot_id, 2)
    with pytest.raises(LeaseLost):
        await client.commit(snapshot.ready, staged)
    with pytest.raises(LeaseLost):
        await client.publish("doubled", {"n": 2}, stage=snapshot.ready)
    with pytest.raises(LeaseLost):  # what was staged under the old token is gone
        await client.commit(newer.ready, staged)
    await double(client, newer)
    assert await (await connect(home)).numbers("doubled") == [2]


async def test_a_released_snapshot_comes_again_and_what_was_staged_for_it_is_dropped(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 2)
    stream = await client.snapshots(prefetch=1)
    snapshot = await taken(stream)
    await client.publish("doubled", {"n": 2}, stage=snapshot.ready)
    await stream.write(pb.SnapshotsRequest(release=pb.SnapshotRelease(snapshot_id=snapshot.ready.snapshot_id, token=snapshot.ready.token)))
    again = await taken(stream)
    assert (again.numbers(), again.ready.attempt) == ([1], 2)
    assert home.home.store._staging.in_memory_bytes == 0


async def test_staged_values_that_a_commit_does_not_name_are_dropped(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    snapshot = await taken(await client.snapshots())
    first = (await client.publish("doubled", {"n": 1}, stage=snapshot.ready)).staged
    await client.publish("doubled", {"n": 2}, stage=snapshot.ready)
    await client.commit(snapshot.ready, first)
    await until(lambda: home.home.store._staging.in_memory_bytes == 0)
    assert await (await connect(home)).numbers("doubled") == [1]


async def test_a_commit_with_a_wrong_checksum_is_a_conflict(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    snapshot = await taken(await client.snapshots())
    [staged] = (await client.publish("doubled", {"n": 1}, stage=snapshot.ready)).staged
    with pytest.raises(Conflict):
        await client.commit(snapshot.ready, [pb.Staged(staged_id=staged.staged_id, payload_xxh3=staged.payload_xxh3 ^ 1)])
    assert not (await client.commit(snapshot.ready, [staged])).repeated


async def test_a_refused_value_takes_nothing_and_the_snapshot_can_still_be_committed(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 2)
    stream = await client.snapshots()
    await double(client, await taken(stream))
    snapshot = await taken(stream)
    with pytest.raises(SchemaMismatch):
        await client.publish("doubled", {"n": "text"}, stage=snapshot.ready)
    await double(client, snapshot)
    assert await (await connect(home)).numbers("doubled") == [2, 4]


async def test_staged_values_are_brought_to_a_schema_that_came_meanwhile(home: InProcessHome, connect: Connect) -> None:
    """Two snapshots are worked on at once; the second is staged while the output has no schema yet, and is committed behind the first."""
    client = await begun(home, connect, 3)
    stream = await client.snapshots(prefetch=3)
    first, second, third = await taken(stream), await taken(stream), await taken(stream)
    staged_second = (await client.publish("doubled", {"n": None}, stage=second.ready)).staged
    staged_third = (await client.publish("doubled", {"n": "text"}, stage=third.ready)).staged
    await double(client, first)
    await client.commit(second.ready, staged_second)
    for _ in range(2):  # the refusal leaves what is staged as it is
        with pytest.raises(SchemaMismatch):
            await client.commit(third.ready, staged_third)
    await double(client, third)
    assert await (await connect(home)).numbers("doubled") == [2, None, 6]


async def test_whole_inputs_stream_ahead_and_fire_once_at_their_seals(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 2)
    sum_up = await connect(home, "sum_up")
    whole = await sum_up.snapshots()
    stream = await client.snapshots()
    await double(client, await taken(stream))
    assert (await whole.read()).WhichOneof("message") == "begin"
    value = await whole_value(whole, await whole.read())
    assert value.rows() == [{"n": 2}]
    await double(client, await taken(stream))
    await names(home, connect, {"name": "a"})
    assert await next_snapshot(stream) is None
    await (await connect(home, "@run")).task_exited("double")
    snapshot = await taken(whole)
    assert [value.header.input for value in snapshot.values] == ["doubled", "names"]
    assert [(p.link, p.first_sequence, p.last_sequence) for p in snapshot.ready.portions] == [("doubled", 1, 2), ("names", 1, 1)]
    staged = (await sum_up.publish("total", {"n": 6}, stage=snapshot.ready)).staged
    await sum_up.commit(snapshot.ready, staged, final=True)
    assert await next_snapshot(whole) is None
    [total] = (await (await connect(home)).describe("total")).links
    assert total.current.state == "sealed"


async def test_whole_inputs_without_a_value_fire_all_the_same(home: InProcessHome, connect: Connect) -> None:
    await begun(home, connect, 0)
    run, adapters = await connect(home, "@run"), await connect(home, "@adapters")
    sum_up = await connect(home, "sum_up")
    whole = await sum_up.snapshots()
    assert await next_snapshot(await (await connect(home, "double")).snapshots()) is None
    await run.task_exited("double")
    await names(home, connect, {"name": "a"})
    snapshot = await taken(whole)
    assert [(p.link, p.first_sequence, p.last_sequence) for p in snapshot.ready.portions] == [("doubled", 1, 0), ("names", 1, 1)]
    assert [schema.link for schema in snapshot.ready.inputs] == ["doubled"]
    await sum_up.commit(snapshot.ready, final=True)
    sink = await adapters.snapshots(task="to:total")
    empty = await taken(sink)
    assert (empty.values, [schema.link for schema in empty.ready.inputs]) == ([], ["total"])
    await adapters.commit(empty.ready, task="to:total", final=True)
    assert (await run.describe()).run.complete


async def test_a_whole_snapshot_that_was_given_back_comes_again_from_its_first_value(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    await double(client, await taken(await client.snapshots()))
    await names(home, connect, {"name": "a"})
    await (await connect(home, "@run")).task_exited("double")
    sum_up = await connect(home, "sum_up")
    stream = await sum_up.snapshots(credit_bytes=1)
    await stream.write(pb.SnapshotsRequest(credit_bytes=1 << 20))
    first = await taken(stream)
    await stream.write(pb.SnapshotsRequest(release=pb.SnapshotRelease(snapshot_id=first.ready.snapshot_id, token=first.ready.token)))
    second = await taken(stream)
    assert [value.rows() for value in first.values] == [value.rows() for value in second.values]
    assert (second.ready.snapshot_id, second.ready.attempt) == (first.ready.snapshot_id, 2)


async def test_only_a_task_of_whole_inputs_ends_with_a_commit(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    snapshot = await taken(await client.snapshots())
    with pytest.raises(InvalidArgument, match="whole"):
        await client.commit(snapshot.ready, final=True)
    await double(client, snapshot)


async def test_values_appended_while_a_run_goes_on_are_the_next_runs(home: InProcessHome, connect: Connect) -> None:
    """An append reopens the link; the run, which was sealed off before it, ends all the same."""
    client = await begun(home, connect, 1)
    outsider = await connect(home)
    stream = await client.snapshots()
    await outsider.publish("numbers", {"n": 99})
    snapshot = await taken(stream)
    assert snapshot.numbers() == [1]
    await double(client, snapshot)
    assert await next_snapshot(stream) is None
    assert not (await (await connect(home, "@run")).task_exited("double")).unread
    await home.restart()
    run = await connect(home, "@run")
    await run.begin("r2")
    stream = await (client := await connect(home, "double")).snapshots()
    assert [(await taken(stream)).numbers(), (await taken(stream)).numbers()] == [[1], [99]]


async def test_an_exit_with_code_0_seals_and_ends_the_leases(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 3)
    stream = await client.snapshots()
    await double(client, await taken(stream))
    held = await taken(stream)
    answer = await (await connect(home, "@run")).task_exited("double")
    assert dict(answer.unread) == {"numbers": 2}
    with pytest.raises(LeaseLost):
        await client.commit(held.ready)
    [link] = (await client.describe("doubled")).links
    assert (link.current.state, link.current.values) == ("sealed", 1)


async def test_an_exit_with_another_code_seals_nothing(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    await (await connect(home, "@run")).task_exited("double", 1)
    assert (await client.describe("doubled")).links[0].current.state == "growing"
    await double(client, await taken(await client.snapshots()))


async def test_a_pause_hands_out_nothing_more_and_takes_what_is_held(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 3)
    stream = await client.snapshots(prefetch=1)
    snapshot = await taken(stream)
    await (await connect(home, "@run")).call(methods.RUN_PAUSE, runs_pb2.PauseRequest())
    await double(client, snapshot)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.read(), 0.05)
    assert not home.home.ledger.tasks["double"].leases


async def test_a_task_takes_no_snapshots_before_a_run_has_begun(home: InProcessHome, connect: Connect) -> None:
    client = await connect(home, "double")
    with pytest.raises(LinkNotFound, match="linkd run"):
        await (await open_stream(client)).until_error()


async def test_a_task_whose_wiring_was_changed_takes_none_before_the_next_run(home: InProcessHome, connect: Connect) -> None:
    await begun(home, connect, 1)
    links = {**PIPELINE.links, "extra": LinkShape("extra", "double")}
    shape = PIPELINE.tasks["double"]
    changed = type(shape)(shape.name, shape.kind, shape.inputs, (*shape.outputs, "extra"))
    await home.restart(layout=Layout(PIPELINE.name, links, {**PIPELINE.tasks, "double": changed}, PIPELINE.open_links))
    client = await connect(home, "double")
    with pytest.raises(LinkNotFound, match="other links"):
        await (await open_stream(client)).until_error()
    await (await connect(home, "@run")).begin("r2")
    assert (await taken(await client.snapshots())).numbers() == [1]


async def open_stream(client: RawClient) -> Stream:
    stream = client.stream(methods.SNAPSHOTS)
    await stream.write(pb.SnapshotsRequest(open=pb.SnapshotsOpen()))
    return stream


async def test_a_task_that_vanishes_at_any_moment_keeps_no_lease(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 4)
    for turns in range(0, 60, 4):
        stream = await open_stream(client)
        for _ in range(turns):
            await asyncio.sleep(0)
        stream.cancel()
    leases = home.home.ledger.tasks["double"].leases
    await until(lambda: home.is_idle and all(lease.session is None for lease in leases.values()))
    stream = await client.snapshots(prefetch=4)
    assert [(await taken(stream)).numbers() for _ in range(4)] == [[1], [2], [3], [4]]
    assert home.home.connections["double"] == 1
    stream.cancel()
    await until(lambda: not home.home.changes._watches)


async def test_a_drain_ends_streams_of_snapshots(home: InProcessHome, connect: Connect) -> None:
    client = await begun(home, connect, 1)
    stream = await client.snapshots()
    await taken(stream)
    home.home.stop_sessions()
    with pytest.raises(Draining):
        await stream.until_error()
    with pytest.raises(Draining):
        await client.publish("doubled", {"n": 1})
