"""Files of the machine linkd runs on: CSV (also .gz and, to read, .zip) and Parquet, as sources and sinks."""

from linkd_adapters.file.adapter import FileAdapter

ADAPTER = FileAdapter()

__all__ = ["ADAPTER", "FileAdapter"]
