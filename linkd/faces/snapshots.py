"""The call `linkd.v1.Links/Snapshots`: what a client says of its snapshots, and what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing

from linkd.errors import InvalidArgument
from linkd.faces.call import Context, call_of
from linkd.faces.lane_session import LaneSession
from linkd.faces.streams import form_of, send_value
from linkd.home import snapshot_parts as parts_of
from linkd.home.home import Home
from linkd.home.outgoing import Out
from linkd.home.snapshots import SnapshotSession
from linkd.home.staging import StagedValues
from linkd.limits import PREFETCH_SNAPSHOTS
from linkd.wire.messages import portion_message
from linkd.wire.v1 import links_pb2 as pb


async def serve_snapshots(home: Home, staged: StagedValues, requests: AsyncIterator[pb.SnapshotsRequest], context: Context) -> None:
    """The whole call. Raises errors of the tree."""
    # A refusal that overtakes the client's first write is lost in its gRPC library, which then tells of the write: read that first.
    first = await anext(requests, None)
    call = call_of(home, context)
    if first is None or first.WhichOneof("message") != "open":
        raise InvalidArgument("a stream of snapshots begins with `open`")
    asked = first.open
    session = SnapshotSession(
        home,
        staged,
        call.who,
        asked.task,
        asked.credit_bytes,
        asked.prefetch or PREFETCH_SNAPSHOTS,
        form_of(asked.format),
        asked.says_started,
    )
    async with asyncio.TaskGroup() as group, aclosing(session.parts()) as parts:
        taking = group.create_task(_take(requests, session), name="linkd snapshots: take")
        async for part in parts:
            await _send(part, context, call.session)
        taking.cancel()


async def _take(requests: AsyncIterator[pb.SnapshotsRequest], session: SnapshotSession) -> None:
    async for request in requests:
        kind = request.WhichOneof("message")
        if kind == "credit_bytes":
            session.give_credit(request.credit_bytes)
        elif kind == "started":
            session.started(request.started.snapshot_id, request.started.token)
        elif kind == "renew":
            session.renew(request.renew.snapshot_id, request.renew.token)
        elif kind == "release":
            said = request.release
            await session.give_back(said.snapshot_id, said.token, reason=said.reason, delay_s=said.delay_ms / 1000, untried=said.untried)
        else:
            raise InvalidArgument("a stream of snapshots is opened once")


async def _send(part: parts_of.Part, context: Context, session: Callable[[], LaneSession | None]) -> None:
    if isinstance(part, Out):
        await send_value(part, context.write, pb.SnapshotsResponse, session())
    else:
        await context.write(_message(part))


def _message(
    part: parts_of.Opened | parts_of.Begin | parts_of.Ready | parts_of.Over | parts_of.Recalled | parts_of.Released,
) -> pb.SnapshotsResponse:
    if isinstance(part, parts_of.Opened):
        inputs = [pb.TaskInput(link=link, policy=policy, generation=number) for link, policy, number in part.inputs]
        opened = pb.SnapshotsOpened(task=part.task, inputs=inputs, outputs=_schemas(part.outputs), lease_ms=round(part.lease_s * 1000))
        return pb.SnapshotsResponse(opened=opened)
    if isinstance(part, parts_of.Begin):
        begin = pb.SnapshotBegin(snapshot_id=part.snapshot_id, token=part.token, attempt=part.attempt, traceparent=part.traceparent)
        return pb.SnapshotsResponse(begin=begin)
    if isinstance(part, parts_of.Ready):
        ready = pb.SnapshotReady(
            snapshot_id=part.snapshot_id,
            token=part.token,
            attempt=part.attempt,
            portions=[portion_message(portion) for portion in part.portions],
            traceparent=part.traceparent,
            inputs=_schemas(part.empty),
            partial=part.partial,
        )
        return pb.SnapshotsResponse(ready=ready)
    if isinstance(part, parts_of.Recalled):
        return pb.SnapshotsResponse(recall=pb.SnapshotToken(snapshot_id=part.snapshot_id, token=part.token))
    if isinstance(part, parts_of.Released):
        return pb.SnapshotsResponse(released=pb.SnapshotToken(snapshot_id=part.snapshot_id, token=part.token))
    return pb.SnapshotsResponse(end=pb.SnapshotsEnd(reason=part.reason))


def _schemas(outputs: Iterable[parts_of.OutputSchema]) -> list[pb.LinkSchema]:
    return [pb.LinkSchema(link=output.link, schema=output.schema, declared=output.declared) for output in outputs]
