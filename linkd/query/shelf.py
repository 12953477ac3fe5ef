"""The rows of links that a process reads, kept from one statement to the next: values are immutable, so what was read once stays right.

A value that lies in a segment file is mapped there and takes no memory. Others are gathered to blocks of some size, for a table of thousands of
tiny batches is slow to scan, and a block that is large goes to a file of its own below `directory` (an Arrow IPC stream, mapped, private to the
process and unlinked at once). Every batch is looked at, offset by offset, before DuckDB is given it, for a wrong one would crash it: once, and
of what is mapped not before a statement can want it.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from linkd.client.calls import Connection
from linkd.client.lane_files import Region
from linkd.client.large_values import whole
from linkd.client.payloads import Arrived, Assembler
from linkd.core.arrow_types import plain_schema
from linkd.core.names import COMMITS_LINK
from linkd.core.schema import in_schema
from linkd.errors import LinkNotFound, QueryInvalid, SchemaMismatch, StorageFailed
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, LINKS_MAX, ROWS_PER_VALUE, SHELF_VALUES_MAX, SPILL_BATCH_BYTES, SPILL_GATHERED_VALUES
from linkd.model.frozen import frozen
from linkd.query.readable import readable_schema
from linkd.query.statistics import Bounds, bounds_of
from linkd.wire.messages import ARROW
from linkd.wire.methods import READ
from linkd.wire.v1 import links_pb2 as pb


@frozen()
class Origin:
    """What is known of one value beside its rows: the first of them in its block is `first_row`."""

    sequence: int
    created_at_ns: int
    task: str
    identity: bytes
    first_row: int


@dataclass(slots=True, eq=False)
class Block:
    """Values of `link` one behind the other, in `schema`: one that lies in a file and was not looked at yet, or their rows as one batch."""

    link: str
    schema: pa.Schema
    content: pa.RecordBatch | Arrived
    origins: list[Origin]
    is_gathered: bool = False
    bounds: dict[str, Bounds | None] = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        """Whether its rows were looked at."""
        return not isinstance(self.content, Arrived)

    def batch(self) -> pa.RecordBatch:
        """Its rows: every offset and character was looked at, once. Raises StateDamaged, InvalidArgument, SchemaMismatch."""
        batch = self.content.batch(validate=True) if isinstance(self.content, Arrived) else self.content
        self.content = batch if batch.schema.equals(self.schema) else in_schema(batch, self.schema, link=self.link)
        return self.content

    @property
    def first_sequence(self) -> int:
        return self.origins[0].sequence

    @property
    def last_sequence(self) -> int:
        return self.origins[-1].sequence

    def made_within(self, since_ns: int | None, until_ns: int | None) -> list[Block]:
        """The part of it that was made then, or nothing. Times never decrease within a link."""
        made = [
            origin.sequence
            for origin in self.origins
            if (since_ns is None or origin.created_at_ns >= since_ns) and (until_ns is None or origin.created_at_ns < until_ns)
        ]
        return [_part(self, made[0], made[-1])] if made else []

    def bounds_of(self, column: str) -> Bounds | None:
        """The least and the greatest of a column; None where its type has no order that helps."""
        if column not in self.bounds:
            index = self.schema.get_field_index(column)
            self.bounds[column] = bounds_of(self.batch().column(index)) if index >= 0 else None
        return self.bounds[column]


@frozen()
class Chosen:
    """Which of `blocks` a condition left, the last time that one was asked for: `by` says which one it was."""

    by: object
    blocks: list[Block]
    left: list[Block]


@dataclass(slots=True, eq=False)
class Stand:
    """What of one generation of a link is here: `blocks` in order, and every value of `covered` (ranges in order, apart from each other)."""

    link: str
    schema: pa.Schema
    blocks: list[Block] = field(default_factory=list)
    covered: list[tuple[int, int]] = field(default_factory=list)
    chosen: Chosen | None = None

    @property
    def values(self) -> int:
        return sum(len(block.origins) for block in self.blocks)

    def missing(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The ranges within this one that are not here."""
        for begin, end in self.covered:
            if begin > last:
                break
            if end >= first:
                if begin > first:
                    yield first, begin - 1
                first = end + 1
        if first <= last:
            yield first, last

    def cover(self, first: int, last: int) -> None:
        """This range is here now."""
        joined: list[tuple[int, int]] = []
        for begin, end in sorted([*self.covered, (first, last)]):
            if joined and begin <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(joined[-1][1], end)
            else:
                joined.append((begin, end))
        self.covered = joined

    def within(self, first: int, last: int) -> list[Block]:
        """The rows of this range: of a block that reaches beyond it a part."""
        found = (block for block in self.blocks if block.last_sequence >= first and block.first_sequence <= last)
        return [_part(block, first, last) for block in found]

    def conformed(self, schema: pa.Schema) -> None:
        """The blocks have this schema from now on."""
        self.schema = schema
        for block in self.blocks:
            block.schema, block.bounds = schema, {}


