"""Files of DuckDB. One process at a time may have such a file open; whoever comes second is told that it is taken, and asks again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from linkd.errors import Conflict, DataFault, Error, InvalidArgument, PlaceAway, SchemaMismatch, StorageFailed
from linkd.limits import MIB, QUERY_MEMORY_MAX_BYTES, ROWS_PER_VALUE
from linkd.plugin.column_types import CastLoses, plain_array, plain_type
from linkd_adapters.sql.database import Column, Database, Session
from linkd_adapters.sql.file_session import FileSession
from linkd_adapters.sql.location import SqlLocation, Table, literal

_UTC = pa.timestamp("us", tz="UTC")
_PLAIN = {
    "BOOLEAN": pa.bool_(), "TINYINT": pa.int8(), "SMALLINT": pa.int16(), "INTEGER": pa.int32(), "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(), "USMALLINT": pa.uint16(), "UINTEGER": pa.uint32(), "UBIGINT": pa.uint64(), "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "BLOB": pa.binary(), "DATE": pa.date32(), "TIME": pa.time64("us"),
    "TIMESTAMP_S": pa.timestamp("s"), "TIMESTAMP_MS": pa.timestamp("ms"), "TIMESTAMP": pa.timestamp("us"), "TIMESTAMP_NS": pa.timestamp("ns"),
    "TIMESTAMP WITH TIME ZONE": _UTC,
}  # fmt: skip
_NEW = {kind: name for name, kind in _PLAIN.items()}
_AS_TEXT = re.compile(r"UUID|JSON|INTERVAL|BIT|ENUM\(.*\)", re.DOTALL)
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_WRITTEN_OUT = re.compile(r"'[^']*'")


class DuckdbSession(FileSession):
    """See the module."""

    refusals = duckdb.Error

    def _connected(self, *, reading: bool) -> Any:
        connection = duckdb.connect(str(self._location.path))
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET memory_limit = '{QUERY_MEMORY_MAX_BYTES // MIB}MiB'")
        return connection

    def _failed(self, error: Exception) -> Error:
        return _failed(self._location, error)

    def begin(self, *, reading: bool = False) -> None:
        self.execute("BEGIN")

    def tables(self) -> list[Table]:
        found = self.rows(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
        )
        return [Table(name, "" if schema == "main" else schema) for schema, name in found]

    def columns(self, table: Table) -> tuple[Column, ...]:
        found = self.rows(
            "SELECT column_name, data_type, NOT is_nullable AND column_default IS NULL FROM duckdb_columns() "
            f"WHERE table_name = {literal(table.name)} AND schema_name = {literal(table.schema or 'main')} AND NOT internal "
            "AND database_name = current_database() ORDER BY column_index"
        )
        kinds = self._kinds(table.quoted) if found else {}
        return tuple(_column(name, declared, kinds.get(name), required=required) for name, declared, required in found)

    def described(self, relation: str) -> tuple[Column, ...]:
        kinds = self._kinds(relation)
        return tuple(_column(row[0], row[1], kinds[row[0]]) for row in self.rows(f"DESCRIBE SELECT * FROM {relation}"))

    def read(self, columns: Sequence[Column], rest: str) -> Iterator[pa.RecordBatch]:
        taken = ", ".join(f"CAST({one.quoted} AS VARCHAR) AS {one.quoted}" if one.as_text else one.quoted for one in columns)
        schema = pa.schema([(column.name, column.carrier) for column in columns])
        with self._translated():
            reader = self._open.sql(f"SELECT {taken} {rest}").to_arrow_reader(ROWS_PER_VALUE)
        while True:
            with self._translated():
                batch = next(reader, None)
            if batch is None:
                return
            arrays = [self._carried(array, column) for array, column in zip(batch.columns, columns, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def load(self, table: Table, columns: Sequence[Column], batch: pa.RecordBatch, *, temporary: bool = False) -> None:
        names = ", ".join(column.quoted for column in columns)
        with self._translated():
            self._open.register("linkd_batch", pa.Table.from_batches([batch]))
            try:
                self._open.execute(f"INSERT INTO {table.quoted} ({names}) SELECT {names} FROM linkd_batch")
            finally:
                with contextlib.suppress(duckdb.Error):  # a transaction that has failed takes it along
                    self._open.unregister("linkd_batch")

    def is_unique(self, table: Table, key: Sequence[str]) -> bool:
        place = f"table_name = {literal(table.name)} AND schema_name = {literal(table.schema or 'main')}"
        constraints = self.rows(
            f"SELECT constraint_column_names FROM duckdb_constraints() WHERE {place} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')"
        )
        indexes = self.rows(f"SELECT expressions FROM duckdb_indexes() WHERE {place} AND is_unique")
        found = [set(names) for (names,) in constraints] + [set(re.findall(r"[^\[\],'\" ]+", text)) for (text,) in indexes]
        return set(key) in found

    def attached(self, table: Table) -> str:
        place = f"table_name = {literal(table.name)} AND schema_name = {literal(table.schema or 'main')}"
        found = self.rows(
            f"SELECT 'index ' || index_name FROM duckdb_indexes() WHERE {place} UNION ALL SELECT 'constraint' FROM duckdb_constraints() "
            f"WHERE {place} AND constraint_type <> 'NOT NULL' UNION ALL SELECT 'comment' FROM duckdb_tables() WHERE {place} AND comment IS NOT NULL"
        )
        return str(found[0][0]) if found else ""

    def _kinds(self, relation: str) -> dict[str, pa.DataType]:
        with self._translated():
            reader = self._open.sql(f"SELECT * FROM {relation} LIMIT 0").to_arrow_reader(1)
        return {field.name: plain_type(field.type) for field in reader.schema}

    def _carried(self, array: pa.Array, column: Column) -> pa.Array:
        try:
            plain = plain_array(array)
            return plain if plain.type == column.carrier else pc.cast(plain, column.carrier, safe=True)
        except (CastLoses, pa.ArrowInvalid) as error:
            raise SchemaMismatch(
                f"{self._location.shown}: column {column.name} is {column.declared}, and has a value that {column.carrier} does not hold"
            ) from error


class DuckdbFile(Database):
    """See the module."""

    @property
    def title(self) -> str:
        return "DuckDB"

    def connect(self, location: SqlLocation, *, reading: bool = False) -> Session:
        return DuckdbSession(location, reading=reading)

    def column_of(self, name: str, kind: pa.DataType) -> Column | None:
        declared = _declared(kind)
        if declared is None:
            return None
        carrier = {pa.null(): pa.string()}.get(kind, _UTC if pa.types.is_timestamp(kind) and kind.tz else kind)
        return Column(name, declared, pa.time64("us") if pa.types.is_time(kind) else carrier)

    def unfit(self, array: pa.Array, column: Column) -> tuple[int, str] | None:
        return None


def _declared(kind: pa.DataType) -> str | None:
    """The type of a column of DuckDB for a plain type of a link."""
    types = pa.types
    if kind in _NEW:
        return _NEW[kind]
    if types.is_null(kind):
        return "VARCHAR"
    if types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE"
    if types.is_time(kind):
        return "TIME"
    if types.is_decimal128(kind) and 0 <= kind.scale <= kind.precision:
        return f"DECIMAL({kind.precision},{kind.scale})"
    if types.is_list(kind):
        item = _declared(kind.value_type)
        return None if item is None else f"{item}[]"
    if types.is_struct(kind):
        fields = [(field.name.replace('"', '""'), _declared(field.type)) for field in kind]
        return (
            None
            if not fields or any(one is None for _, one in fields)
            else "STRUCT(" + ", ".join(f'"{name}" {one}' for name, one in fields) + ")"
        )
    return None


def _column(name: str, declared: str, kind: pa.DataType | None, *, required: bool = False) -> Column:
    if declared in _PLAIN:
        return Column(name, declared, _PLAIN[declared], required=required)
    if (bounds := _DECIMAL.fullmatch(declared)) is not None:
        return Column(name, declared, pa.decimal128(int(bounds[1]), int(bounds[2])), required=required)
    if _AS_TEXT.fullmatch(declared):
        return Column(name, declared, pa.string(), as_text=True, required=required)
    if kind is not None and _declared(kind) is not None and (declared.endswith("[]") or declared.startswith("STRUCT")):
        return Column(name, declared, kind, required=required)
    refusal = "linkd cannot take it as it is; give a query: that casts it, or leaves it out"
    return Column(name, declared, None, required=required, refusal=refusal)


def _failed(location: SqlLocation, error: Exception) -> Error:
    said = " ".join(str(error).split())
    shown = location.shown
    if isinstance(error, duckdb.IOException) and "lock" in said.lower():
        return PlaceAway(f"{shown}: another program has the file open: {said}")
    if isinstance(error, duckdb.TransactionException):
        return PlaceAway(f"{shown}: somebody else is at it: {said}")
    if isinstance(error, duckdb.ConstraintException):
        if "uplicate key" in said:
            return Conflict(f"{shown}: a row is there already; `mode: upsert` with `key:` replaces rows instead of adding them")
        return DataFault(f"{shown}: a row that comes breaks a constraint of the table")
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException | duckdb.DataError):
        return SchemaMismatch(f"{shown}: a value does not fit its column: {_WRITTEN_OUT.sub('...', said)}")
    if isinstance(error, duckdb.IOException):
        return StorageFailed(f"{shown}: {said}")
    return InvalidArgument(f"{shown}: DuckDB refuses: {said}")
