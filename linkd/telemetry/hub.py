"""The place where events are told, and from where sinks get those they asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from linkd.telemetry.events import Event, SinkFailed

Handler = Callable[[Any], None]


class Sink(Protocol):
    """Whoever wants to hear of events. Handlers return at once: they are called on the data path."""

    @property
    def name(self) -> str: ...

    def handlers(self) -> Mapping[type[Event], Handler]:
        """For each type of event that this sink wants, what takes it. Asked once, when the sink is attached."""
        ...


class Telemetry:
    """Hands events to sinks, in the order in which these were attached.

    `emit` may be called from any thread; `attach` and `detach` belong to the thread that builds and drains. A sink that raises never hurts
    the caller: the other sinks get the event all the same, and a `SinkFailed` follows, whose `first` is true once for each sink.
    """

    def __init__(self) -> None:
        self._handlers: dict[type[Event], tuple[tuple[str, Handler], ...]] = {}
        self._failures: dict[str, int] = {}

    def attach(self, sink: Sink) -> None:
        for event_type, handler in sink.handlers().items():
            self._handlers[event_type] = (*self._handlers.get(event_type, ()), (sink.name, handler))

    def detach(self, sink: Sink) -> None:
        """Forgets the sink; one that was not attached is no error."""
        for event_type, entries in list(self._handlers.items()):
            kept = tuple(entry for entry in entries if entry[0] != sink.name)
            if kept:
                self._handlers[event_type] = kept
            else:
                del self._handlers[event_type]

    def wants(self, event_type: type[Event]) -> bool:
        """Whether anybody listens: lets a hot path skip making an event whose fields are expensive to know."""
        return event_type in self._handlers

    def emit(self, event: Event) -> None:
        """Tells `event` to every sink that asked for its type. Never raises for what a sink does."""
        for name, handler in self._handlers.get(type(event), ()):
            try:
                handler(event)
            except Exception as error:
                self._sink_failed(name, event, error)

    def failures(self, sink_name: str) -> int:
        """How often this sink has raised."""
        return self._failures.get(sink_name, 0)

    def _sink_failed(self, name: str, event: Event, error: Exception) -> None:
        count = self._failures.get(name, 0) + 1
        self._failures[name] = count
        if isinstance(event, SinkFailed):
            # Telling of it would fail the same way; it is counted, and the other sinks have heard of the first.
            return
        self.emit(SinkFailed(sink=name, event=type(event).__name__, error=type(error).__name__, first=count == 1))
