"""What happens in linkd, and where it is told.

`events` is the one typed list of things that happen. `hub` hands each to the sinks that asked for it: `metrics` (Prometheus), `traces`
(OpenTelemetry spans by OTLP) and `logs` (lines). Nothing outside this package knows the name of a metric, of a span or the text of a line.
`trace_context` (W3C Trace Context) and `tracing` (whether there is tracing at all) are pure and light, so that every process can use them.

Nothing here decides anything about data, and nothing here may hurt the data path. Heavy libraries are imported by `metrics` and `traces`
only, which are imported by whoever needs them.
"""
