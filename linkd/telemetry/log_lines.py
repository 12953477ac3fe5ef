"""The text and the level of the log line of each event worth one. Pure.

Errors are what somebody must act on, warnings what somebody should know, information is the life of a run, and debugging is everything on
the data path. An event that is in no table, or whose function gives None, has no line.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from linkd import limits
from linkd.model.frozen import frozen
from linkd.telemetry import events as e


class LogLevel(enum.IntEnum):
    """Ordered; the numbers are those of the `logging` module."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@frozen()
class LogLine:
    level: LogLevel
    text: str


def line_of(event: e.Event) -> LogLine | None:
    """The line of `event`, or None if it is not worth one."""
    writer = LINES.get(type(event))
    return writer(event) if writer is not None else None


# -- the home --------------------------------------------------------------------------------------------------------------------------
def _home_started(event: e.HomeStarted) -> LogLine:
    name = event.pipeline or "(open)"
    return _info(f"linkd {event.version} serves {name} at {event.endpoint} after {event.seconds:.3f} s (pid {event.pid})")


def _home_draining(event: e.HomeDraining) -> LogLine:
    return _info(f"draining: {event.detail}")


def _home_stopped(event: e.HomeStopped) -> LogLine:
    return _info(f"stopped after draining {event.seconds:.3f} s")


def _certificate_replaced(event: e.CertificateReplaced) -> LogLine:
    if event.detail:
        return _warning(f"{event.detail}. New connections are shown the certificate from before")
    return _info(f"{event.path} was replaced: new connections are shown the new certificate")


def _incarnation_began(event: e.IncarnationBegan) -> LogLine:
    return _warning(
        f"{event.link}: linkd was not stopped properly, and values behind {event.link}@{event.first_sequence - 1} that were not synced are lost; "
        f"incarnation {event.incarnation} begins"
    )


def _storage_volatile(event: e.StorageVolatile) -> LogLine:
    return _warning(f"{event.path}: {event.reason}. What is acked here is acked as `memory`")


def _storage_full(event: e.StorageFull) -> LogLine:
    if event.reason:
        return _warning(f"{event.path} is full: {event.reason}. What was acked is safe; linkd waits for room")
    return _info(f"{event.path} has room again")


def _recovered(event: e.Recovered) -> LogLine:
    text = f"read {event.frames} frames of the journal in {event.seconds:.3f} s"
    if event.cut_bytes:
        sure = "nothing in it was acked as durable, unless the disk has lost what it had confirmed"
        return _warning(f"{text}; cut a torn tail of {event.cut_bytes} bytes (an unclean end; {sure})")
    return _info(text)


def _file_quarantined(event: e.FileQuarantined) -> LogLine:
    return _error(f"{event.path} is damaged and was set aside: {event.detail}")


def _artifacts_evicted(event: e.ArtifactsEvicted) -> LogLine:
    return _info(f"{event.count} artifacts of {event.size_bytes:,} bytes, which no value names, made room for others")


def _storage_failed(event: e.StorageFailedEvent) -> LogLine:
    return _error(f"the disk refused {event.operation} of {event.path}: {event.error}; nothing more is acked until linkd is started again")


def _loop_lag(event: e.LoopLag) -> LogLine | None:
    if event.seconds < limits.LOOP_LAG_NOTICE_S:
        return None
    return _warning(f"the event loop stood still for {event.seconds:.3f} s")


# -- runs and tasks --------------------------------------------------------------------------------------------------------------------
def _run_began(event: e.RunBegan) -> LogLine:
    how = "starts over" if event.fresh else "continues"
    return _info(f"run {event.run_id} (epoch {event.epoch}) of {event.pipeline} {how}{_because(event.detail)}")


def _run_ended(event: e.RunEnded) -> LogLine:
    level = LogLevel.INFO if event.outcome == e.OUTCOME_DONE else LogLevel.WARNING
    text = f"run {event.run_id} (epoch {event.epoch}) of {event.pipeline}: {event.outcome} after {event.seconds:.3f} s"
    return LogLine(level, text)


def _task_started(event: e.TaskStarted) -> LogLine:
    return _info(f"task {event.task} started (pid {event.pid}, execution {event.execution})")


def _task_exited(event: e.TaskExited) -> LogLine:
    how = f"was killed by signal {-event.code}" if event.code < 0 else f"exited {event.code}"
    level = LogLevel.WARNING if event.code else LogLevel.INFO
    return LogLine(level, f"task {event.task} {how} after {event.seconds:.3f} s")


def _generation_began(event: e.GenerationBegan) -> LogLine:
    return _info(f"{event.link}: generation {event.generation} begins")


def _generation_ended(event: e.GenerationEnded) -> LogLine:
    how = "sealed" if event.sealed else "abandoned"
    return _info(f"{event.link}: generation {event.generation} {how} with {event.values} values{_because(event.detail)}")


_EXPECTED_DROPS = ("superseded", "abandoned")
"""Retention does this all day: newer values are there."""


