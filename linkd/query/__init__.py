"""SQL over links, run by DuckDB in processes of its own that are ordinary clients of linkd.

What a statement may be is decided from its text alone: `statement` and `walk` against the allow-lists in `functions`, `insertion` for INSERT. What it
reads are `tables`: of the generations that the home names, what `shelf` has and what it still has to bring, but for what `pruning` can tell is not
wanted; `rewriting` makes the text that runs over them. `engine` runs it, `diagnosis` turns what DuckDB says into linkd's errors. What a query can
reach is closed twice: by the check of its text, and by an engine that knows the permitted links only, with files, extensions and settings locked.

The home's side is `children`: it starts processes (`child_process`), speaks with them (`pipe`), and passes on what they answer. A process is `child`,
its work `answering`; that of a SQL task is `task`, by the same engine over the values of its snapshot.

DuckDB must not be imported outside this package, nor in the process that serves links: a query can exhaust or crash its own process only.
"""
