"""Flight SQL as ADBC's driver speaks it, which nobody here wrote: cursors, parameters, ingest, metadata, cancellation, tokens."""

from __future__ import annotations

import datetime
import decimal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import adbc_driver_flightsql
import adbc_driver_manager
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from adbc_driver_flightsql import dbapi
from served_home import DEADLINE_S, ServedHome, served_home

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.core.tasks import TaskShape
from linkd.model.records import TaskKind

FARES = pa.table(
    {
        "carrier": ["UA", "DL", "UA", None],
        "price": pa.array([30, 40, 20, 10], pa.int64()),
        "score": [3.5, None, 1.0, 0.0],
    }
)
pytestmark = pytest.mark.xdist_group("adbc")


@pytest.fixture(scope="module")
def connection(sql_home: ServedHome) -> Iterator[Any]:
    with dbapi.connect(sql_home.uri, autocommit=True) as opened:
        yield opened


@pytest.fixture
def cursor(connection: Any) -> Iterator[Any]:
    with connection.cursor() as opened:
        yield opened


def test_rows_go_in_by_bulk_ingest_and_come_out_by_sql(cursor: Any) -> None:
    assert cursor.adbc_ingest("fares", FARES, mode="create") == 4
    cursor.execute("SELECT * FROM fares")
    assert cursor.fetch_arrow_table().equals(FARES)
    cursor.execute("SELECT carrier, sum(price) AS total FROM fares GROUP BY carrier ORDER BY carrier NULLS LAST; -- whatever")
    assert cursor.description[1][0] == "total"
    assert cursor.fetchall() == [("DL", 40), ("UA", 50), (None, 10)]
    for sql in (
        "SELECT links.fares.price AS p, fares.carrier FROM links.fares",
        'SELECT f.price AS p, names."carrier" FROM "open"."links"."fares" AS f JOIN Links.Fares AS names USING (price)',
        "WITH x AS (SELECT * FROM open.links.fares) SELECT open.links.fares.price AS p, x.carrier FROM x JOIN links.fares USING (price)",
        "SELECT price AS p, _seq FROM links.fares WHERE links.fares._seq = 1",
    ):
        cursor.execute(sql)
        assert sorted(cursor.fetch_arrow_table()["p"].to_pylist()) == [10, 20, 30, 40], sql
    cursor.execute("INSERT INTO open.links.made SELECT price FROM links.fares")
    assert cursor.fetchone() == (4,)
    for sql, given in (
        ("SELECT f.*, price, 1 AS price FROM fares AS f ORDER BY 2", None),
        ("SELECT f.*, price, 1 AS price FROM fares AS f WHERE price < ?", (99,)),
    ):
        cursor.execute(sql, given)
        assert cursor.fetch_arrow_table().column_names == ["carrier", "price", "score", "price", "price"]


def test_parameters_are_bound_by_position_by_number_and_by_name(cursor: Any) -> None:
    cursor.adbc_ingest("bound", FARES, mode="create")
    cursor.execute("SELECT price FROM bound WHERE carrier = ? AND price > ? ORDER BY price", ("UA", 10))
    assert cursor.fetchall() == [(20,), (30,)]
    cursor.execute("SELECT count(*) FROM link('bound', generation => ?, since => $2) WHERE price > $3", (1, "2026-01-01", 10))
    assert cursor.fetchone() == (3,)
    cursor.execute("SELECT $2 || $1 AS turned", ("a", "b"))
    assert cursor.fetchone() == ("ba",)
    cursor.execute("SELECT count(*) FROM bound WHERE price > $least", pa.record_batch({"least": [25]}))
    assert cursor.fetchone() == (2,)
    for least, count in ((0, 4), (25, 2), (99, 0)):  # the same prepared statement, with other values
        cursor.execute("SELECT count(*) FROM bound WHERE price > ?", (least,))
        assert cursor.fetchone() == (count,)
    for sql, given, said in (
        ("SELECT price FROM bound WHERE carrier = ?", None, r"parameter \$1 has no value: none was given"),
        ("SELECT ? AS a, ? AS b", (1,), r"parameter \$2 has no value: 1 value was given"),
        ("INSERT INTO bound VALUES (1, 1, 2)", (1,), "1 value was given, and the statement has none"),
        ("SELECT ? AS a", (1, 2), "2 values were given, and the statement has 1 parameter: "),
        ("SELECT $a AS a", pa.record_batch({"a": [1], "b": [2]}), "2 values were given, and the statement has 1 parameter: "),
        ("INSERT INTO bound VALUES (?, 1, 2)", (1, 2), "2 values were given, and the statement has 1 parameter: "),
    ):
        with pytest.raises(dbapi.ProgrammingError, match=said):
            cursor.execute(sql, given)
            cursor.fetchone()


