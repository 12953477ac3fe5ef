"""Flight SQL's metadata commands: what the caller may see of the home, gathered on the loop, and made into Arrow off it.

pyarrow is imported when the first of them comes: a home that nobody asks has it not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from linkd.core.dead_letters import is_dead_link
from linkd.core.names import COMMITS_LINK
from linkd.core.rights import Identity, Role
from linkd.errors import NotAllowed
from linkd.home.home import Home
from linkd.limits import METADATA_MESSAGE_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.store.directory import linkd_version
from linkd.wire.flight_sql import SqlMessage
from linkd.wire.v1 import flight_sql_pb2 as pb

if TYPE_CHECKING:
    import pyarrow as pa

COMMANDS = {
    "CommandGetSqlInfo": pb.CommandGetSqlInfo,
    "CommandGetXdbcTypeInfo": pb.CommandGetXdbcTypeInfo,
    "CommandGetCatalogs": pb.CommandGetCatalogs,
    "CommandGetDbSchemas": pb.CommandGetDbSchemas,
    "CommandGetTables": pb.CommandGetTables,
    "CommandGetTableTypes": pb.CommandGetTableTypes,
    "CommandGetPrimaryKeys": pb.CommandGetPrimaryKeys,
    "CommandGetExportedKeys": pb.CommandGetExportedKeys,
    "CommandGetImportedKeys": pb.CommandGetImportedKeys,
    "CommandGetCrossReference": pb.CommandGetCrossReference,
}


@frozen()
class Answer:
    """Rows as encapsulated Arrow messages: the schema, and record batches."""

    schema: bytes
    batches: tuple[bytes, ...]

    def messages(self) -> tuple[bytes, ...]:
        return (self.schema, *self.batches)


async def schema(message: SqlMessage) -> bytes:
    """The schema message of what a command of `COMMANDS` asks for. Raises InvalidArgument."""
    command = message.as_a(COMMANDS[message.name])
    return (await asyncio.to_thread(_made, message.name, command, _Sights("", is_read_only=True, links=[], reads_commits=False))).schema


async def answer(home: Home, who: Identity, message: SqlMessage) -> Answer:
    """What a command of `COMMANDS` asks for, as far as `who` may see it. Raises InvalidArgument."""
    command = message.as_a(COMMANDS[message.name])
    sights = _Sights(home.layout.name, _is_read_only(home, who), list(_tables(home, who)), _reads_commits(home, who))
    return await asyncio.to_thread(_made, message.name, command, sights)


async def inserted(rows: int) -> Answer:
    """The answer to an INSERT that was asked for as a query: how many rows it inserted."""
    return await asyncio.to_thread(_count, rows)


@frozen()
class _Link:
    name: str
    schema: bytes


@frozen()
class _Sights:
    """What one caller sees."""

    pipeline: str
    is_read_only: bool
    links: list[_Link]
    reads_commits: bool


def _tables(home: Home, who: Identity) -> Iterator[_Link]:
    for name in sorted({*home.layout.links, *home.ledger.links}):
        try:
            home.rights.describe(who, name)
        except NotAllowed:  # asking what there is is not asking for it: nothing was refused
            continue
        shape, link = home.layout.links.get(name), home.ledger.links.get(name)
        generation = (link.readable or link.current) if link is not None else None
        declared = shape.declared[1] if shape is not None and shape.declared is not None else b""
        yield _Link(name, (generation.schema if generation is not None else b"") or declared)


def _reads_commits(home: Home, who: Identity) -> bool:
    try:
        home.rights.read(who, COMMITS_LINK)
    except NotAllowed:
        return False
    return True


def _is_read_only(home: Home, who: Identity) -> bool:
    return who.role is not Role.OUTSIDER or not (home.layout.anyone or home.layout.open_links)


def _made(name: str, command: Any, sights: _Sights) -> Answer:
    from linkd.faces.flight_sql_catalog import ANSWERS, SYSTEM_TABLE, TABLE, Catalog, Table
    from linkd.faces.flight_sql_info import ServerFacts, sql_info
    from linkd.faces.flight_sql_types import type_info
    from linkd.store.commit_rows import commit_schema

    if name == "CommandGetSqlInfo":
        return _messages(sql_info(command.info, ServerFacts(linkd_version(), sights.is_read_only)))
    if name == "CommandGetXdbcTypeInfo":
        return _messages(type_info(command.data_type if command.HasField("data_type") else None))
    tables = [Table(link.name, SYSTEM_TABLE if is_dead_link(link.name) else TABLE, link.schema) for link in sights.links]
    if sights.reads_commits:
        tables.insert(0, Table(COMMITS_LINK, SYSTEM_TABLE, commit_schema().serialize().to_pybytes()))
    return _messages(ANSWERS[name](Catalog(sights.pipeline, tables), command))


def _count(rows: int) -> Answer:
    import pyarrow as pa

    return _messages(pa.RecordBatch.from_pylist([{"Count": rows}], schema=pa.schema([pa.field("Count", pa.int64())])))


def _messages(batch: pa.RecordBatch) -> Answer:
    from linkd.core.payload import split

    pieces = split(batch, METADATA_MESSAGE_MAX_BYTES)
    return Answer(batch.schema.serialize().to_pybytes(), tuple(piece.serialize().to_pybytes() for piece in pieces))
