"""What is known of the types of a statement's parameters before they have values."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from linkd.query.parameter_types import parameter_types
from linkd.query.statement import check_select

FARES = pa.schema([("carrier", pa.string()), ("price", pa.int32()), ("flown", pa.date32())])
AIRLINES = pa.schema([("carrier", pa.string()), ("price", pa.float64())])


@pytest.fixture(scope="module")
def parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:")


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        (
            "SELECT CAST(? AS BIGINT), ?::DECIMAL(10, 2), $3::TIMESTAMPTZ, $4::NUMERIC",
            ["int64", "decimal128(10, 2)", "timestamp[us, tz=UTC]", "decimal128(18, 3)"],
        ),
        ("SELECT 1 FROM fares WHERE price > ? AND ? = fares.flown", ["int32", "date32[day]"]),
        ("SELECT 1 FROM fares WHERE price BETWEEN $1 AND $2 OR Carrier IN ($3, 'UA', $4)", ["int32", "int32", "string", "string"]),
        ("SELECT 1 FROM fares WHERE price > CAST(? AS DOUBLE)", ["double"]),
        ("SELECT 1 FROM fares WHERE CAST(price AS DOUBLE) > ?", ["double"]),
        ("SELECT 1 FROM fares LIMIT ? OFFSET ?", ["int64", "int64"]),
        ("WITH f AS (SELECT * FROM fares WHERE flown < $1) SELECT (SELECT max(price) FROM f WHERE price <> $2)", ["date32[day]", "int32"]),
        ("SELECT ?, lower(?)", ["string", "string"]),
        ("SELECT 1 FROM fares WHERE $1 = $2 AND missing = $3", ["string", "string", "string"]),
        ("SELECT $1::HUGEINT, $2::DECIMAL(99, 2)", ["string", "string"]),
    ],
)
def test_a_parameter_is_of_the_type_that_is_written_or_stands_beside_it(
    parser: duckdb.DuckDBPyConnection, sql: str, types: list[str]
) -> None:
    statement = check_select(sql, None, parser=parser)
    found = parameter_types(statement.tree, sorted(statement.parameters), [FARES])
    assert [str(kind) for kind in found.types] == types
    assert found.names == sorted(statement.parameters)


def test_a_column_that_two_tables_have_in_other_types_says_nothing(parser: duckdb.DuckDBPyConnection) -> None:
    statement = check_select("SELECT 1 FROM fares JOIN airlines USING (carrier) WHERE carrier = $a AND price = $b", None, parser=parser)
    assert parameter_types(statement.tree, ["a", "b"], [FARES, AIRLINES]).types == [pa.string(), pa.string()]
    assert parameter_types(statement.tree, ["a", "b"], [FARES, FARES]).types == [pa.string(), pa.int32()]


@pytest.mark.parametrize("select", ["VALUES ($1, $2), ($3, 4)", "SELECT $1, $2, $3::INTEGER"])
def test_what_is_inserted_is_of_the_type_of_its_column(parser: duckdb.DuckDBPyConnection, select: str) -> None:
    statement = check_select(select, None, parser=parser)
    found = parameter_types(statement.tree, ["1", "2", "3"], [], [pa.date32(), pa.int64(), None])
    assert found.types == [pa.date32(), pa.int64(), pa.date32() if "VALUES" in select else pa.int32()]
