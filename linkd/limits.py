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
HEADER_PAYLOAD_MAX_BYTES = 256 * KIB
"""Payload bytes that a client sends within the header of a value: protobuf copies them several times, and beyond this a message more is cheaper."""
GRPC_MESSAGE_MAX_BYTES = 4 * MIB
"""Largest gRPC message accepted: the default of every gRPC implementation, stated so that nobody depends on more."""
READ_AHEAD_BYTES = 4 * MIB
READ_AHEAD_MAX_BYTES = 64 * MIB
"""Of a value that is sent in pieces: read at once, for a way into a thread and back costs as much as reading a piece; and by all streams together,
beyond which each reads a piece at a time: thousands of slow readers hold one each."""
HASHED_ON_LOOP_MAX_BYTES = 1 * MIB
"""Hashed where it came in, in some 50 us: a thread would take longer to begin. More is hashed in one, so that others get their turn."""
LANE_QUEUED_MAX_BYTES = 4 * MIB
"""Requests of one call over the lane that wait for its handler: about one frame of the largest; then the socket is not read."""
LANE_WRITE_BUFFER_BYTES = 256 * KIB
"""Responses of one call that the socket did not take yet: then the handler waits. A stream to a slow client costs so much at most, and a frame."""
LANE_SEND_BUFFER_BYTES = 4 * MIB
"""Asked of the kernel for what a client sends, which gives as much as it may: a value of a publisher goes out in one call then."""
LANE_READ_BYTES = 16 * KIB
"""Kept by each connection of the lane for small frames: dozens are read at once, and a thousand idle streams cost 16 MiB. Larger frames get
memory of their own."""
LANE_AHEAD_BYTES = 64 * MIB
"""By place, that a client was told of and its program has not come to: a reader that is slow holds a file or two, no more, back from being used
again; one that is not never waits."""
LANE_TAKEN_TOLD_BYTES = 8 * MIB
"""A client tells so often what it has taken: every second or third value of some MiB."""
LANE_RELEASES_TOLD_S = 0.005
"""Behind a value that came by place, until linkd is told what was let go of meanwhile: a few values' time of the fastest road, in which no file
comes free."""
LANE_DESCRIPTORS_AT_ONCE = 64
"""Descriptors taken with one read of a socket: the kernel passes at most 253 in one message, and linkd sends one with each."""
LAID_AFTER_BYTES = 16 * MIB
"""Of bulk that a publish stream sends as bytes: beyond that it gets files of its own, which a few values do not need: they are four times that."""
PLACED_AT_ONCE_BYTES = 1 * MIB
"""A client writes a payload of so many bytes where it stays, whatever it has sent before; smaller ones when there have been `LAID_AFTER_BYTES`."""
LANE_HEAD_BYTES = 2 * KIB
"""Room that a client leaves before a value it places itself, beside that for its own metadata: an envelope with a dozen parents and attributes.
A value whose envelope needs more is copied."""
LANE_SESSION_BYTES = 16
"""The name of a client's session, which it makes up: nobody guesses 128 bits."""
LANE_IDLE_CONNECTIONS_MAX = 4
"""Connections of the lane that a client keeps for its next calls: more are never in use at once but by streams."""
LANE_CONNECTIONS_MAX = 4_096
"""Open connections of the lane: one for each stream of each client; a process has a million descriptors, and a home a few KiB for each."""
ENVELOPE_MAX_BYTES = 64 * KIB
"""Encoded envelope with its attributes; holds about a thousand parent ranges."""
ATTRIBUTES_MAX = 64
"""Attributes of one envelope."""
SCHEMA_MAX_BYTES = 1 * MIB
"""Encoded schema of one link: about ten thousand columns."""
GENERATION_SCHEMAS_MAX = 64
"""Schemas that a generation has had, one grown from the other: each is kept in memory and in each checkpoint for as long as its values are."""
MESSAGE_METADATA_MAX_BYTES = 1 * MIB
"""Metadata of one Arrow IPC message: about ten thousand columns, and it is parsed on the event loop."""
JSON_ROW_MAX_BYTES = 16 * MIB
"""One row given as JSON text."""

# -- names -----------------------------------------------------------------------------------------------------------------------------
NAME_MAX_CHARS = 40
"""Of links and tasks: a Kubernetes label holds 63 and our suffixes need the rest."""
GROUP_NAME_MAX_CHARS = 80
"""Of consumer groups: two names of tasks, for people put the program and its place into it."""
LINKS_MAX = 4_096
"""Links of one pipeline: each costs a few KiB of state in the home."""
TASKS_MAX = 1_024
"""Tasks of one pipeline: each is a process while it runs."""
TASK_NAMES_KEPT = 4_096
"""Tasks of which the home knows how often they began; above this it forgets those that are in no file and made nothing there still is."""
PIPELINE_FILE_MAX_BYTES = 1 * MIB
"""A pipeline file is written by hand; anything larger is not one."""
PIPELINE_FILE_DEPTH_MAX = 16
"""Mappings and lists inside each other; the deepest that means anything has five."""
PIPELINE_PROBLEMS_SHOWN_MAX = 20
"""Problems shown at once: about two screens; mending these usually mends the rest."""
PIPELINE_LINE_SHOWN_MAX_CHARS = 110
"""Of the line a problem points at: with the indent it fits an ordinary terminal window; longer ones are cut around the caret."""
PARAM_TEXT_MAX_CHARS = 4_096
"""Of a parameter that is text: it is pasted into command lines and travels in the environment; more than this is data."""
TASK_ENV_MAX = 256
"""Variables of `env:` of one task; a process begins with a megabyte or two of environment at most."""
TASK_RETRIES_MAX = 100
"""A task that failed that often fails for a reason."""
TASK_PARALLEL_MAX = 64
"""Of `parallel:`: programs of one task at a time; more than a large machine has cores are for a cluster."""
TASK_TIMEOUT_MIN_S = 0.1
TASK_TIMEOUT_MAX_S = 30 * 86_400.0
"""Of `timeout:`: in less no program starts, and for more nobody waits."""
EVERY_MIN_S = 0.1
EVERY_MAX_S = 30 * 86_400.0
"""Of `every:`; it travels as milliseconds in 32 bits, which hold 49 days."""
SECRET_FILE_MAX_BYTES = 64 * KIB
"""A file with a secret in it: a password, a token, a certificate chain."""
MASKED_LINE_MIN_CHARS = 4
"""Lines of a secret of several lines are masked from this length on: the braces of a JSON key would take those of everything else along."""
TASK_VERSION_MAX_CHARS = 128
"""Of `version:` in the file; it travels in every envelope of the task's values."""
SCRIPT_FILE_MAX_BYTES = 16 * MIB
"""A file named in a command is part of the task's version below this; larger ones are data rather than programs."""
SCRIPT_FILES_MAX = 1_000
"""Files of one task's version, imported modules among them: a large project of a person's own has hundreds."""
FILE_DIGEST_BLOCK_BYTES = 1 * MIB
"""Read at once for a digest: larger blocks are no faster."""

