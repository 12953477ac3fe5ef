"""Events become Prometheus metrics, in a registry of their own. Names, labels and buckets are in `metric_table`."""

from __future__ import annotations

import platform
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from linkd.limits import METRICS_COUNTED_AT_ONCE
from linkd.telemetry import events as e
from linkd.telemetry.hub import Handler
from linkd.telemetry.metric_table import METRICS, MetricSpec
from linkd.telemetry.trace_context import Span

OTHER = "other"
"""The label value of what came after the bound."""

MetricT = TypeVar("MetricT", Counter, Gauge, Histogram)


class _Family(Generic[MetricT]):
    """The series of one labelled metric, never more than its `series_max`; label values are looked up once each."""

    def __init__(self, metric: MetricT, spec: MetricSpec) -> None:
        self._metric: MetricT = metric
        self._labels = spec.labels
        self._series_max = spec.series_max
        self._series: dict[tuple[str, ...], MetricT] = {}

    def get(self, *labels: str) -> MetricT | None:
        """The series of these label values, or None if there are too many already."""
        found = self._series.get(labels)
        if found is None and len(self._series) < self._series_max:
            found = self._series[labels] = self._metric.labels(*labels)
        return found

    def get_or_other(self, *labels: str) -> MetricT:
        """The series of these label values, or the one shared by all that came too late: for counters, whose sum must stay right."""
        found = self.get(*labels)
        if found is not None:
            return found
        return self._metric.labels(*(value if label == "pipeline" else OTHER for label, value in zip(self._labels, labels, strict=True)))

    def remove(self, *labels: str) -> None:
        if self._series.pop(labels, None) is not None:
            self._metric.remove(*labels)


