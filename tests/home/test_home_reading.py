"""Reading, describing, tracing, rights, runs, health and reflection, and what stays through restarts."""

from __future__ import annotations

from pathlib import Path

import grpc.aio
import pyarrow as pa
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from raw_client import RawClient, ack, next_snapshot, next_value, rows_value, until
from small_pipeline import PIPELINE, Connect

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.errors import Error, InvalidArgument, LinkNotFound, NotAllowed, SchemaMismatch, SessionFenced
from linkd.home.tokens import Tokens
from linkd.telemetry.events import CallRefused
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.arrow_ipc import schema_id
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import runs_pb2


async def complete(home: InProcessHome, connect: Connect, count: int) -> None:
    """A run that doubled `count` numbers and exited."""
    outsider = await connect(home)
    for n in range(1, count + 1):
        await outsider.publish("numbers", {"n": n})
    run = await connect(home, "@run")
    await run.begin(f"run of epoch {home.home.ledger.epoch}")
    client = await connect(home, "double")
    stream = await client.snapshots()
    while (snapshot := await next_snapshot(stream)) is not None:
        staged = []
        for n in snapshot.numbers():
            staged += (await client.publish("doubled", {"n": 2 * n}, stage=snapshot.ready)).staged
        await client.commit(snapshot.ready, staged)
    await run.task_exited("double")


