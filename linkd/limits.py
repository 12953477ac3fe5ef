"""Every bound and every default of linkd: the unit in the name, the reason beside it, and the relations between them asserted below."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# -- values and payloads ---------------------------------------------------------------------------------------------------------------
ROWS_PER_VALUE = 65_536
"""Rows of the values that a source cuts. Fixed, so that equal files give equal values."""
VALUE_SIZE_MAX_BYTES = 64 * MIB
"""Payload of one value. A larger publish is cut by rows into several values of one commit; one row above this is refused."""
INLINE_PAYLOAD_MAX_BYTES = 64 * KIB
"""A payload up to this lies in the journal frame, a larger one in a segment: below it one sync is cheaper than two files."""
STREAM_FRAME_MAX_BYTES = 1 * MIB
"""Payload bytes of one message of a gRPC stream: gRPC clients of other languages stop at 4 MiB, and 256 KiB to 1 MiB is fastest."""
GRPC_MESSAGE_MAX_BYTES = 4 * MIB
"""Largest gRPC message accepted: the default of every gRPC implementation, stated so that nobody depends on more."""
ENVELOPE_MAX_BYTES = 64 * KIB
"""Encoded envelope with its attributes; holds about a thousand parent ranges."""
ATTRIBUTES_MAX = 64
"""Attributes of one envelope."""
SCHEMA_MAX_BYTES = 1 * MIB
"""Encoded schema of one link: about ten thousand columns."""
MESSAGE_METADATA_MAX_BYTES = 1 * MIB
"""Metadata of one Arrow IPC message: about ten thousand columns, and it is parsed on the event loop."""
JSON_ROW_MAX_BYTES = 16 * MIB
"""One row given as JSON text."""

# -- names -----------------------------------------------------------------------------------------------------------------------------
NAME_MAX_CHARS = 40
"""Of links and tasks: a Kubernetes label holds 63 and our suffixes need the rest."""
GROUP_NAME_MAX_CHARS = 80
LINKS_MAX = 4_096
"""Links of one pipeline: each costs a few KiB of state in the home."""
TASKS_MAX = 1_024
PIPELINE_FILE_MAX_BYTES = 1 * MIB
"""A pipeline file is written by hand; anything larger is not one."""
PIPELINE_FILE_DEPTH_MAX = 16
"""Mappings and lists inside each other; the deepest that means anything has five."""
PIPELINE_PROBLEMS_SHOWN_MAX = 20
"""Problems shown at once: about two screens; mending these usually mends the rest."""
PIPELINE_LINE_SHOWN_MAX_CHARS = 110
"""Of the line a problem points at: with the indent it fits an ordinary terminal window; longer ones are cut around the caret."""
TASK_VERSION_MAX_CHARS = 128
"""Of `version:` in the file; it travels in every envelope of the task's values."""
SCRIPT_FILE_MAX_BYTES = 16 * MIB
"""A file named in a command is part of the task's version below this; larger ones are data rather than programs."""
FILE_DIGEST_BLOCK_BYTES = 1 * MIB
"""Read at once for a digest: larger blocks are no faster."""

# -- memory and flow -------------------------------------------------------------------------------------------------------------------
MEMORY_BUDGET_BYTES = 256 * MIB
"""Payload bytes the home holds at once, where no cgroup says less."""
STAGED_IN_MEMORY_MAX_BYTES = 64 * MIB
"""Payloads staged for commits that stay in memory; what is above goes to files under `staging/`."""
CREDIT_BYTES = 8 * MIB
"""Bytes a subscriber may have been sent without having given the credit back: a few values of ordinary size."""
CREDIT_MAX_BYTES = 256 * MIB
PREFETCH_SNAPSHOTS = 2
"""Snapshots handed out ahead of the one a program works on: one hides the round trip, a second the jitter."""
PREFETCH_SNAPSHOTS_MAX = 256
"""What a client may ask for: each is a lease that others do not get, and is looked at whenever one is handed out."""
PUBLISH_WINDOW_VALUES = 256
"""Values a publish stream may have unacknowledged."""
PUBLISH_WINDOW_BYTES = 16 * MIB
"""Payload bytes a client has unacknowledged, and rows it gathers meanwhile: some 10 ms of the fastest road. One value always goes."""
STREAMS_PER_CONNECTION_MAX = 256
"""Calls at once over one connection; further ones wait. A program has a handful."""
JOURNAL_QUEUE_MAX_BYTES = 64 * MIB
"""Bytes waiting for the committer; above this publishing waits."""

