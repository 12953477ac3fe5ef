"""The answers of `Links.Trace`."""

from __future__ import annotations

from linkd.core.rights import Identity
from linkd.faces.describe import source_info
from linkd.home.home import Home
from linkd.home.lineage import Relative, TraceCall, ancestors, descendants
from linkd.model.records import SnapshotCommitted
from linkd.wire.messages import envelope_message, portion_message
from linkd.wire.v1 import links_pb2 as pb


async def family(home: Home, who: Identity, request: pb.TraceRequest) -> pb.TraceResponse:
    """The family of a value, on the side that is asked for. Raises LinkNotFound, NotAllowed, InvalidArgument."""
    asked = TraceCall(request.value, request.limit, request.depth)
    if not request.forward:
        found, cut = await ancestors(home, who, asked)
        return pb.TraceResponse(ancestors=[_relative(each) for each in found], cut=cut)
    posterity = await descendants(home, who, asked)
    return pb.TraceResponse(
        ancestors=[_relative(posterity.value)],
        descendants=[_relative(each) for each in posterity.descendants],
        sinks=[_sink_commit(record) for record in posterity.sinks],
        cut=posterity.cut,
    )


def _relative(relative: Relative) -> pb.Ancestor:
    source = source_info(relative.source) if relative.source is not None else None
    return pb.Ancestor(envelope=envelope_message(relative.envelope), depth=relative.depth, source=source)


def _sink_commit(record: SnapshotCommitted) -> pb.SinkCommit:
    return pb.SinkCommit(
        task=record.task,
        portions=[portion_message(portion) for portion in record.portions],
        committed_at_ns=record.committed_at_ns,
        attributes=record.attributes,
    )
