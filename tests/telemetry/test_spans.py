"""Events look like spans after OpenTelemetry's conventions for messaging."""

from __future__ import annotations

from linkd.telemetry import events as e
from linkd.telemetry.spans import SPAN_EVENTS, SpanKind, shape_of, span_of

PUBLISHED = e.ValuePublished(link="flown", task="clean", values=1, rows=10, size_bytes=300, seconds=0.004, value_id="0192-id")


def test_a_publish_is_a_producer_whose_context_is_the_creation_context() -> None:
    shape = shape_of(PUBLISHED)
    assert (shape.name, shape.kind, shape.error) == ("publish flown", SpanKind.PRODUCER, "")
    assert shape.attributes == {
        "messaging.system": "linkd",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "flown",
        "messaging.message.id": "0192-id",
        "messaging.message.body.size": 300,
        "linkd.link.generation": 1,
        "linkd.durability": "fsync",
        "linkd.rows": 10,
        "linkd.task": "clean",
    }


def test_a_delivery_is_a_consumer_and_a_batch_says_how_many() -> None:
    event = e.ValueDelivered(link="flown", group="sum_up", values=3, rows=30, size_bytes=900, wait_seconds=0.1)
    shape = shape_of(event)
    assert (shape.name, shape.kind) == ("deliver flown", SpanKind.CONSUMER)
    assert shape.attributes["messaging.operation.type"] == "process"
    assert shape.attributes["messaging.consumer.group.name"] == "sum_up"
    assert shape.attributes["messaging.batch.message_count"] == 3
    assert "messaging.message.id" not in shape.attributes


def test_a_commit_settles_and_a_refused_one_is_an_error() -> None:
    done = shape_of(e.SnapshotCommitted(task="clean", inputs=1, outputs=2, seconds=0.01))
    refused = shape_of(e.SnapshotRefused(task="clean", reason="lease_lost"))
    assert (done.name, done.error) == ("commit clean", "")
    assert (refused.name, refused.error) == ("commit clean", "lease_lost")
    assert done.attributes["messaging.operation.type"] == refused.attributes["messaging.operation.type"] == "settle"


def test_a_query_tells_its_rows_and_links_and_not_its_text() -> None:
    shape = shape_of(e.QueryRan(task="", links=("flown",), rows=5, seconds=0.2, outcome="query_invalid"))
    assert shape.attributes["db.response.returned_rows"] == 5
    assert shape.attributes["linkd.links"] == ("flown",)
    assert shape.error == "query_invalid"
    assert not any("text" in name or "statement" in name for name in shape.attributes)


def test_a_run_and_its_tasks_fail_as_they_ended() -> None:
    run = e.RunEnded(pipeline="flights", run_id="r1", epoch=1, outcome="interrupted", seconds=1.0)
    assert (shape_of(run).name, shape_of(run).error) == ("run flights", "interrupted")
    assert shape_of(e.TaskExited(task="clean", code=0, seconds=1.0)).error == ""
    assert shape_of(e.TaskExited(task="clean", code=1, seconds=1.0)).error == "exit"


def test_just_the_events_that_are_spans_can_have_a_place_in_a_trace() -> None:
    assert {event_type for event_type in e.EVENT_TYPES if "span" in event_type.__annotations__} == set(SPAN_EVENTS)
    assert span_of(PUBLISHED) is None
