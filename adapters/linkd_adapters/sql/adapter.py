"""The SQL adapter: which database a URL names, and what its options mean. Drivers, and with them pyarrow, are loaded on first use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from linkd.errors import InvalidArgument, MissingExtra
from linkd.limits import ROWS_PER_VALUE
from linkd.plugin.contract import Adapter, CsvDialect, LinkOptions, Role, Sink, Source, ValueSink
from linkd.plugin.type_words import schema_problem
from linkd_adapters.sql.location import SqlLocation, Table, locate, password_problem

if TYPE_CHECKING:
    from linkd_adapters.sql.database import Database

_MODES = ("replace", "append", "upsert")


class SqlAdapter(Adapter):
    """Tables of PostgreSQL, SQLite and DuckDB. A source's batches have `rows_per_batch` rows, or fewer where they are large."""

    def __init__(self, rows_per_batch: int = ROWS_PER_VALUE) -> None:
        self._rows_per_batch = rows_per_batch

    @property
    def formats(self) -> tuple[str, ...]:
        return ()

    def check(self, options: LinkOptions, role: Role) -> list[str]:
        try:
            location = locate(options)
        except InvalidArgument as error:
            return [str(error)]
        problems = list(_problems(options, location, role))
        if role is Role.SOURCE and location.path is not None and not location.path.exists():
            problems.append(f"links.{options.link}.from: {options.shown}: there is no file {location.path}")
        return problems

    def source(self, options: LinkOptions) -> Source:
        location = _usable(options, Role.SOURCE)
        database = _database(location.scheme)
        if options.key:
            from linkd_adapters.sql.incremental import IncrementalSource

            return IncrementalSource(options, location, database, self._rows_per_batch)
        from linkd_adapters.sql.source import WholeSource

        return WholeSource(options, location, database, self._rows_per_batch)

    def sink(self, options: LinkOptions) -> Sink:
        location = _usable(options, Role.SINK)
        from linkd_adapters.sql.replace_sink import TableSink

        return TableSink(options, location, _table(location), _database(location.scheme))

    def value_sink(self, options: LinkOptions) -> ValueSink:
        location = _usable(options, Role.SINK)
        from linkd_adapters.sql.value_sink import TableValueSink

        return TableValueSink(options, location, _table(location), _database(location.scheme))


def _usable(options: LinkOptions, role: Role) -> SqlLocation:
    location = locate(options)
    for problem in _problems(options, location, role):
        raise InvalidArgument(problem)
    return location


def _table(location: SqlLocation) -> Table:
    assert location.table is not None, "a sink without a table is refused by _problems"
    return location.table


def _problems(options: LinkOptions, location: SqlLocation, role: Role) -> Iterator[str]:
    """What the options say that cannot be, without a look at the database."""
    link = f"links.{options.link}"
    if (problem := password_problem(options)) is not None:
        yield problem
    if role is Role.SINK and location.table is None:
        yield f"{link}.to: {options.shown} names no table; write ?table=NAME behind it"
    if role is Role.SOURCE and location.table is None and options.query is None:
        yield f"{link}.from: {options.shown} names no table; write ?table=NAME behind it, or say query: SELECT ..."
    if role is Role.SOURCE and location.table is not None and options.query is not None:
        yield f"{link}.query: {options.shown} names a table, too; take one of them out"
    if role is Role.SINK and options.mode not in _MODES:
        yield f"{link}.mode: a table is no directory, and has no parts; say mode: replace, append or upsert"
    if role is Role.SINK and options.mode == "upsert" and not options.key:
        yield f"{link}.mode: upsert needs the columns that say which row it is; say key: COLUMN"
    if location.scheme != "postgresql" and location.table is not None and location.scheme == "sqlite" and location.table.schema:
        yield f"{link}: a file of SQLite has no schemas; write ?table={location.table.name}"
    if options.format is not None:
        yield f"{link}.format: a table has none; remove it"
    if options.on_bad_row != "stop":
        yield f"{link}.on_bad_row: rows of a table have types, so none of them is bad; remove it"
    if options.dialect != CsvDialect() or options.nulls:
        yield f"{link}: header, separator, quote, encoding, decimal and nulls are for text files; remove them"
    if (problem := schema_problem(options)) is not None:
        yield problem


def _database(scheme: str) -> Database:
    try:
        match scheme:
            case "sqlite":
                from linkd_adapters.sql.sqlite_file import SqliteFile

                return SqliteFile()
            case "duckdb":
                from linkd_adapters.sql.duckdb_file import DuckdbFile

                return DuckdbFile()
            case _:
                from linkd_adapters.sql.postgres import Postgres

                return Postgres()
    except ImportError as error:
        extra = "sql" if scheme == "duckdb" else "postgres"
        raise MissingExtra(f"{scheme}:// needs a package that is not installed ({error.name}): pip install 'linkd[{extra}]'") from error
