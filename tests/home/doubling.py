"""The tasks of `conftest.PIPELINE`, played by hand."""

from __future__ import annotations

from raw_client import RawClient, Stream, Taken, next_snapshot, rows_value
from small_pipeline import Connect

from linkd.testing.home import InProcessHome
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb


async def begun(home: InProcessHome, connect: Connect, count: int) -> RawClient:
    """Numbers 1 to `count` are published and sealed by the run's beginning; a client of the task `double`."""
    outsider = await connect(home)
    for n in range(1, count + 1):
        await outsider.publish("numbers", {"n": n})
    await (await connect(home, "@run")).begin()
    return await connect(home, "double")


async def taken(stream: Stream) -> Taken:
    snapshot = await next_snapshot(stream)
    assert snapshot is not None
    return snapshot


async def double(client: RawClient, snapshot: Taken) -> pb.CommitResponse:
    """What the task does: twice each number."""
    staged = []
    for n in snapshot.numbers():
        staged += (await client.publish("doubled", {"n": 2 * n}, stage=snapshot.ready)).staged
    response: pb.CommitResponse = await client.commit(snapshot.ready, staged)
    return response


async def names(home: InProcessHome, connect: Connect, *rows: dict[str, str], final: bool = True) -> None:
    """The source `names` is read: one value, and its end."""
    adapters = await connect(home, "@adapters")
    position = pb.SourcePosition(position=b"1", digest="d", rows_read=len(rows), final=final)
    stream = adapters.stream(methods.PUBLISH)
    await stream.write(rows_value("names", *rows, source=position))
    await stream.done_writing()
    assert await stream.read() is not None
