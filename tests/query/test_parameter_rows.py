"""Rows of values for the parameters of an INSERT: all at once they give what each of them gives by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkd.errors import QueryInvalid
from linkd.limits import MIB
from linkd.query.engine import Database, Watch
from linkd.query.parameter_rows import ROWS_TABLE, over_rows, values_of
from linkd.query.statement import Statement, check_select

COLUMNS = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
    pa.binary(): st.binary(max_size=5),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.null(): st.none(),
}
TEXTS = (
    "VALUES (?, ?)",
    "VALUES ($2, $1)",
    "VALUES (?::VARCHAR, TRY_CAST($2 AS BIGINT))",
    "VALUES (?, 7), (NULL, ?)",
    "SELECT ? AS a, ? AS b",
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database.open(tmp_path_factory.mktemp("duckdb"), memory_limit_bytes=64 * MIB, threads=1)
    yield opened
    opened.close()


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(2, 5))
    kinds = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=2, max_size=2))
    columns = [pa.array(draw(st.lists(st.none() | COLUMNS[kind], min_size=rows, max_size=rows)), kind) for kind in kinds]
    return pa.Table.from_arrays(columns, names=["0", "1"])


def rows_of(
    database: Database, statement: Statement, tables: dict[str, pa.Table], text: str, values: dict[str, Any]
) -> list[tuple[Any, ...]]:
    with Watch() as watch, database.select(statement, tables, text=text, watch=watch, values=values) as result:
        return [tuple(row.values()) for batch in result.batches for row in batch.to_pylist()]


@settings(max_examples=60, deadline=None)
@given(given=tables(), text=st.sampled_from(TEXTS))
def test_all_at_once_they_give_what_each_gives(database: Database, given: pa.Table, text: str) -> None:
    statement = check_select(text, None, parser=database.connection)
    gathered = over_rows(statement, given, database.connection.cursor())
    assert (gathered is None) == (text in TEXTS[3:])
    if gathered is not None:
        each = [row for values in values_of(statement, given) for row in rows_of(database, statement, {}, "", dict(values))]
        assert rows_of(database, statement, {ROWS_TABLE: gathered[1]}, gathered[0], {}) == each


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("VALUES (?)", None, r"parameter \$1 has no value: none was given"),
        ("VALUES ($a, $b)", pa.table({"a": [1]}), r"parameter \$b has no value: 1 value was given"),
        ("VALUES (?)", pa.table({"0": [1], "1": [2]}), r"2 values were given, and the statement has 1 parameter: \$1"),
        ("VALUES (1)", pa.table({"0": [1]}), "1 value was given, and the statement has none"),
    ],
)
def test_each_parameter_has_a_value_and_nothing_else_has(database: Database, text: str, given: pa.Table | None, said: str) -> None:
    statement = check_select(text, None, parser=database.connection)
    with pytest.raises(QueryInvalid, match=said):
        list(values_of(statement, given))
