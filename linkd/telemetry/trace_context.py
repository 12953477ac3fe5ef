"""W3C Trace Context: reading and writing `traceparent`, and the rule by which spans hang together. Pure.

The header (W3C Recommendation "Trace Context", section 3.2), all in lower-case hexadecimal:

    traceparent = version "-" trace-id "-" parent-id "-" trace-flags
                  00          32 chars      16 chars      2 chars (bit 0: sampled)

`ff` is no version; a trace-id or parent-id of zeros is invalid; version 00 is exactly 55 characters; of a higher version the first 55 are
read and the rest ignored, if a "-" separates them. What is invalid is ignored, as the recommendation demands: the trace starts anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from linkd.model.frozen import frozen

FLAG_SAMPLED = 0x01

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL)
_VERSION_INVALID = "ff"
_VERSION_ZERO = "00"


@frozen()
class SpanContext:
    """Which span: `trace_id` of 128 bits and `span_id` of 64 bits, neither zero, and the flags that travel with them."""

    trace_id: int
    span_id: int
    flags: int = FLAG_SAMPLED

    @property
    def sampled(self) -> bool:
        return bool(self.flags & FLAG_SAMPLED)

    @property
    def trace_id_hex(self) -> str:
        return f"{self.trace_id:032x}"

    @property
    def span_id_hex(self) -> str:
        return f"{self.span_id:016x}"


@frozen()
class Span:
    """The place of an event in a trace. `context` was chosen before the work began, for it travels in the envelopes of what it made.

    `parent` of another trace counts as a link. Times are nanoseconds since the epoch.
    """

    context: SpanContext
    parent: SpanContext | None
    started_at_ns: int
    ended_at_ns: int
    links: tuple[SpanContext, ...] = ()

    def relations(self) -> tuple[SpanContext | None, tuple[SpanContext, ...]]:
        """The parent, if it is in the same trace, and the links: every other cause, each once, in order."""
        parent = self.parent
        if parent is None:
            return None, _distinct(self.links, ())
        if parent.trace_id == self.context.trace_id:
            return parent, _distinct(self.links, (parent,))
        return None, _distinct((parent, *self.links), ())


class TraceIds:
    """New identities out of a source of random bytes (`os.urandom` in a process, a seeded one in a test)."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes

    def new_trace_id(self) -> int:
        return self._not_zero(16)

    def new_span_id(self) -> int:
        return self._not_zero(8)

    def _not_zero(self, size_bytes: int) -> int:
        while True:
            number = int.from_bytes(self._random_bytes(size_bytes), "big")
            if number:
                return number


def parse_traceparent(text: str) -> SpanContext | None:
    """The context that `text` names, or None if it is not a valid traceparent (then the trace starts anew)."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    version, trace_id_hex, span_id_hex, flags_hex, rest = found.groups()
    if version == _VERSION_INVALID or (version == _VERSION_ZERO and rest is not None):
        return None
    trace_id = int(trace_id_hex, 16)
    span_id = int(span_id_hex, 16)
    if not trace_id or not span_id:
        return None
    flags = int(flags_hex, 16)
    return SpanContext(trace_id, span_id, flags if version == _VERSION_ZERO else flags & FLAG_SAMPLED)


def format_traceparent(context: SpanContext | None) -> str:
    """The header of version 00, always 55 characters; "" where there is no context."""
    if context is None:
        return ""
    return f"{_VERSION_ZERO}-{context.trace_id:032x}-{context.span_id:016x}-{context.flags & 0xFF:02x}"


def parent_and_links(root: SpanContext | None, causes: Iterable[SpanContext]) -> tuple[SpanContext | None, tuple[SpanContext, ...]]:
    """Where work belongs that has several causes: under the first cause of the trace of `root`, else under `root` itself.

    `root` is the run; `causes` are the contexts of the values that are worked on. Causes of other traces (values of an earlier run) and
    all further ones are links, so one run is one trace with one root. Without a run the first cause is the parent.
    """
    distinct = _distinct(causes, ())
    if root is None:
        return (distinct[0], distinct[1:]) if distinct else (None, ())
    parent = next((cause for cause in distinct if cause.trace_id == root.trace_id), root)
    return parent, tuple(cause for cause in distinct if cause != parent)


def _distinct(contexts: Iterable[SpanContext], without: tuple[SpanContext, ...]) -> tuple[SpanContext, ...]:
    return tuple(context for context in dict.fromkeys(contexts) if context not in without)
