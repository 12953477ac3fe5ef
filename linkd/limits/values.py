"""What a value, its envelope and its rows may be, and what may stand in a pipeline file."""

from __future__ import annotations

from linkd.limits.units import GIB, KIB, MIB

# -- values and payloads -------------------------------------------------------------------------------------------------------------------
ROWS_PER_VALUE = 65_536
"""Rows of the values that a source cuts. Fixed, so that equal files give equal values."""
VALUE_SIZE_MAX_BYTES = 64 * MIB
"""Payload of one value. A larger publish is cut by rows into several values of one commit; of a row above this the large cells are artifacts."""
LARGE_ROW_BYTES = VALUE_SIZE_MAX_BYTES - 64 * KIB
"""Text and bytes of one row that fit a value together with all that Arrow puts around them and some hundred numbers beside them."""
LARGE_CELL_BYTES = 1 * MIB
"""Of a row above that, larger cells are artifacts; smaller ones would be more references than an envelope takes."""
TABLE_CELLS_MAX_BYTES = 2 * GIB - MIB
"""Text or bytes in one column of a value that a program has as rows: 32-bit offsets reach no farther."""
INLINE_PAYLOAD_MAX_BYTES = 64 * KIB
"""A payload up to this lies in the journal frame, a larger one in a segment: below it one sync is cheaper than two files."""
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
TEXT_LOOKED_AT_BYTES = 64 * KIB
"""Characters of a column that are looked at at once, for ASCII: they fit the fastest cache, and for fewer it is not worth a look of its own."""

# -- rows and JSON -------------------------------------------------------------------------------------------------------------------------
JSON_ROW_MAX_BYTES = 16 * MIB
"""One row given as JSON text."""
DECODED_KEPT_MAX_BYTES = 32 * MIB
"""Values that are kept decoded while windows of rows go through them; what is above is decoded again for each window."""
RECENT_KEPT_MAX_BYTES = 64 * MIB
"""Bulk that stays in memory for streams that go along with its link and are sent it as bytes, and is given up when somebody else needs room: a
stream that comes along only just is some fifty MiB behind; who is further behind reads files."""
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

# -- names and pipeline files --------------------------------------------------------------------------------------------------------------
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
FOLLOW_EVERY_S = 10.0
"""Under `--follow`: how long the inputs of a `whole` task are idle before it begins again, where `every:` says nothing else."""

assert EVERY_MIN_S <= FOLLOW_EVERY_S <= EVERY_MAX_S < 2**32 / 1000
