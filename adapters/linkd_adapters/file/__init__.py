"""Files of the machine linkd runs on: CSV and JSON lines (also .gz and, to read, .zip), Parquet and Arrow IPC, as sources and sinks."""

from linkd_adapters.file.adapter import FileAdapter

ADAPTER = FileAdapter()

__all__ = ["ADAPTER", "FileAdapter"]