class Metrics:
    """The sink of metrics for the home of one pipeline, and their text for whoever scrapes."""

    name = "metrics"

    def __init__(self, pipeline: str, version: str) -> None:
        self._pipeline = pipeline
        self._registry = CollectorRegistry()
        self._specs = {spec.name: spec for spec in METRICS}
        self._make_value_metrics()
        self._make_store_metrics()
        self._make_process_metrics(version)
        self._handlers = self._subscriptions()
        self._moved: deque[e.ValuePublished | e.ValueDelivered] = deque()

    def handlers(self) -> Mapping[type[e.Event], Handler]:
        return self._handlers

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and the content type, in the format that an `Accept` header asks for (Prometheus text, or OpenMetrics)."""
        encoder, content_type = choose_encoder(accept)
        self._count()
        return encoder(self._registry), content_type

    # -- making them -------------------------------------------------------------------------------------------------------------------
    def _make_value_metrics(self) -> None:
        self._link_values = self._counters("linkd_link_values_total")
        self._link_rows = self._counters("linkd_link_rows_total")
        self._link_bytes = self._counters("linkd_link_bytes_total")
        self._link_generation = self._gauges("linkd_link_generation")
        self._lag_values = self._gauges("linkd_link_lag_values")
        self._lag_seconds = self._gauges("linkd_link_lag_seconds")
        self._delivered_values = self._counters("linkd_delivered_values_total")
        self._delivered_bytes = self._counters("linkd_delivered_bytes_total")
        self._publish_seconds = self._histograms("linkd_publish_seconds")
        self._deliver_seconds = self._histograms("linkd_deliver_seconds")
        self._commit_seconds = self._histograms("linkd_commit_seconds")
        self._commits = self._counters("linkd_commits_total")
        self._commits_refused = self._counters("linkd_commits_refused_total")
        self._leases_ended = self._counters("linkd_leases_ended_total")
        self._given_up = self._counters("linkd_snapshots_given_up_total")
        self._recalled = self._counters("linkd_outcomes_recalled_total")
        self._checked = self._counters("linkd_outcomes_checked_total")
        self._memo_failed_flag = self._gauge("linkd_memo_failed")
        self._group_leases_ended = self._counters("linkd_group_leases_ended_total")
        self._values_given_up = self._counters("linkd_values_given_up_total")
        self._drops = self._counters("linkd_drops_total")
        self._lost_values = self._counters("linkd_lost_values_total")
        self._rows_rejected = self._counters("linkd_rows_rejected_total")
        self._publishes_repeated = self._counters("linkd_publishes_repeated_total")
        self._publishes_refused = self._counters("linkd_publishes_refused_total")

    def _make_store_metrics(self) -> None:
        self._fsync_seconds = self._histogram("linkd_journal_fsync_seconds")
        self._group_frames = self._histogram("linkd_journal_group_frames")
        self._journal_bytes = self._counter("linkd_journal_bytes_total")
        self._recovered_frames = self._gauge("linkd_recovered_frames")
        self._recovered_cut_bytes = self._gauge("linkd_recovered_cut_bytes")
        self._recovery_seconds = self._gauge("linkd_recovery_seconds")
        self._files_quarantined = self._counter("linkd_files_quarantined_total")
        self._artifacts_put = self._counter("linkd_artifacts_put_total")
        self._artifact_put_bytes = self._counter("linkd_artifact_put_bytes_total")
        self._artifact_put_seconds = self._histogram("linkd_artifact_put_seconds")
        self._artifact_read_bytes = self._counter("linkd_artifact_read_bytes_total")
        self._artifacts_evicted = self._counter("linkd_artifacts_evicted_total")
        self._storage_failed_flag = self._gauge("linkd_storage_failed")
        self._publishing_paused = self._gauge("linkd_publishing_paused")

    def _make_process_metrics(self, version: str) -> None:
        self._connections = self._gauges("linkd_connections")
        self._calls_refused = self._counters("linkd_calls_refused_total")
        self._queries = self._counters("linkd_queries_total")
        self._query_seconds = self._histogram("linkd_query_seconds")
        self._task_exits = self._counters("linkd_task_exits_total")
        self._loop_lag_seconds = self._histogram("linkd_loop_lag_seconds")
        self._telemetry_failures = self._counters("linkd_telemetry_failures_total")
        self._spans_lost = self._counter("linkd_spans_lost_total")
        self._log_lines_lost = self._counter("linkd_log_lines_lost_total")
        build = self._specs["linkd_build_info"]
        Info(build.name.removesuffix("_info"), build.help, registry=self._registry).info(
            {"version": version, "python": platform.python_version()}
        )
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def _counter(self, name: str) -> Counter:
        return Counter(name, self._specs[name].help, registry=self._registry)

    def _gauge(self, name: str) -> Gauge:
        return Gauge(name, self._specs[name].help, registry=self._registry)

    def _histogram(self, name: str) -> Histogram:
        spec = self._specs[name]
        return Histogram(name, spec.help, buckets=spec.buckets, registry=self._registry)

    def _histograms(self, name: str) -> _Family[Histogram]:
        spec = self._specs[name]
        return _Family(Histogram(name, spec.help, spec.labels, buckets=spec.buckets, registry=self._registry), spec)

    def _counters(self, name: str) -> _Family[Counter]:
        spec = self._specs[name]
        return _Family(Counter(name, spec.help, spec.labels, registry=self._registry), spec)

    def _gauges(self, name: str) -> _Family[Gauge]:
        spec = self._specs[name]
        return _Family(Gauge(name, spec.help, spec.labels, registry=self._registry), spec)

    def _subscriptions(self) -> dict[type[e.Event], Callable[[Any], None]]:
        return {
            e.ValuePublished: self._value_moved,
            e.PublishRepeated: self._publish_repeated,
            e.ProducerRefused: self._producer_refused,
            e.ValueDelivered: self._value_moved,
            e.ValueDropped: self._value_dropped,
            e.ValuesLost: self._values_lost,
            e.RowsRejected: self._rows_were_rejected,
            e.SnapshotCommitted: self._snapshot_committed,
            e.SnapshotRefused: self._snapshot_refused,
            e.SnapshotLeaseEnded: self._snapshot_lease_ended,
            e.SnapshotGivenUp: self._snapshot_given_up,
            e.OutcomeRecalled: self._outcome_recalled,
            e.OutcomeChecked: self._outcome_checked,
            e.MemoFailed: self._memo_failed,
            e.GroupLeaseEnded: self._group_lease_ended,
            e.ValueGivenUp: self._value_given_up,
            e.GenerationBegan: self._generation_began,
            e.LinkLag: self._link_lag,
            e.GroupClosed: self._group_closed,
            e.GroupSynced: self._group_synced,
            e.Recovered: self._recovered,
            e.FileQuarantined: self._file_quarantined,
            e.ArtifactKept: self._artifact_kept,
            e.ArtifactRead: self._artifact_read,
            e.ArtifactsEvicted: self._artifacts_were_evicted,
            e.StorageFailedEvent: self._storage_failed,
            e.DiskPaused: self._disk_paused,
            e.DiskResumed: self._disk_resumed,
            e.ConnectionOpened: self._connection_opened,
            e.ConnectionClosed: self._connection_closed,
            e.CallRefused: self._call_refused,
            e.QueryRan: self._query_ran,
            e.TaskExited: self._task_exited,
            e.LoopLag: self._loop_lag,
            e.SinkFailed: self._sink_failed,
            e.SpansLost: self._spans_were_lost,
            e.LogLinesLost: self._log_lines_were_lost,
        }

    # -- values ------------------------------------------------------------------------------------------------------------------------
    def _value_moved(self, event: e.ValuePublished | e.ValueDelivered) -> None:
        """What comes with every value is counted some at a time: one by one it would be a good part of what a value costs."""
        self._moved.append(event)
        if len(self._moved) >= METRICS_COUNTED_AT_ONCE:
            self._count()

    def _count(self) -> None:
        """Counts what was not counted yet."""
        published: defaultdict[str, list[e.ValuePublished]] = defaultdict(list)
        delivered: defaultdict[tuple[str, str], list[e.ValueDelivered]] = defaultdict(list)
        while self._moved:
            event = self._moved.popleft()
            if isinstance(event, e.ValuePublished):
                published[event.link].append(event)
            else:
                delivered[event.link, event.group].append(event)
        for link, events in published.items():
            self._count_published(link, events)
        for (link, group), given in delivered.items():
            self._count_delivered(link, group, given)

    def _count_published(self, link: str, events: Sequence[e.ValuePublished]) -> None:
        self._link_values.get_or_other(self._pipeline, link).inc(sum(event.values for event in events))
        self._link_rows.get_or_other(self._pipeline, link).inc(sum(event.rows for event in events))
        self._link_bytes.get_or_other(self._pipeline, link).inc(sum(event.size_bytes for event in events))
        seconds = self._publish_seconds.get_or_other(self._pipeline, link)
        for event in events:
            seconds.observe(event.seconds, _exemplar(event.span))

    def _count_delivered(self, link: str, group: str, events: Sequence[e.ValueDelivered]) -> None:
        self._delivered_values.get_or_other(self._pipeline, link, group).inc(sum(event.values for event in events))
        self._delivered_bytes.get_or_other(self._pipeline, link, group).inc(sum(event.size_bytes for event in events))
        seconds = self._deliver_seconds.get_or_other(self._pipeline, link)
        for event in events:
            seconds.observe(event.wait_seconds, _exemplar(event.span))

    def _value_dropped(self, event: e.ValueDropped) -> None:
        self._drops.get_or_other(self._pipeline, event.link, event.reason).inc(event.values)

    def _values_lost(self, event: e.ValuesLost) -> None:
        self._lost_values.get_or_other(self._pipeline, event.link, event.reader).inc(event.values)

    def _rows_were_rejected(self, event: e.RowsRejected) -> None:
        self._rows_rejected.get_or_other(self._pipeline, event.link).inc(event.rows)

    def _snapshot_committed(self, event: e.SnapshotCommitted) -> None:
        self._commits.get_or_other(self._pipeline, event.task).inc()
        self._commit_seconds.get_or_other(self._pipeline, event.task).observe(event.seconds, _exemplar(event.span))

    def _publish_repeated(self, event: e.PublishRepeated) -> None:
        self._publishes_repeated.get_or_other(self._pipeline, event.link).inc()

    def _producer_refused(self, event: e.ProducerRefused) -> None:
        self._publishes_refused.get_or_other(event.reason).inc()

    def _snapshot_refused(self, event: e.SnapshotRefused) -> None:
        self._commits_refused.get_or_other(event.reason).inc()

    def _snapshot_lease_ended(self, event: e.SnapshotLeaseEnded) -> None:
        self._leases_ended.get_or_other(self._pipeline, event.task).inc()

    def _snapshot_given_up(self, event: e.SnapshotGivenUp) -> None:
        self._given_up.get_or_other(self._pipeline, event.task).inc()

    def _outcome_recalled(self, event: e.OutcomeRecalled) -> None:
        self._recalled.get_or_other(self._pipeline, event.task).inc()

    def _outcome_checked(self, event: e.OutcomeChecked) -> None:
        self._checked.get_or_other(self._pipeline, event.task, "other" if event.differing else "same").inc()

    def _memo_failed(self, event: e.MemoFailed) -> None:
        self._memo_failed_flag.set(1)

    def _group_lease_ended(self, event: e.GroupLeaseEnded) -> None:
        self._group_leases_ended.get_or_other(self._pipeline, event.link, event.group).inc()

    def _value_given_up(self, event: e.ValueGivenUp) -> None:
        self._values_given_up.get_or_other(self._pipeline, event.link, event.group).inc()

    def _generation_began(self, event: e.GenerationBegan) -> None:
        series = self._link_generation.get(self._pipeline, event.link)
        if series is not None:
            series.set(event.generation)

    def _link_lag(self, event: e.LinkLag) -> None:
        values = self._lag_values.get(self._pipeline, event.link, event.group)
        seconds = self._lag_seconds.get(self._pipeline, event.link, event.group)
        if values is not None and seconds is not None:
            values.set(event.values)
            seconds.set(event.seconds)

    def _group_closed(self, event: e.GroupClosed) -> None:
        self._count()
        for family in (self._lag_values, self._lag_seconds):
            family.remove(self._pipeline, event.link, event.group)
        # Groups come and go with whoever names them: their counters go too, so that later groups have a place.
        for counters in (self._delivered_values, self._delivered_bytes, self._lost_values, self._group_leases_ended, self._values_given_up):
            counters.remove(self._pipeline, event.link, event.group)

    # -- the store ---------------------------------------------------------------------------------------------------------------------
    def _group_synced(self, event: e.GroupSynced) -> None:
        self._fsync_seconds.observe(event.sync_seconds)
        self._group_frames.observe(event.frames)
        self._journal_bytes.inc(event.size_bytes)

    def _recovered(self, event: e.Recovered) -> None:
        self._recovered_frames.set(event.frames)
        self._recovered_cut_bytes.set(event.cut_bytes)
        self._recovery_seconds.set(event.seconds)

    def _file_quarantined(self, event: e.FileQuarantined) -> None:
        self._files_quarantined.inc()

    def _artifact_kept(self, event: e.ArtifactKept) -> None:
        self._artifacts_put.inc()
        self._artifact_put_bytes.inc(event.size_bytes)
        self._artifact_put_seconds.observe(event.seconds)

    def _artifact_read(self, event: e.ArtifactRead) -> None:
        self._artifact_read_bytes.inc(event.size_bytes)

    def _artifacts_were_evicted(self, event: e.ArtifactsEvicted) -> None:
        self._artifacts_evicted.inc(event.count)

    def _storage_failed(self, event: e.StorageFailedEvent) -> None:
        self._storage_failed_flag.set(1)

    def _disk_paused(self, event: e.DiskPaused) -> None:
        self._publishing_paused.set(1)

    def _disk_resumed(self, event: e.DiskResumed) -> None:
        self._publishing_paused.set(0)

    # -- callers, tasks, linkd itself --------------------------------------------------------------------------------------------------
    def _connection_opened(self, event: e.ConnectionOpened) -> None:
        self._connections.get_or_other(event.face).inc()

    def _connection_closed(self, event: e.ConnectionClosed) -> None:
        self._connections.get_or_other(event.face).dec()

    def _call_refused(self, event: e.CallRefused) -> None:
        self._calls_refused.get_or_other(event.operation, event.reason).inc()

    def _query_ran(self, event: e.QueryRan) -> None:
        self._queries.get_or_other(event.outcome).inc()
        self._query_seconds.observe(event.seconds, _exemplar(event.span))

    def _task_exited(self, event: e.TaskExited) -> None:
        outcome = e.OUTCOME_DONE if event.code == 0 else "failed"
        self._task_exits.get_or_other(self._pipeline, event.task, outcome).inc()

    def _loop_lag(self, event: e.LoopLag) -> None:
        self._loop_lag_seconds.observe(event.seconds)

    def _sink_failed(self, event: e.SinkFailed) -> None:
        self._telemetry_failures.get_or_other(event.sink).inc()

    def _spans_were_lost(self, event: e.SpansLost) -> None:
        self._spans_lost.inc(event.spans)

    def _log_lines_were_lost(self, event: e.LogLinesLost) -> None:
        self._log_lines_lost.inc(event.lines)


def _exemplar(span: Span | None) -> dict[str, str] | None:
    """What leads from a bucket to a trace; shown in OpenMetrics only."""
    if span is None or not span.context.sampled:
        return None
    return {"trace_id": span.context.trace_id_hex, "span_id": span.context.span_id_hex}
