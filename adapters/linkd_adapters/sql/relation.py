"""What is read: a table, or the rows of a query; its columns, and what stands in `from:` that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from linkd.errors import InvalidArgument
from linkd.plugin.column_types import declared_types
from linkd.plugin.contract import LinkOptions
from linkd_adapters.sql.database import Column, Session
from linkd_adapters.sql.fitting import declared_columns
from linkd_adapters.sql.location import SqlLocation, Table


@dataclass(frozen=True, slots=True)
class Relation:
    """`text` may stand behind FROM; `columns` are those that are read, with their carriers; `schema` is that of the link."""

    text: str
    columns: tuple[Column, ...]
    schema: pa.Schema

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def look(session: Session, options: LinkOptions, location: SqlLocation) -> Relation:
    """What the location and `query:` name, as it is now.

    Raises `InvalidArgument` for a table that is not there, and a query that the database does not understand; `SchemaMismatch` for columns.
    """
    if options.query is not None:
        text = f"(\n{options.query.strip().rstrip(';')}\n) AS linkd_query"
        found = session.described(text)
    else:
        assert location.table is not None
        text = location.table.quoted
        if not session.has(location.table):
            raise InvalidArgument(f"{location.shown}: there is no table {location.table.shown}{_instead(location.table, session.tables())}")
        found = session.described(text)
    declared = declared_types(options)
    columns = declared_columns(found, declared, location.shown)
    kinds = [(one.name, declared[one.name] if declared is not None else one.carrier) for one in columns]
    return Relation(text, columns, pa.schema(kinds))


def _instead(table: Table, tables: Sequence[Table]) -> str:
    names = [one.shown for one in tables]
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(table.shown.lower(), folded, n=1)
    if near:
        return f"; did you mean {folded[near[0]]}?"
    return f"; there are {', '.join(sorted(names)[:10])}" if names else "; there is none at all"
