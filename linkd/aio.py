"""The asyncio client, the original of which `linkd` is the synchronous face. The names are the same.

    import linkd

    async with linkd.aio.connect() as client:
        async for value in client.subscribe("flown", group="alerts"):
            async with value:  # ack at the end, nack on an exception
                alert(value.to_pandas())

What waits is awaited: `await client.publish(...)`, `await client.read("flown").to_pandas()`, `async with client.publisher("events")`,
`async for snap in client.snapshots(): async with snap: ...`. What is at hand is not: `value.rows()`, `snap["flights"].to_pandas()`.
Leaving a loop over a subscription early keeps its leases until `close()`; `async with client.subscribe(...) as values` sees to that.
"""

from linkd.client.artifacts import Artifact, File
from linkd.client.publisher import Publisher
from linkd.client.publishing import Ack, Producer
from linkd.client.reading import Reading, Result
from linkd.client.session import Client, Connecting, connect
from linkd.client.snapshots import Snapshot, Snapshots
from linkd.client.states import ConnectionState, StateChange
from linkd.client.subscription import Subscription
from linkd.client.values import Input, LeasedValue, Value

__all__ = [
    "Ack",
    "Artifact",
    "Client",
    "Connecting",
    "ConnectionState",
    "File",
    "Input",
    "LeasedValue",
    "Producer",
    "Publisher",
    "Reading",
    "Result",
    "Snapshot",
    "Snapshots",
    "StateChange",
    "Subscription",
    "Value",
    "connect",
]