# -- files -----------------------------------------------------------------------------------------------------------------------------
PAGE_BYTES = 4 * KIB
"""Groups of the journal start on it, so that a torn write never touches what was acked before."""
JOURNAL_FILE_MAX_BYTES = 64 * MIB
JOURNAL_GROUP_MAX_BYTES = 4 * MIB
"""A group is closed at this size: one write of it takes a few milliseconds."""
JOURNAL_FRAME_MAX_BYTES = 32 * MIB
"""One commit's records and inline payloads; a frame above a group's size makes a group of its own, and must fit into a file."""
JOURNAL_FRAME_INLINE_MAX_BYTES = 1 * MIB
"""Inline payloads of one frame: of a commit with more, the rest goes to segments, whose bytes do not pass through the event loop."""
JOURNAL_PREALLOCATE_BYTES = 1 * MIB
"""Zeros are written this far ahead: 256 small groups, so that hardly any sync has to write file metadata too."""
SEGMENT_FILE_MAX_BYTES = 256 * MIB
OPEN_FILES_MAX = 64
"""Read descriptors kept open by the store."""
CATALOG_TAIL_MAX_VALUES = 10_000
"""Index entries held in memory before they are written to the catalog, at the latest."""
CATALOG_BATCH_VALUES = 1_000
"""Index entries written in one transaction: a few milliseconds in the committer's thread."""
CATALOG_IDLE_S = 0.05
"""The committer writes the index when no commit came for this long: a client in a loop of single publishes never waits for it."""
STORE_READ_BYTES = 1 * MIB
"""One read of a payload that is passed on in pieces."""

# -- time ------------------------------------------------------------------------------------------------------------------------------
CONNECT_TIMEOUT_S = 30.0
RECONNECT_BACKOFF_FIRST_S = 0.05
RECONNECT_BACKOFF_MAX_S = 1.0
"""A client tries again after half to all of a wait that doubles between the two: at once for a restart, gently for an outage."""
KEEPALIVE_S = 360.0
"""Between pings of an idle TCP connection: above the five minutes that gRPC servers demand by default, below what most firewalls forget."""
CLIENT_CLOSE_TIMEOUT_S = 5.0
"""What closing a client waits for its background tasks: cancelling a call takes milliseconds."""
INTERRUPT_NOTICE_S = 0.5
"""Within this a waiting synchronous call notices an interrupt that fell into the instant before its wait."""
DRAIN_TIMEOUT_S = 10.0
TASK_TERM_GRACE_S = 10.0
"""Between TERM and KILL for a task's process group."""
MAKE_WAY_MARGIN_S = 5.0
"""Beyond its drain, for a home that makes way to sync, close and exit on a busy machine."""
ON_DEMAND_IDLE_S = 2.0
"""A home that was started for a reader ends this long after its last client: two commands in a row share one."""
HOME_START_TIMEOUT_S = 30.0
FOLLOW_EVERY_S = 10.0
"""Under `--follow`: how long the inputs of a `whole` task are idle before it begins again, where `every:` says nothing else."""
HOME_FILE_MAX_BYTES = 4 * KIB
"""`home.json` and a token file hold one short line."""
QUERY_TIMEOUT_S = 300.0
COMMIT_RECORDS_KEPT = 4_096
"""Answers to repeated commits kept in memory per task; a client repeats only its last one, so one would nearly do."""

