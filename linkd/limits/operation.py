"""How long parts live, wait and are waited for; what a supervisor shows; what the process asks of its machine and tells of itself."""

from __future__ import annotations

from linkd.limits.units import GIB, KIB, MIB

# -- lives of the home and its programs ----------------------------------------------------------------------------------------------------
DRAIN_TIMEOUT_S = 10.0
"""For the calls in hand when a home ends: a third of what Kubernetes grants by default."""
DRAIN_LAST_ANSWER_S = 0.05
"""Behind the last call in hand, for its answer to leave the process."""
DRAIN_CLOSE_S = 1.0
"""Of the time for a drain, what is kept for closing the store behind the last call: a checkpoint and two syncs."""
RUN_END_TIMEOUT_S = 5.0
"""For the record of the end of a run, and for the last outcomes to be remembered."""
MEMO_CHECK_TIMEOUT_S = 600.0
"""The same with `--check-cache`: gigabytes may have to be read twice and compared row by row."""
TASK_TERM_GRACE_S = 10.0
"""Between TERM and KILL for a task's process group."""
LAST_WORDS_MAX_S = 1.0
"""For the output of a group that was killed: it is in the pipe already, unless something has left the group and keeps that open."""
RESTARTS_MAX = 3
RESTARTS_WITHIN_S = 60.0
"""The home and the adapter worker of a run are started again so often within this time: what dies more often does not mend by itself."""
OUTPUT_HELD_TOLD_AFTER_S = 10.0
"""A program that has exited, and whose output something in the background keeps open, is told of after this: it looks like a run that hangs."""
MAKE_WAY_MARGIN_S = 5.0
"""Beyond its drain, for a home that makes way to sync, close and exit on a busy machine."""
ON_DEMAND_IDLE_S = 2.0
"""A home that was started for a reader ends this long after its last client: two commands in a row share one."""
HOME_START_TIMEOUT_S = 30.0
"""As long as its clients wait for it."""

# -- supervision ---------------------------------------------------------------------------------------------------------------------------
LOG_FILE_MAX_BYTES = 10 * MIB
LOG_FILES_KEPT = 3
"""Of each task: between 20 and 30 MiB of what it printed last."""
LOG_LINE_MAX_BYTES = 64 * KIB
"""A longer line of a task's output is folded; a program that prints a gigabyte without a newline must not fill memory."""
LOG_LINE_SHOWN_MAX_CHARS = 2_000
"""Of one line on the screen; the log has all of it."""
LOG_LINES_SHOWN_PER_S = 200
"""Of one program's output on the screen: more than anybody reads, and a program that prints a gigabyte does not drown the others."""
FAILED_RUNS_KEPT = 3
"""Runs of one task's program on files that failed, of which the files are kept: to look at, and to run by hand."""
FAILED_RUN_KEPT_MAX_BYTES = 1 * GIB
"""Of the files of one such run; the disk is for data, and who looks into a failure begins with a small one."""
FAILURE_TAIL_LINES = 20
"""Of what a failed program printed: most tracebacks, and the screen still shows what came before."""
RETRY_BACKOFF_FIRST_S = 1.0
RETRY_BACKOFF_MAX_S = 30.0
"""Between two attempts of a task: the wait doubles from the one to the other, for what it needs may be on its way back."""
STALL_AFTER_S = 60.0
"""Without any progress for so long, a run says who waits for whom; again after twice as long, and so on."""
STALL_LINES_MAX = 12
"""Half a screen: what stands at the end of a chain stands for the others."""
RUN_NOTES_SHOWN_MAX = 20
"""Notes at the end of a run: a screen of them; a pipeline that has more has one odd source."""
SCREEN_REFRESH_PER_S = 8
"""Of the live table: smooth for the eye, nothing for the processor."""
WATCH_INTERVAL_S = 0.1
"""At least so long between two descriptions sent to the supervisor: a screen shows ten a second at most."""
RATE_WINDOW_S = 5
"""Rates that are told are averages over so many seconds: long enough to be read, short enough to show that something stopped."""
RATES_TOLD_INTERVAL_S = 1.0
"""Between two descriptions for one who looks on while nothing changes but the rates, until they are nothing."""
HOLDS_TOLD_MAX = 64
"""Holds and readings that a description tells of: a thousand readers at once are a number."""
LEASES_TOLD_MAX = 100
"""Snapshots on lease that a description tells of one task, the oldest first: more than a screen of them is a number."""

# -- the process ---------------------------------------------------------------------------------------------------------------------------
LOOP_LAG_INTERVAL_S = 1.0
"""How often the lag of the event loop is measured, where somebody wants to know: one wake-up a second costs nothing."""
LOOP_LAG_BUSY_SHARE = 0.05
LOOP_LAG_BUSY_INTERVAL_S = 0.05
"""From so much of a core on it is measured so often: a minute has a thousand measurements then, of which a 99th percentile can be told."""
SWITCH_INTERVAL_S = 0.0005
"""`sys.setswitchinterval` of the home: with Python's 5 ms a durable ack waits up to 10 ms for the GIL, with this one 0.7 ms."""
PROCESSOR_SLICE_S = 0.0002
"""Of the home's threads, where the kernel lets one choose: with its 1.4 ms the loop comes back 1 ms late among busy programs (p99), with this one
0.4 ms. Below 0.1 ms it takes none."""
PIECE_MALLOC_MAX_BYTES = 32 * MIB
FREED_KEPT_BYTES = 64 * MIB
"""Pieces up to the one come out of the allocator's own memory, of which it keeps the other when they are freed: new pages for each piece of bulk
are a tenth of all that moving it costs. Values beyond are the exception, and go back to the system."""
GC_THRESHOLD = 50_000
"""Objects between two collections: with Python's 700 a tenth of every start goes into looking at modules that stay."""
LOOP_LAG_NOTICE_S = 0.1
"""A lag of the event loop above this is worth a line: fifty times the bar, so it is a fault and not a busy moment."""

# -- telemetry -----------------------------------------------------------------------------------------------------------------------------
METRICS_COUNTED_AT_ONCE = 256
"""Events of values that are counted together, in half a millisecond: a quarter of what they take one by one."""
METRIC_GROUPS_MAX = 1_024
"""Pairs of link and consumer group with series of their own: outsiders name groups, and a monitoring system pays for every series."""
METRIC_REASONS_MAX = 64
"""Distinct reasons, outcomes and operations of one metric; what comes after them is counted as `other`."""
LOG_QUEUE_MAX_LINES = 4_096
"""Log lines waiting for a slow stderr: about half a MiB. Above it the line is lost and counted, for the data path never waits for a log."""
LOG_FIELD_MAX_CHARS = 1_024
"""Of one field of a log line: reasons are sentences, not documents."""
LOG_FLUSH_TIMEOUT_S = 2.0
"""How long an exit waits for a stderr that nobody reads."""
SPAN_CAUSES_MAX = 128
"""Links of one span, as OpenTelemetry's own default has it; a snapshot may have been made from any number of values."""
TRACE_FLUSH_TIMEOUT_S = 2.0
"""How long an exit waits for the last spans: a collector on the same machine takes milliseconds, an absent one costs this once."""

assert RETRY_BACKOFF_FIRST_S <= RETRY_BACKOFF_MAX_S
