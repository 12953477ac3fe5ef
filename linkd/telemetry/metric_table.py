"""Every metric of linkd: its name, type, meaning, labels and buckets. `metrics` makes them from this table.

Names follow Prometheus: base units, `_total` for counters, `_info` for a constant 1. A label never holds what grows without bound: `link`
and `task` are bounded by `limits.LINKS_MAX` and `TASKS_MAX`, `group` by `METRIC_GROUPS_MAX`, all others by `METRIC_REASONS_MAX`.
Buckets lie where a decision hangs on them; each list says which.
"""

from __future__ import annotations

import enum

from linkd import limits
from linkd.model.frozen import frozen


class MetricType(enum.StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@frozen()
class MetricSpec:
    """One metric. `series_max` bounds the label values it may take; 1 for a metric without labels."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...] = ()
    series_max: int = 1
    buckets: tuple[float, ...] = ()


DURABLE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""From an NVMe disk that acks a sync out of its cache (0.1 ms) over a good SSD (1 ms) and a cloud volume (10 ms) to one that is ill."""
WAIT_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1_800.0, 3_600.0, 21_600.0)
"""A value waits milliseconds for an idle consumer and hours for a batch task: a wide scale, coarse."""
QUERY_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, limits.QUERY_TIMEOUT_S)
"""Ends at the time limit of a query: what is above was stopped."""
LOOP_LAG_SECONDS = (0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, limits.LOOP_LAG_NOTICE_S, 0.5, 1.0)
"""0.002 is the bar for p99; 0.1 is where a line is written."""
GROUP_FRAMES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0)
"""Frames that shared one sync: powers of two, for what matters is how much grouping saves."""

_LINK = ("pipeline", "link")
_TASK = ("pipeline", "task")
_GROUP = ("pipeline", "link", "group")
_LINKS = limits.LINKS_MAX
_GROUPS = limits.METRIC_GROUPS_MAX
_REASONS = limits.METRIC_REASONS_MAX
_COUNTER = MetricType.COUNTER
_GAUGE = MetricType.GAUGE
_HISTOGRAM = MetricType.HISTOGRAM