async def test_ranges_and_the_last_values(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    for n in range(1, 8):
        await client.publish("events", {"n": n})
    assert await client.numbers("events", first_sequence=3, last_sequence=5) == [3, 4, 5]
    assert await client.numbers("events", last_values=2) == [6, 7]
    assert await client.numbers("events", first_sequence=100) == []
    with pytest.raises(InvalidArgument, match="from 5 to 3"):
        await client.numbers("events", first_sequence=5, last_sequence=3)


async def test_envelopes_without_their_rows(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await client.publish("events", {"n": 1})
    [value] = await client.read("events", envelopes_only=True)
    assert (value.envelope.rows, value.payload) == (1, b"")


async def test_a_link_without_anything_reads_as_empty_and_an_unknown_one_is_refused(home: InProcessHome, connect: Connect) -> None:
    client = await connect(home)
    assert await client.read("doubled") == []
    with pytest.raises(LinkNotFound, match="doubled"):
        await client.read("dubled")


async def test_readers_see_the_sealed_generation_while_the_next_one_grows(home: InProcessHome, connect: Connect) -> None:
    await complete(home, connect, 2)
    await home.restart()
    await (await connect(home, "@run")).begin("r2")
    reader = await connect(home)
    assert await reader.numbers("doubled") == [2, 4]
    task = await connect(home, "double")
    snapshot = await next_snapshot(await task.snapshots())
    assert snapshot is not None
    staged = (await task.publish("doubled", {"n": 7}, stage=snapshot.ready)).staged
    await task.commit(snapshot.ready, staged)
    assert await reader.numbers("doubled") == [2, 4]
    assert await reader.numbers("doubled", generation=2) == [7]
    with pytest.raises(LinkNotFound, match="1, 2"):
        await reader.read("doubled", generation=9)


async def test_describe_tells_progress(home: InProcessHome, connect: Connect) -> None:
    await complete(home, connect, 3)
    told = await (await connect(home, "double")).describe()
    assert (told.pipeline, told.you, told.epoch, told.run.complete) == ("pipeline", "double", 1, False)
    [task] = [task for task in told.tasks if task.name == "double"]
    assert (task.ended, task.commits, task.leased) == (True, 3, 0)
    assert [(p.link, p.done_values, p.done_rows, p.waiting_values) for p in task.progress] == [("numbers", 3, 3, 0)]
    states = {link.name: link.current.state for link in told.links}
    assert states["doubled"] == "sealed"
    assert states["total"] == "growing"


async def test_a_trace_leads_from_a_value_to_where_it_came_from(home: InProcessHome, connect: Connect) -> None:
    await complete(home, connect, 3)
    client = await connect(home)
    told = await client.call(methods.TRACE, pb.TraceRequest(value="doubled@2"))
    assert [(a.envelope.link, a.envelope.position.sequence, a.depth) for a in told.ancestors] == [("doubled", 2, 0), ("numbers", 2, 1)]
    by_id = await client.call(methods.TRACE, pb.TraceRequest(value=told.ancestors[0].envelope.id.hex()[:20], limit=1))
    assert [a.envelope.link for a in by_id.ancestors] == ["doubled"]
    assert by_id.cut
    last = await client.call(methods.TRACE, pb.TraceRequest(value="doubled@last"))
    assert last.ancestors[0].envelope.position.sequence == 3
    for name in ("doubled@99", "nothing@1", "0" * 12):
        with pytest.raises(LinkNotFound):
            await client.call(methods.TRACE, pb.TraceRequest(value=name))
    with pytest.raises(InvalidArgument):
        await client.call(methods.TRACE, pb.TraceRequest(value="what?"))


async def test_a_source_goes_on_behind_its_position_and_repeats_are_refused(home: InProcessHome, connect: Connect) -> None:
    await (await connect(home, "@run")).begin()
    adapters = await connect(home, "@adapters")

    async def step(position: int, *, final: bool = False) -> None:
        stream = adapters.stream(methods.PUBLISH)
        told = pb.SourcePosition(position=bytes([position]), digest="d", rows_read=position, final=final)
        await stream.write(rows_value("names", {"name": f"row {position}"}, source=told, attributes={"size_bytes": "9"}))
        await stream.done_writing()
        await stream.until_error()

    await step(1)
    with pytest.raises(InvalidArgument, match="already stands"):
        await step(1)
    await home.restart()
    await (await connect(home, "@run")).begin("r2", fresh=False)
    adapters = await connect(home, "@adapters")
    [link] = (await adapters.describe("names")).links
    assert (link.source_state.position, link.source_state.rows_read, dict(link.source_state.attributes)) == (
        b"\x01",
        1,
        {"size_bytes": "9"},
    )
    await step(2, final=True)
    with pytest.raises(NotAllowed, match="complete"):
        await step(3)
    told = await adapters.describe()
    assert {link.name: link.current.state for link in told.links if link.name.startswith("names")} == {
        "names": "sealed",
        "names.rejects": "sealed",
    }
    assert [row["name"] for value in await adapters.read("names") for row in value.rows()] == ["row 1", "row 2"]


# -- rights ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "operation", "link"),
    [
        ("", "publish", "doubled"),
        ("double", "publish", "doubled"),
        ("double", "publish", "total"),
        ("@run", "publish", "numbers"),
        ("@adapters", "publish", "numbers"),
        ("@adapters", "publish", "names"),
        ("double", "read", "doubled"),
        ("double", "read", "total"),
        ("double", "subscribe", "total"),
        ("double", "describe", "total"),
        ("double", "seal", "doubled"),
        ("", "seal", "numbers"),
        ("", "snapshots", ""),
        ("@run", "snapshots", ""),
        ("@adapters", "snapshots", ""),
        ("sum_up", "snapshots", ""),
        ("sum_up", "commit", ""),
        ("", "runs.begin", ""),
        ("double", "runs.begin", ""),
        ("@adapters", "runs.task_exited", ""),
        ("double", "runs.pause", ""),
        ("double", "runs.end", ""),
        ("double", "runs.watch", ""),
    ],
)
async def test_what_the_wiring_does_not_give_is_denied_and_audited(
    home: InProcessHome, connect: Connect, who: str, operation: str, link: str
) -> None:
    await (await connect(home, "@run")).begin()
    client = await connect(home, who)
    with pytest.raises(NotAllowed):
        await attempt(client, operation, link)
    [refused] = [event for event in home.events.heard if isinstance(event, CallRefused)]
    name = {"@run": "run", "@adapters": "adapters"}.get(who, who)
    assert (refused.task, refused.operation, refused.link, refused.reason) == (name, operation, link, "not_allowed")


async def attempt(client: RawClient, operation: str, link: str) -> None:
    calls = {
        "publish": lambda: client.publish(link, {"n": 1}),
        "read": lambda: client.read(link),
        "describe": lambda: client.describe(link),
        "seal": lambda: client.call(methods.SEAL, pb.SealRequest(link=link)),
        "commit": lambda: client.call(methods.COMMIT, pb.CommitRequest(task="double", snapshot_id=b"x", token=1)),
        "runs.begin": client.begin,
        "runs.task_exited": lambda: client.task_exited("double"),
        "runs.pause": lambda: client.call(methods.RUN_PAUSE, runs_pb2.PauseRequest()),
        "runs.end": lambda: client.call(methods.RUN_END, runs_pb2.EndRequest(outcome="done")),
        "runs.watch": lambda: client.stream(methods.RUN_WATCH, runs_pb2.WatchRequest()).until_error(),
        "subscribe": lambda: client.subscribe(link),
        "snapshots": lambda: client.snapshots(task="double"),
    }
    await calls[operation]()  # type: ignore[no-untyped-call]


async def test_a_task_reads_its_inputs_and_outsiders_read_everything(home: InProcessHome, connect: Connect) -> None:
    await complete(home, connect, 1)
    assert await (await connect(home, "double")).numbers("numbers") == [1]
    assert await (await connect(home)).numbers("doubled") == [2]


async def test_tokens_of_an_earlier_run_are_fenced_and_forged_ones_refused(home: InProcessHome, connect: Connect) -> None:
    await (await connect(home, "@run")).begin()
    old = home.token("double")
    await home.restart()
    client = await connect(home)
    client.token = old
    with pytest.raises(SessionFenced):
        await client.snapshots()
    for forged in ("2.double." + "0" * 32, "nonsense", "...", "x.double." + old.rpartition(".")[2]):
        client.token = forged
        with pytest.raises(NotAllowed):
            await client.describe()


async def test_a_session_ends_when_a_newer_run_begins(home: InProcessHome, connect: Connect) -> None:
    await (await connect(home)).publish("numbers", {"n": 1})
    await (await connect(home, "@run")).begin()
    stream = await (await connect(home, "double")).snapshots()
    assert await next_snapshot(stream) is not None
    home.home.new_epoch()
    await (await connect(home, "@run")).begin("r2")
    with pytest.raises(SessionFenced):
        await stream.until_error()


def test_a_key_that_was_cut_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"")
    tokens = Tokens.of_directory(tmp_path)
    assert len(tokens.key) == 32
    assert Tokens.of_directory(tmp_path) == tokens
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