def test_an_insert_is_an_update_and_may_run_for_many_rows(cursor: Any) -> None:
    cursor.adbc_ingest("inserted", pa.RecordBatch.from_pylist([], schema=FARES.schema), mode="create")
    cursor.executemany("INSERT INTO inserted (carrier, price, score) VALUES (?, ?, ?)", [("AA", 1, 0.5), ("BB", 2, 0.25), ("CC", 3, None)])
    assert cursor.rowcount == 3
    cursor.execute("SELECT count(DISTINCT _value), count(*) FROM inserted")
    assert cursor.fetchone() == (1, 3)
    cursor.execute("INSERT INTO inserted SELECT carrier, price + 1 AS price, score FROM inserted WHERE carrier = ?", ("AA",))
    assert cursor.fetchall() == [(1,)]
    cursor.execute("INSERT INTO inserted VALUES ('DD', 4, 2.5)")
    assert cursor.fetchone() == (1,)
    cursor.execute("SELECT carrier, price FROM inserted WHERE carrier IN ('AA', 'BB', 'CC') ORDER BY price, carrier")
    assert cursor.fetchall() == [("AA", 1), ("AA", 2), ("BB", 2), ("CC", 3)]


def test_ingest_creates_appends_and_replaces(cursor: Any) -> None:
    def rows() -> int:
        cursor.execute("SELECT count(*) FROM modes")
        return int(cursor.fetchone()[0])

    assert cursor.adbc_ingest("modes", FARES, mode="create_append") == 4
    assert cursor.adbc_ingest("modes", FARES, mode="append") == 4
    assert rows() == 8
    other = pa.table({"n": pa.array(range(3), pa.int64())})
    assert cursor.adbc_ingest("modes", other, mode="replace") == 3
    cursor.execute("SELECT * FROM modes")
    assert cursor.fetch_arrow_table().equals(other)
    with pytest.raises(dbapi.ProgrammingError, match=r"ALREADY_EXISTS: .*modes holds values already"):
        cursor.adbc_ingest("modes", other, mode="create")
    with pytest.raises(dbapi.ProgrammingError, match=r"NOT_FOUND: .*there is no link `nowhere`"):
        cursor.adbc_ingest("nowhere", other, mode="append")
    assert rows() == 3


def test_of_two_ingests_that_create_a_link_at_once_one_wins(sql_home: ServedHome) -> None:
    both = threading.Barrier(2)

    def rows(first: int) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": [first]})
        both.wait(DEADLINE_S)  # each has begun
        yield pa.record_batch({"n": [first + 1]})

    def create(first: int) -> str:
        with dbapi.connect(sql_home.uri, autocommit=True) as connection, connection.cursor() as cursor:
            reader = pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), rows(first))
            try:
                cursor.adbc_ingest("raced", reader, mode="create")
            except dbapi.Error as error:
                return str(error)
            return "created"

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(create, (10, 20)))
    with dbapi.connect(sql_home.uri, autocommit=True) as connection, connection.cursor() as cursor:
        held = cursor.execute("SELECT n FROM raced ORDER BY n").fetchall()
    assert sorted(text[:14] for text in told) == ["ALREADY_EXISTS", "created"]
    assert held in ([(10,), (11,)], [(20,), (21,)])


def test_an_ingest_is_one_commit_and_one_that_breaks_off_is_none(cursor: Any) -> None:
    schema = pa.schema([("n", pa.int64())])
    batches = [pa.record_batch([pa.array(range(start, start + 20_000))], schema=schema) for start in range(0, 200_000, 20_000)]

    def counted() -> tuple[int, int]:
        cursor.execute("SELECT count(*), sum(n) FROM atomic")
        found: tuple[int, int] = cursor.fetchone()
        return found

    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches
        raise ValueError("no more")

    whole = (200_000, sum(range(200_000)))
    assert cursor.adbc_ingest("atomic", pa.RecordBatchReader.from_batches(schema, iter(batches)), mode="create") == 200_000
    assert counted() == whole
    for mode in ("append", "replace"):
        with pytest.raises(dbapi.Error, match="no more"):
            cursor.adbc_ingest("atomic", pa.RecordBatchReader.from_batches(schema, broken()), mode=mode)
        assert counted() == whole
    with pytest.raises(dbapi.ProgrammingError, match="ADBC leaves both away for a table without a batch: skip it"):
        cursor.adbc_ingest("atomic", pa.table({"n": pa.array([], pa.int64())}), mode="append")
    with pytest.raises(dbapi.Error, match="string"):
        cursor.adbc_ingest("atomic", pa.table({"n": ["1"]}), mode="append")
    assert counted() == whole


