"""What an event looks like as a span, after the OpenTelemetry semantic conventions for messaging and databases (1.27). Pure.

    event              span name          kind      messaging.operation.type
    ValuePublished     publish <link>     PRODUCER  send: its context is the creation context in the envelope
    ValueDelivered     deliver <link>     CONSUMER  process: linkd hands out as credits allow, the application does not ask for each
    SnapshotCommitted  commit <task>      SERVER    settle
    SnapshotRefused    commit <task>      SERVER    settle, with an error
    QueryRan           query              SERVER    (db.*)
    TaskExited         task <task>        INTERNAL
    RunEnded           run <pipeline>     INTERNAL  the root of a run's trace

`messaging.message.id` is there for a single value, `messaging.batch.message_count` for several. Neither rows nor SQL text are ever here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from linkd.model.frozen import frozen
from linkd.telemetry import events as e
from linkd.telemetry.trace_context import Span

SYSTEM = "linkd"
AttributeValue = str | int | tuple[str, ...]


class SpanKind(enum.StrEnum):
    """The names of OpenTelemetry's span kinds."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


@frozen()
class SpanShape:
    """A span without its place in a trace. `error` is the low-cardinality type of what went wrong, "" if nothing did."""

    name: str
    kind: SpanKind
    attributes: dict[str, AttributeValue]
    error: str = ""


def span_of(event: e.Event) -> Span | None:
    """The place of `event` in a trace, if it has one."""
    return getattr(event, "span", None)


def shape_of(event: e.Event) -> SpanShape:
    """How `event` looks as a span. Raises KeyError for an event that is none (see `SPAN_EVENTS`)."""
    return _SHAPES[type(event)](event)


def _published(event: e.ValuePublished) -> SpanShape:
    attributes = _messaging("publish", "send", event.link, event.values, event.value_id, event.size_bytes)
    attributes["linkd.link.generation"] = event.generation
    attributes["linkd.durability"] = event.durability
    attributes["linkd.rows"] = event.rows
    if event.task:
        attributes["linkd.task"] = event.task
    return SpanShape(f"publish {event.link}", SpanKind.PRODUCER, attributes)


def _delivered(event: e.ValueDelivered) -> SpanShape:
    attributes = _messaging("deliver", "process", event.link, event.values, event.value_id, event.size_bytes)
    attributes["messaging.consumer.group.name"] = event.group
    attributes["linkd.rows"] = event.rows
    attributes["linkd.attempt"] = event.attempt
    return SpanShape(f"deliver {event.link}", SpanKind.CONSUMER, attributes)


def _committed(event: e.SnapshotCommitted) -> SpanShape:
    attributes = _settle(event.task)
    attributes["messaging.batch.message_count"] = event.inputs
    attributes["linkd.outputs"] = event.outputs
    attributes["linkd.attempt"] = event.attempt
    return SpanShape(f"commit {event.task}", SpanKind.SERVER, attributes)


def _refused(event: e.SnapshotRefused) -> SpanShape:
    return SpanShape(f"commit {event.task}", SpanKind.SERVER, _settle(event.task), event.reason)


def _query(event: e.QueryRan) -> SpanShape:
    attributes: dict[str, AttributeValue] = {
        "db.system.name": SYSTEM,
        "db.operation.name": "SELECT",
        "db.response.returned_rows": event.rows,
        "linkd.links": event.links,
    }
    if event.task:
        attributes["linkd.task"] = event.task
    return SpanShape("query", SpanKind.SERVER, attributes, "" if event.outcome == e.OUTCOME_DONE else event.outcome)


def _task(event: e.TaskExited) -> SpanShape:
    attributes: dict[str, AttributeValue] = {"linkd.task": event.task, "process.exit.code": event.code}
    return SpanShape(f"task {event.task}", SpanKind.INTERNAL, attributes, "exit" if event.code else "")


def _run(event: e.RunEnded) -> SpanShape:
    attributes: dict[str, AttributeValue] = {"linkd.pipeline": event.pipeline, "linkd.run.id": event.run_id}
    return SpanShape(
        f"run {event.pipeline}",
        SpanKind.INTERNAL,
        attributes,
        "" if event.outcome == e.OUTCOME_DONE else event.outcome,
    )


def _messaging(operation: str, operation_type: str, link: str, values: int, value_id: str, size_bytes: int) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation_type,
        "messaging.destination.name": link,
    }
    if values != 1:
        attributes["messaging.batch.message_count"] = values
    else:
        attributes["messaging.message.body.size"] = size_bytes
        if value_id:
            attributes["messaging.message.id"] = value_id
    return attributes


def _settle(task: str) -> dict[str, AttributeValue]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "commit",
        "messaging.operation.type": "settle",
        "messaging.consumer.group.name": task,
        "linkd.task": task,
    }


_SHAPES: Mapping[type[e.Event], Callable[[Any], SpanShape]] = {
    e.ValuePublished: _published,
    e.ValueDelivered: _delivered,
    e.SnapshotCommitted: _committed,
    e.SnapshotRefused: _refused,
    e.QueryRan: _query,
    e.TaskExited: _task,
    e.RunEnded: _run,
}

SPAN_EVENTS: tuple[type[e.Event], ...] = tuple(_SHAPES)
"""The events that become spans, where they have a place in a trace."""
