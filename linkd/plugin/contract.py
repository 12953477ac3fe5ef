"""The contract between linkd and an adapter: sources that are read twice, sinks that replace, and what both are told.

A source is *surveyed* first (digest, schema; nothing is published) and then *read*. The worker publishes what `read` gives, in order, and
commits each batch together with its `position`; after a crash it surveys again and reads on behind the last committed position. A source
that can grow may be *followed* instead: then it has no end, and gives what is added as it comes.

A *sink* (`mode: replace`) is begun, written to, and finished or aborted; until `finish` returns, nobody sees any of it. A *value sink*
(`mode: append`, `mode: parts`) takes one value after the other, each durable before it is committed. What a sink made is recorded in the
home with the commit (`SinkResult.record`) and given back to it later, so that it knows its own work from what somebody else put there.

Methods are asynchronous and never block the event loop: blocking work belongs into threads. An adapter never retries; it raises an error
of `linkd.errors` that says what happened to which file (table, topic), and the worker decides: on `PlaceAway` it tries again, later and from
where the home knows it to be. A call that is cancelled leaves nothing
open behind it, and nothing half visible.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from linkd.core.pipeline import CsvDialect as CsvDialect
from linkd.core.pipeline import SinkMode as SinkMode
from linkd.errors import InternalFault, InvalidArgument
from linkd.limits import FOLLOW_EVERY_S

if TYPE_CHECKING:
    import asyncio
    import io

    import pyarrow as pa

    from linkd.plugin.streaming import RowDecoder, RowEncoder

STOP = "stop"
REJECT = "reject"

NO_RECORD: Mapping[str, str] = MappingProxyType({})
"""What a sink is told as its last commit's record when there is none."""


class Role(enum.StrEnum):
    """What an adapter is to a link: `from:` makes a source, `to:` a sink."""

    SOURCE = "source"
    SINK = "sink"


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """What the pipeline file says of a link that an adapter serves.

    `location` is `from:` or `to:` as written: a path relative to `base`, the directory of the pipeline file, or a URL. `nulls` are texts
    that stand for no value, beside the empty text. `schema` maps columns to type words (`linkd.plugin.column_types`). `on_bad_row` is
    `STOP` or `REJECT`. `mode` and `overwrite` are for sinks, `dialect` for both ends of a text file. `growing` says of a source that it is
    to be followed: its end now, in the middle of a row perhaps, is not its end; `every_s` is how often it is looked at where nothing tells of
    a change. `query` is asked of a database instead of a table, `key` names the columns that say which row it is. `written` is the location
    without the secrets in it, where it has any: whatever is told or kept has it from `shown`.
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
    query: str | None = None
    key: tuple[str, ...] = ()
    every_s: float = FOLLOW_EVERY_S
    growing: bool = False
    written: str | None = None

    @property
    def shown(self) -> str:
        """The location for messages."""
        return self.written or self.location


@dataclass(frozen=True, slots=True)
class SourceStat:
    """What tells without reading whether a source is the one that was surveyed. A source that has no such thing gives zeros.

    Of a source of several files: the sum, the latest, and a number made of the names, inodes, sizes and times of all.
    """

    size_bytes: int = 0
    mtime_ns: int = 0
    inode: int = 0


@dataclass(frozen=True, slots=True)
class SourcePart:
    """One file of a source, by the name the person knows it by, with its BLAKE3 and stat as surveyed."""

    name: str
    digest: str
    stat: SourceStat


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source holds.

    `digest` is the BLAKE3 of its bytes as stored, in hexadecimal; of several files, of their names and digests. `schema` is that of every
    batch `read` will give: plain types, nullable, no metadata. `rows` counts the rows that `read` will read, rejected ones too, or is `None`
    where only reading tells. `notes` are for the person: each a sentence about a choice the survey made (`column delay is string because of
    line 200,001: 'abc' is not a number`). `parts` are the files it has, in the order in which they are read, where it has any.
    """

    digest: str
    schema: pa.Schema
    rows: int | None
    notes: tuple[str, ...]
    stat: SourceStat
    parts: tuple[SourcePart, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """The next rows of a source: a value of its link, and what is to be committed with it.

    `data` has the survey's schema and may have no rows. `rejects` are the rows among these that did not fit, in `REJECTS_SCHEMA`, or
    `None`. `position` is opaque to linkd; giving it back to `read` goes on behind this batch. `rows_read` and `rows_rejected` count from
    the start of the source. The last batch, and only that, is `final`; a source without rows gives one final batch of no rows.
    `attributes` say where the rows came from: `file`, and `first_line` and `last_line`, or `first_row` and `last_row`, counted from 1.
    `notes` are for the person, as those of the survey are: what happened to a followed source before these rows came. `digest`, of a
    followed source, is the BLAKE3 of all that was read of what it holds now; else that of the survey stands for it.
    """

    data: pa.RecordBatch
    rejects: pa.RecordBatch | None
    position: bytes
    rows_read: int
    rows_rejected: int
    final: bool
    attributes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class SinkResult:
    """What a sink made: where, how many rows, and size and BLAKE3 (hexadecimal) of the bytes as stored.

    A value sink counts the rows of the value; `size_bytes` is that of all the file, `digest` of as much of it as its mode says. `attributes`
    are what else the sink wants to know of this work the next time.
    """

    path: str
    rows: int
    size_bytes: int
    digest: str
    mtime_ns: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, str]:
        """The attributes of the commit: what `last` of the sink's methods will be."""
        made = {
            "path": self.path,
            "rows": str(self.rows),
            "size_bytes": str(self.size_bytes),
            "digest": self.digest,
            "mtime_ns": str(self.mtime_ns),
        }
        return {**self.attributes, **made}