# -- memory and flow -------------------------------------------------------------------------------------------------------------------
MEMORY_BUDGET_BYTES = 256 * MIB
"""Payload bytes the home holds at once, where no cgroup says less."""
MEMORY_BUDGET_MIN_BYTES = 16 * MIB
"""Of `--memory`: a value of ordinary size on its way in, one on its way out, and a group of the journal."""
MEMORY_SHARE_OF_CGROUP = 4
"""A quarter of a cgroup's limit is for payloads: the rest is the interpreter, its libraries and the page cache of what was just written."""
DECODED_KEPT_MAX_BYTES = 32 * MIB
"""Values that are kept decoded while windows of rows go through them; what is above is decoded again for each window."""
KEY_ROWS_AT_ONCE = 4_096
"""Rows of which the keys are hashed at once: some hundred KiB of Python objects, however large the value is."""
JSON_ROWS_AT_ONCE = 4_096
"""Rows that are made into JSON at once: some MiB of Python objects, however large the value is."""
JSON_ROWS_BYTES_PER_BYTE = 4
"""What a byte of JSON takes while it is made into a value: itself, its columns in pieces and in one, and their message."""
JSON_COLUMNS_BYTES_PER_BYTE = 2
JSON_COLUMNS_MIN_BYTES = 16 * MIB
"""What JSON rows may take as columns: a hundred bytes of empty rows of a thousand columns must not take a megabyte for each kilobyte sent."""
JSON_BYTES_PER_PAYLOAD_BYTE = 4
"""Of numbers and short texts, for one byte of Arrow: what memory is taken for before the size of the rows is known."""
STAGED_IN_MEMORY_MAX_BYTES = 64 * MIB
"""Payloads staged for commits that stay in memory; what is above goes to files under `staging/`."""
CREDIT_BYTES = 8 * MIB
"""Bytes a subscriber may have been sent without having given the credit back: a few values of ordinary size."""
CREDIT_MAX_BYTES = 256 * MIB
"""What a client may ask for: all that the home holds in memory."""
PREFETCH_SNAPSHOTS = 2
"""Snapshots handed out ahead of the one a program works on: one hides the round trip, a second the jitter."""
PREFETCH_SNAPSHOTS_MAX = 256
"""What a client may ask for: each is a lease that others do not get, and is looked at whenever one is handed out."""
WINDOW_VALUES_MAX = 100_000
"""Values of one window of an input: the program holds all of them, and each costs it about a KiB beside its rows."""
WINDOW_ROWS_MAX = 10_000_000
"""Rows of one window of an input: about a GiB of ordinary rows, which the program holds at once."""
WINDOW_TALLY_VALUES = 256
"""Values whose rows are counted in one decision on a window of rows: some milliseconds of the event loop."""
STAGED_KEPT_MAX_BYTES = 64 * MIB
"""What a client keeps of a snapshot's outputs to stage them again if linkd is restarted; above it the work is done again, which is as rare."""
PUBLISH_WINDOW_VALUES = 256
"""Values a publish stream may have unacknowledged."""
PRODUCERS_MAX = 4_096
"""Producers whose count the home remembers. Clients make one each up for themselves: the one of them that published longest ago is forgotten
first, and one with a name only where there are names alone. It learns that when it publishes again."""
PRODUCER_ANSWERS_MAX = 32_768
"""Answers kept for publishes that may be repeated, over all producers: some 10 MiB of memory, and 128 producers with a full window each."""
PRODUCERS_ANEW_MAX = 3
"""Times in a row, without an answer between, that a client makes another producer up for itself because linkd does not know the one it is: none
that is seconds old is forgotten by a home in order, so what goes on is a defect and is told."""
PRODUCER_NAME_MAX_CHARS = 80
"""As long as that of a consumer group: people put the program and its place into it."""
PUBLISH_WINDOW_BYTES = 16 * MIB
"""Payload bytes a client has unacknowledged, and rows it gathers meanwhile: some 10 ms of the fastest road. One value always goes."""
PUBLISH_WINDOW_PLACED_BYTES = 48 * MIB
"""The same of a client that writes large payloads where they stay: they take no memory on their way, and a dozen of 4 MiB hide the round trip."""
GATHERED_ROWS_MAX = 65_536
"""Rows that a publisher gathers while its window is full: some 20 ms of the fastest program, and some 10 MiB of small Python objects."""
GATHERED_VALUE_ROWS_MAX = 8_192
"""Rows of one value of a publisher: made into Arrow in the program's event loop, 3 ms of dicts; of more the home's share of a row is no less."""
GATHERED_VALUE_BYTES = 8 * MIB
"""Of one value of a publisher, where its rows are large: half of the window, so that one is made while one is on its way."""
GATHERED_LOOK_ROWS = 64
"""Rows between two looks at how large they are: each look costs as much as gathering ten."""
GATHERED_LARGE_ROW = 4_096
"""Bytes of an opaque row, or columns of any other, above which each is counted: of smaller ones one in 64 says enough."""
STREAMS_PER_CONNECTION_MAX = 256
"""Calls at once over one connection; further ones wait. A program has a handful."""
JOURNAL_QUEUE_MAX_BYTES = 64 * MIB
"""Bytes waiting for the committer; above this publishing waits."""
BULK_QUEUE_MAX_BYTES = 4 * MIB
"""Large payloads in line at the committer: about one of ordinary size, which it writes. A small publish waits some milliseconds behind it, where all
that many streams have in flight would make it wait for a quarter of a second; publishers of bulk go on in turn, a publish at a time."""