# -- values ----------------------------------------------------------------------------------------------------------------------------
def _value_published(event: e.ValuePublished) -> LogLine:
    return _debug(
        f"{event.link}: {event.values} values, {event.rows} rows, {event.size_bytes} bytes "
        f"from {event.task or 'an outsider'} acked as {event.durability} after {event.seconds:.6f} s"
    )


def _publish_repeated(event: e.PublishRepeated) -> LogLine:
    return _debug(f"{event.link}: publish {event.sequence} of producer {event.producer} came again and was not stored twice")


def _producer_refused(event: e.ProducerRefused) -> LogLine:
    return _warning(f"{event.link}: a publish of producer {event.producer} refused ({event.reason}){_because(event.detail)}")


def _value_delivered(event: e.ValueDelivered) -> LogLine:
    return _debug(
        f"{event.link}: {event.values} values, {event.rows} rows, {event.size_bytes} bytes "
        f"to {event.group} after {event.wait_seconds:.6f} s (attempt {event.attempt})"
    )


def _values_lost(event: e.ValuesLost) -> LogLine:
    if event.reason == e.LOST:
        return _warning(f"{event.link}: {event.reader} had seen {event.values} values that were lost when the machine stopped")
    return _warning(
        f"{event.link}: {event.values} values were dropped ({event.reason}) before {event.reader} had done them: `retain` is hard"
    )


def _clock_jumped(event: e.ClockJumped) -> LogLine:
    how = f"jumped by {event.seconds:+.0f} s" if event.seconds else "is far from the time of the newest value"
    return _warning(
        f"the clock of this machine {how}: nothing is dropped for its age until it has run steadily for {event.paused_seconds:.0f} s"
    )


def _value_dropped(event: e.ValueDropped) -> LogLine:
    line = f"{event.link}: {event.values} values dropped: {event.reason}"
    return _debug(line) if event.reason in _EXPECTED_DROPS else _warning(line)


def _disk_paused(event: e.DiskPaused) -> LogLine:
    return _error(f"publishing is paused: {event.detail}")


def _disk_resumed(event: e.DiskResumed) -> LogLine:
    return _info(f"publishing goes on: linkd holds {event.held_bytes:,} of {event.budget_bytes:,} bytes of disk")


def _link_filled(event: e.LinkFilled) -> LogLine:
    return _info(f"{event.link} is full: {event.waiting_bytes:,} of {event.bound_bytes:,} bytes wait for {event.readers}")


def _circle_of_waits(event: e.CircleOfWaits) -> LogLine:
    return _warning(event.detail)


def _rows_rejected(event: e.RowsRejected) -> LogLine:
    return _warning(f"{event.link}: {event.rows} rows did not fit and went to {event.link}.rejects")


def _snapshot_committed(event: e.SnapshotCommitted) -> LogLine:
    return _debug(
        f"task {event.task} committed {event.inputs} values into {event.outputs} in {event.seconds:.6f} s (attempt {event.attempt})"
    )


def _snapshot_refused(event: e.SnapshotRefused) -> LogLine:
    return _warning(f"commit of task {event.task} refused ({event.reason}){_because(event.detail)}")


def _snapshot_lease_ended(event: e.SnapshotLeaseEnded) -> LogLine:
    return _warning(
        f"task {event.task} gave no sign of life for {event.seconds:g} s: what it works on (attempt {event.attempt}) goes to whoever asks next"
    )


def _snapshot_given_up(event: e.SnapshotGivenUp) -> LogLine:
    return _warning(f"task {event.task} failed {event.attempts} times at a snapshot, which went to {event.link}{_because(event.detail)}")


def _outcome_recalled(event: e.OutcomeRecalled) -> LogLine:
    return _debug(f"task {event.task} was given what it was given before: {event.values} values remembered in {event.seconds:.6f} s")


def _outcome_checked(event: e.OutcomeChecked) -> LogLine:
    if not event.differing:
        return _debug(f"task {event.task} made of the same what it had made before")
    return _warning(f"task {event.task} made of the same something else than it had made before: {', '.join(event.differing)}")


def _memo_failed(event: e.MemoFailed) -> LogLine:
    return _warning(f"what is remembered of tasks cannot be used, and programs run in any case: {event.detail}")


def _group_lease_ended(event: e.GroupLeaseEnded) -> LogLine:
    return _warning(
        f"a member of group {event.group} of {event.link} gave no sign of life for {event.seconds:g} s: what it had goes to others"
    )


def _value_given_up(event: e.ValueGivenUp) -> LogLine:
    failed = f"group {event.group} failed {event.attempts} times at a value of {event.link}"
    return _warning(f"{failed}, which went to {event.to}{_because(event.detail)}")


# -- callers ---------------------------------------------------------------------------------------------------------------------------
def _connection_opened(event: e.ConnectionOpened) -> LogLine:
    return _debug(f"{event.peer or 'an outsider'} connected by {event.face}")