@dataclass(frozen=True, slots=True)
class SinkValue:
    """A value for a value sink, and its place: sequences of a link never repeat, generations follow one another."""

    generation: int
    sequence: int
    data: pa.RecordBatch


class Source(ABC):
    """One input of a pipeline. Every method may be called again, in any order; what is kept between calls saves time and nothing else."""

    @abstractmethod
    async def stat(self) -> SourceStat:
        """What `survey` would give as `stat`, at once and without reading. Raises `InvalidArgument` if there is nothing at the place."""

    @abstractmethod
    async def digest(self) -> str:
        """What `survey` would give as `digest`, without looking at what was read. Raises `InvalidArgument` as `stat` does."""

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

    @property
    def can_follow(self) -> bool:
        """Whether it can grow while it is read. One that cannot is complete at any time, and may become another: see `changed`."""
        return False

    @property
    def only_grows(self) -> bool:
        """Whether another digest can mean nothing but more rows behind those that were read, where it `begins_with` the position: then a run
        that ends goes on behind them, too, instead of reading all of it anew."""
        return False

    async def exists(self) -> bool:
        """Whether there is enough of it to be surveyed; a source that can be followed may come later."""
        return True

    def follow(self, survey: Survey, position: bytes | None, stopping: asyncio.Event) -> AsyncGenerator[SourceBatch, None]:
        """The batches behind `position` (`None`: from its start), one that `read` gave or `follow`, and then what is added, as it comes.

        Ends when `stopping` is set, behind a batch; never is one `final`. `survey` says which schema the rows have. How many rows a batch
        has depends on when they came. Close the generator when done with it. Raises as `read` does, except that content that begins
        anew (a file that was rotated or cut to nothing) is no error: what it has is added behind what was.
        """
        raise InternalFault("a source that cannot be followed was to be followed: it is a defect of linkd; please report this")

    async def begins_with(self, position: bytes) -> bool:
        """Whether what was read up to `position` is still there, unchanged, with perhaps more behind it: whether to read on from there."""
        return False

    async def appeared(self) -> None:
        """Returns when it `exists`. For sources that can be followed."""
        return

    async def changed(self, stat: SourceStat, digest: str) -> str:
        """Returns when it holds something else than what had these, with a sentence that says so. For sources that cannot be followed."""
        raise InternalFault("a source that cannot be watched was to be watched: it is a defect of linkd; please report this")

    async def close(self) -> None:
        """Let go of what was kept between calls, such as a connection. It may be used again."""
        return