# -- delivery --------------------------------------------------------------------------------------------------------------------------
LEASE_S = 30.0
"""A consumer that does not say within this that it is still at work hangs: what it holds goes to another. A death is seen by its socket."""
LEASE_MIN_S = 1.0
LEASE_MAX_S = 24 * 3600.0
"""Of `lease:`: in less a busy machine looks like a hang, and after a day somebody looks."""
LEASE_RENEWED_EVERY = 1 / 3
"""Of a lease: a renewal may be late or lost twice before it matters."""
NACK_DELAY_MAX_S = 24 * 3600.0
"""Of what a consumer gives back for later: nothing newer goes out before it where there is an order, and after a day somebody looks."""
LEASE_RENEWED_MAX_S = 3600.0
"""Of work on one lease where nobody says a `timeout`: a client renews in the background, so it does that for a program that hangs, too."""
ATTEMPTS_MAX = 1_000
"""Of `max_attempts:`: what failed so often fails for a reason."""
LATE_REFUSALS_DOUBLE = 2
"""Acks of one value that were refused because its lease was over: from so many on its lease is too short, and lasts twice as long."""
GROUP_SLOTS = 256
"""Hash slots of `order: key`: far more than a group has members, few enough to look at all of them."""
TASK_KEY_AHEAD_SNAPSHOTS = 256
"""Snapshots of a task with `order: key` that were looked at and wait for their slot: they stand in the journal and in every checkpoint."""
GROUP_ACKS_KEPT = 1_024
"""Tokens of acks that a group remembers, in memory and in every checkpoint: more acks than a member has without an answer."""
GROUP_KEY_AHEAD_VALUES = 1_024
"""Values of `order: key` that were looked at and wait for their slot: beyond them a member that finds nothing waits."""
DEAD_LETTER_PAYLOAD_MAX_BYTES = 8 * MIB
"""A larger value is named in its dead letter and not copied into it: it would be kept twice, and read into memory to be put aside."""
DEAD_LETTERS_KEPT_BYTES = 1 * GIB
"""Of one dead-letter link: more than anybody looks at, and a consumer that fails at everything does not fill the disk."""
DEAD_LETTER_REASON_MAX_CHARS = 1_024
"""Of a reason: a sentence or the end of a traceback."""
DURABILITY_INTERVAL_S = 0.1
"""Between two syncs of what has `durability: interval`: ten syncs a second cost little, and no more than this is lost with the power."""
DURABILITY_INTERVAL_MIN_S = 0.005
DURABILITY_INTERVAL_MAX_S = 60.0
"""Of `interval:`: in less a sync for each value costs no more, and after a minute it is `memory`."""
RETAIN_AGE_MIN_S = 1.0
RETAIN_AGE_MAX_S = 100 * 365 * 86_400.0
"""Of an age that is kept: nothing is looked at more often, and longer is for ever."""
RETAIN_VALUES_MAX = 999_999_999
"""Of values that are kept; more of them are counted in bytes."""
RETENTION_STRETCHES_MAX = 128
"""Stretches in which a generation is counted: what is kept beyond a bound is a sixty-fourth of it at most, and an account some ten KiB."""
RETENTION_LOOK_INTERVAL_S = 1.0
"""Between two looks at what exceeds a bound, however fast values come: nobody sees a second of it, and each look costs a frame."""
RETENTION_HURRY_SHARE = 1.25
RETENTION_HURRY_INTERVAL_S = 0.02
"""Where there is so many times what is retained, it is looked at this often: at 5 GB/s a second of values would be 5 GB beyond the bound, of
which each page is new; and files that come free are used again while the cache has them."""
DROPPED_RANGES_KEPT = 64
"""Ranges of dropped values that a link tells of one by one; of older ones those that touch are told as one."""
CLOCK_JUMP_MAX_S = 3_600.0
"""Between two looks at the clock it may stray so far from the monotonic one: daylight saving does not move it, a wrong setting does."""
CLOCK_STEADY_S = 3_600.0
"""A clock that jumped counts for age again when it has run steadily for so long: somebody who set it wrong has noticed by then."""
HOLDS_MAX = 256
"""Named holds: each keeps values from going, and somebody has to remember it."""
HOLD_MAX_S = 7 * 86_400.0
"""Of a named hold: what needs values for longer than a week copies them."""

