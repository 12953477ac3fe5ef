"""The methods of `linkd.v1`, once: servers make their handlers from this table and clients their calls, so no generated service code is needed.

(`_pb2_grpc.py` would pin the installed grpcio to the generator's version in every task's image.)
"""

from __future__ import annotations

import enum
from typing import Any, Protocol

from linkd.model.frozen import frozen
from linkd.wire.chunks import chunk_in
from linkd.wire.v1 import artifacts_pb2 as artifacts
from linkd.wire.v1 import lane_pb2 as lane
from linkd.wire.v1 import links_pb2 as links
from linkd.wire.v1 import runs_pb2 as runs


class Message(Protocol):
    """What a generated message class can do; the only face of protobuf that others see."""

    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name


class Kind(enum.Enum):
    """The four shapes of a gRPC method: (request is a stream, response is a stream)."""

    UNARY_UNARY = (False, False)
    UNARY_STREAM = (False, True)
    STREAM_STREAM = (True, True)


@frozen()
class Method:
    service: str
    name: str
    kind: Kind
    request: Any
    response: Any

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"

    def decode_request(self, data: bytes | memoryview) -> Any:
        return chunk_in(self.request, data) or self.request.FromString(data)

    def decode_response(self, data: bytes | memoryview) -> Any:
        return chunk_in(self.response, data) or self.response.FromString(data)


LINKS = "linkd.v1.Links"
RUNS = "linkd.v1.Runs"
ARTIFACTS = "linkd.v1.Artifacts"

PUBLISH = Method(LINKS, "Publish", Kind.STREAM_STREAM, links.PublishRequest, links.PublishResponse)
OPEN_PRODUCER = Method(LINKS, "OpenProducer", Kind.UNARY_UNARY, links.OpenProducerRequest, links.OpenProducerResponse)
SUBSCRIBE = Method(LINKS, "Subscribe", Kind.STREAM_STREAM, links.SubscribeRequest, links.SubscribeResponse)
SEEK = Method(LINKS, "Seek", Kind.UNARY_UNARY, links.SeekRequest, links.SeekResponse)
SNAPSHOTS = Method(LINKS, "Snapshots", Kind.STREAM_STREAM, links.SnapshotsRequest, links.SnapshotsResponse)
COMMIT = Method(LINKS, "Commit", Kind.UNARY_UNARY, links.CommitRequest, links.CommitResponse)
READ = Method(LINKS, "Read", Kind.UNARY_STREAM, links.ReadRequest, links.ReadResponse)
QUERY = Method(LINKS, "Query", Kind.UNARY_STREAM, links.QueryRequest, links.QueryResponse)
DESCRIBE = Method(LINKS, "Describe", Kind.UNARY_UNARY, links.DescribeRequest, links.DescribeResponse)
OBSERVE = Method(LINKS, "Observe", Kind.UNARY_STREAM, links.DescribeRequest, links.DescribeResponse)
SEAL = Method(LINKS, "Seal", Kind.UNARY_UNARY, links.SealRequest, links.SealResponse)
ATTEND = Method(LINKS, "Attend", Kind.UNARY_STREAM, links.AttendRequest, links.AttendResponse)
TRACE = Method(LINKS, "Trace", Kind.UNARY_UNARY, links.TraceRequest, links.TraceResponse)

RUN_BEGIN = Method(RUNS, "Begin", Kind.UNARY_UNARY, runs.BeginRequest, runs.BeginResponse)
RUN_TASK_EXITED = Method(RUNS, "TaskExited", Kind.UNARY_UNARY, runs.TaskExitedRequest, runs.TaskExitedResponse)
RUN_PAUSE = Method(RUNS, "Pause", Kind.UNARY_UNARY, runs.PauseRequest, runs.PauseResponse)
RUN_END = Method(RUNS, "End", Kind.UNARY_UNARY, runs.EndRequest, runs.EndResponse)
RUN_WATCH = Method(RUNS, "Watch", Kind.UNARY_STREAM, runs.WatchRequest, links.DescribeResponse)

PUT_ARTIFACT = Method(ARTIFACTS, "PutArtifact", Kind.STREAM_STREAM, artifacts.PutArtifactRequest, artifacts.PutArtifactResponse)
GET_ARTIFACT = Method(ARTIFACTS, "GetArtifact", Kind.UNARY_STREAM, artifacts.GetArtifactRequest, artifacts.GetArtifactResponse)
STAT_ARTIFACTS = Method(ARTIFACTS, "StatArtifacts", Kind.UNARY_UNARY, artifacts.StatArtifactsRequest, artifacts.StatArtifactsResponse)

FILES = Method("linkd.v1.Lane", "Files", Kind.STREAM_STREAM, lane.FilesRequest, lane.FilesResponse)
"""Of the lane alone: gRPC carries no descriptors."""

METHODS = (
    PUBLISH, OPEN_PRODUCER, SUBSCRIBE, SEEK, SNAPSHOTS, COMMIT, READ, QUERY, DESCRIBE, OBSERVE, SEAL, ATTEND, TRACE,
    RUN_BEGIN, RUN_TASK_EXITED, RUN_PAUSE, RUN_END, RUN_WATCH,
    PUT_ARTIFACT, GET_ARTIFACT, STAT_ARTIFACTS,
)  # fmt: skip
