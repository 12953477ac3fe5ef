"""linkd, the smart link: durable, bounded, guarded, measured and explainable links between the tasks of a data pipeline.

A producer:

    import linkd
    with linkd.connect() as client, client.publisher("events") as events:
        for reading in sensor:
            events.send({"at": reading.at, "celsius": reading.celsius})  # leaving the block: all durable, or it raises

A consumer:

    import linkd
    with linkd.connect() as client:
        for value in client.subscribe("flown", group="alerts"):  # ends at the link's end; follow=True goes on
            with value:  # ack at the end, nack on an exception
                alert(value.to_pandas())

A transformer, as a task of a pipeline:

    import linkd
    for snap in linkd.connect().snapshots():
        with snap:  # one atomic commit; an exception takes nothing and loses nothing
            df = snap["flights"].to_pandas()
            snap.publish("flown", df[df.dep_time.notna()])
            snap.publish("cancelled", df[df.dep_time.isna()])

A notebook (running or stopped; it holds nothing back):

    import linkd
    p = linkd.connect("flights.yaml")
    p  # links, rows and lags as a table
    p.read("flown").to_pandas()  # or .to_polars(), .to_table(), .rows()
    p.query("SELECT airline, miles FROM totals ORDER BY miles DESC").to_pandas()
    print(p.trace("totals@last"))

`linkd.aio` is the same for asyncio. All that linkd raises on purpose is a `linkd.Error`; the tree is drawn in `linkd.errors`.
Importing this loads errors only: the client with grpcio and protobuf when it is first used, pyarrow, pandas and polars when a program asks
for what they make, and nothing ever that belongs to the sidecar.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from linkd.errors import (
    BadRow,
    Conflict,
    ConnectionFailed,
    ConnectionFault,
    DataFault,
    DeliveryFault,
    Draining,
    Error,
    ForkedClient,
    GenerationAbandoned,
    InternalFault,
    InvalidArgument,
    LeaseLost,
    LinkNotFound,
    MissingExtra,
    NoRoom,
    NotAllowed,
    NotSupported,
    OutcomeUnknown,
    Overloaded,
    PipelineFileInvalid,
    PlaceAway,
    ProducerFenced,
    ProducerForgotten,
    ProducerSetBack,
    QueryCancelled,
    QueryInvalid,
    ResourceFault,
    SchemaMismatch,
    SessionFenced,
    SnapshotNotSettled,
    SourceChanged,
    StagedLost,
    Stalled,
    StateDamaged,
    StateFault,
    StateForeign,
    StateLocked,
    StorageFailed,
    StorageFull,
    TaskFailed,
    UsageFault,
    ValueTooLarge,
)

if TYPE_CHECKING:
    import collections.abc
    import os

    from linkd import aio
    from linkd.client.artifacts import Artifact, File
    from linkd.client.description import (
        Description,
        GenerationDescription,
        GroupDescription,
        InputDescription,
        LeaseDescription,
        LinkDescription,
        RateDescription,
        RunDescription,
        SourceDescription,
        TaskDescription,
    )
    from linkd.client.lineage import Ancestor, Descendant, Lineage, SinkCommit
    from linkd.client.publishing import Ack
    from linkd.client.states import ConnectionState, StateChange
    from linkd.client.sync import Client, Reading, Result, Snapshot, Snapshots
    from linkd.client.sync_publishing import Producer, Publisher
    from linkd.client.sync_subscription import LeasedValue, Subscription
    from linkd.client.values import Input, Value
    from linkd.model.values import Durability, Envelope, Parent, Position

__all__ = [
    "Ack",
    "Ancestor",
    "Artifact",
    "BadRow",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "ConnectionFault",
    "ConnectionState",
    "DataFault",
    "DeliveryFault",
    "Descendant",
    "Description",
    "Draining",
    "Durability",
    "Envelope",
    "Error",
    "File",
    "ForkedClient",
    "GenerationAbandoned",
    "GenerationDescription",
    "GroupDescription",
    "Input",
    "InputDescription",
    "InternalFault",
    "InvalidArgument",
    "LeaseDescription",
    "LeaseLost",
    "LeasedValue",
    "Lineage",
    "LinkDescription",
    "LinkNotFound",
    "MissingExtra",
    "NoRoom",
    "NotAllowed",
    "NotSupported",
    "OutcomeUnknown",
    "Overloaded",
    "Parent",
    "PipelineFileInvalid",
    "PlaceAway",
    "Position",
    "Producer",
    "ProducerFenced",
    "ProducerForgotten",
    "ProducerSetBack",
    "Publisher",
    "QueryCancelled",
    "QueryInvalid",
    "RateDescription",
    "Reading",
    "ResourceFault",
    "Result",
    "RunDescription",
    "SchemaMismatch",
    "SessionFenced",
    "SinkCommit",
    "Snapshot",
    "SnapshotNotSettled",
    "Snapshots",
    "SourceChanged",
    "SourceDescription",
    "StagedLost",
    "Stalled",
    "StateChange",
    "StateDamaged",
    "StateFault",
    "StateForeign",
    "StateLocked",
    "StorageFailed",
    "StorageFull",
    "Subscription",
    "TaskDescription",
    "TaskFailed",
    "UsageFault",
    "Value",
    "ValueTooLarge",
    "aio",
    "connect",
]

_LAZY = {
    **dict.fromkeys(("Artifact", "File"), "linkd.client.artifacts"),
    **dict.fromkeys(("Client", "Reading", "Result", "Snapshot", "Snapshots"), "linkd.client.sync"),
    **dict.fromkeys(("Producer", "Publisher"), "linkd.client.sync_publishing"),
    **dict.fromkeys(("ConnectionState", "StateChange"), "linkd.client.states"),
    **dict.fromkeys(("LeasedValue", "Subscription"), "linkd.client.sync_subscription"),
    **dict.fromkeys(
        (
            *("Description", "GenerationDescription", "GroupDescription", "InputDescription"),
            *("LeaseDescription", "LinkDescription", "RateDescription", "RunDescription", "SourceDescription", "TaskDescription"),
        ),
        "linkd.client.description",
    ),
    **dict.fromkeys(("Ancestor", "Descendant", "Lineage", "SinkCommit"), "linkd.client.lineage"),
    **dict.fromkeys(("Input", "Value"), "linkd.client.values"),
    **dict.fromkeys(("Durability", "Envelope", "Parent", "Position"), "linkd.model.values"),
    "Ack": "linkd.client.publishing",
}
"""Where the public names live that are loaded when they are first used."""


def connect(
    target: str | os.PathLike[str] | None = None,
    *,
    task: str | None = None,
    token: str | None = None,
    timeout_s: float | None = None,
    on_state: collections.abc.Callable[[StateChange], object] | None = None,
) -> Client:
    """Connects to linkd; the client is closed by `close`, by `with`, or at the program's end.

    Without a target: what the environment says (as linkd sets it for tasks), else the one pipeline file here or in a parent. Else a pipeline
    file, its directory, `unix:PATH`, `HOST:PORT` or `tls:HOST:PORT`. A pipeline that is not running is opened for as long as it has clients.
    `task` takes the place of that task: its token is read from the state directory. `timeout_s` bounds connecting, and how long anything is
    tried again while linkd is away; without it connecting and single calls are tried for 30 s, and what goes on (iterations, publishers) for
    ever. `on_state` is called with a StateChange whenever the connection is lost or there again, in the thread of linkd's own event loop:
    it must not wait for a call of this client. Raises ConnectionFailed, InvalidArgument, MissingExtra, ForkedClient.
    """
    from linkd.client import sync

    return sync.connect(target, task=task, token=token, timeout_s=timeout_s, on_state=on_state)


def __getattr__(name: str) -> Any:
    if name == "aio":
        return importlib.import_module("linkd.aio")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'linkd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