# -- files -----------------------------------------------------------------------------------------------------------------------------
PAGE_BYTES = 4 * KIB
"""Groups of the journal start on it, so that a torn write never touches what was acked before."""
JOURNAL_FILE_MAX_BYTES = 64 * MIB
"""Room comes free by whole files, so they are small; one holds the largest frame."""
JOURNAL_GROUP_MAX_BYTES = 4 * MIB
"""A group is closed at this size: one write of it takes a few milliseconds."""
JOURNAL_FRAME_MAX_BYTES = 32 * MIB
"""One commit's records and inline payloads; a frame above a group's size makes a group of its own, and must fit into a file."""
JOURNAL_FRAME_INLINE_MAX_BYTES = 1 * MIB
"""Inline payloads of one frame: of a commit with more, the rest goes to segments, whose bytes do not pass through the event loop."""
JOURNAL_PREALLOCATE_BYTES = 1 * MIB
"""Zeros are written this far ahead: 256 small groups, so that hardly any sync has to write file metadata too."""
JOURNAL_FILES_KEPT = 4
"""Journal files beside the one in use; what is still there of an older one is copied out of it. So 320 MiB hold what came last, as it came."""
INCARNATIONS_KEPT = 100
"""Incarnations of a link of which is remembered where they begin: each is a power cut, readers further behind are told of more than they lost."""
UNSYNCED_MAX_BYTES = 64 * MIB
"""Written and not synced, at most, of links whose durability is `memory` or `interval`: a start reads it all to see whether it is whole."""
STORE_FULL_LOOK_S = 1.0
"""While there is no room for the next group, this often is looked whether there is now: no system tells."""
PROBE_SYNCS = 40
"""Syncs by which a device is judged: a few milliseconds, or half a second on a slow disk."""
OPENING_SYNCS = 3
"""Syncs that a home tries where it opens its directory: one that is slow for another reason does not hide a disk that lies."""
SYNC_HONEST_S = 10e-6
"""A sync that takes less did not reach any device: the fastest with a cache of their own need some 15 us."""
BACKUP_MANIFEST_MAX_BYTES = 256 * MIB
"""Of the list of a backup's files: two million of them."""
VERIFY_TRIES_BESIDE_A_HOME = 5
"""Readings of a directory in use that may meet a file which its home has just deleted: it deletes one in minutes, and reading takes seconds."""
SYNC_SLOW_S = 0.02
"""A sync above this is worth a word: an ordinary disk that spins takes half of it."""
UNIX_PATH_MAX_BYTES = 103
"""Of a socket's path: macOS has 104 bytes for it with the zero behind, Linux four more."""
OPEN_FILES_NEEDED = 1_024
"""What Linux gives a process by default; a home has some hundred connections and files."""
CLOCK_EARLIEST_S = 1_767_225_600.0
"""2026-01-01, before which there was no linkd: a clock that says less was never set."""
CHECKPOINT_FRAMES = 20_000
"""A checkpoint at the latest behind so many commits: reading them again takes a second or two. Making one takes some milliseconds."""
CHECKPOINT_AT_CLOSE_FRAMES = 500
"""A store that closes makes a checkpoint if so many commits lie behind the last one: it costs two syncs, and the next start starts at once."""
CHECKPOINT_PIECE_ITEMS = 256
"""Links, generations, tasks and groups of one piece of a checkpoint: it is encoded and decoded piece by piece."""
SEGMENT_FILE_MAX_BYTES = 256 * MIB
"""Room comes free by whole files here too; one holds four of the largest values."""
SEGMENT_ROLL_MIN_BYTES = 1 * MIB
SEGMENT_ROLL_SHARE = 0.25
"""A segment file of a link from which values go by themselves is closed at so much of what the link holds, for room comes free by files; one
below a MiB is not worth a file of its own, nor copying what is left of it."""
SHARED_FILE_BYTES = 64 * MIB
"""A segment file that a publisher writes itself, at most. Its pages are made once, which takes longer than to fill them, and it is used again as
a whole: at 5 GB/s every 13 ms, with a sync of its directory each time. In smaller ones the largest values have no place, larger ones hold back
more of a small disk."""
SHARED_FILE_DISK_SHARE = 1 / 32
"""Of the disk budget, for one such file: a few publishers and what they published last must not be all of it."""
HELD_DISK_SHARE = 1 / 4
"""Of the disk budget, in segment files whose values clients have mapped. Retention cannot free them before they are released; beyond it values
are copied to who reads them, so that no client fills the disk by never letting go."""
HELD_BY_ONE_DISK_SHARE = 1 / 8
"""Of it by one client: the half, so that who hoards leaves something to the others."""
SHARED_SPARE_FILES_MAX = 16
"""Shared files of one publisher and link that wait to be used again: a GiB, which is what comes free between two looks of retention."""
SHARED_NEWEST_MAX = 64
"""Values of one such file whose metadata is kept in memory for readers who keep up: as many as it has of a MiB each."""
SHARED_PADDING_MAX_BYTES = 64 * KIB
"""Of the metadata of a value in a shared file, to fill the room that was left before it: it is read with every value. A larger gap is passed over."""
LINEAGE_KEPT_BYTES = 1 * GIB
"""Of the records of commits that outlive the journal: some millions of them."""
LINEAGE_KEPT_S = 90 * 86_400.0
"""And so old they become: a quarter of a year is what audits ask for."""
ENVELOPE_FILES_MAX = 16
"""Files of envelopes of values that were dropped, of one generation; more are written into one."""
OPEN_FILES_MAX = 64
"""Read descriptors kept open by the store."""
CATALOG_TAIL_MAX_VALUES = 10_000
"""Index entries held in memory before they are written to the catalog, at the latest."""
CATALOG_BATCH_VALUES = 1_000
"""Index entries written in one transaction: a few milliseconds in the committer's thread."""
CATALOG_IDLE_S = 0.05
"""The committer writes the index when no commit came for this long: a client in a loop of single publishes never waits for it."""
INLINE_COMMIT_MAX_S = 0.001
"""The event loop commits by itself where no commit took longer lately: so long it may stand still at a time. A fast disk takes 0.1 ms."""
INLINE_COMMIT_MAX_FRAMES = 8
"""Of more the thread's share is small, and the loop has better things to do meanwhile."""
INLINE_WRITE_MAX_FRAMES = 64
"""The same where nothing is synced: to write them takes less than to wake a thread, which then contends for the interpreter."""
STORE_READ_BYTES = 1 * MIB
"""One read of a payload that is passed on in pieces."""
COPY_WRITE_BYTES = 1 * MIB
"""Small payloads that are copied out of the journal are written in pieces of this size."""
DAMAGE_NOTES_KEPT = 10
"""Damaged journal files that a home goes on telling of; the log and the quarantine have all of them."""
FOLD_PART_BYTES = 8 * MIB
"""Of the journal, folded between two checkpoints when a home closes: some tenths of a second, so that it ends when its time to drain does."""
DISK_BUDGET_MIN_BYTES = 64 * MIB
"""Of `--disk-budget`: one full journal file; with less nothing could ever be recycled."""
DISK_RESERVE_MIN_BYTES = 2 * GIB
DISK_RESERVE_SHARE_OF_VOLUME = 0.05
"""Left to others on the volume where no budget is given: the larger of the two. A volume that is full to the last byte stops everybody."""
DISK_PAUSED_SHARE = 0.90
"""Of the budget: from here on nothing is published. What is left takes what was on its way, and the copies that freeing room needs."""
DISK_RESUMED_SHARE = 0.88
"""Of the budget: publishing goes on below this, so that it does not stop and go with every value."""
DISK_RESERVED_SHARE = 0.95
"""Of the budget: from here on only moves of cursors are journaled, which are small, and are what frees room."""
DISK_LOOK_BYTES = 16 * MIB
"""Written between two looks at the volume: others fill it, too."""
DISK_LOOK_INTERVAL_S = 1.0
"""Between two looks at the volume while room is short: nobody tells when others have made some."""
COMMIT_ROOM_WAIT_S = 5.0
"""A commit waits so long at the home for room in its outputs before its client is told to ask again: less than a client waits for an answer."""
RETRY_FULL_S = 1.0
"""What is refused for want of room may be tried again after this."""

