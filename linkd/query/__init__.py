"""SQL over links, run by DuckDB in a process of its own that is an ordinary client of linkd.

`statement` decides from the text alone whether a query may run and what it reads, against the allow-lists in `functions`; `spill` keeps the
rows of the links it reads in mapped files; `engine` runs it; `diagnosis` turns what DuckDB says into linkd's errors. What a query can reach
is closed twice: by the check of its text, and by an engine that knows the permitted links only, with files, extensions and settings locked.

DuckDB must not be imported outside this package, nor in the process that serves links: a query can exhaust or crash its own process only.
"""
