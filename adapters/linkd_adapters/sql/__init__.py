"""Databases as sources and sinks: PostgreSQL, and files of SQLite and DuckDB. What they have in common is said once, in standard SQL.

`database` is what the rest asks of a database; `postgres`, `sqlite_file` and `duckdb_file` answer. Drivers are imported on first use.
"""

from linkd_adapters.sql.adapter import SqlAdapter

ADAPTER = SqlAdapter()

__all__ = ["ADAPTER", "SqlAdapter"]