@frozen()
class Wanted:
    """Values of one generation. `schema` is the link's schema message."""

    link: str
    incarnation: int
    generation: int
    schema: bytes


class Shelf:
    """Belongs to one event loop; what it gives out may be read in any thread."""

    def __init__(self, directory: Path, spill_bytes: int) -> None:
        self._directory = directory
        self._spill_left_bytes = spill_bytes
        self._stands: OrderedDict[tuple[str, int, int], Stand] = OrderedDict()
        self._used: set[tuple[str, int, int]] = set()

    @property
    def stands(self) -> list[Stand]:
        """All of them, the one that was used least recently first."""
        return list(self._stands.values())

    def stand(self, wanted: Wanted) -> Stand:
        """What is here of it. Raises SchemaMismatch for a link without columns, or of a type that DuckDB lacks."""
        key = wanted.link, wanted.incarnation, wanted.generation
        schema = self.schema(wanted)
        stand = self._stands.setdefault(key, Stand(wanted.link, schema))
        self._stands.move_to_end(key)
        self._used.add(key)
        if not stand.schema.equals(schema):
            stand.conformed(schema)
        return stand

    def schema(self, wanted: Wanted) -> pa.Schema:
        """The columns of the table. Raises as `stand` does."""
        return link_schema(wanted.schema, wanted.link)

    async def read(self, connection: Connection, stand: Stand, wanted: Wanted, first: int, last: int) -> None:
        """Brings what is missing of this range of sequences."""
        for begin, end in list(stand.missing(first, last)):
            gathering = Gathering(self, stand, begin)
            request = pb.ReadRequest(link=wanted.link, generation=wanted.generation, first_sequence=begin, last_sequence=end, format=ARROW)
            assembler = Assembler()
            try:
                async with connection.receive(READ, request) as stream:
                    while (message := await stream.read()) is not None:
                        arrived = assembler.take(message) if message.WhichOneof("message") != "opened" else None
                        if arrived is not None:
                            gathering.add(await whole(connection, arrived))
            except LinkNotFound:
                pass  # all of them were dropped one by one; the generation itself is held while the statement runs
            gathering.end()
            stand.cover(begin, end)

    def use(self, wanted: Wanted) -> None:
        """What is here of it is read again, as it was given out before."""
        key = wanted.link, wanted.incarnation, wanted.generation
        if key in self._stands:  # of a link without values there is nothing here
            self._stands.move_to_end(key)
            self._used.add(key)

    def tidy(self) -> bool:
        """A statement has ended: lets go of generations of its links that it did not read, and of what was used least recently if there is too much.
        Whether it let go of any.

        What is mapped keeps its file from being used again, and a generation that nobody asks for any more has been replaced by another one.
        """
        before = len(self._stands)
        links = {link for link, _, _ in self._used}
        for key in [key for key in self._stands if key[0] in links and key not in self._used]:
            del self._stands[key]
        self._used.clear()
        values = sum(stand.values for stand in self._stands.values())
        while (values > SHELF_VALUES_MAX or len(self._stands) > LINKS_MAX) and len(self._stands) > 1:
            values -= self._stands.popitem(last=False)[1].values
        return len(self._stands) < before

    def laid(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch in a mapped file, if it is large. Raises StorageFailed, QueryInvalid where there is no room."""
        size_bytes = pa.ipc.get_record_batch_size(batch)
        if size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
            return batch
        if size_bytes > self._spill_left_bytes:
            raise QueryInvalid("the query reads more than there is temporary disk for: read fewer values, or make room on the volume")
        self._spill_left_bytes -= size_bytes
        path = self._directory / f"{secrets.token_hex(8)}.arrows"
        try:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
                mapped = reader.read_next_batch()
            path.unlink()
        except OSError as error:
            raise StorageFailed(f"the query could not write the rows it reads to its private files: {error.strerror or error}") from None
        return mapped


class Gathering:
    """Values that come one behind the other, from the sequence `first` on: mapped ones are blocks as they are, others are gathered. `end` it."""

    def __init__(self, shelf: Shelf, stand: Stand, first: int) -> None:
        self._shelf = shelf
        self._stand = stand
        self._message = b""
        self._at = next((index for index, block in enumerate(stand.blocks) if block.first_sequence > first), len(stand.blocks))
        self._waiting: list[pa.RecordBatch] = []
        self._origins: list[Origin] = []
        self._rows = 0
        self._bytes = 0
        self._resume()

    def widen(self, message: bytes) -> None:
        """What comes from now on has this schema message, and what came before takes it too. Raises SchemaMismatch."""
        if message == self._message:
            return
        self._message = message
        schema = link_schema(message, self._stand.link)
        if not schema.equals(self._stand.schema):
            self.end()
            self._stand.conformed(schema)

    def add(self, arrived: Arrived) -> None:
        """The next value; one that is gathered is looked at. Raises SchemaMismatch, StateDamaged, InvalidArgument."""
        if isinstance(arrived.payload, Region) and arrived.size_bytes > INLINE_PAYLOAD_MAX_BYTES:
            self.end()
            self._put(Block(self._stand.link, self._stand.schema, arrived, [_origin(arrived, 0)]))
            return
        batch = arrived.batch(validate=True)
        if not batch.schema.equals(self._stand.schema):
            batch = in_schema(batch, self._stand.schema, link=self._stand.link)
        self._origins.append(_origin(arrived, self._rows))
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += arrived.size_bytes
        if self._rows >= ROWS_PER_VALUE or self._bytes >= SPILL_BATCH_BYTES:
            self.end()
        elif len(self._waiting) >= SPILL_GATHERED_VALUES:
            self._waiting = _one(self._waiting)

    def end(self) -> None:
        """What was gathered is a block."""
        if self._origins:
            [batch] = _one(self._waiting)
            self._put(Block(self._stand.link, self._stand.schema, self._shelf.laid(batch), self._origins, is_gathered=True))
        self._waiting, self._origins, self._rows, self._bytes = [], [], 0, 0

    def _put(self, block: Block) -> None:
        self._stand.blocks.insert(self._at, block)
        self._at += 1

    def _resume(self) -> None:
        """A small block right before is filled up, so that a link that grows value by value does not become one of tiny blocks."""
        before = self._stand.blocks[self._at - 1] if self._at else None
        if before is None or not before.is_gathered or before.batch().num_rows >= ROWS_PER_VALUE // 2:
            return
        if before.batch().nbytes >= SPILL_BATCH_BYTES // 2:
            return
        self._at -= 1
        del self._stand.blocks[self._at]
        self._waiting, self._origins = [before.batch()], list(before.origins)
        self._rows, self._bytes = before.batch().num_rows, before.batch().nbytes


def link_schema(message: bytes, link: str) -> pa.Schema:
    """The columns of a link as a table. Raises SchemaMismatch for one without columns, or of a type that DuckDB lacks."""
    if not message:
        raise SchemaMismatch(f"{link} has no columns: nothing was published to it; give links.{link}.schema")
    return readable_schema(plain_schema(pa.ipc.read_schema(pa.py_buffer(message))), link)


async def committed(connection: Connection) -> pa.Table:
    """What was committed, as the table of that name; read anew each time, for it has no end that is known beforehand."""
    batches: list[pa.RecordBatch] = []
    schema = b""
    assembler = Assembler()
    async with connection.receive(READ, pb.ReadRequest(link=COMMITS_LINK, format=ARROW)) as stream:
        while (message := await stream.read()) is not None:
            if message.WhichOneof("message") == "opened":
                schema = bytes(message.opened.schema)
            elif (arrived := assembler.take(message)) is not None:
                batches.append(arrived.batch(validate=True))
    return pa.Table.from_batches(batches, pa.ipc.read_schema(pa.py_buffer(schema)))


def _origin(arrived: Arrived, first_row: int) -> Origin:
    envelope = arrived.header.envelope
    return Origin(envelope.position.sequence, envelope.created_at_ns, envelope.task, bytes(envelope.id), first_row)


def _one(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The same rows in one batch."""
    if len(batches) == 1:
        return [batches[0]]
    combined = pa.Table.from_batches(batches).combine_chunks()
    columns = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in combined.columns]
    return [pa.RecordBatch.from_arrays(columns, schema=combined.schema)]


def _part(block: Block, first: int, last: int) -> Block:
    if first <= block.first_sequence and block.last_sequence <= last:
        return block
    origins = [origin for origin in block.origins if first <= origin.sequence <= last]
    if not origins:
        return Block(block.link, block.schema, block.batch().slice(0, 0), origins, block.is_gathered)
    begin = origins[0].first_row
    behind = next((origin.first_row for origin in block.origins if origin.sequence > last), block.batch().num_rows)
    moved = [Origin(one.sequence, one.created_at_ns, one.task, one.identity, one.first_row - begin) for one in origins]
    return Block(block.link, block.schema, block.batch().slice(begin, behind - begin), moved, block.is_gathered)
