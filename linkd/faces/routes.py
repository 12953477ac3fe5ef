"""What answers each method of `linkd.v1`, whatever road a call comes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linkd.faces.artifacts import ArtifactsService
from linkd.faces.call import Handler, Presence
from linkd.faces.links import LinksService
from linkd.faces.runs import RunsService
from linkd.model.frozen import frozen
from linkd.wire.methods import ARTIFACTS, LINKS, METHODS, RUNS, Method


@frozen()
class Route:
    """A method and its handler: of (request, context) for methods with one request, of (requests, context) for the others."""

    method: Method
    handler: Handler


def routes(links: LinksService, runs: RunsService, presence: Presence) -> dict[str, Route]:
    """By the methods' paths; every call is counted as present."""
    artifacts = ArtifactsService(links.home)
    behaviours: Mapping[str, Mapping[str, Any]] = {
        LINKS: {
            "Publish": links.publish,
            "OpenProducer": links.open_producer,
            "Subscribe": links.subscribe,
            "Seek": links.seek,
            "Snapshots": links.snapshots,
            "Commit": links.commit,
            "Read": links.read,
            "Query": links.query,
            "Describe": links.describe,
            "Observe": links.observe,
            "Seal": links.seal,
            "Trace": links.trace,
            "Attend": links.attend,
        },
        RUNS: {
            "Begin": runs.begin,
            "TaskExited": runs.task_exited,
            "Pause": runs.pause,
            "End": runs.end,
            "Watch": runs.watch,
        },
        ARTIFACTS: {
            "PutArtifact": artifacts.put,
            "GetArtifact": artifacts.get,
            "StatArtifacts": artifacts.stat,
        },
    }
    return {method.path: Route(method, presence.counted(behaviours[method.service][method.name])) for method in METHODS}