TRACE_VALUES_DEFAULT = 1_000
TRACE_VALUES_MAX = 100_000
"""Ancestors told of one value: a screen of summary, and a bound for a family of any size."""

# -- queries ---------------------------------------------------------------------------------------------------------------------------
QUERY_TEXT_MAX_BYTES = 1 * MIB
QUERIES_MAX = 4
"""Query children at once: two cores and 24 GiB are an ordinary laptop."""
QUERY_PIECE_BYTES = 256 * KIB
"""Read from a query's child at once."""
QUERY_MEMORY_MAX_BYTES = 2 * GIB
"""DuckDB's own limit in the child; it spills above."""
SPILL_BATCH_BYTES = 8 * MIB
"""Values of an input gathered into one batch before they are written for DuckDB: thousands of tiny batches scan slowly."""
QUERY_THREADS_MAX = 4
"""Cores that one query may use: a scan of mapped batches gains little beyond, and the data path needs the others."""
SQL_TASK_TIMEOUT_S = 7 * 24 * 3600.0
"""A SQL task may take as long as its data does; after a week nobody waits for it any more."""

# -- files of adapters -----------------------------------------------------------------------------------------------------------------
CSV_BLOCK_BYTES = 1 * MIB
CSV_ROW_MAX_BYTES = 64 * MIB
"""One row of a CSV file: fields of many megabytes are real (documents in a column), endless ones are an unclosed quote."""
REJECT_TEXT_MAX_BYTES = 64 * KIB
"""Raw text kept of a rejected row."""
SOURCE_BATCH_MAX_BYTES = 64 * MIB
"""Stored bytes of the rows of one batch of a source: rows of more than a KiB make batches of fewer than `ROWS_PER_VALUE`."""
SOURCE_WINDOW_PUBLISHES = 4
"""Batches of a source without an ack: one is being made durable, one is on its way, one is being cut, and one for the jitter."""
SOURCES_AT_ONCE_MAX = 8
"""Sources that are read at the same time: each holds its window of batches, and more of them than cores are no faster."""
SURVEY_NOTES_TOLD_MAX = 20
"""What a survey has to say to a person: a screen of it; a file with ten thousand odd columns has one odd cause."""
MESSAGE_TEXT_MAX_CHARS = 40
"""Of a field of a file that is shown in a message: enough to find it, too little to leak a document."""

# -- supervision -----------------------------------------------------------------------------------------------------------------------
LOG_FILE_MAX_BYTES = 10 * MIB
LOG_FILES_KEPT = 3
LOG_LINE_MAX_BYTES = 64 * KIB
"""A longer line of a task's output is folded; a program that prints a gigabyte without a newline must not fill memory."""
LOG_LINE_SHOWN_MAX_CHARS = 2_000
"""Of one line on the screen; the log has all of it."""
LOG_LINES_SHOWN_PER_S = 200
"""Of one program's output on the screen: more than anybody reads, and a program that prints a gigabyte does not drown the others."""
FAILURE_TAIL_LINES = 20
SCREEN_REFRESH_PER_S = 8
"""Of the live table: smooth for the eye, nothing for the processor."""
WATCH_INTERVAL_S = 0.1
"""At least so long between two descriptions sent to the supervisor: a screen shows ten a second at most."""
SOCKET_PATH_MAX_BYTES = 100
"""Bytes of a unix socket's path: macOS takes 104 with the final zero, Linux 108."""

# -- what a person is shown ------------------------------------------------------------------------------------------------------------
CELL_SHOWN_MAX_CHARS = 60
"""Of one cell of a printed table: three such columns fill a wide terminal; `--json` has the whole text."""
CELL_SHOWN_MIN_CHARS = 12
"""A column of text is narrowed down to this before columns are left out: less tells nobody anything."""
TAIL_ROWS_DEFAULT = 10
RESULT_ROWS_SHOWN_MAX = 100
"""Rows of a query's result that are printed on a terminal unless more are asked for: some screens."""