class Sink(ABC):
    """One output of a pipeline that is replaced: `begin`, any number of `write`, then `finish` or `abort`; after those it can begin again.

    `last` is the record of the sink's last commit, empty if there is none.
    """

    @abstractmethod
    async def check(self, last: Mapping[str, str]) -> None:
        """Raises `Conflict` if what stands in the sink's place was changed by somebody else since the sink put it there."""

    @abstractmethod
    async def begin(self, schema: pa.Schema) -> None:
        """Prepare to be written to, touching nothing that others see.

        Raises `InvalidArgument` if the place cannot be written, `SchemaMismatch` if the format cannot hold such columns.
        """

    @abstractmethod
    async def write(self, batch: pa.RecordBatch) -> None:
        """Add rows of the schema given to `begin`. Raises `SchemaMismatch` for another schema, `StorageFailed` if the disk refuses."""

    @abstractmethod
    async def finish(self, last: Mapping[str, str] = NO_RECORD) -> SinkResult:
        """Put what was written in the place of what was there, at once and durably: when this returns, it survives power loss.

        Raises `Conflict` as `check` does, and then what was there stays.
        """

    @abstractmethod
    async def abort(self) -> None:
        """Forget what was written; what was there before stays. Does nothing if nothing was begun."""

    async def committed(self) -> None:
        """The home has recorded what `finish` returned: whatever was kept for the time between the two may go."""
        return


class ValueSink(ABC):
    """One output of a pipeline that takes value by value, each exactly once whatever is killed when.

    A value that was written and not committed is written again, first of all; then `last`, the record of the sink's last commit (empty if
    there is none), is that of the value before it, and tells the sink what to undo. Nothing is kept between calls.
    """

    @abstractmethod
    async def check(self, last: Mapping[str, str]) -> None:
        """Raises `Conflict` if what stands in the sink's place was put there, or changed, by somebody else."""

    @abstractmethod
    async def write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        """Add the rows of a value, durably. Raises `Conflict` as `check` does, `SchemaMismatch` for columns that do not go with what is
        there, `InvalidArgument` if the place cannot be written, `StorageFailed` if the disk refuses."""

    @abstractmethod
    async def caught_up(self, generation: int) -> None:
        """Everything that there is of this generation is written: readers may be shown it instead of an older one. May be repeated."""

    @abstractmethod
    async def close(self) -> None:
        """All that was written is committed, and nothing more comes."""


class RowWriter(ABC):
    """Rows of one schema as the bytes of a format, written into a file that somebody else opens and closes. Its methods block."""

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """These rows, now or with later ones. Raises `SchemaMismatch` for one that the format cannot hold, `OSError` as the file does."""

    @abstractmethod
    def end(self) -> None:
        """Writes what is left, and what stands behind the last row. The file stays open."""


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
        """A sink for `to:` with `mode: replace`. Raises `InvalidArgument` as `source` does."""

    def value_sink(self, options: LinkOptions) -> ValueSink:
        """A sink for `to:` with another mode. Raises `InvalidArgument` as `source` does, and if there is no such mode here."""
        raise InvalidArgument(f"links.{options.link}.mode: {options.location} cannot be written with mode {options.mode}; remove mode:")

    def row_writer(self, options: LinkOptions, schema: pa.Schema, file: io.RawIOBase) -> RowWriter:
        """Rows of this schema into `file`, in `options.format`, what stands before them written. Raises as `row_encoder` does."""
        raise _no_streams(options)

    def row_encoder(self, options: LinkOptions, schema: pa.Schema) -> RowEncoder:
        """Rows of this schema as a stream of bytes in `options.format`. Raises `InvalidArgument` if there is no such thing here, and
        `SchemaMismatch` if the format cannot hold such columns."""
        raise _no_streams(options)

    def row_decoder(self, options: LinkOptions) -> RowDecoder:
        """A stream of bytes in `options.format` as rows; `options.shown` names it in messages. Raises `InvalidArgument` as `row_encoder` does."""
        raise _no_streams(options)


def _no_streams(options: LinkOptions) -> InvalidArgument:
    return InvalidArgument(f"{options.shown}: rows of {options.format} are not read or written as a stream; say format: csv, jsonl or raw")
