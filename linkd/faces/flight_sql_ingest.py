"""Bulk ingest of Flight SQL: all batches of a call become one publish of a link, so that all of its rows are there or none."""

from __future__ import annotations

from typing import Any

from linkd.errors import Conflict, InvalidArgument, NotSupported
from linkd.faces.call import Call
from linkd.faces.flight_put import publish_whole
from linkd.faces.flight_sql_session import check_place
from linkd.faces.flight_uploads import Upload
from linkd.faces.links import LinksService
from linkd.home.home import Home
from linkd.wire.v1 import flight_sql_pb2 as pb

Options = pb.CommandStatementIngest.TableDefinitionOptions


async def ingest(links: LinksService, call: Call, command: Any, upload: Upload) -> int:
    """The rows of `upload`, into the link that a CommandStatementIngest names; how many there were, once they are durable.

    Raises NotSupported and InvalidArgument for what the command asks, LinkNotFound, NotAllowed, Conflict if the link may not hold anything yet,
    SchemaMismatch.
    """
    home = links.home
    _check(home, command)
    how = command.table_definition_options
    if not _is_known(home, command.table) and how.if_not_exist == Options.TABLE_NOT_EXIST_OPTION_FAIL:
        home.check_link(command.table)

    def check() -> None:
        if how.if_exists == Options.TABLE_EXISTS_OPTION_FAIL and _holds_values(home, command.table):
            raise Conflict(f"{command.table} holds values already: append to it (mode `append` or `create_append`), or name another link")

    check()  # before rows come for nothing, and again when they have come, for another ingest may have been quicker
    replaces = how.if_exists == Options.TABLE_EXISTS_OPTION_REPLACE and _holds_values(home, command.table)
    return (await publish_whole(links, call, command.table, upload, replaces=replaces, check=check)).rows


def _check(home: Home, command: Any) -> None:
    if command.HasField("transaction_id"):
        raise NotSupported("linkd has no transactions: an ingest is one commit by itself, so leave the transaction away")
    if command.temporary:
        raise NotSupported("linkd has no temporary tables: ingest into a link, or write WITH name AS (...) in the query")
    if command.options:
        raise NotSupported(f"linkd has no options of an ingest: leave away {', '.join(sorted(command.options))}")
    check_place(home, command.catalog, command.schema)
    how = command.table_definition_options
    if not how.if_not_exist or not how.if_exists:
        raise InvalidArgument(
            "an ingest says what becomes of it if the table is there, and if it is not: create, append, replace, create_append"
        )


def _is_known(home: Home, link: str) -> bool:
    return link in home.layout.links or link in home.ledger.links


def _holds_values(home: Home, link: str) -> bool:
    """Whether there is anything in the link: one that the pipeline file names and nobody has written to is still to be created."""
    known = home.ledger.links.get(link)
    return known is not None and any(generation.values for generation in known.generations.values())