# -- telemetry -------------------------------------------------------------------------------------------------------------------------
METRIC_GROUPS_MAX = 1_024
"""Pairs of link and consumer group with series of their own: outsiders name groups, and a monitoring system pays for every series."""
METRIC_REASONS_MAX = 64
"""Distinct reasons, outcomes and operations of one metric; what comes after them is counted as `other`."""
LOG_QUEUE_MAX_LINES = 4_096
"""Log lines waiting for a slow stderr: about half a MiB. Above it the line is lost and counted, for the data path never waits for a log."""
LOG_FIELD_MAX_CHARS = 1_024
"""Of one field of a log line: reasons are sentences, not documents."""
LOG_FLUSH_TIMEOUT_S = 2.0
SPAN_CAUSES_MAX = 128
"""Links of one span, as OpenTelemetry's own default has it; a snapshot may have been made from any number of values."""
TRACE_FLUSH_TIMEOUT_S = 2.0
"""How long an exit waits for the last spans: a collector on the same machine takes milliseconds, an absent one costs this once."""
LOOP_LAG_INTERVAL_S = 1.0
"""How often the lag of the event loop is measured, where somebody wants to know: one wake-up a second costs nothing."""
SWITCH_INTERVAL_S = 0.0005
"""`sys.setswitchinterval` of the home: with Python's 5 ms a durable ack waits up to 10 ms for the GIL, with this one 0.7 ms."""
LOOP_LAG_NOTICE_S = 0.1
"""A lag of the event loop above this is worth a line: fifty times the bar, so it is a fault and not a busy moment."""
HTTP_LINE_MAX_BYTES = 4 * KIB
HTTP_HEADER_MAX_BYTES = 8 * KIB
HTTP_HEADERS_MAX = 64
HTTP_BACKLOG = 64
HTTP_KEEPALIVE_S = 75.0
"""Longer than the scrape intervals in use (15 to 60 s), so that a scraper keeps its connection."""
HTTP_LINGER_S = 0.1
"""For a client that sends a body nobody wants to read its refusal; then the connection is closed under it."""
HTTP_DRAIN_TIMEOUT_S = 1.0
"""A probe or a scrape takes milliseconds."""

assert INLINE_PAYLOAD_MAX_BYTES < STREAM_FRAME_MAX_BYTES < GRPC_MESSAGE_MAX_BYTES
assert STREAM_FRAME_MAX_BYTES + ENVELOPE_MAX_BYTES + SCHEMA_MAX_BYTES <= GRPC_MESSAGE_MAX_BYTES
assert JOURNAL_GROUP_MAX_BYTES <= JOURNAL_FILE_MAX_BYTES
assert JOURNAL_FRAME_INLINE_MAX_BYTES < JOURNAL_FRAME_MAX_BYTES
assert JOURNAL_FRAME_MAX_BYTES + 2 * PAGE_BYTES <= JOURNAL_FILE_MAX_BYTES
assert CATALOG_BATCH_VALUES <= CATALOG_TAIL_MAX_VALUES
assert INLINE_PAYLOAD_MAX_BYTES + ENVELOPE_MAX_BYTES < JOURNAL_GROUP_MAX_BYTES
assert VALUE_SIZE_MAX_BYTES <= SEGMENT_FILE_MAX_BYTES
assert VALUE_SIZE_MAX_BYTES <= MEMORY_BUDGET_BYTES
assert STAGED_IN_MEMORY_MAX_BYTES <= MEMORY_BUDGET_BYTES
assert CSV_ROW_MAX_BYTES <= VALUE_SIZE_MAX_BYTES
assert CSV_BLOCK_BYTES < CSV_ROW_MAX_BYTES <= SOURCE_BATCH_MAX_BYTES
assert RECONNECT_BACKOFF_FIRST_S <= RECONNECT_BACKOFF_MAX_S <= CONNECT_TIMEOUT_S
assert PAGE_BYTES & (PAGE_BYTES - 1) == 0
