"""One run is one trace, from source to sink, across all its processes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from linkd.testing.flights import write_flights
from linkd.testing.otlp import CollectedSpan, OtlpCollector
from linkd.testing.pipelines import PipelineDirectory, make_pipeline

EXAMPLE = Path(__file__).parents[2] / "examples/flights"


def _flights(directory: Path) -> PipelineDirectory:
    """The example, over a little made-up data."""
    write_flights(directory / "data")
    program = (EXAMPLE / "clean.py").read_text(encoding="utf-8")
    return make_pipeline(directory, (EXAMPLE / "flights.yaml").read_text(encoding="utf-8").partition("\n")[2], {"clean.py": program})


def _causes(span: CollectedSpan, by_id: Mapping[str, CollectedSpan]) -> set[str]:
    """The names of all spans that lead to `span`, by parents and by links."""
    found: set[str] = set()
    waiting = [span]
    while waiting:
        span = waiting.pop()
        above = [span.parent_id, *(span_id for _, span_id in span.links)]
        new = [by_id[span_id] for span_id in above if span_id in by_id and by_id[span_id].name not in found]
        found.update(cause.name for cause in new)
        waiting.extend(new)
    return found


async def _traced_run(pipeline: PipelineDirectory, collector: OtlpCollector) -> list[CollectedSpan]:
    before = len(collector.spans)
    finished = await asyncio.to_thread(pipeline.run, env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint})
    assert finished.exit_code == 0, finished.stderr
    return collector.spans[before:]


async def test_a_run_is_one_trace_and_values_of_an_earlier_run_are_links(tmp_path: Path) -> None:
    with _flights(tmp_path) as pipeline:
        async with OtlpCollector() as collector:
            first = await _traced_run(pipeline, collector)
            (tmp_path / "out/totals.csv").unlink()
            second = await _traced_run(pipeline, collector)
            await _check_a_query_is_a_span(pipeline, collector)
    _check_one_trace_with_every_hop(first)
    [trace] = {span.trace_id for span in second}
    assert trace != first[0].trace_id
    assert len([span for span in second if not span.parent_id]) == 1
    linked = {link_trace for span in second for link_trace, _ in span.links}
    assert first[0].trace_id in linked


async def _check_a_query_is_a_span(pipeline: PipelineDirectory, collector: OtlpCollector) -> None:
    """Of a trace of its own: no run is going on."""
    before = len(collector.spans)
    words = ("sql", "SELECT count(*) AS n FROM totals", "--json")
    finished = await asyncio.to_thread(pipeline.linkd, *words, env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint})
    assert finished.exit_code == 0, finished.stderr
    await collector.wait_for(before + 1, timeout_s=30.0)
    [span] = [span for span in collector.spans[before:] if span.name == "query"]
    assert not span.parent_id
    assert span.attributes["linkd.links"] == ["totals"]


def _check_one_trace_with_every_hop(spans: list[CollectedSpan]) -> None:
    assert len({span.trace_id for span in spans}) == 1
    assert [span.name for span in spans if not span.parent_id] == ["run flights"]
    by_id = {span.span_id: span for span in spans}
    names = {span.name for span in spans}
    assert all(span.parent_id in by_id for span in spans if span.parent_id)
    for link in ("flights", "airlines", "flown", "cancelled", "totals"):
        assert f"publish {link}" in names, sorted(names)
    for link in ("flights", "airlines", "flown", "totals"):
        assert f"deliver {link}" in names, sorted(names)
    last = next(span for span in spans if span.name == "commit to:totals")
    hops = {"run flights", "publish flights", "deliver flights", "commit clean", "commit sum_up", "deliver totals"}
    assert _causes(last, by_id) >= hops
    assert {span.resource["service.name"] for span in spans} == {"linkd"}
