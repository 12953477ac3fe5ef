"""What Flight SQL's metadata commands answer: the rows, and the schemas that the specification asks for. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.names import SQL_WORDS
from linkd.faces import flight_sql_catalog as catalog
from linkd.faces.flight_sql_catalog import ANSWERS, Catalog, Table
from linkd.faces.flight_sql_info import SQL_INFO, ServerFacts, sql_info
from linkd.faces.flight_sql_types import TYPE_INFO, TYPES, type_info, type_name
from linkd.limits import METADATA_MESSAGE_MAX_BYTES, SCHEMA_MAX_BYTES
from linkd.query.functions import SCALARS
from linkd.wire.v1 import flight_sql_pb2 as pb

COLUMNS = pa.schema([("carrier", pa.string()), ("price", pa.decimal128(10, 2))])
FLIGHTS = Catalog(
    "flights",
    [
        Table("_commits", "SYSTEM TABLE", COLUMNS.serialize().to_pybytes()),
        Table("air_lines", "TABLE", COLUMNS.serialize().to_pybytes()),
        Table("airxlines", "TABLE", b""),
    ],
)
FACTS = ServerFacts("1.2.3", read_only=False)


def _names(command: pb.CommandGetTables) -> list[str]:
    found = catalog.tables(FLIGHTS, command)
    found.validate(full=True)
    return [str(name) for name in found.column("table_name").to_pylist()]


def test_a_pipeline_is_a_catalog_with_one_schema() -> None:
    assert catalog.catalogs(FLIGHTS, pb.CommandGetCatalogs()).to_pylist() == [{"catalog_name": "flights"}]
    there = [{"catalog_name": "flights", "db_schema_name": "links"}]
    assert catalog.db_schemas(FLIGHTS, pb.CommandGetDbSchemas()).to_pylist() == there
    assert catalog.db_schemas(FLIGHTS, pb.CommandGetDbSchemas(catalog="flights", db_schema_filter_pattern="l%")).to_pylist() == there
    assert catalog.db_schemas(FLIGHTS, pb.CommandGetDbSchemas(catalog="")).num_rows == 0
    assert catalog.db_schemas(FLIGHTS, pb.CommandGetDbSchemas(db_schema_filter_pattern="main")).num_rows == 0


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["_commits", "air_lines", "airxlines"]),
        ({"table_name_filter_pattern": "air_lines"}, ["air_lines", "airxlines"]),
        ({"table_name_filter_pattern": "air\\_lines"}, ["air_lines"]),
        ({"table_name_filter_pattern": "%x%"}, ["airxlines"]),
        ({"table_types": ["SYSTEM TABLE"]}, ["_commits"]),
        ({"table_types": ["VIEW"]}, []),
        ({"catalog": "flights", "db_schema_filter_pattern": "link_"}, ["_commits", "air_lines", "airxlines"]),
        ({"catalog": "another"}, []),
        ({"db_schema_filter_pattern": ""}, []),
    ],
)
def test_tables_are_found_by_what_is_asked(asked: dict[str, Any], names: list[str]) -> None:
    assert _names(pb.CommandGetTables(**asked)) == names


def test_a_table_is_told_with_its_columns_and_what_sql_calls_their_types() -> None:
    found = catalog.tables(FLIGHTS, pb.CommandGetTables(include_schema=True, table_name_filter_pattern="air%")).to_pylist()
    schemas = [pa.ipc.read_schema(pa.py_buffer(row["table_schema"])) for row in found]
    assert schemas == [COLUMNS, pa.schema([])]
    told = schemas[0].field("price").metadata
    assert told[b"ARROW:FLIGHT:SQL:TYPE_NAME"] == b"DECIMAL(10,2)"
    assert (told[b"ARROW:FLIGHT:SQL:PRECISION"], told[b"ARROW:FLIGHT:SQL:SCALE"]) == (b"10", b"2")


def test_the_widest_table_there_may_be_fits_into_one_message() -> None:
    columns = pa.schema([(f"c{number}", pa.decimal128(10, 2)) for number in range(2_000)]).serialize().to_pybytes()
    found = catalog.tables(Catalog("flights", [Table("wide", "TABLE", columns)]), pb.CommandGetTables(include_schema=True))
    assert pa.ipc.get_record_batch_size(found) / len(columns) * SCHEMA_MAX_BYTES < METADATA_MESSAGE_MAX_BYTES


SPECIFIED = {
    "CommandGetCatalogs": "catalog_name: string not null",
    "CommandGetDbSchemas": "catalog_name: string|db_schema_name: string not null",
    "CommandGetTables": "catalog_name: string|db_schema_name: string|table_name: string not null|table_type: string not null",
    "CommandGetTableTypes": "table_type: string not null",
    "CommandGetPrimaryKeys": (
        "catalog_name: string|db_schema_name: string|table_name: string not null|column_name: string not null|key_name: string"
        "|key_sequence: int32 not null"
    ),
    **dict.fromkeys(
        ("CommandGetExportedKeys", "CommandGetImportedKeys", "CommandGetCrossReference"),
        "pk_catalog_name: string|pk_db_schema_name: string|pk_table_name: string not null|pk_column_name: string not null"
        "|fk_catalog_name: string|fk_db_schema_name: string|fk_table_name: string not null|fk_column_name: string not null"
        "|key_sequence: int32 not null|fk_key_name: string|pk_key_name: string|update_rule: uint8 not null|delete_rule: uint8 not null",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_has_the_schema_that_is_specified(name: str) -> None:
    answer: Callable[..., pa.RecordBatch] = ANSWERS[name]
    found = answer(FLIGHTS, getattr(pb, name)())
    assert "|".join(str(field).replace("pyarrow.Field<", "").rstrip(">") for field in found.schema) == SPECIFIED[name]


def test_all_that_is_known_of_the_server_is_told_if_nothing_is_asked_for() -> None:
    found = sql_info([], FACTS)
    found.validate(full=True)
    assert found.schema == SQL_INFO
    told = {row["info_name"]: row["value"] for row in found.to_pylist()}
    assert told[0] == "linkd"
    assert told[1] == "1.2.3"
    assert told[3] is False
    assert told[8] == 0  # no transactions
    assert told[10] is True  # bulk ingest
    assert told[504] == '"'
    assert "SELECT" in told[508]
    assert len(told[508]) == len(SQL_WORDS)
    assert told[517] == []
    assert list(told) == sorted(told)
    assert set(range(500, 577)) <= set(told)


@given(st.sets(st.sampled_from([0, 3, 100, 504, 509, 517, 557, 12_345])))
def test_only_what_was_asked_for_is_told(asked: set[int]) -> None:
    found = sql_info(asked, FACTS)
    found.validate(full=True)
    if asked:
        assert found.column("info_name").to_pylist() == sorted(asked - {12_345})


def test_the_functions_that_are_told_are_those_that_queries_may_call() -> None:
    told = {row["info_name"]: row["value"] for row in sql_info([509, 510, 511, 512], FACTS).to_pylist()}
    assert all(set(names) <= SCALARS and names for names in told.values())


def test_the_types_are_told_in_order_and_by_number() -> None:
    found = type_info(None)
    found.validate(full=True)
    assert found.schema == TYPE_INFO
    rows = found.to_pylist()
    assert len(rows) == len(TYPES)
    assert rows == sorted(rows, key=lambda row: (row["data_type"], row["type_name"]))
    assert [row["type_name"] for row in type_info(93).to_pylist()] == ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE"]
    assert type_info(7_777).num_rows == 0


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.int64(), "BIGINT"),
        (pa.uint8(), "UTINYINT"),
        (pa.float16(), "FLOAT"),
        (pa.float64(), "DOUBLE"),
        (pa.string(), "VARCHAR"),
        (pa.binary(), "BLOB"),
        (pa.bool_(), "BOOLEAN"),
        (pa.date32(), "DATE"),
        (pa.time64("us"), "TIME"),
        (pa.timestamp("ns"), "TIMESTAMP"),
        (pa.timestamp("us", "Europe/Oslo"), "TIMESTAMP WITH TIME ZONE"),
        (pa.decimal128(38, 9), "DECIMAL(38,9)"),
        (pa.list_(pa.int32()), "INTEGER[]"),
        (pa.list_(pa.int32(), 3), "INTEGER[3]"),
        (pa.struct([("a", pa.int16()), ("b", pa.list_(pa.string()))]), 'STRUCT("a" SMALLINT, "b" VARCHAR[])'),
        (pa.map_(pa.string(), pa.int8()), "MAP(VARCHAR, TINYINT)"),
        (pa.null(), "NULL"),
    ],
)
def test_every_type_of_a_link_has_a_name_in_sql(kind: pa.DataType, name: str) -> None:
    assert type_name(kind) == name