# -- runs ------------------------------------------------------------------------------------------------------------------------------


async def test_beginning_the_same_run_twice_is_answered_and_another_one_refused(home: InProcessHome, connect: Connect) -> None:
    run = await connect(home, "@run")
    first, again = await run.begin("r1"), await run.begin("r1")
    assert first == again
    assert sorted(first.tokens) == ["adapters", "double", "sum_up"]
    with pytest.raises(NotAllowed, match="r1"):
        await run.begin("r2")
    assert home.home.ledger.tasks["double"].execution == 1


async def test_an_open_link_gets_its_declared_schema_with_its_first_value(tmp_path: Path, connect: Connect) -> None:
    message = pa.schema([("n", pa.float64())]).serialize().to_pybytes()
    links = {**PIPELINE.links, "numbers": LinkShape("numbers", "", (schema_id(message), message))}
    layout = Layout("pipeline", links, PIPELINE.tasks, PIPELINE.open_links)
    async with running_home(tmp_path / "state", layout=layout) as home:
        client = await connect(home)
        with pytest.raises(SchemaMismatch):
            await client.publish("numbers", {"n": "text"})
        await client.publish("numbers", {"n": 1})
        [value] = await client.read("numbers")
        assert value.payload == b'{"n":1.0}\n'


async def test_watching_tells_of_changes_until_the_drain(home: InProcessHome, connect: Connect) -> None:
    run = await connect(home, "@run")
    watch = run.stream(methods.RUN_WATCH, runs_pb2.WatchRequest())
    assert not (await watch.read()).HasField("run")
    await run.begin()
    while not (told := await watch.read()).HasField("run"):
        pass
    assert told.run.outcome == "running"
    home.home.stop_sessions()
    with pytest.raises(Error, match="shutting down"):
        await watch.until_error()


async def test_attending_tells_of_the_drain(open_home: InProcessHome, connect: Connect) -> None:
    stream = (await connect(open_home)).stream(methods.ATTEND, pb.AttendRequest())
    assert (await stream.read()).state == pb.SERVING
    open_home.home.stop_sessions()
    assert (await stream.read()).state == pb.DRAINING
    assert await stream.read() is None


# -- restarts --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
async def test_what_was_acked_is_there_after_a_restart_and_cursors_go_on(open_home: InProcessHome, connect: Connect, crash: bool) -> None:
    client = await connect(open_home)
    for n in range(1, 6):
        await client.publish("events", {"n": n})
    stream = await client.subscribe("events")
    first = await next_value(stream)
    assert first is not None
    third = [await next_value(stream) for _ in range(4)][1]
    assert third is not None
    await ack(stream, first)
    await ack(stream, third)
    await open_home.restart(crash=crash)
    client = await connect(open_home)
    assert await client.numbers("events") == [1, 2, 3, 4, 5]
    stream = await client.subscribe("events")
    assert [value.sequence for value in [await next_value(stream) for _ in range(3)] if value] == [2, 4, 5]
    assert (await client.publish("events", {"n": 6})).first.sequence == 6


async def test_a_second_home_does_not_take_the_socket_of_a_living_one(open_home: InProcessHome) -> None:
    other = InProcessHome(
        open_home.directory.with_name("other"), open_home.socket, open_home.layout, open_home.clock, open_home.memory_bytes, False
    )
    with pytest.raises(InvalidArgument, match="served by another process"):
        await other.start()
    other.home.start()
    await other.home.close()


async def test_health_and_reflection_answer(open_home: InProcessHome) -> None:
    async with grpc.aio.insecure_channel(open_home.endpoint) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=methods.LINKS))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        services = {service.name for service in (await call.read()).list_services_response.service}
        flight = "arrow.flight.protocol.FlightService"
        assert {methods.LINKS, methods.RUNS, flight} <= services
        for symbol in (methods.LINKS, flight):
            await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
            [file] = (await call.read()).file_descriptor_response.file_descriptor_proto[:1]
            assert symbol.rpartition(".")[2].encode() in file
        await call.done_writing()


async def test_a_reader_that_vanishes_leaves_nothing(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    for _ in range(3):
        await client.publish("events", *({"text": "x" * 1000} for _ in range(3000)))
    for _ in range(5):
        stream = client.stream(methods.READ, pb.ReadRequest(link="events"))
        await stream.read()
        stream.cancel()
    await until(lambda: open_home.is_idle)
    assert len(await client.read("events")) == 3
