"""Every key of a pipeline file and what it says, in the order in which they are listed: for messages, for editors, for the reference."""

from __future__ import annotations

from collections.abc import Mapping

TOP_KEYS: Mapping[str, str] = {
    "pipeline": "The name of the pipeline.",
    "params": "Parameters by name: `${params.x}` in texts, `$x` in SQL, LINKD_PARAM_X for programs; `linkd run -s x=...` sets one.",
    "wiring": "The graph: a line `(inputs) task (outputs)` for each task. Without tasks it may be left out: links without `from:` are for people"
    " and programs outside then.",
    "links": "What there is to say about links: where their values come from, where they go to, what they look like.",
    "tasks": "The program, or the SELECT, of each task.",
    "on_change": "What happens when a task is not what it was: `rerun` (the default of a finite run) or `continue` (that of `--follow`).",
}

LINK_KEYS: Mapping[str, str] = {
    "from": "The source: a file, a pattern or a directory beside the pipeline file, or an address.",
    "to": "The sink: a file or a directory beside the pipeline file, or an address.",
    "format": "What the file holds, where its name does not say it: csv, jsonl, parquet, arrow.",
    "nulls": "Texts of the source that mean null, besides nothing at all.",
    "schema": "Columns and their types, in order. Without it the types are those that the whole source, or the first value, has.",
    "on_bad_row": "What a row that does not fit does: `stop` the run, or go to the link `LINK.rejects`.",
    "header": "Whether the first line names the columns. A source without needs `schema:`.",
    "separator": "The character between fields: `,` unless said otherwise.",
    "quote": 'The character around fields that hold separators: `"` unless said otherwise; empty for none.',
    "encoding": "How characters are written, by the name of a Python codec: utf-8 unless said otherwise.",
    "decimal": "What stands between whole and fraction of a number: `.` or `,`.",
    "mode": "What a sink does with what is there: `replace` it, `append` to it, `upsert` rows of a table by `key:`, or write `parts`,"
    " a file per commit.",
    "query": "What a database is asked: one SELECT, whose rows are the link's. Without it they are those of `?table=`.",
    "key": "The column, or list of columns, that says which row of a database it is. A source reads rows behind the last key it has seen;"
    " `mode: upsert` replaces the row that has it.",
    "overwrite": "Whether a sink replaces a file that somebody else has changed since, instead of stopping.",
    "every": "Under `--follow`: how often a source looks for more, or a sink writes.",
    "durability": "What an ack means: `fsync` (on disk, the default), `interval` (on disk soon), `memory` (in memory).",
    "interval": "With `durability: interval`: how long a value may wait for the disk.",
    "retain": "What is kept, at most: an age, or a mapping of `age`, `size`, `values`; with `hard: true` also of what is still needed.",
    "bound": "Payload bytes that may wait for those who have not taken them yet; none unless said otherwise.",
    "on_full": "What becomes of a publish when so much waits: `block`, `refuse`, `drop_oldest` or `drop_newest`.",
    "handover": "How programs on this host hand over large values: written in `place` (the default), or by `copy`, where they are not trusted.",
}

TASK_KINDS = ("run", "pipe", "sql")
"""The keys of which each task has exactly one: what it runs."""

TASK_KEYS: Mapping[str, str] = {
    "run": "The program: a text for the shell, or a list of words that runs without one.",
    "pipe": "A filter: a text for the shell, one input on its standard input, one output on its standard output.",
    "sql": "One SELECT over the inputs, or the path of a file with it; its rows are the output.",
    "files": "A program of `run:` that meets its links as files, `$LINKD_IN/LINK.FORMAT` and `$LINKD_OUT/LINK.FORMAT`: `whole` ones (the default"
    " where the command names these variables), or a `stream`, a FIFO; or a mapping by link.",
    "format": "What is in the files of the task, or in a pipe: csv unless said otherwise, jsonl, parquet, arrow or raw (the bytes of the values);"
    " or a mapping by link.",
    "header": "Whether the first line of its CSV names the columns.",
    "each": "Whether the program runs once for each snapshot, with files of its own, instead of once over all there is.",
    "parallel": "With `each`: how many snapshots are worked on at a time; results keep the order of the input.",
    "commit": "What a pipe commits when: its whole `run` (the default); `line`: rows as they come, at least once; `none`: a value of the input is"
    " done when the next one is handed over, at most once.",
    "cache": "Whether what the task made of a snapshot is remembered and, where the same comes again, committed without running it: the default of"
    " what runs for each snapshot or over whole inputs.",
    "env": "Variables for the program; their values may name `${params.x}`, `${env.X}` and `${secret.X}`.",
    "retries": "How often a program that failed is started again; 0 unless said otherwise.",
    "timeout": "How long one attempt may take: then the program is ended. Under `--follow` it is how long a program may work on one snapshot.",
    "on_change": "What happens when this task is not what it was: `rerun` or `continue`.",
    "every": "Under `--follow`: how long inputs that are taken whole are idle before the task runs again.",
    "order": "What comes one behind the other through any redelivery: the `link`, the values of a `key`, or `none`.",
    "key": "With `order: key`: the column whose values are kept in order.",
    "lease": "How long a program may be silent before what it works on goes to another; 30s unless said otherwise.",
    "max_attempts": "How often a snapshot is tried before it goes to the dead-letter link `TASK.dead`; for ever unless said otherwise."
    " A program that ends by such a failure is started again, and that is none of its `retries:`.",
    "version": "The version of what runs, in place of the digest of command, scripts and SQL.",
}

_KEYS_OF_LATER_VERSIONS = """
    defaults follow image memo on password policy resources sample secrets store stream visible
"""
LATER_KEYS = frozenset(_KEYS_OF_LATER_VERSIONS.split())
"""Keys that the design knows, and that get their meaning in a later version."""
