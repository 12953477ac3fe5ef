"""Where the work of a home belongs in traces: under the run, because of whoever asked for it or made what it works on."""

from __future__ import annotations

from linkd.core.ledger import Ledger
from linkd.home.clock import Clock
from linkd.limits import SPAN_CAUSES_MAX
from linkd.model.frozen import frozen
from linkd.model.records import RunBegan
from linkd.telemetry.trace_context import Span, SpanContext, format_traceparent, parent_and_links, parse_traceparent
from linkd.telemetry.tracing import Tracing


@frozen()
class Begun:
    """Work that goes on: its own context, which the envelopes of what it makes carry, what it hangs under, and when it began."""

    context: SpanContext | None
    parent: SpanContext | None
    links: tuple[SpanContext, ...]
    at_ns: int

    @property
    def traceparent(self) -> str:
        """Its own context, as envelopes have it."""
        return format_traceparent(self.context)


class Spans:
    """Of one home."""

    def __init__(self, ledger: Ledger, tracing: Tracing, clock: Clock) -> None:
        self._ledger = ledger
        self._tracing = tracing
        self._clock = clock
        self._run: RunBegan | None = None
        self._root: SpanContext | None = None

    def begin(self, *causes: str) -> Begun:
        """Work begins because of `causes` (the traceparents of a caller, of values): under the first of the run's trace, the rest are links."""
        parsed = [parse_traceparent(cause) for cause in causes[:SPAN_CAUSES_MAX] if cause]
        contexts = [context for context in parsed if context is not None]
        root = self._run_context()
        parent, links = parent_and_links(root, contexts) if contexts or root is not None else (None, ())
        return Begun(self._tracing.begin(parent), parent, links, self._clock.now_ns())

    def end(self, begun: Begun) -> Span | None:
        """The span of work that is over, for its event; None where nothing is traced."""
        if not self._tracing.enabled or begun.context is None:
            return None
        return Span(begun.context, begun.parent, begun.at_ns, self._clock.now_ns(), begun.links)

    def at_once(self, *causes: str) -> Span | None:
        """The span of work that took no time; None where nothing is traced."""
        return self.end(self.begin(*causes)) if self._tracing.enabled else None

    def _run_context(self) -> SpanContext | None:
        """The root of the present run's trace."""
        run = self._ledger.run
        if run is None or self._ledger.run_outcome != "running":
            return None
        if run is not self._run:
            self._run, self._root = run, parse_traceparent(run.traceparent)
        return self._root
