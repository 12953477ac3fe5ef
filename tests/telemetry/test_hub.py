"""Events reach those who asked for them, and nobody who fails hurts the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from linkd.telemetry.events import EVENT_TYPES, Event, LoopLag, SinkFailed, ValueDropped
from linkd.telemetry.hub import Handler, Telemetry
from linkd.testing.events import EventRecorder

DROPPED = ValueDropped(link="flown", values=3, reason="retention")


class Broken:
    """A sink that fails on all it hears."""

    name = "broken"

    def handlers(self) -> Mapping[type[Event], Handler]:
        return dict.fromkeys((ValueDropped, SinkFailed), self._fail)

    def _fail(self, event: Any) -> None:
        raise RuntimeError("payload that must not be told")


def test_a_sink_hears_what_it_asked_for_and_nothing_else() -> None:
    telemetry, sink = Telemetry(), EventRecorder(ValueDropped)
    telemetry.attach(sink)
    telemetry.emit(DROPPED)
    telemetry.emit(LoopLag(seconds=1.0))
    assert sink.heard == [DROPPED]


def test_a_hot_path_can_ask_whether_anybody_listens() -> None:
    telemetry, sink = Telemetry(), EventRecorder(ValueDropped)
    assert not telemetry.wants(ValueDropped)
    telemetry.attach(sink)
    assert telemetry.wants(ValueDropped)
    telemetry.detach(sink)
    assert not telemetry.wants(ValueDropped)
    telemetry.emit(DROPPED)
    assert sink.heard == []


def test_detaching_one_sink_leaves_the_others() -> None:
    telemetry, one, other = Telemetry(), EventRecorder(ValueDropped), EventRecorder(ValueDropped, name="other")
    telemetry.attach(one)
    telemetry.attach(other)
    telemetry.detach(one)
    telemetry.emit(DROPPED)
    assert (one.heard, other.heard) == ([], [DROPPED])


def test_a_sink_that_fails_hurts_neither_the_caller_nor_the_others() -> None:
    telemetry, sink = Telemetry(), EventRecorder(ValueDropped)
    telemetry.attach(Broken())
    telemetry.attach(sink)
    telemetry.emit(DROPPED)
    assert sink.heard == [DROPPED]


def test_failures_of_a_sink_are_told_once_as_the_first_and_all_are_counted() -> None:
    telemetry, sink = Telemetry(), EventRecorder(SinkFailed)
    telemetry.attach(Broken())
    telemetry.attach(sink)
    telemetry.emit(DROPPED)
    telemetry.emit(DROPPED)
    told = [event for event in sink.heard if isinstance(event, SinkFailed)]
    assert [event.first for event in told] == [True, False]
    assert {(event.sink, event.event, event.error) for event in told} == {("broken", "ValueDropped", "RuntimeError")}
    assert telemetry.failures("broken") == 4, "twice on the event and twice on being told of it"


def test_every_event_is_frozen_slotted_and_in_the_list_once() -> None:
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES)
    for event_type in EVENT_TYPES:
        assert dataclasses.is_dataclass(event_type)
        assert event_type.__doc__, event_type
        assert "__dict__" not in dir(event_type), event_type