METRICS: tuple[MetricSpec, ...] = (
    MetricSpec("linkd_build_info", MetricType.INFO, "The version of linkd and of Python that run.", ("version", "python")),
    # Values
    MetricSpec("linkd_link_values_total", _COUNTER, "Values that became part of a link.", _LINK, _LINKS),
    MetricSpec("linkd_link_rows_total", _COUNTER, "Rows that became part of a link.", _LINK, _LINKS),
    MetricSpec("linkd_link_bytes_total", _COUNTER, "Payload bytes that became part of a link.", _LINK, _LINKS),
    MetricSpec("linkd_link_generation", _GAUGE, "The newest generation of a link.", _LINK, _LINKS),
    MetricSpec("linkd_link_lag_values", _GAUGE, "Values that a group or task has not done yet.", _GROUP, _GROUPS),
    MetricSpec("linkd_link_lag_seconds", _GAUGE, "Age of the oldest value not done yet.", _GROUP, _GROUPS),
    MetricSpec("linkd_delivered_values_total", _COUNTER, "Values handed out, repeats included.", _GROUP, _GROUPS),
    MetricSpec("linkd_delivered_bytes_total", _COUNTER, "Payload bytes handed out, repeats included.", _GROUP, _GROUPS),
    MetricSpec("linkd_publish_seconds", _HISTOGRAM, "From the arrival of a value until it was acked.", _LINK, _LINKS, DURABLE_SECONDS),
    MetricSpec(
        "linkd_publishes_repeated_total", _COUNTER, "Publishes that came again after a lost answer, and happened once.", _LINK, _LINKS
    ),
    MetricSpec("linkd_publishes_refused_total", _COUNTER, "Publishes that were refused for their number.", ("reason",), _REASONS),
    MetricSpec("linkd_deliver_seconds", _HISTOGRAM, "From the creation of a value until it was handed out.", _LINK, _LINKS, WAIT_SECONDS),
    MetricSpec(
        "linkd_commit_seconds", _HISTOGRAM, "From the call of a commit until it was durable.", _TASK, limits.TASKS_MAX, DURABLE_SECONDS
    ),
    MetricSpec("linkd_commits_total", _COUNTER, "Snapshots that were committed.", _TASK, limits.TASKS_MAX),
    MetricSpec("linkd_commits_refused_total", _COUNTER, "Commits that were refused.", ("reason",), _REASONS),
    MetricSpec("linkd_leases_ended_total", _COUNTER, "Snapshots whose program gave no sign of life.", _TASK, limits.TASKS_MAX),
    MetricSpec("linkd_snapshots_given_up_total", _COUNTER, "Snapshots that went to a dead-letter link.", _TASK, limits.TASKS_MAX),
    MetricSpec("linkd_outcomes_recalled_total", _COUNTER, "Snapshots of which the outcome was remembered.", _TASK, limits.TASKS_MAX),
    MetricSpec(
        "linkd_outcomes_checked_total",
        _COUNTER,
        "Remembered outcomes that were made again, by `same` or `other`.",
        ("pipeline", "task", "outcome"),
        2 * limits.TASKS_MAX,
    ),
    MetricSpec("linkd_memo_failed", _GAUGE, "1 when what is remembered cannot be used."),
    MetricSpec("linkd_group_leases_ended_total", _COUNTER, "Members of a group that gave no sign of life.", _GROUP, _GROUPS),
    MetricSpec("linkd_values_given_up_total", _COUNTER, "Values that went from a group to a dead-letter link.", _GROUP, _GROUPS),
    MetricSpec(
        "linkd_drops_total",
        _COUNTER,
        "Values that left a link before they were delivered, or never came to be.",
        ("pipeline", "link", "reason"),
        _LINKS,
    ),
    MetricSpec("linkd_lost_values_total", _COUNTER, "Values dropped before a task or a group had done them.", _GROUP, _GROUPS),
    MetricSpec("linkd_rows_rejected_total", _COUNTER, "Rows of a source that did not fit.", _LINK, _LINKS),
    # The store
    MetricSpec("linkd_journal_fsync_seconds", _HISTOGRAM, "One sync of the journal.", buckets=DURABLE_SECONDS),
    MetricSpec("linkd_journal_group_frames", _HISTOGRAM, "Frames made durable by one sync.", buckets=GROUP_FRAMES),
    MetricSpec("linkd_journal_bytes_total", _COUNTER, "Bytes written to the journal."),
    MetricSpec("linkd_recovered_frames", _GAUGE, "Frames that the last start read from the journal."),
    MetricSpec("linkd_recovered_cut_bytes", _GAUGE, "Bytes of a torn tail that the last start cut."),
    MetricSpec("linkd_recovery_seconds", _GAUGE, "How long the last start read the journal."),
    MetricSpec("linkd_files_quarantined_total", _COUNTER, "Damaged files that were set aside."),
    MetricSpec("linkd_artifacts_put_total", _COUNTER, "Artifacts that were put, those that were there already included."),
    MetricSpec("linkd_artifact_put_bytes_total", _COUNTER, "Bytes of artifacts that were put."),
    MetricSpec("linkd_artifact_put_seconds", _HISTOGRAM, "From the last byte of an artifact until it was acked.", buckets=DURABLE_SECONDS),
    MetricSpec("linkd_artifact_read_bytes_total", _COUNTER, "Bytes of artifacts that were given to programs."),
    MetricSpec("linkd_artifacts_evicted_total", _COUNTER, "Artifacts that no value names and that made room for others."),
    MetricSpec("linkd_storage_failed", _GAUGE, "1 when the disk has refused and nothing more is acked."),
    MetricSpec("linkd_publishing_paused", _GAUGE, "1 while nothing is published, because the disk budget is nearly used up."),
    # Callers and tasks
    MetricSpec("linkd_connections", _GAUGE, "Clients connected now.", ("face",), _REASONS),
    MetricSpec("linkd_calls_refused_total", _COUNTER, "Calls that were denied.", ("operation", "reason"), _REASONS),
    MetricSpec("linkd_queries_total", _COUNTER, "Queries, by how they ended.", ("outcome",), _REASONS),
    MetricSpec("linkd_query_seconds", _HISTOGRAM, "From the call of a query to its last row.", buckets=QUERY_SECONDS),
    MetricSpec(
        "linkd_task_exits_total",
        _COUNTER,
        "Programs of the pipeline that ended, by `done` or `failed`.",
        ("pipeline", "task", "outcome"),
        2 * limits.TASKS_MAX,
    ),
    # linkd itself
    MetricSpec("linkd_loop_lag_seconds", _HISTOGRAM, "How late the event loop came back.", buckets=LOOP_LAG_SECONDS),
    MetricSpec("linkd_telemetry_failures_total", _COUNTER, "Events that a sink failed on.", ("sink",), _REASONS),
    MetricSpec("linkd_spans_lost_total", _COUNTER, "Spans that could not be exported."),
    MetricSpec("linkd_log_lines_lost_total", _COUNTER, "Log lines lost to a slow reader."),
)
