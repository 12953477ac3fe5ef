"""Every metric of the table exists as the table says, and events move it."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from linkd import limits
from linkd.telemetry import events as e
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.metric_table import METRICS, MetricSpec, MetricType
from linkd.telemetry.metrics import Metrics
from linkd.telemetry.trace_context import Span, SpanContext

Labels = dict[str, str]


class Scrape:
    """The metrics of a pipeline called flights, after some events."""

    def __init__(self, *told: e.Event) -> None:
        self._telemetry = Telemetry()
        self._metrics = Metrics("flights", "0.1.0")
        self._telemetry.attach(self._metrics)
        self.tell(*told)

    def tell(self, *told: e.Event) -> None:
        for event in told:
            self._telemetry.emit(event)
        assert self._telemetry.failures("metrics") == 0

    def text(self, accept: str = "") -> str:
        return self._metrics.render(accept)[0].decode()

    def samples(self, name: str) -> list[tuple[Labels, float]]:
        return [
            (dict(sample.labels), sample.value)
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name
        ]

    def value(self, name: str, **labels: str) -> float | None:
        return next((value for having, value in self.samples(name) if labels.items() <= having.items()), None)


def published(link: str = "flown", span: Span | None = None) -> e.ValuePublished:
    return e.ValuePublished(link=link, task="clean", values=2, rows=10, size_bytes=300, seconds=0.004, span=span)


def test_each_metric_of_the_table_is_exported_with_its_type_help_and_buckets() -> None:
    text = Scrape().text()
    for spec in METRICS:
        exported = "gauge" if spec.type is MetricType.INFO else spec.type.value
        assert f"# HELP {spec.name} {spec.help}" in text
        assert f"# TYPE {spec.name} {exported}" in text
        for bound in spec.buckets if not spec.labels else ():
            assert f'{spec.name}_bucket{{le="{bound}"}} 0.0' in text


def test_nothing_of_ours_is_exported_that_the_table_does_not_name() -> None:
    exported = set(re.findall(r"^# TYPE (linkd_\w+) ", Scrape().text(), re.MULTILINE))
    created = {name for name in exported if name.endswith("_created")}
    assert exported - created == {spec.name for spec in METRICS}


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_names_follow_the_conventions(spec: MetricSpec) -> None:
    assert re.fullmatch(r"linkd_[a-z_]+", spec.name)
    assert spec.name.endswith("_total") == (spec.type is MetricType.COUNTER)
    assert spec.name.endswith("_info") == (spec.type is MetricType.INFO)
    assert not re.search(r"_(ms|millis|us|mb|kb)(_|$)", spec.name)
    assert list(spec.buckets) == sorted(set(spec.buckets))
    assert bool(spec.buckets) == (spec.type is MetricType.HISTOGRAM)
    assert spec.help.endswith(".")


def test_a_publish_counts_values_rows_bytes_and_its_latency() -> None:
    scrape = Scrape(published(), published())
    labels = {"pipeline": "flights", "link": "flown"}
    assert scrape.value("linkd_link_values_total", **labels) == 4
    assert scrape.value("linkd_link_rows_total", **labels) == 20
    assert scrape.value("linkd_link_bytes_total", **labels) == 600
    assert scrape.value("linkd_publish_seconds_count", **labels) == 2
    assert scrape.value("linkd_publish_seconds_bucket", **labels, le="0.0025") == 0
    assert scrape.value("linkd_publish_seconds_bucket", **labels, le="0.005") == 2


def test_lag_is_a_gauge_until_its_group_is_closed() -> None:
    labels = {"link": "flown", "group": "sum_up"}
    scrape = Scrape(e.LinkLag(link="flown", group="sum_up", values=7, seconds=1.5))
    assert scrape.value("linkd_link_lag_values", **labels) == 7
    assert scrape.value("linkd_link_lag_seconds", **labels) == 1.5
    scrape.tell(e.GroupClosed(link="flown", group="sum_up"))
    assert scrape.value("linkd_link_lag_values", **labels) is None


def test_the_store_tells_its_syncs_and_its_recovery() -> None:
    scrape = Scrape(
        e.GroupSynced(frames=3, size_bytes=12_288, sync_seconds=0.002),
        e.Recovered(frames=42, cut_bytes=17, seconds=0.1),
        e.StorageFailedEvent(operation="write", path="journal/1", error="ENOSPC"),
    )
    assert scrape.value("linkd_journal_fsync_seconds_sum") == 0.002
    assert scrape.value("linkd_journal_group_frames_sum") == 3
    assert scrape.value("linkd_journal_bytes_total") == 12_288
    assert scrape.value("linkd_recovered_frames") == 42
    assert scrape.value("linkd_recovered_cut_bytes") == 17
    assert scrape.value("linkd_storage_failed") == 1


def test_artifacts_are_counted_as_they_come_and_go() -> None:
    scrape = Scrape(
        e.ArtifactKept(size_bytes=1_000, seconds=0.002),
        e.ArtifactKept(size_bytes=500, seconds=0.001),
        e.ArtifactRead(size_bytes=700),
        e.ArtifactsEvicted(count=3, size_bytes=3_000),
    )
    assert scrape.value("linkd_artifacts_put_total") == 2
    assert scrape.value("linkd_artifact_put_bytes_total") == 1_500
    assert scrape.value("linkd_artifact_put_seconds_count") == 2
    assert scrape.value("linkd_artifact_read_bytes_total") == 700
    assert scrape.value("linkd_artifacts_evicted_total") == 3


def test_what_is_refused_or_lost_is_counted_by_reason() -> None:
    scrape = Scrape(
        e.CallRefused(task="clean", operation="publish", link="totals", reason="not_allowed"),
        e.ValueDropped(link="flown", values=5, reason="retention"),
        e.SnapshotRefused(task="clean", reason="lease_lost"),
        e.SpansLost(endpoint="collector:4317", spans=12, detail="away"),
        e.PublishRepeated(link="flown", producer="~1", sequence=4),
        e.ProducerRefused(producer="sensor-7", link="flown", reason="producer_fenced"),
        e.GroupLeaseEnded(link="flown", group="alerts", seconds=30.0),
        e.ValueGivenUp(link="flown", group="alerts", attempts=3, to="flown.dead"),
        e.ValuesLost(link="flown", reader="alerts", values=7, reason="age"),
    )
    assert scrape.value("linkd_calls_refused_total", operation="publish", reason="not_allowed") == 1
    assert scrape.value("linkd_drops_total", link="flown", reason="retention") == 5
    assert scrape.value("linkd_commits_refused_total", reason="lease_lost") == 1
    assert scrape.value("linkd_spans_lost_total") == 12
    assert scrape.value("linkd_publishes_repeated_total", link="flown") == 1
    assert scrape.value("linkd_publishes_refused_total", reason="producer_fenced") == 1
    for name, count in (("group_leases_ended", 1), ("values_given_up", 1), ("lost_values", 7)):
        assert scrape.value(f"linkd_{name}_total", link="flown", group="alerts") == count


def test_a_full_disk_is_told_as_long_as_it_is_full() -> None:
    scrape = Scrape(e.DiskPaused(held_bytes=95, budget_bytes=100, detail=""))
    assert scrape.value("linkd_publishing_paused") == 1
    scrape.tell(e.DiskResumed(held_bytes=80, budget_bytes=100))
    assert scrape.value("linkd_publishing_paused") == 0


def test_connections_queries_tasks_and_commits_are_counted() -> None:
    scrape = Scrape(
        e.ConnectionOpened(face="grpc", peer="clean"),
        e.ConnectionOpened(face="grpc", peer=""),
        e.ConnectionClosed(face="grpc", peer="", seconds=1.0),
        e.QueryRan(task="", links=("flown",), rows=5, seconds=0.2, outcome="query_invalid"),
        e.TaskExited(task="clean", code=-9, seconds=2.0),
        e.SnapshotCommitted(task="clean", inputs=1, outputs=2, seconds=0.01),
    )
    assert scrape.value("linkd_connections", face="grpc") == 1
    assert scrape.value("linkd_queries_total", outcome="query_invalid") == 1
    assert scrape.value("linkd_task_exits_total", task="clean", outcome="failed") == 1
    assert scrape.value("linkd_commits_total", task="clean") == 1
    assert scrape.value("linkd_commit_seconds_count") == 1


def test_reasons_without_end_stay_bounded_and_their_sum_stays_right() -> None:
    events = 3 * limits.METRIC_REASONS_MAX
    scrape = Scrape(*(e.SnapshotRefused(task="clean", reason=f"reason_{number}") for number in range(events)))
    samples = scrape.samples("linkd_commits_refused_total")
    assert len(samples) == limits.METRIC_REASONS_MAX + 1
    assert sum(value for _, value in samples) == events
    assert scrape.value("linkd_commits_refused_total", reason="other") == events - limits.METRIC_REASONS_MAX


def test_groups_without_end_stay_bounded_and_a_closed_one_makes_room() -> None:
    lags = [e.LinkLag(link="flown", group=f"group_{number}", values=1, seconds=0.0) for number in range(limits.METRIC_GROUPS_MAX + 5)]
    scrape = Scrape(*lags)
    assert len(scrape.samples("linkd_link_lag_values")) == limits.METRIC_GROUPS_MAX
    scrape.tell(e.GroupClosed(link="flown", group="group_0"), lags[-1])
    assert scrape.value("linkd_link_lag_values", group=lags[-1].group) == 1


def test_a_scraper_may_ask_for_open_metrics_and_gets_the_trace_as_an_exemplar() -> None:
    span = Span(SpanContext(0xABC, 0xDEF), None, 0, 1)
    metrics = Metrics("flights", "0.1.0")
    metrics.handlers()[e.ValuePublished](published(span=span))
    body, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert f'trace_id="{0xABC:032x}"' in body.decode()
    assert metrics.render()[1].startswith("text/plain")


def test_the_build_and_the_process_are_told_too() -> None:
    scrape = Scrape()
    assert scrape.value("linkd_build_info", version="0.1.0") == 1
    assert "python_gc_collections_total" in scrape.text()


def test_what_is_remembered_is_counted_as_it_is_recalled_and_checked() -> None:
    scrape = Scrape(
        e.OutcomeRecalled(task="clean", values=2, seconds=0.001),
        e.OutcomeChecked(task="clean", differing=()),
        e.OutcomeChecked(task="clean", differing=("flown",)),
        e.MemoFailed(detail="no room"),
    )
    labels = {"pipeline": "flights", "task": "clean"}
    assert scrape.value("linkd_outcomes_recalled_total", **labels) == 1
    assert scrape.value("linkd_outcomes_checked_total", **labels, outcome="same") == 1
    assert scrape.value("linkd_outcomes_checked_total", **labels, outcome="other") == 1
    assert scrape.value("linkd_memo_failed") == 1
