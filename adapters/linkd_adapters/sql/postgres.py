"""PostgreSQL, by its ADBC driver: rows go in and come out by COPY in its binary form, as Arrow.

A session that reads does so in one snapshot of the database, however long it takes; without parallel plans and shared scans, so that a table
that was not changed gives its rows in the same order every time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import adbc_driver_manager
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_postgresql import dbapi

from linkd.errors import SchemaMismatch
from linkd.limits import SQL_LOCK_WAIT_S
from linkd_adapters.sql.database import Column, Database, Session
from linkd_adapters.sql.location import SqlLocation, Table, literal
from linkd_adapters.sql.postgres_errors import connecting_failed, failed
from linkd_adapters.sql.postgres_types import carried, infinite, new_column, server_column, unfit

_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "client_min_messages": "error",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": f"{SQL_LOCK_WAIT_S:g}s",
}
_READING = {"max_parallel_workers_per_gather": "0", "synchronize_seqscans": "off"}
_COLUMNS = """
SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod), t.typtype = 'e', a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
       t.typtype = 'd', format_type(t.typbasetype, t.typtypmod), b.typname
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
WHERE a.attrelid = {relation} AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
ORDER BY a.attnum
"""
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_%'
"""
_UNIQUE = """
SELECT (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey))
FROM pg_index i WHERE i.indrelid = {relation} AND i.indisunique AND i.indnkeyatts = i.indnatts AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL
"""
_ATTACHED = """
SELECT 'view ' || v.relname FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
  WHERE d.refobjid = {relation} AND d.classid = 'pg_rewrite'::regclass
UNION ALL SELECT 'index ' || indexrelid::regclass FROM pg_index WHERE indrelid = {relation}
UNION ALL SELECT 'constraint ' || conname FROM pg_constraint WHERE conrelid = {relation} OR confrelid = {relation}
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = {relation} AND NOT tgisinternal
UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = {relation}
UNION ALL SELECT 'publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = {relation}
UNION ALL SELECT 'rights' FROM pg_class WHERE oid = {relation} AND relacl IS NOT NULL
UNION ALL SELECT 'comment' FROM pg_description WHERE objoid = {relation} AND classoid = 'pg_class'::regclass
UNION ALL SELECT 'partition' FROM pg_inherits WHERE inhrelid = {relation} OR inhparent = {relation}
LIMIT 1
"""
_WRITERS = """
SELECT coalesce('process ' || pid, 'a prepared transaction') || ' of the server (' || virtualtransaction || ')' FROM pg_locks
WHERE locktype = 'relation' AND relation = {relation} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND pid IS DISTINCT FROM pg_backend_pid() AND granted
  AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""


class PostgresSession(Session):
    """See the module."""

    def __init__(self, location: SqlLocation, *, reading: bool) -> None:
        self._connection: Any = None
        self._location = location
        try:
            self._connection = dbapi.connect(location.address, autocommit=True)
        except adbc_driver_manager.Error as error:
            raise connecting_failed(location, error) from None  # its text may hold what the address holds
        settings = {**_SETTINGS, **(_READING if reading else {})}
        self.rows("SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items()))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(adbc_driver_manager.Error):  # what is gone needs no end
                connection.close()

    def execute(self, statement: str) -> None:
        with self._cursor() as cursor, self._translated():
            cursor.executescript(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor, self._translated():
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]

    def begin(self, *, reading: bool = False) -> None:
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if reading else "BEGIN")

    def tables(self) -> list[Table]:
        return [Table(name, "" if schema == "public" else schema) for schema, name in self.rows(_TABLES)]

    def columns(self, table: Table) -> tuple[Column, ...]:
        found = self.rows(_COLUMNS.format(relation=_oid(table)))
        return tuple(
            server_column(name, base if is_domain else kind, base_declared if is_domain else declared, is_enum=is_enum, required=required)
            for name, kind, declared, is_enum, required, is_domain, base_declared, base in found
        )

    def has(self, table: Table) -> bool:
        return bool(self.rows(f"SELECT 1 WHERE {_oid(table)} IS NOT NULL"))

    def described(self, relation: str) -> tuple[Column, ...]:
        with self._cursor() as cursor, self._translated():
            schema = cursor.adbc_execute_schema(f"SELECT * FROM {relation}")
        return tuple(self._result_column(field) for field in schema)

    def read(self, columns: Sequence[Column], rest: str) -> Iterator[pa.RecordBatch]:
        lists = [column for column in columns if pa.types.is_list(column.carrier)]
        taken = ", ".join([*map(_expression, columns), *map(_is_no_list, lists)])
        schema = pa.schema([(column.name, column.carrier) for column in columns])
        first_row = 0
        with self._cursor() as cursor:
            with self._translated():
                cursor.execute(f"SELECT {taken} {rest}")
                reader = cursor.fetch_record_batch()
            while True:
                with self._translated():
                    batch = next(reader, None)
                if batch is None:
                    return
                self._require_lists(batch.columns[len(columns) :], lists, first_row)
                arrays = [self._carried(array, column, first_row) for array, column in zip(batch.columns, columns, strict=False)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
                first_row += batch.num_rows

    def load(self, table: Table, columns: Sequence[Column], batch: pa.RecordBatch, *, temporary: bool = False) -> None:
        with self._cursor() as cursor, self._translated():
            place = {} if temporary or not table.schema else {"db_schema_name": table.schema}
            cursor.adbc_ingest(table.name, batch, mode="append", temporary=temporary, **place)

    def is_unique(self, table: Table, key: Sequence[str]) -> bool:
        return any(set(found) == set(key) for (found,) in self.rows(_UNIQUE.format(relation=_oid(table))))

    def claim(self, table: Table) -> None:
        self.rows(f"SELECT pg_advisory_xact_lock(hashtextextended({literal(f'linkd {table.quoted}')}, 0))::text")

    def identity(self, table: Table) -> str:
        [(found,)] = self.rows(f"SELECT {_oid(table)}::oid::text")
        return found or ""

    def attached(self, table: Table) -> str:
        found = self.rows(_ATTACHED.format(relation=_oid(table)))
        return str(found[0][0]) if found else ""

    def writers(self, table: Table) -> frozenset[str]:
        return frozenset(str(name) for (name,) in self.rows(_WRITERS.format(relation=_oid(table))))

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            with contextlib.suppress(adbc_driver_manager.Error):
                cursor.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
            raise failed(self._location, error) from None  # a driver's text may hold values

    def _result_column(self, field: pa.Field) -> Column:
        said = {name.decode(): value.decode() for name, value in (field.metadata or {}).items()}
        kind, modifier = said.get("POSTGRESQL:type", ""), int(said.get("POSTGRESQL:typmod", "-1"))
        if kind == "numeric" and modifier >= 0:
            scale = ((modifier - 4) & 0x7FF ^ 0x400) - 0x400
            return server_column(field.name, kind, f"numeric({(modifier - 4) >> 16},{scale})")
        if kind.startswith("unnamed<oid:"):
            oid = kind.removeprefix("unnamed<oid:").removesuffix(">")
            [(kind,)] = self.rows(f"SELECT typname FROM pg_type WHERE oid = {oid}")
        column = server_column(field.name, kind, kind[1:] + "[]" if kind.startswith("_") else kind)
        if column.carrier is None and self.rows(f"SELECT 1 FROM pg_type WHERE typname = {literal(kind)} HAVING bool_and(typtype = 'e')"):
            return server_column(field.name, kind, kind, is_enum=True)
        return column

    def _require_lists(self, found: Sequence[pa.Array], columns: Sequence[Column], first_row: int) -> None:
        for is_none, column in zip(found, columns, strict=True):
            row = pc.index(is_none, True).as_py()
            if row >= 0:
                raise self._refused(column, first_row + row, "an array of several dimensions, or one that does not begin at 1")

    def _carried(self, array: pa.Array, column: Column, first_row: int) -> pa.Array:
        try:
            result = carried(array, column)
            row = infinite(result)
            reason = "infinity, or a time behind the year 294246, which a link has no form for"
        except pa.ArrowInvalid:
            row, reason = _first_unfit(array, column), f"a number that {column.carrier} does not hold (NaN, infinity, or too many digits)"
        if row is None:
            return result
        raise self._refused(column, first_row + row, reason)

    def _refused(self, column: Column, row: int, what: str) -> SchemaMismatch:
        return SchemaMismatch(
            f"{self._location.shown}: column {column.name} is {column.declared}, row {row + 1:,}: it has {what}; "
            "leave such rows out, or change them, in query:"
        )


class Postgres(Database):
    """See the module."""

    @property
    def title(self) -> str:
        return "PostgreSQL"

    def connect(self, location: SqlLocation, *, reading: bool = False) -> Session:
        return PostgresSession(location, reading=reading)

    def column_of(self, name: str, kind: pa.DataType) -> Column | None:
        return new_column(name, kind)

    def unfit(self, array: pa.Array, column: Column) -> tuple[int, str] | None:
        return unfit(array, array.type)


def _expression(column: Column) -> str:
    if column.as_text:
        return f"{column.quoted}::text AS {column.quoted}"
    return column.quoted


def _is_no_list(column: Column) -> str:
    """The driver makes one flat list of any array; this tells where that would lose something."""
    return f"coalesce(array_ndims({column.quoted}) > 1 OR array_lower({column.quoted}, 1) <> 1, false)"


def _oid(table: Table) -> str:
    return f"to_regclass({literal(table.quoted)})"


def _first_unfit(array: pa.Array, column: Column) -> int:
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            carried(array.slice(low, middle - low), column)
        except pa.ArrowInvalid:
            high = middle
        else:
            low = middle
    return low
