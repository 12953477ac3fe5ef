"""A process that traces, for `test_traces`: told by its arguments what to do, traced as its environment says.

traced_process.py run       begins a run, starts two hops as processes of their own, ends the run
traced_process.py hop LINK TRACEPARENT    delivers and publishes one value below that context
traced_process.py burst N   makes N spans and ends; prints whether they went out and how long the end took
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from linkd.telemetry.events import RunEnded, ValueDelivered, ValuePublished
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.logs import Logs
from linkd.telemetry.trace_context import Span, SpanContext, format_traceparent, parse_traceparent
from linkd.telemetry.tracing import Tracing, open_tracing

CLOSE_TIMEOUT_S = 2.0


def main() -> None:
    telemetry = Telemetry()
    telemetry.attach(Logs(lambda line: print(line, file=sys.stderr, flush=True), time.time_ns))
    verb, *arguments = sys.argv[1:]
    tracing = open_tracing(os.environ, telemetry, f"linkd-{verb}", "0.1.0")
    if verb == "run":
        run(telemetry, tracing)
    elif verb == "hop":
        hop(telemetry, tracing, *arguments)
    else:
        burst(telemetry, tracing, int(arguments[0]))
    began_s = time.monotonic()
    complete = tracing.close(CLOSE_TIMEOUT_S)
    print("complete" if complete else "lost", f"{time.monotonic() - began_s:.3f}")


def run(telemetry: Telemetry, tracing: Tracing) -> None:
    root = tracing.begin(None)
    assert root is not None
    began_at_ns = time.time_ns()
    context: SpanContext | None = root
    for link in ("flights", "flown"):
        done = subprocess.run(
            [sys.executable, __file__, "hop", link, format_traceparent(context)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        context = parse_traceparent(done.stdout.splitlines()[0])
    span = Span(root, None, began_at_ns, time.time_ns())
    telemetry.emit(RunEnded(pipeline="flights", run_id="r1", epoch=1, outcome="done", seconds=1.0, span=span))


def hop(telemetry: Telemetry, tracing: Tracing, link: str, traceparent: str) -> None:
    cause = parse_traceparent(traceparent)
    delivered, published = tracing.begin(cause), None
    if delivered is not None:
        published = tracing.begin(delivered)
    print(format_traceparent(published))
    if delivered is None or published is None:
        return
    earlier = SpanContext(0xE, 0xF)
    now_ns = time.time_ns()
    # The envelope with `published` is out before either span is made: the later one is told first.
    span = Span(published, delivered, now_ns + 10, now_ns + 20, (earlier,))
    telemetry.emit(ValuePublished(link=link, task="", values=1, rows=1, size_bytes=1, seconds=0.1, span=span))
    span = Span(delivered, cause, now_ns, now_ns + 10)
    telemetry.emit(ValueDelivered(link=link, group="g", values=1, rows=1, size_bytes=1, wait_seconds=0.1, span=span))


def burst(telemetry: Telemetry, tracing: Tracing, spans: int) -> None:
    for _ in range(spans):
        context = tracing.begin(None)
        assert context is not None
        event = ValuePublished(
            link="flown",
            task="",
            values=1,
            rows=1,
            size_bytes=1,
            seconds=0.1,
            span=Span(context, None, time.time_ns(), time.time_ns()),
        )
        telemetry.emit(event)


if __name__ == "__main__":
    main()
