"""A sink that keeps what it hears, for tests of what was told."""

from __future__ import annotations

from collections.abc import Mapping

from linkd.telemetry.events import EVENT_TYPES, Event
from linkd.telemetry.hub import Handler


class EventRecorder:
    """Hears the events of these types, of all types if none is given, and keeps them in order in `heard`."""

    def __init__(self, *event_types: type[Event], name: str = "recorder") -> None:
        self.name = name
        self.heard: list[Event] = []
        self._event_types = event_types or EVENT_TYPES

    def handlers(self) -> Mapping[type[Event], Handler]:
        return dict.fromkeys(self._event_types, self.heard.append)