def _connection_closed(event: e.ConnectionClosed) -> LogLine:
    return _debug(f"{event.peer or 'an outsider'} left {event.face} after {event.seconds:.3f} s")


def _call_refused(event: e.CallRefused) -> LogLine:
    who = f"task {event.task}" if event.task else "an outsider"
    what = f"{event.operation} of {event.link}" if event.link else event.operation
    return _warning(f"refused {what} to {who} ({event.reason}){_because(event.detail)}")


def _query_ran(event: e.QueryRan) -> LogLine:
    who = f"task {event.task}" if event.task else "an outsider"
    text = f"query of {who} over {', '.join(event.links) or 'no link'}: {event.outcome}, {event.rows} rows in {event.seconds:.3f} s"
    return _debug(text) if event.outcome == e.OUTCOME_DONE else _info(text)


# -- telemetry itself ------------------------------------------------------------------------------------------------------------------
def _sink_failed(event: e.SinkFailed) -> LogLine | None:
    if not event.first:
        return None
    return _error(f"telemetry: {event.sink} failed on {event.event}: {event.error}; further failures are only counted")


def _spans_lost(event: e.SpansLost) -> LogLine | None:
    if not event.first:
        return None
    where = f" to {event.endpoint}" if event.endpoint else ""
    return _warning(f"traces cannot be sent{where}: {event.detail}; linkd goes on without them")


def _spans_resumed(event: e.SpansResumed) -> LogLine:
    return _info(f"traces are sent to {event.endpoint} again; {event.lost} spans were lost")


def _log_lines_lost(event: e.LogLinesLost) -> LogLine:
    return _warning(f"{event.lines} log lines were lost: whoever reads this log is too slow")


def _because(detail: str) -> str:
    return f": {detail}" if detail else ""


def _debug(text: str) -> LogLine:
    return LogLine(LogLevel.DEBUG, text)


def _info(text: str) -> LogLine:
    return LogLine(LogLevel.INFO, text)


def _warning(text: str) -> LogLine:
    return LogLine(LogLevel.WARNING, text)


def _error(text: str) -> LogLine:
    return LogLine(LogLevel.ERROR, text)


LINES: Mapping[type[e.Event], Callable[[Any], LogLine | None]] = {
    e.HomeStarted: _home_started,
    e.HomeDraining: _home_draining,
    e.CertificateReplaced: _certificate_replaced,
    e.HomeStopped: _home_stopped,
    e.Recovered: _recovered,
    e.IncarnationBegan: _incarnation_began,
    e.StorageVolatile: _storage_volatile,
    e.StorageFull: _storage_full,
    e.FileQuarantined: _file_quarantined,
    e.ArtifactsEvicted: _artifacts_evicted,
    e.StorageFailedEvent: _storage_failed,
    e.LoopLag: _loop_lag,
    e.RunBegan: _run_began,
    e.RunEnded: _run_ended,
    e.TaskStarted: _task_started,
    e.TaskExited: _task_exited,
    e.GenerationBegan: _generation_began,
    e.GenerationEnded: _generation_ended,
    e.ValuePublished: _value_published,
    e.PublishRepeated: _publish_repeated,
    e.ProducerRefused: _producer_refused,
    e.ValueDelivered: _value_delivered,
    e.ValueDropped: _value_dropped,
    e.ValuesLost: _values_lost,
    e.ClockJumped: _clock_jumped,
    e.DiskPaused: _disk_paused,
    e.DiskResumed: _disk_resumed,
    e.LinkFilled: _link_filled,
    e.CircleOfWaits: _circle_of_waits,
    e.RowsRejected: _rows_rejected,
    e.SnapshotCommitted: _snapshot_committed,
    e.SnapshotRefused: _snapshot_refused,
    e.SnapshotLeaseEnded: _snapshot_lease_ended,
    e.SnapshotGivenUp: _snapshot_given_up,
    e.OutcomeRecalled: _outcome_recalled,
    e.OutcomeChecked: _outcome_checked,
    e.MemoFailed: _memo_failed,
    e.GroupLeaseEnded: _group_lease_ended,
    e.ValueGivenUp: _value_given_up,
    e.ConnectionOpened: _connection_opened,
    e.ConnectionClosed: _connection_closed,
    e.CallRefused: _call_refused,
    e.QueryRan: _query_ran,
    e.SinkFailed: _sink_failed,
    e.SpansLost: _spans_lost,
    e.SpansResumed: _spans_resumed,
    e.LogLinesLost: _log_lines_lost,
}

DEBUG_ONLY: frozenset[type[e.Event]] = frozenset(
    {e.ValuePublished, e.PublishRepeated, e.ValueDelivered, e.SnapshotCommitted, e.OutcomeRecalled, e.ConnectionOpened, e.ConnectionClosed}
)
"""Events whose line is never above debugging: a sink for higher levels does not ask for them, and the data path pays nothing."""