# -- time ------------------------------------------------------------------------------------------------------------------------------
CONNECT_TIMEOUT_S = 30.0
"""A client waits so long for a home that starts again; it recovers in seconds."""
RECONNECT_BACKOFF_FIRST_S = 0.05
RECONNECT_BACKOFF_MAX_S = 1.0
"""A client tries again after anything up to a bound that doubles between the two: at once for a restart, gently for an outage, and a thousand
clients of one home spread out."""
CONNECT_ATTEMPT_TIMEOUT_S = 5.0
"""One attempt to connect: a home that is up answers in milliseconds, on a machine that starts everything at once in seconds."""
KEEPALIVE_S = 360.0
"""Between pings of an idle TCP connection: above the five minutes that gRPC servers demand by default, below what most firewalls forget."""
CLIENT_CLOSE_TIMEOUT_S = 5.0
"""What closing a client waits for its background tasks: cancelling a call takes milliseconds."""
INTERRUPT_NOTICE_S = 0.5
"""Within this a waiting synchronous call notices an interrupt that fell into the instant before its wait."""
DRAIN_TIMEOUT_S = 10.0
"""For the calls in hand when a home ends: a third of what Kubernetes grants by default."""
DRAIN_LAST_ANSWER_S = 0.05
"""Behind the last call in hand, for its answer to leave the process."""
DRAIN_CLOSE_S = 1.0
"""Of the time for a drain, what is kept for closing the store behind the last call: a checkpoint and two syncs."""
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
FOLLOW_EVERY_S = 10.0
"""Under `--follow`: how long the inputs of a `whole` task are idle before it begins again, where `every:` says nothing else."""
HOME_FILE_MAX_BYTES = 4 * KIB
"""`home.json` and a token file hold one short line."""
QUERY_TIMEOUT_S = 300.0
"""A query is somebody waiting; what takes longer is a SQL task."""
COMMIT_RECORDS_KEPT = 256
"""Answers to repeated commits kept per task, in memory and in every checkpoint: as many as a client can have snapshots without an answer."""

TRACE_VALUES_DEFAULT = 1_000
TRACE_VALUES_MAX = 100_000
"""Relatives told of one value: a screen of summary, and a bound for a family of any size."""
TRACE_SCAN_VALUES = 64
"""Envelopes looked at before other calls have their turn: about a millisecond."""

# -- artifacts -------------------------------------------------------------------------------------------------------------------------
ARTIFACT_PACKED_MAX_BYTES = 256 * KIB
"""An artifact up to this lies with others in a pack file: below it one sync for many is cheaper than a file and its name for each."""
ARTIFACT_PACK_FILE_BYTES = 64 * MIB
"""A pack file is closed at this size: room comes free by whole ones, and copying what is left of one takes less than a second."""
ARTIFACT_PACK_LIVE_SHARE = 0.5
"""A pack file of which less is left is copied into the newest one: what is dead takes no more room than what is there."""
ARTIFACT_GROUP_MAX_BYTES = 8 * MIB
"""Packed with one write and one sync: some thousands of small ones; a disk takes it in some 10 ms."""
ARTIFACT_QUEUE_MAX_BYTES = 32 * MIB
"""Waiting to be packed: above it uploads wait. Half of what the journal may have."""
ARTIFACT_CHUNK_BYTES = 1 * MIB
"""Of a large artifact each such piece has a checksum of its own, so that a range is read without the rest, and no wrong byte ever leaves."""
ARTIFACT_INDEX_BATCH = 1_000
"""Entries of the index written in one transaction: some milliseconds of a thread."""
ARTIFACT_INDEX_TAIL_MAX = 20_000
"""Entries held in memory before they are written to the index, at the latest: some MiB, and a start reads as many again at most."""
ARTIFACT_INDEX_IDLE_S = 0.2
"""The index is written when nothing was put for this long."""
ARTIFACTS_DISK_SHARE = 0.5
"""Of the disk budget, for artifacts: links must go on when somebody has put more files than there is room for."""
ARTIFACTS_FREED_SHARE = 0.05
"""Of the quota, made free at a time: so that not every upload looks for the least recently used one."""
ARTIFACT_LEASE_S = 600.0
"""What was put, read or found by its digest stays so long, whatever is named by then: the value that names it is on its way."""
ARTIFACT_UPLOADS_MAX = 256
"""Uploads begun and not ended: each has a file, and what was taken of it."""
ARTIFACT_UPLOAD_KEPT_S = 600.0
"""What came of an upload whose client is gone waits so long for it to come back: as long as a laptop looks for its network."""
ARTIFACT_UPLOAD_ID_MAX_BYTES = 64
"""Of the name that a client gives its upload: 16 bytes of chance are enough."""
ARTIFACTS_STAT_MAX = 1_000
"""Digests asked for at once: some tens of milliseconds of the index."""
ARTIFACT_PUT_WINDOW = 4_096
"""Small artifacts that a client has under way on one stream: some groups of the disk."""
ARTIFACT_PUT_WINDOW_BYTES = 8 * MIB
"""The same in bytes: a group is being written while the next one comes."""
ARTIFACT_STEP_BYTES = 8 * MIB
"""Written, hashed or copied at once where an artifact goes by place: so far linkd is behind the client that writes, some milliseconds."""
ARTIFACT_HASHED_BYTES = 256 * KIB
"""Read, hashed and written at once: a core has it in its cache for all three, which is a third faster than to read it twice."""
ARTIFACT_REFERENCES_MAX = 200
"""Artifacts that one value names: they are written in its envelope."""
ARTIFACT_NAME_MAX_BYTES = 1_024
"""Of the name of a file that is a value, and of each path in a directory that is one: four times what file systems take."""
DIRECTORY_FILES_MAX = 100_000
"""Files of a directory that is a value: its list is read into memory whole, some 20 MiB of it."""
DIRECTORY_LIST_MAX_BYTES = 32 * MIB
"""Of that list."""

