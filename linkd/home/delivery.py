"""What is told of a snapshot that was handed out. It is gathered value by value, so that a snapshot of any size is told of in little memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from linkd.core.tasks import Task
from linkd.home.home import Home
from linkd.home.spans import Begun
from linkd.limits import SPAN_CAUSES_MAX
from linkd.model.values import Envelope
from linkd.telemetry.events import ValueDelivered


@dataclass(slots=True)
class _OfLink:
    """What went out of one input. `settled_rows` are those that no other snapshot has."""

    first_id: str
    oldest_ns: int
    values: int = 0
    rows: int = 0
    settled_rows: int = 0
    size_bytes: int = 0
    causes: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Delivery:
    """One snapshot on its way to one task."""

    home: Home
    task: Task
    _links: dict[str, _OfLink] = field(default_factory=dict)

    def add(self, envelope: Envelope, rows: int, *, settled: bool = True) -> None:
        """A value goes out, with so many rows of it. `settled` if it is done with this snapshot."""
        link = self._links.get(envelope.link)
        if link is None:
            link = self._links[envelope.link] = _OfLink(envelope.id.hex(), envelope.created_at_ns)
        link.values += 1
        link.rows += rows
        link.settled_rows += rows if settled else 0
        link.size_bytes += envelope.size_bytes
        link.oldest_ns = min(link.oldest_ns, envelope.created_at_ns)
        if len(link.causes) < SPAN_CAUSES_MAX:
            link.causes.setdefault(envelope.traceparent)

    def settled_rows(self) -> dict[str, int]:
        """Rows that are done when the snapshot is committed, by link."""
        return {name: link.settled_rows for name, link in self._links.items()}

    def begin(self) -> Begun:
        """The delivery's span begins, under those of the publishes of what was added so far."""
        return self._begin(list(self._links.values()))

    def tell(self, attempt: int, begun: Begun) -> None:
        """All of it went out: one event for each link, the first of which ends `begun`."""
        now_ns = self.home.clock.now_ns()
        for number, (name, link) in enumerate(self._links.items()):
            self.home.telemetry.emit(
                ValueDelivered(
                    link=name,
                    group=self.task.name,
                    values=link.values,
                    rows=link.rows,
                    size_bytes=link.size_bytes,
                    wait_seconds=max((now_ns - link.oldest_ns) / 1e9, 0.0),
                    attempt=attempt,
                    value_id=link.first_id if link.values == 1 else "",
                    span=self.home.spans.end(begun if number == 0 else self._begin([link])),
                )
            )

    def _begin(self, links: list[_OfLink]) -> Begun:
        causes = dict.fromkeys(cause for link in links for cause in link.causes)
        return self.home.spans.begin(*causes)
