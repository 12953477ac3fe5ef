"""What sources and sinks take from files, object stores and databases, and how programs meet links as files."""

from __future__ import annotations

from linkd.limits.units import GIB, KIB, MIB
from linkd.limits.values import VALUE_SIZE_MAX_BYTES

# -- places --------------------------------------------------------------------------------------------------------------------------------
SINK_STEP_TIMEOUT_S = 600.0
"""For a sink to take one value, or to put what it has in its place: a file server that hangs is told from a slow disk by then."""
PLACE_RETRY_MIN_S = 0.2
"""A database that is away is asked for again after this, then after twice as long each time: a restart takes a second."""
PLACE_RETRY_MAX_S = 10.0
"""And no less often than this: nobody waits longer for one that is back."""
PLACE_AWAY_MAX_S = 600.0
"""In a run that ends: one that is away for so long does not come back by itself. A run that follows waits for ever."""

# -- files ---------------------------------------------------------------------------------------------------------------------------------
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
SURVEY_KEPT_MAX_BYTES = 96 * MIB
"""Rows that the survey of a source keeps for its reader, so that files of some ten megabytes are parsed once and not twice."""
ARROW_MESSAGE_MAX_BYTES = 1 * GIB
"""One record batch or dictionary of an Arrow file, unpacked: it is held in memory whole, and a compressed one can claim any size."""
SOURCE_WINDOW_PUBLISHES = 4
"""Batches of a source without an ack: one is being made durable, one is on its way, one is being cut, and one for the jitter."""
SOURCES_AT_ONCE_MAX = 8
"""Sources that are read at the same time: each holds its window of batches, and more of them than cores are no faster."""
SURVEY_NOTES_TOLD_MAX = 20
"""What a survey has to say to a person: a screen of it; a file with ten thousand odd columns has one odd cause."""
MESSAGE_TEXT_MAX_CHARS = 40
"""Of a field of a file that is shown in a message: enough to find it, too little to leak a document."""

# -- object stores -------------------------------------------------------------------------------------------------------------------------
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
"""Of one object: what hides a round trip, and four parts in memory."""
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
"""A store that is there answers in a tenth of this, from the other side of the world."""

# -- databases -----------------------------------------------------------------------------------------------------------------------------
SQL_LOCK_WAIT_S = 5.0
"""For a table, or a file of SQLite, that somebody else has locked: what is held for longer is told as away, and asked for again."""
SQL_SETTLE_S = 10.0
"""For transactions that may yet commit rows with smaller keys: longer ones are told by name, and asked about again."""
SQL_SETTLE_INTERVAL_S = 0.05
"""Whether they have ended is asked this often: PostgreSQL tells nobody by itself."""
SQLITE_ROWS_AT_ONCE = 8_192
"""Rows of SQLite that are Python objects at a time, some megabytes."""

# -- sources that are followed -------------------------------------------------------------------------------------------------------------
FOLLOWED_FILES_MAX = 2_000
"""Files in a directory that is followed: each position has the name and the digest of those that were read, 100 bytes of each."""
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

# -- the file face -------------------------------------------------------------------------------------------------------------------------
PIPE_BUFFER_BYTES = 1 * MIB
"""Of a pipe to or from a program: as much as the kernel gives anybody, and fewer switches between the two than with its usual 64 KiB."""
RAW_PIECE_BYTES = 16 * MIB
"""Bytes of one value of a raw stream: larger ones do not fit into a file of the lane and take twice the time. Two are in hand."""
FILES_ON_LOOP_MAX_BYTES = 64 * KIB
"""Of a run's file that is written or read on the event loop: a millisecond; to wake a thread for it takes as long, several times in each run."""
LINE_QUIET_S = 0.05
"""Rows of an endless filter are those of the value that it has read when nothing follows them for this long: what it writes at once is one commit."""
LINE_LAST_QUIET_S = 1.0
"""The last value of a run that ends may have none: it is waited for so long."""
FIFO_OPEN_TIMEOUT_S = 30.0
"""For a program to open an input that is a stream, since something last went through any of its streams: until then it may read them in turn."""
OUTPUT_ROOM_TIMEOUT_S = 30.0
"""Outputs of a run that wait for disk get nowhere for twice this long before the run fails: others may end, or be retained less, meanwhile."""
STREAM_HELD_MAX_BYTES = 32 * MIB
"""Values of a run that wait in memory for its program: what lies in a file of the home takes none, and what is above goes to one of our own."""

assert CSV_ROW_MAX_BYTES <= VALUE_SIZE_MAX_BYTES
assert CSV_BLOCK_BYTES < CSV_ROW_MAX_BYTES <= SOURCE_BATCH_MAX_BYTES
assert RAW_PIECE_BYTES < VALUE_SIZE_MAX_BYTES