# -- Arrow Flight ----------------------------------------------------------------------------------------------------------------------
GRPC_RECEIVE_MAX_BYTES = VALUE_SIZE_MAX_BYTES + 4 * MIB
"""Largest message that the server takes: a record batch comes in one piece over Flight, and is a value; beside it metadata and a descriptor."""
FLIGHT_FIELDS_MAX = 64
"""Fields of one FlightData, of which four are known: megabytes of small ones would be seconds of the event loop."""
FLIGHT_ASKED_MAX_BYTES = 4 * KIB
"""A ticket or command that asks for a link: its name and three numbers."""
FLIGHT_PUTS_MAX = 64
"""Uploads at once: of each gRPC holds one batch that linkd has not seen yet, of up to `GRPC_RECEIVE_MAX_BYTES`."""
FLIGHT_DICTIONARIES_MAX_BYTES = 2 * MIB
"""Of one upload, in memory for as long as it goes on: dictionaries are some thousand texts, and all uploads together take 128 MiB for them."""
FLIGHT_ACKS_KEPT = 1_024
"""Acks that a client of an upload has not read: some 200 KiB. Many clients read none before their last batch, and must not wait for themselves."""
FLIGHT_REFUSED_WAIT_S = 5.0
"""For a client to take the acks before it is told why its upload ends; one that reads none of thousands finds its call broken off."""
FLIGHT_SENDING_MAX_BYTES = 128 * MIB
"""Batches of more than `STREAM_FRAME_MAX_BYTES` on their way to Flight's readers, which are sent whole: two of the largest values."""
SOUND_VALUES_KEPT = 16_384
"""Values that are known to be sound Arrow, by their ids: some 2 MiB; looking at one again costs a tenth of reading it."""
FLIGHT_TAKE_TIMEOUT_S = 60.0
"""A reader takes a large batch within this if others wait for the room it has: it is told to read smaller ones."""

# -- queries ---------------------------------------------------------------------------------------------------------------------------
QUERY_TEXT_MAX_BYTES = 1 * MIB
"""A statement is written by hand, or by a tool for a person; anything larger is data."""
QUERIES_MAX = 4
"""Query children at once: two cores and 24 GiB are an ordinary laptop."""
QUERIES_WAITING_MAX = 64
"""Queries in line for one of those places: more have no answer within the time that people and programs wait."""
CHECKED_STATEMENTS_MAX = 128
CHECKED_STATEMENTS_MAX_CHARS = 256 * KIB
"""Statements that a process which runs queries need not check again: of each it keeps a tree of fifty times its text, so 13 MiB of them."""
QUERY_CHILD_IDLE_S = 30.0
"""A query child waits so long for the next question: somebody at a prompt thinks less, and a hundred MiB are not kept for nobody."""
QUERY_CANCEL_TIMEOUT_S = 1.0
"""For a query that nobody wants any more to end by itself: DuckDB looks some hundred times a second. Then its child is killed."""
QUERY_END_TIMEOUT_S = 10.0
"""Beyond its time, for a query's child to say that it is over: where it does not, it is stuck and is killed."""
QUERY_DATA_MAX_BYTES = 4 * GIB
"""Memory of a query's child that is its own, not mapped: twice DuckDB's limit, for what DuckDB does not count. The kernel refuses it more."""
QUERY_NICENESS = 5
"""Of a query's child: where cores are short, publishes and deliveries come first."""
QUERY_PIECE_BYTES = 1 * MIB
"""Read from a query's child ahead of whoever takes it."""
PREPARED_STATEMENTS_MAX = 256
"""Prepared statements of one identity: a pool of connections has some tens. Of more the one that was used least recently goes."""
PREPARED_STATEMENTS_MAX_BYTES = 16 * MIB
"""Texts, schemas and bound parameters of them: sixteen statements of any size, or thousands of ordinary ones."""
PREPARED_STATEMENT_IDLE_S = 1_800.0
"""A prepared statement that nobody used for so long is forgotten: clients that crash close nothing."""
METADATA_MESSAGE_MAX_BYTES = 8 * MIB
"""Of the answer to a question of what there is: the schema of one table may take half of it, and Arrow's drivers take messages of 16 MiB."""
STATEMENT_PARAMETERS_MAX_BYTES = 4 * MIB
"""Rows of parameters that come with one statement: some ten thousand. More rows are data, and come faster by bulk ingest."""
QUERY_MEMORY_MAX_BYTES = 2 * GIB
"""DuckDB's own limit in the child; it spills above."""
SPILL_BATCH_BYTES = 8 * MIB
"""Values of an input gathered into one batch before they are written for DuckDB: thousands of tiny batches scan slowly."""
SPILL_GATHERED_VALUES = 1_024
"""Values that wait one by one to be gathered: each costs some 700 bytes a column beside its rows, which are often a few bytes."""
BLOCKS_PRUNED_MIN = 3
"""Of fewer blocks all are scanned: to find out which of two need not be takes longer."""
SEQUENCE_CELLS = 256
"""Ranges of sequences that are looked at in one step to find those a statement wants: three steps find one value among sixteen million, in
milliseconds and without a list of them."""
SHELF_VALUES_MAX = 200_000
"""Values whose rows a query's child keeps for the next question: some 100 MiB of envelopes and mappings, or 12 billion rows."""
QUERY_THREADS_MAX = 4
"""Cores that one query may use: a scan of mapped batches gains little beyond, and the data path needs the others."""
SINK_STEP_TIMEOUT_S = 600.0
"""For a sink to take one value, or to put what it has in its place: a file server that hangs is told from a slow disk by then."""
SQL_TASK_TIMEOUT_S = 7 * 24 * 3600.0
"""A SQL task may take as long as its data does; after a week nobody waits for it any more."""

