"""Queries and the processes that run them, questions of lineage, and how much of an answer a person is shown."""

from __future__ import annotations

from linkd.limits.units import GIB, KIB, MIB

# -- queries -------------------------------------------------------------------------------------------------------------------------------
QUERY_TIMEOUT_S = 300.0
"""A query is somebody waiting; what takes longer is a SQL task."""
QUERY_TEXT_MAX_BYTES = 1 * MIB
"""A statement is written by hand, or by a tool for a person; anything larger is data."""
QUERIES_MAX = 4
"""Query children at once: two cores and 24 GiB are an ordinary laptop."""
QUERIES_WAITING_MAX = 64
"""Queries in line for one of those places: more have no answer within the time that people and programs wait."""
CHECKED_STATEMENTS_MAX = 128
CHECKED_STATEMENTS_MAX_CHARS = 256 * KIB
"""Statements that a process which runs queries need not check again: of each it keeps a tree of fifty times its text, so 13 MiB of them."""
BOUND_STATEMENTS_MAX = 16
"""Of these as many stand bound to the tables that they read last: those of a page of a dashboard. Each has a connection of its own."""
REMEMBERED_STATEMENTS_MAX_BYTES = 1 * MIB
"""Texts of statements, and schemas of what they read and give, that a home knows again: hundreds of a dashboard's, or two over the widest tables."""
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
SQL_TASK_TIMEOUT_S = 7 * 24 * 3600.0
"""A SQL task may take as long as its data does; after a week nobody waits for it any more."""

# -- lineage -------------------------------------------------------------------------------------------------------------------------------
TRACE_VALUES_DEFAULT = 1_000
TRACE_VALUES_MAX = 100_000
"""Relatives told of one value: a screen of summary, and a bound for a family of any size."""
TRACE_SCAN_VALUES = 64
"""Envelopes looked at before other calls have their turn: about a millisecond."""

# -- what a person is shown ----------------------------------------------------------------------------------------------------------------
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
