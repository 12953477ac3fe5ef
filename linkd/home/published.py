"""What is told of a publish that is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from linkd.home.home import Home
from linkd.model.values import Durability, Envelope
from linkd.telemetry.events import ValuePublished
from linkd.telemetry.trace_context import Span


def tell_soon(home: Home, envelopes: Sequence[Envelope], link: str, durability: Durability, began_s: float, span: Span | None) -> None:
    """One event for each link, told in the next turn of the loop: whoever waits for the ack has it by then. `span` is that of `link`."""
    seconds = home.clock.monotonic_s() - began_s
    asyncio.get_running_loop().call_soon(_tell, home, envelopes, link, durability, seconds, span)


def _tell(home: Home, envelopes: Sequence[Envelope], link: str, durability: Durability, seconds: float, span: Span | None) -> None:
    for name in dict.fromkeys(envelope.link for envelope in envelopes):
        of_link = [envelope for envelope in envelopes if envelope.link == name]
        home.telemetry.emit(
            ValuePublished(
                link=name,
                task=of_link[0].task,
                values=len(of_link),
                rows=sum(envelope.rows for envelope in of_link),
                size_bytes=sum(envelope.size_bytes for envelope in of_link),
                seconds=seconds,
                generation=of_link[0].generation,
                durability=durability,
                value_id=of_link[0].id.hex() if len(of_link) == 1 else "",
                span=span if name == link else None,
            )
        )