PLACE_RETRY_MIN_S = 0.2
"""A database that is away is asked for again after this, then after twice as long each time: a restart takes a second."""
PLACE_RETRY_MAX_S = 10.0
"""And no less often than this: nobody waits longer for one that is back."""
PLACE_AWAY_MAX_S = 600.0
"""In a run that ends: one that is away for so long does not come back by itself. A run that follows waits for ever."""

# -- files of adapters -----------------------------------------------------------------------------------------------------------------
CSV_BLOCK_BYTES = 1 * MIB
CSV_ROW_MAX_BYTES = 64 * MIB
"""One row of a CSV file: fields of many megabytes are real (documents in a column), endless ones are an unclosed quote."""
JSONL_NESTING_MAX = 50
"""Lists and objects within one another in a line of JSON that become lists and structs; what is deeper stays JSON text. Arrow ends at 64."""
JSONL_TEXT_NESTING_MAX = 500
"""The same, of any line: Python reads and writes JSON by recursion, and stops at less than 1,000."""
REJECT_TEXT_MAX_BYTES = 64 * KIB
"""Raw text kept of a rejected row."""
SOURCE_BATCH_MAX_BYTES = 64 * MIB
"""Stored bytes of the rows of one batch of a source: rows of more than a KiB make batches of fewer than `ROWS_PER_VALUE`."""
TYPED_ROWS_AT_ONCE = 2_048
"""Rows of a Parquet or Arrow file unpacked at once: a text of a dictionary is stored once, and unpacked as often as there are rows with it,
so that only unpacking tells how large a batch becomes."""
SINK_TAIL_BYTES = 64 * KIB
"""Of the end of a file that rows are appended to: what it must still be for rows to go behind it. Reading it costs nothing beside a sync."""
SOURCE_FILES_MAX = 10_000
"""Files of one source: a name, a stat and a digest are held of each, and all of them are looked at to see that nothing changed."""
OBJECT_READ_BYTES = 8 * MIB
"""Of an object that is read from its start to its end, asked for at once: a request takes tens of milliseconds, however little it asks for."""
OBJECT_PEEK_BYTES = 256 * KIB
"""Of an object that is read here and there: heads and footers, and what lies beside them."""
OBJECT_PUT_MAX_BYTES = 64 * MIB
"""An object up to this size is put in one request, on the condition that nobody put another there meanwhile. It is in memory then; larger
ones go in parts."""
OBJECT_PART_MIN_BYTES = 8 * MIB
OBJECT_PARTS_MAX = 9_000
"""Parts of one object: stores take 10,000, of 5 MiB at least each."""
OBJECT_PARTS_AT_ONCE = 4
OBJECTS_LOOKED_AT_MAX = 1_000_000
"""Keys listed to find the objects that a pattern means: a minute or two of listing, a thousand at a time."""
OBJECTS_NEAR_MAX = 1_000
"""Keys listed to find the one that may be meant by one that is not there."""
OBJECT_RETRIES_MAX = 4
OBJECT_RETRY_TIMEOUT_S = 20.0
"""A request that failed on its way, or was told to slow down, is repeated within this time; then the place is away, which is told."""
OBJECT_REQUEST_TIMEOUT_S = 120.0
"""For one request: a part of 64 MiB over a line of 5 Mbit/s."""
OBJECT_CONNECT_TIMEOUT_S = 5.0
FOLLOWED_FILES_MAX = 2_000
"""Files in a directory that is followed: each position has the name and the digest of those that were read, 100 bytes of each."""
SURVEY_KEPT_MAX_BYTES = 96 * MIB
"""Rows that the survey of a source keeps for its reader, so that files of some ten megabytes are parsed once and not twice."""
SQL_LOCK_WAIT_S = 5.0
"""For a table, or a file of SQLite, that somebody else has locked: what is held for longer is told as away, and asked for again."""
SQL_SETTLE_S = 10.0
"""For transactions that may yet commit rows with smaller keys: longer ones are told by name, and asked about again."""
SQL_SETTLE_INTERVAL_S = 0.05
"""Whether they have ended is asked this often: PostgreSQL tells nobody by itself."""
SQLITE_ROWS_AT_ONCE = 8_192
"""Rows of SQLite that are Python objects at a time, some megabytes."""
ARROW_MESSAGE_MAX_BYTES = 1 * GIB
"""One record batch or dictionary of an Arrow file, unpacked: it is held in memory whole, and a compressed one can claim any size."""
PIPE_BUFFER_BYTES = 1 * MIB
"""Of a pipe to or from a program: as much as the kernel gives anybody, and fewer switches between the two than with its usual 64 KiB."""
RAW_PIECE_BYTES = 16 * MIB
"""Bytes of one value of a raw stream: larger ones do not fit into a file of the lane and take twice the time. Two are in hand."""
LINE_QUIET_S = 0.05
"""Rows of an endless filter are those of the value that it has read when nothing follows them for this long: what it writes at once is one commit."""
LINE_LAST_QUIET_S = 1.0
"""The last value of a run that ends may have none: it is waited for so long."""
FIFO_OPEN_TIMEOUT_S = 30.0
"""For a program to open an input that is a stream, since something last went through any of its streams: until then it may read them in turn."""
STREAM_HELD_MAX_BYTES = 32 * MIB
"""Values of a run that wait in memory for its program: what lies in a file of the home takes none, and what is above goes to one of our own."""
FOLLOW_QUIET_S = 0.05
"""A source that is followed is looked at when nothing happened for this long: what one writer flushes at once becomes one value."""
FOLLOW_GATHER_MAX_S = 0.5
"""Or after this, where something happens all the time: nobody waits longer for a row."""
FOLLOW_SETTLED_S = 1.0
"""A file that is watched as a whole has changed when nothing has happened to it for this long: copying it there takes many writes."""
FOLLOW_SCAN_INTERVAL_S = 0.3
"""Where the system does not tell when a file grows, its directory is looked at this often."""
FOLLOW_SCAN_SHARE = 0.05
"""And of the time no more than this goes into looking, however many files there are."""
FOLLOW_TAIL_BYTES = 4 * KIB
"""Of what was read last of a growing file: as long as it still stands there, the file has grown and is no other."""
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
SOCKET_PATH_MAX_BYTES = 100
"""Bytes of a unix socket's path: macOS takes 104 with the final zero, Linux 108."""

