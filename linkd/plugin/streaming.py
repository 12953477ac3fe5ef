"""Rows as a stream of bytes, both ways: what stands on the standard input and output of a program, and in a FIFO.

An adapter whose formats have no end that must be read first (lines do, Parquet does not) makes encoders and decoders of them. They are pure:
nothing here opens a file but `inferred`, which is given one. Their methods block and are called in threads, one at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

Read = Callable[[int], bytes]
"""Gives as many bytes as it is asked for, fewer only at the end."""


@dataclass(frozen=True, slots=True)
class Inferred:
    """Rows whose types were told by themselves: `batches` are of one schema; `notes` are for the person, as those of a survey."""

    schema: pa.Schema
    notes: tuple[str, ...]
    batches: Iterator[pa.RecordBatch]


class RowEncoder(ABC):
    """Rows of one schema as bytes: `head` once, then `rows`, one behind the other."""

    @abstractmethod
    def head(self) -> bytes:
        """What stands before the first row."""

    @abstractmethod
    def rows(self, batch: pa.RecordBatch) -> bytes:
        """These rows. Raises `SchemaMismatch` for one that the format cannot hold."""


class RowDecoder(ABC):
    """Bytes as rows. Whatever does not fit raises `BadRow`, by its line; what is no text of the format at all `DataFault`."""

    @abstractmethod
    def typed(self, read: Read, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """All rows as `schema`, in bounded memory, cut where a source cuts them; at least one batch, of no rows if there are none."""

    @abstractmethod
    def inferred(self, spooled: Path) -> Inferred:
        """All rows of this file, which has what was read, typed as a source of this format types them. Close the batches when done."""

    @abstractmethod
    def fed(self, text: bytes, schema: pa.Schema) -> list[pa.RecordBatch]:
        """The rows that are complete with these bytes, behind those that were fed before: for who cannot wait for the end."""

    @abstractmethod
    def fed_all(self, schema: pa.Schema) -> list[pa.RecordBatch]:
        """Nothing more is fed: the last row, where no line end stands behind it."""
