"""What the format of a file is to a source: how one file is surveyed and read. The rest, which files there are, whether they changed, and
what the home is told, is the same for all formats (`source`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from linkd_adapters.file.stored import StoredFile

if TYPE_CHECKING:
    import pyarrow as pa

    from linkd_adapters.file.rejects import Reject


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two rows of a file.

    `row` counts the rows before it, rejected ones too. In a text the next row begins at byte `offset` of the unpacked content, in line
    `line` (from 1); in other formats both are 0. Zeros are the start of the file, before its header.
    """

    row: int = 0
    offset: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class FileBatch:
    """The next rows of a file: those that fit as `data`, the others as `rejects`; `rows` counts both. The place behind them is `after`."""

    data: pa.RecordBatch
    rejects: tuple[Reject, ...]
    rows: int
    after: Place
    is_last: bool
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What a survey found in all files together."""

    schema: pa.Schema
    rows: int | None
    notes: tuple[str, ...]


class Kept(Protocol):
    """What a survey has read of a file already, for `FormatReader.batches` to go on with."""

    @property
    def size_bytes(self) -> int: ...


class Surveyor(Protocol):
    """Looks at the files of one source, one after the other, and knows at the end what they have in common."""

    def look(self, stored: StoredFile) -> Iterator[None]:
        """Look at all of a file, in steps of some milliseconds. Raises `DataFault`."""

    def kept(self) -> Sequence[Kept]:
        """Of every file what is worth keeping, as long as that is little; nothing if it became too much."""

    def found(self) -> Found:
        """Raises `SchemaMismatch` if the files do not go together, or not with what is declared."""


class FormatReader(Protocol):
    """Reads the files of one format, for one link."""

    def surveyor(self) -> Surveyor: ...

    def batches(self, stored: StoredFile, schema: pa.Schema, before: Place, kept: Kept | None = None) -> Iterator[FileBatch]:
        """The rows behind `before`, as `schema`, cut at places that depend on the file alone. Only the last is `is_last`.

        A column that the file has not is null. `kept` is of a survey of the same bytes, and is used up; it makes no difference but in time.
        Raises `DataFault`.
        """