TYPES = pa.table(
    {
        "int8": pa.array([1, None], pa.int8()),
        "uint64": pa.array([2**64 - 1, None], pa.uint64()),
        "float32": pa.array([float("inf"), None], pa.float32()),
        "text": ["caf\u00e9", None],
        "bytes": [b"\x00\xff", None],
        "bool": [True, None],
        "date": [datetime.date(1, 1, 1), None],
        "time": pa.array([datetime.time(23, 59, 59, 999_999), None], pa.time64("us")),
        "naive": pa.array([datetime.datetime(2026, 11, 23, 1, 2, 3, 4), None], pa.timestamp("us")),
        "zoned": pa.array([0, None], pa.timestamp("us", "UTC")),
        "nanos": pa.array([1, None], pa.timestamp("ns")),
        "decimal": pa.array([decimal.Decimal("-1.50"), None], pa.decimal128(38, 2)),
        "list": pa.array([[1, None], None], pa.list_(pa.int32())),
        "struct": pa.array([{"a": 1, "b": "x"}, None], pa.struct([("a", pa.int64()), ("b", pa.string())])),
    }
)


def test_every_type_comes_back_as_it_went_in(cursor: Any) -> None:
    cursor.adbc_ingest("types", TYPES, mode="create")
    cursor.execute("SELECT * FROM types")
    assert cursor.fetch_arrow_table().to_pydict() == TYPES.to_pydict()


