"""The snapshots of a task that takes each value in turn, for linkd's own processes: one value at a time, never more than a few in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from linkd.client.calls import Connection
from linkd.client.payloads import Arrived, Assembler
from linkd.client.worker import Complete
from linkd.errors import ConnectionFailed, InternalFault
from linkd.limits import CREDIT_BYTES
from linkd.model.frozen import frozen
from linkd.wire.messages import ARROW
from linkd.wire.methods import RUN_TASK_EXITED, SNAPSHOTS
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import runs_pb2


@frozen()
class OneValue:
    """A value, and the snapshot that consists of it."""

    value: Arrived
    snapshot: Complete


async def each_value(connection: Connection, task: str) -> AsyncGenerator[OneValue, None]:
    """The values that `task` has not committed, in the order of its link; ends when no further one can come.

    Commit each before the next is asked for. What is not committed when the generator is closed is offered again, first of all.
    """
    stream = connection.stream(SNAPSHOTS)
    try:
        await stream.write(pb.SnapshotsRequest(open=pb.SnapshotsOpen(credit_bytes=CREDIT_BYTES, format=ARROW, task=task)))
        assembler = Assembler()
        arrived: Arrived | None = None
        while (message := await stream.read()) is not None:
            kind = message.WhichOneof("message")
            if kind in ("value", "chunk"):
                arrived = assembler.take(message)
            elif kind == "ready":
                if arrived is None:
                    raise InternalFault(f"linkd offered {task} a snapshot without a value")
                ready, value, arrived = message.ready, arrived, None
                # Before it is worked on: behind the last commit there is nobody to write to any more. The prefetch bounds what comes.
                await stream.write(pb.SnapshotsRequest(credit_bytes=value.size_bytes))
                yield OneValue(value, Complete(ready.snapshot_id, ready.token, ready.attempt, ready.traceparent, {}))
            elif kind == "end":
                return
        raise ConnectionFailed("linkd ended the stream of snapshots without saying that it was the end")
    finally:
        stream.cancel()


async def all_done(connection: Connection, task: str) -> None:
    """Tells the home that `task`, a sink, has committed all that there is."""
    await connection.call(RUN_TASK_EXITED, runs_pb2.TaskExitedRequest(task=task, exit_code=0))