# -- what a person is shown ------------------------------------------------------------------------------------------------------------
CELL_SHOWN_MAX_CHARS = 60
"""Of one cell of a printed table: three such columns fill a wide terminal; `--json` has the whole text."""
CELL_SHOWN_MIN_CHARS = 12
"""A column of text is narrowed down to this before columns are left out: less tells nobody anything."""
TAIL_ROWS_DEFAULT = 10
"""As `tail` has it everywhere."""
NOTEBOOK_ROWS = 10
"""Of a table in a notebook: what it holds is seen, and the next cell too."""
NOTEBOOK_COLUMNS_MAX = 30
"""Of a table in a notebook: wider ones push the page aside."""
NOTEBOOK_WAIT_S = 5.0
"""What showing something in a notebook waits for an answer before it says that there is none yet."""
RESULT_ROWS_SHOWN_MAX = 100
"""Rows of a query's result that are printed on a terminal unless more are asked for: some screens."""
SQL_HISTORY_MAX_ENTRIES = 1_000
"""Statements that the prompt remembers: some months of them."""
SQL_HISTORY_MAX_BYTES = 1 * MIB
"""Of the file that keeps them; read whole when the prompt starts."""
SQL_HISTORY_ENTRY_MAX_BYTES = 64 * KIB
"""A longer statement was pasted from a file, and is found there."""

# -- telemetry -------------------------------------------------------------------------------------------------------------------------
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
HTTP_LINE_MAX_BYTES = 4 * KIB
HTTP_HEADER_MAX_BYTES = 8 * KIB
HTTP_HEADERS_MAX = 64
"""A request of a probe, a scraper or a browser has less than half of each."""
HTTP_BACKLOG = 64
"""Connections not accepted yet: probes and scrapers are a handful."""
HTTP_KEEPALIVE_S = 75.0
"""Longer than the scrape intervals in use (15 to 60 s), so that a scraper keeps its connection."""
HTTP_LINGER_S = 0.1
"""For a client that sends a body nobody wants to read its refusal; then the connection is closed under it."""
HTTP_DRAIN_TIMEOUT_S = 1.0
"""A probe or a scrape takes milliseconds."""

assert INLINE_PAYLOAD_MAX_BYTES < HEADER_PAYLOAD_MAX_BYTES < STREAM_FRAME_MAX_BYTES < GRPC_MESSAGE_MAX_BYTES
assert LANE_READ_BYTES < INLINE_PAYLOAD_MAX_BYTES
assert VALUE_SIZE_MAX_BYTES + SCHEMA_MAX_BYTES + FLIGHT_ASKED_MAX_BYTES < GRPC_RECEIVE_MAX_BYTES
assert STREAM_FRAME_MAX_BYTES + ENVELOPE_MAX_BYTES + SCHEMA_MAX_BYTES <= GRPC_MESSAGE_MAX_BYTES
assert JOURNAL_GROUP_MAX_BYTES <= JOURNAL_FILE_MAX_BYTES
assert JOURNAL_FRAME_INLINE_MAX_BYTES < JOURNAL_FRAME_MAX_BYTES
assert JOURNAL_FRAME_MAX_BYTES + 2 * PAGE_BYTES <= JOURNAL_FILE_MAX_BYTES
assert CATALOG_BATCH_VALUES <= CATALOG_TAIL_MAX_VALUES
assert PREFETCH_SNAPSHOTS_MAX <= COMMIT_RECORDS_KEPT
assert 2 * PUBLISH_WINDOW_VALUES <= PRODUCER_ANSWERS_MAX
assert CHECKPOINT_AT_CLOSE_FRAMES < CHECKPOINT_FRAMES
assert INLINE_PAYLOAD_MAX_BYTES + ENVELOPE_MAX_BYTES < JOURNAL_GROUP_MAX_BYTES
assert VALUE_SIZE_MAX_BYTES <= SEGMENT_FILE_MAX_BYTES
assert MEMORY_BUDGET_MIN_BYTES <= MEMORY_BUDGET_BYTES
assert 0 < DISK_RESUMED_SHARE < DISK_PAUSED_SHARE < DISK_RESERVED_SHARE < 1
assert VALUE_SIZE_MAX_BYTES <= MEMORY_BUDGET_BYTES
assert STAGED_IN_MEMORY_MAX_BYTES <= MEMORY_BUDGET_BYTES
assert CSV_ROW_MAX_BYTES <= VALUE_SIZE_MAX_BYTES
assert CSV_BLOCK_BYTES < CSV_ROW_MAX_BYTES <= SOURCE_BATCH_MAX_BYTES
assert RECONNECT_BACKOFF_FIRST_S <= RECONNECT_BACKOFF_MAX_S <= CONNECT_TIMEOUT_S
assert RETRY_BACKOFF_FIRST_S <= RETRY_BACKOFF_MAX_S
assert EVERY_MIN_S <= FOLLOW_EVERY_S <= EVERY_MAX_S < 2**32 / 1000
assert RAW_PIECE_BYTES < VALUE_SIZE_MAX_BYTES
assert PAGE_BYTES & (PAGE_BYTES - 1) == 0
