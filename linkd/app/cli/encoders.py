"""Rows as the bytes of a format on standard output, as sinks write them into files. Importing this module imports pyarrow.

In CSV a null is an empty field, an empty text `""`, and times are ISO 8601 (`linkd_adapters.file.csv_text`). Arrow is the IPC stream format,
so that a pipe can hold it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from linkd.errors import QueryInvalid
from linkd.plugin.contract import LinkOptions

if TYPE_CHECKING:
    from linkd.plugin.contract import RowWriter

CSV, JSONL, PARQUET, ARROW = "csv", "jsonl", "parquet", "arrow"
FORMATS = (CSV, JSONL, PARQUET, ARROW)
BINARY = (PARQUET, ARROW)
"""Formats that no terminal shows."""

_ENDINGS = {ARROW: "arrows"}
"""Of file names whose form of the format goes through a pipe."""


class OutputPipe(io.RawIOBase):
    """A stream that may be a pipe, as writers of file formats want it: they ask where they are. It does not close the stream.

    With `harmless` the bytes are text for a terminal, which would obey the control characters in it: they are shown as blots.
    """

    def __init__(self, stream: BinaryIO, *, harmless: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._harmless = harmless
        self._written_bytes = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written_bytes

    def write(self, content: bytes) -> int:  # type: ignore[override]  # what writers give
        size_bytes = memoryview(content).nbytes
        self._stream.write(_without_controls(bytes(content)) if self._harmless else content)
        self._written_bytes += size_bytes
        return size_bytes

    def flush(self) -> None:
        self._stream.flush()


def encoder(kind: str, schema: pa.Schema, pipe: OutputPipe, shown: str) -> RowWriter:
    """The writer for a format of `FORMATS`; `shown` names the rows in errors. Raises SchemaMismatch if the format cannot hold them."""
    from linkd_adapters.file.location import locate
    from linkd_adapters.file.writers import require_writable, row_writer

    if kind == JSONL:
        check_names(schema.names)
    options = LinkOptions(shown, f"{shown}.{_ENDINGS.get(kind, kind)}", Path(), kind)
    location = replace(locate(options), shown=shown)
    require_writable(location, schema)
    return row_writer(options, location, schema, pipe)


def check_names(names: Sequence[str]) -> None:
    """An object of JSON has each name once; a table may have it twice. Raises QueryInvalid."""
    repeated = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if repeated is not None:
        raise QueryInvalid(f"two columns of the result are called `{repeated}`, which JSON cannot tell apart: name them apart with AS")


def _without_controls(text: bytes) -> bytes:
    shown = (each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text.decode(errors="replace"))
    return "".join(shown).encode()
