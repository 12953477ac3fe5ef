"""The answers to Flight SQL's questions of what there is: catalogs, schemas, tables, keys. Pure, by way of pyarrow: imported when one is asked.

A pipeline is one catalog, of its own name, with one schema, `links`, in which every link is a table. Statements may name both before the
name of a link, and need not. Links have no keys, so the answers about these have columns and no rows. The schemas are those that Flight SQL
specifies for each command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from linkd.core.names import DB_SCHEMA
from linkd.core.search_pattern import matches
from linkd.faces.flight_sql_types import described
from linkd.model.frozen import frozen

TABLE = "TABLE"
SYSTEM_TABLE = "SYSTEM TABLE"


def _text(name: str, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, pa.string(), nullable=nullable)


CATALOGS = pa.schema([_text("catalog_name", nullable=False)])
DB_SCHEMAS = pa.schema([_text("catalog_name"), _text("db_schema_name", nullable=False)])
TABLES = pa.schema(
    [_text("catalog_name"), _text("db_schema_name"), _text("table_name", nullable=False), _text("table_type", nullable=False)]
)
TABLES_WITH_SCHEMAS = TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
TABLE_TYPES = pa.schema([_text("table_type", nullable=False)])
PRIMARY_KEYS = pa.schema(
    [
        *(_text("catalog_name"), _text("db_schema_name"), _text("table_name", nullable=False), _text("column_name", nullable=False)),
        *(_text("key_name"), pa.field("key_sequence", pa.int32(), nullable=False)),
    ]
)
FOREIGN_KEYS = pa.schema(
    [
        *(_text("pk_catalog_name"), _text("pk_db_schema_name"), _text("pk_table_name", nullable=False)),
        *(_text("pk_column_name", nullable=False), _text("fk_catalog_name"), _text("fk_db_schema_name")),
        *(_text("fk_table_name", nullable=False), _text("fk_column_name", nullable=False)),
        *(pa.field("key_sequence", pa.int32(), nullable=False), _text("fk_key_name"), _text("pk_key_name")),
        *(pa.field("update_rule", pa.uint8(), nullable=False), pa.field("delete_rule", pa.uint8(), nullable=False)),
    ]
)


@frozen()
class Table:
    """A link as metadata tells of it. `schema` is its schema message, empty while it has no columns."""

    name: str
    type: str
    schema: bytes


@frozen()
class Catalog:
    """What one caller may see of a pipeline."""

    name: str
    tables: Sequence[Table]


def catalogs(catalog: Catalog, command: Any) -> pa.RecordBatch:
    """Answers CommandGetCatalogs."""
    return _batch([{"catalog_name": catalog.name}], CATALOGS)


def db_schemas(catalog: Catalog, command: Any) -> pa.RecordBatch:
    """Answers CommandGetDbSchemas."""
    found = _is_catalog(catalog, command) and matches(_optional(command, "db_schema_filter_pattern"), DB_SCHEMA)
    return _batch([{"catalog_name": catalog.name, "db_schema_name": DB_SCHEMA}] if found else [], DB_SCHEMAS)


def tables(catalog: Catalog, command: Any) -> pa.RecordBatch:
    """Answers CommandGetTables."""
    schema = TABLES_WITH_SCHEMAS if command.include_schema else TABLES
    if not _is_catalog(catalog, command) or not matches(_optional(command, "db_schema_filter_pattern"), DB_SCHEMA):
        return _batch([], schema)
    pattern, types = _optional(command, "table_name_filter_pattern"), set(command.table_types)
    found = [table for table in catalog.tables if matches(pattern, table.name) and (not types or table.type in types)]
    return _batch([_table_row(catalog, table, with_schema=command.include_schema) for table in found], schema)


def table_types(catalog: Catalog, command: Any) -> pa.RecordBatch:
    """Answers CommandGetTableTypes."""
    return _batch([{"table_type": name} for name in sorted((TABLE, SYSTEM_TABLE))], TABLE_TYPES)


def primary_keys(catalog: Catalog, command: Any) -> pa.RecordBatch:
    """Answers CommandGetPrimaryKeys: there are none."""
    return _batch([], PRIMARY_KEYS)


def foreign_keys(catalog: Catalog, command: Any) -> pa.RecordBatch:
    """Answers CommandGetExportedKeys, CommandGetImportedKeys and CommandGetCrossReference: there are none."""
    return _batch([], FOREIGN_KEYS)


ANSWERS: Mapping[str, Callable[[Catalog, Any], pa.RecordBatch]] = {
    "CommandGetCatalogs": catalogs,
    "CommandGetDbSchemas": db_schemas,
    "CommandGetTables": tables,
    "CommandGetTableTypes": table_types,
    "CommandGetPrimaryKeys": primary_keys,
    "CommandGetExportedKeys": foreign_keys,
    "CommandGetImportedKeys": foreign_keys,
    "CommandGetCrossReference": foreign_keys,
}


def _table_row(catalog: Catalog, table: Table, *, with_schema: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "catalog_name": catalog.name,
        "db_schema_name": DB_SCHEMA,
        "table_name": table.name,
        "table_type": table.type,
    }
    if with_schema:
        columns = pa.ipc.read_schema(pa.py_buffer(table.schema)) if table.schema else pa.schema([])
        row["table_schema"] = described(columns).serialize().to_pybytes()
    return row


def _is_catalog(catalog: Catalog, command: Any) -> bool:
    """An empty name asks for what has no catalog, which nothing here is."""
    return not command.HasField("catalog") or command.catalog == catalog.name


def _optional(command: Any, name: str) -> str | None:
    return str(getattr(command, name)) if command.HasField(name) else None


def _batch(rows: Iterable[Mapping[str, object]], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=schema)
