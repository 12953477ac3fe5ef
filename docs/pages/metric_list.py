"""`metrics.md`: what `/metrics` serves, from `linkd.telemetry.metric_table`."""

from __future__ import annotations

from linkd.telemetry.metric_table import METRICS, MetricSpec, MetricType
from pages.markdown import document, table, ticked


def page() -> str:
    scales = [spec for spec in METRICS if spec.type is MetricType.HISTOGRAM]
    return document(
        "Metrics",
        "`linkd serve --http-port PORT` and `linkd run --http-port PORT` serve them at `/metrics`, as Prometheus text or OpenMetrics (with "
        "exemplars that lead to traces). Units are in the names; counters end in `_total`. Labels are bounded: of those that outsiders name, "
        "what comes after the bound is counted as `other`.",
        table(("metric", "type", "labels", "meaning"), map(_row, METRICS)),
        "Beside them there are the Prometheus client's own about the process and Python: `process_*` and `python_*`.",
        "## Buckets",
        table(("histogram", "buckets"), ((ticked(spec.name), ", ".join(f"{bound:g}" for bound in spec.buckets)) for spec in scales)),
    )


def _row(spec: MetricSpec) -> tuple[str, ...]:
    return (ticked(spec.name), str(spec.type), ", ".join(map(ticked, spec.labels)), spec.help)