@pytest.mark.parametrize(
    ("sql", "error", "said"),
    [
        ("SELECT fare\nFROM fares_of_errors", dbapi.ProgrammingError, "INVALID_ARGUMENT: .*fare.*LINE 1"),
        ("SELECT 1 +", dbapi.ProgrammingError, "INVALID_ARGUMENT: .*LINE 1"),
        ("SELECT * FROM nowhere", dbapi.ProgrammingError, "there is no link `nowhere`"),
        ("DELETE FROM fares_of_errors", dbapi.ProgrammingError, "links are append-only"),
        ("INSERT INTO fares_of_errors SELECT 1 AS carrier", dbapi.ProgrammingError, "missing"),
        ("SELECT * FROM 'data.csv'", dbapi.ProgrammingError, "links, not files"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_place_and_the_right_status(
    cursor: Any, sql: str, error: type[Exception], said: str
) -> None:
    cursor.adbc_ingest("fares_of_errors", FARES, mode="create_append")
    with pytest.raises(error, match=f"(?s){said}"):
        cursor.execute(sql)


def test_what_linkd_has_not_it_says_so(sql_home: ServedHome, connection: Any) -> None:
    with connection.cursor() as cursor, pytest.raises(dbapi.NotSupportedError, match="no temporary tables"):
        cursor.adbc_ingest("nothing", FARES, mode="create", temporary=True)
    with connection.cursor() as cursor, pytest.raises(dbapi.NotSupportedError, match="no catalog `another`"):
        cursor.adbc_ingest("nothing", FARES, mode="create", catalog_name="another")
    with connection.cursor() as cursor, pytest.raises(dbapi.NotSupportedError, match="no schema `another`"):
        cursor.adbc_ingest("nothing", FARES, mode="create", db_schema_name="another")
    with connection.cursor() as cursor:
        assert cursor.adbc_ingest("placed", FARES, mode="create", catalog_name="open", db_schema_name="links") == 4
    with (
        adbc_driver_flightsql.connect(sql_home.uri) as database,
        adbc_driver_manager.AdbcConnection(database) as raw,
        pytest.raises(adbc_driver_manager.NotSupportedError),
    ):
        raw.set_autocommit(False)


def test_metadata_names_what_there_is(connection: Any, cursor: Any) -> None:
    cursor.adbc_ingest("air_fares", FARES, mode="create")
    cursor.adbc_ingest("airxfares", pa.table({"n": [1]}), mode="create")
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "linkd"
    assert connection.adbc_get_table_types() == ["SYSTEM TABLE", "TABLE"]
    assert connection.adbc_get_table_schema("air_fares") == FARES.schema  # not that of the other one, which its `_` means as well
    with pytest.raises(dbapi.ProgrammingError, match="NOT_FOUND"):
        connection.adbc_get_table_schema("nowhere")
    [catalog] = connection.adbc_get_objects(depth="all", table_name_filter="air\\_%").read_all().to_pylist()
    assert catalog["catalog_name"] == "open"
    [schema] = catalog["catalog_db_schemas"]
    assert schema["db_schema_name"] == "links"
    [table] = schema["db_schema_tables"]
    assert (table["table_name"], table["table_type"]) == ("air_fares", "TABLE")
    columns = [(column["column_name"], column["xdbc_type_name"]) for column in table["table_columns"]]
    assert columns == [("carrier", "VARCHAR"), ("price", "BIGINT"), ("score", "DOUBLE")]
    [catalog] = connection.adbc_get_objects(depth="tables", table_types_filter=["SYSTEM TABLE"]).read_all().to_pylist()
    assert [table["table_name"] for table in catalog["catalog_db_schemas"][0]["db_schema_tables"]] == ["_commits"]


def test_a_result_of_any_size_streams_and_may_be_left(cursor: Any) -> None:
    cursor.execute("SELECT range AS n FROM range(2000000)")
    assert pc.sum(cursor.fetch_arrow_table()["n"]).as_py() == sum(range(2_000_000))
    cursor.execute("SELECT a.range * b.range AS n FROM range(1000000) a, range(1000) b")
    assert cursor.fetchmany(2) == [(0,), (0,)]
    cursor.adbc_cancel()
    with pytest.raises(dbapi.Error):
        cursor.fetch_arrow_table()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)


# -- a pipeline, with rights ---------------------------------------------------------------------------------------------------------------

LINKS = {"told": LinkShape("told", ""), "flown": LinkShape("flown", "clean"), "totals": LinkShape("totals", "sum_up")}
TASKS = {
    "clean": TaskShape("clean", TaskKind.RUN, (("told", "whole"),), ("flown",)),
    "sum_up": TaskShape("sum_up", TaskKind.RUN, (("flown", "whole"),), ("totals",)),
}


def test_a_token_gives_the_rights_of_its_task_and_none_those_of_an_outsider(tmp_path_factory: pytest.TempPathFactory) -> None:
    layout = Layout("flights", LINKS, TASKS, frozenset({"told"}))

    def connect(token: str = "") -> Any:
        options = {adbc_driver_flightsql.DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"} if token else {}
        return dbapi.connect(served.uri, db_kwargs=options, autocommit=True)

    def tables(connection: Any) -> list[str]:
        [catalog] = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
        return [table["table_name"] for table in catalog["catalog_db_schemas"][0]["db_schema_tables"]]

    with served_home(tmp_path_factory.mktemp("rights"), layout) as served:
        with connect() as outsider, outsider.cursor() as cursor:
            assert len(served.home.links.queries.children()) == 1  # a process is on its way before there is a statement
            assert cursor.adbc_ingest("told", FARES, mode="create") == 4
            assert tables(outsider) == ["_commits", "flown", "told", "totals"]
            with pytest.raises(dbapi.ProgrammingError, match=r"UNAUTHORIZED: .*flown is written by the pipeline itself"):
                cursor.adbc_ingest("flown", FARES, mode="append")
            with pytest.raises(dbapi.ProgrammingError, match="there is no link `another`"):
                cursor.adbc_ingest("another", FARES, mode="create")
        with connect(served.home.token("sum_up")) as task, task.cursor() as cursor:
            assert tables(task) == ["flown", "totals"]
            with pytest.raises(dbapi.ProgrammingError, match="told"):
                cursor.execute("SELECT * FROM told")
            with pytest.raises(dbapi.ProgrammingError, match="UNAUTHORIZED"):
                cursor.adbc_ingest("told", FARES, mode="append")
        with dbapi.connect(served.uri, {"username": "anybody", "password": served.home.token("clean")}, autocommit=True) as by_password:
            assert tables(by_password) == ["flown", "told"]
        with pytest.raises(dbapi.Error, match="UNAUTH"), connect("wrong") as stranger:
            tables(stranger)
