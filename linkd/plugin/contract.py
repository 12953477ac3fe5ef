"""The contract between linkd and an adapter: sources that are read twice, sinks that replace, and what both are told.

A source is *surveyed* first (digest, schema; nothing is published) and then *read*. The worker publishes what `read` gives, in order, and
commits each batch together with its `position`; after a crash it surveys again and reads on behind the last committed position. A sink is
begun, written to, and finished or aborted; until `finish` returns, nobody sees any of it.

Methods are asynchronous and never block the event loop: blocking work belongs into threads. An adapter never retries; it raises an error
of `linkd.errors` that says what happened to which file (table, topic), and the worker decides. A call that is cancelled leaves nothing
open behind it, and nothing half visible.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from linkd.core.pipeline import CsvDialect, SinkMode

if TYPE_CHECKING:
    import pyarrow as pa

STOP = "stop"
REJECT = "reject"


class Role(enum.StrEnum):
    """What an adapter is to a link: `from:` makes a source, `to:` a sink."""

    SOURCE = "source"
    SINK = "sink"


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """What the pipeline file says of a link that an adapter serves.

    `location` is `from:` or `to:` as written: a path relative to `base`, the directory of the pipeline file, or a URL. `nulls` are texts
    that stand for no value, beside the empty text. `schema` maps columns to type words (`linkd.plugin.column_types`). `on_bad_row` is
    `STOP` or `REJECT`. `mode` and `overwrite` are for sinks, `dialect` for both ends of a text file.
    """

    link: str
    location: str
    base: Path
    format: str | None = None
    nulls: tuple[str, ...] = ()
    schema: Mapping[str, str] | None = None
    on_bad_row: str = STOP
    dialect: CsvDialect = CsvDialect()
    mode: SinkMode = "replace"
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class SourceStat:
    """What tells without reading whether a file is the one that was surveyed. A source that has no such thing gives zeros."""

    size_bytes: int = 0
    mtime_ns: int = 0
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source holds.

    `digest` is the BLAKE3 of its bytes as stored, in hexadecimal. `schema` is that of every batch `read` will give: plain types, nullable,
    no metadata. `rows` counts the rows that `read` will read, rejected ones too, or is `None` where only reading tells. `notes` are for the
    person: each a sentence about a choice the survey made (`column delay is string because of line 200,001: 'abc' is not a number`).
    """

    digest: str
    schema: pa.Schema
    rows: int | None
    notes: tuple[str, ...]
    stat: SourceStat


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """The next rows of a source: a value of its link, and what is to be committed with it.

    `data` has the survey's schema and may have no rows. `rejects` are the rows among these that did not fit, in `REJECTS_SCHEMA`, or
    `None`. `position` is opaque to linkd; giving it back to `read` goes on behind this batch. `rows_read` and `rows_rejected` count from
    the start of the source. The last batch, and only that, is `final`; a source without rows gives one final batch of no rows.
    `attributes` say where the rows came from: `file`, and `first_line` and `last_line`, or `first_row` and `last_row`, counted from 1.
    """

    data: pa.RecordBatch
    rejects: pa.RecordBatch | None
    position: bytes
    rows_read: int
    rows_rejected: int
    final: bool
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SinkResult:
    """What a sink made: where, how many rows, and size and BLAKE3 (hexadecimal) of the bytes as stored."""

    path: str
    rows: int
    size_bytes: int
    digest: str


class Source(ABC):
    """One input of a pipeline. Every method may be called again: nothing is kept between calls."""

    @abstractmethod
    async def survey(self) -> Survey:
        """Look at the whole source in bounded memory.

        Raises `InvalidArgument` if it cannot be opened, `SchemaMismatch` if it does not have the declared columns, `BadRow` for a row that
        does not fit under `on_bad_row: stop`, and another `DataFault` if it is damaged.
        """

    @abstractmethod
    def read(self, survey: Survey, position: bytes | None) -> AsyncGenerator[SourceBatch, None]:
        """The batches of the source that `survey` saw, behind `position` (`None`: from its start). Close the generator when done with it.

        Batches are cut at the same rows whether reading was interrupted or not. Raises `SourceChanged`, at the latest instead of the final
        batch, if what was read is not what was surveyed or not what `position` belongs to; else as `survey` does.
        """


class Sink(ABC):
    """One output of a pipeline: `begin`, any number of `write`, then `finish` or `abort`; after those it can begin again."""

    @abstractmethod
    async def begin(self, schema: pa.Schema) -> None:
        """Prepare to be written to, touching nothing that others see.

        Raises `InvalidArgument` if the place cannot be written, `SchemaMismatch` if the format cannot hold such columns.
        """

    @abstractmethod
    async def write(self, batch: pa.RecordBatch) -> None:
        """Add rows of the schema given to `begin`. Raises `SchemaMismatch` for another schema, `StorageFailed` if the disk refuses."""

    @abstractmethod
    async def finish(self) -> SinkResult:
        """Put what was written in the place of what was there, at once and durably: when this returns, it survives power loss."""

    @abstractmethod
    async def abort(self) -> None:
        """Forget what was written; what was there before stays. Does nothing if nothing was begun."""


class Adapter(ABC):
    """Makes sources and sinks for one technology. Making them, and making the adapter, touches nothing."""

    @property
    @abstractmethod
    def formats(self) -> tuple[str, ...]:
        """What `format:` may say; empty where there is nothing to choose."""

    @abstractmethod
    def check(self, options: LinkOptions, role: Role) -> list[str]:
        """What is wrong with these options, each a sentence with its remedy, found without reading data: `linkd check` prints them all."""

    @abstractmethod
    def source(self, options: LinkOptions) -> Source:
        """A source for `from:`. Raises `InvalidArgument` with the first problem that `check` finds, except that the place may be
        missing."""

    @abstractmethod
    def sink(self, options: LinkOptions) -> Sink:
        """A sink for `to:`. Raises `InvalidArgument` as `source` does."""
