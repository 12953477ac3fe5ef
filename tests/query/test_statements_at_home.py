"""Statements over the links of a home: in this process where nothing dies, in the processes that run them where something does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from linkd.client.calls import Endpoint
from linkd.client.session import Client, connect
from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.core.payload import payload
from linkd.core.rights import OUTSIDER
from linkd.errors import InternalFault, LinkNotFound, Overloaded, QueryInvalid, SchemaMismatch
from linkd.home import tables
from linkd.home.intake import ARROW, Incoming
from linkd.home.publishing import PublishSession
from linkd.home.staging import StagedValues
from linkd.home.tables import TableAsked
from linkd.limits import BOUND_STATEMENTS_MAX, GIB, QUERIES_MAX, QUERIES_WAITING_MAX, QUERY_END_TIMEOUT_S
from linkd.query.answering import Answering, Call
from linkd.query.children import QueryChildren
from linkd.query.engine import Database
from linkd.testing.home import InProcessHome, running_home
from linkd.wire.arrow_ipc import schema_id

ENDLESS = "SELECT count(*) AS n FROM range(100000000000) t(i) WHERE i % 7 = 1"
ROWS = pa.table({"a": [1, 2], "b": ["x", "y"]})


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    async with running_home(tmp_path / "state") as home:
        yield home


@pytest.fixture
async def client(home: InProcessHome) -> AsyncIterator[Client]:
    async with connect(home.endpoint) as client:
        yield client


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


async def rows_of(queries: QueryChildren, sql: str, parameters: Mapping[str, Sequence[Any]] | None = None) -> list[dict[str, Any]]:
    given = stream(pa.table(dict(parameters))) if parameters is not None else b""
    messages = [message async for message in queries.run(OUTSIDER, sql, parameters=given)]
    found: list[dict[str, Any]] = pa.ipc.open_stream(b"".join(messages)).read_all().to_pylist()
    return found


# -- tables, without a process of their own -----------------------------------------------------------------------------------------------
@asynccontextmanager
async def answering(home: InProcessHome, directory: Path) -> AsyncIterator[Answering]:
    directory.mkdir()
    answers = Answering(Endpoint(home.endpoint), Database.of_process(directory, GIB), directory, GIB)
    try:
        yield answers
    finally:
        await answers.close()


async def select(answers: Answering, home: InProcessHome, sql: str) -> list[dict[str, Any]]:
    async def ask(question: dict[str, Any]) -> dict[str, Any]:
        asked = [TableAsked(one["link"], one["generation"], one["history"]) for one in question["tables"]]
        found = [tables.extents(home.home, OUTSIDER, one) for one in asked]
        return {"tables": [[extent.told() for extent in of_table] for of_table in found]}

    messages: list[bytes] = []
    await answers.answer(Call("select", sql, 60.0, ""), ask, lambda several: messages.extend(map(bytes, several)))
    found: list[dict[str, Any]] = pa.ipc.open_stream(b"".join(messages)).read_all().to_pylist()
    return found


async def test_a_link_is_read_as_far_as_a_statement_can_want_it(home: InProcessHome, client: Client, tmp_path: Path) -> None:
    for number in range(600):
        await client.publish("t", [{"n": number}])
    async with answering(home, tmp_path / "scratch") as answers:
        assert await select(answers, home, "SELECT * FROM t WHERE _seq > 598") == [{"n": 598}, {"n": 599}]
        [stand] = answers.stands
        assert stand.covered == [(599, 600)]
        assert await select(answers, home, "SELECT count(*) AS c FROM t WHERE _seq BETWEEN 4 AND 7 OR _seq = 300") == [{"c": 5}]
        assert stand.covered == [(4, 7), (300, 300), (599, 600)]
        assert await select(answers, home, "SELECT count(*) AS c, max(_seq) AS last, sum(n) AS total FROM t") == [
            {"c": 600, "last": 600, "total": sum(range(600))}
        ]
        assert stand.covered == [(1, 600)]
        assert stand.values == 600
        assert len(stand.blocks) <= 6
        await client.publish("t", [{"n": -1}])
        assert await select(answers, home, "SELECT count(*) AS c, min(n) AS least FROM t") == [{"c": 601, "least": -1}]


async def test_large_values_are_mapped_and_passed_over_by_their_bounds(home: InProcessHome, client: Client, tmp_path: Path) -> None:
    for first in range(0, 40_000, 10_000):
        await client.publish("big", pa.table({"k": list(range(first, first + 10_000)), "v": [float(first)] * 10_000}))
    async with answering(home, tmp_path / "scratch") as answers:
        assert await select(answers, home, "SELECT count(*) AS c FROM big WHERE _time > '2999-01-01' AND k > 5") == [{"c": 0}]
        [stand] = answers.stands
        assert [block.is_read for block in stand.blocks] == [False] * 4
        for sql, count in (
            ("SELECT count(*) AS c FROM big", 40_000),
            ("SELECT count(*) AS c FROM big WHERE k >= 35000", 5_000),
            ("SELECT count(*) AS c FROM big WHERE k < 0", 0),
            ("SELECT count(*) AS c FROM big WHERE _task = '' AND _time > '2020-01-01'", 40_000),
            ("SELECT count(DISTINCT _value) AS c FROM big WHERE v IN (0, 10000)", 2),
        ):
            assert await select(answers, home, sql) == [{"c": count}], sql
        [stand] = answers.stands
        assert len(stand.blocks) == 4
        assert all(set(block.bounds) == {"k", "v"} for block in stand.blocks)


async def test_history_is_every_generation_or_one_or_those_made_then(home: InProcessHome, client: Client, tmp_path: Path) -> None:
    await client.publish("t", [{"n": 1}])
    await client.publish("t", [{"n": 2}])
    async with answering(home, tmp_path / "scratch") as answers:
        [made] = await select(answers, home, "SELECT max(_time)::VARCHAR AS last FROM t")
        at = made["last"]
        for sql, expected in (
            ("FROM link('t')", [1, 2]),
            ("FROM link('t', generation => 1) h WHERE h._seq = 2", [2]),
            (f"FROM link('T', since => TIMESTAMPTZ '{at}')", [2]),
            (f"FROM link('t', until => '{at}')", [1]),
            ("SELECT x.n FROM link('t', until => DATE '2020-01-01') x JOIN t USING (n)", []),
        ):
            assert [row["n"] for row in await select(answers, home, sql)] == expected, sql
        with pytest.raises(LinkNotFound, match=r"generation 7 of t does not exist yet \(there are: 1\)"):
            await select(answers, home, "FROM link('t', generation => 7)")
        for argument, said in (
            ("generation => -1", r"^link\('t'\): generation is the number of one, from 1 on"),
            ("generation => 0", r"^link\('t'\): generation is the number of one, from 1 on"),
            ("since => 'noon'", r"^link\('t'\): since is a moment, as in '2026-11-22T10:00'"),
            ("until => NULL", r"^link\('t'\): until is NULL: leave it away"),
        ):
            with pytest.raises(QueryInvalid, match=said):
                await select(answers, home, f"FROM link('t', {argument})")


async def replace(home: InProcessHome, link: str, batch: pa.RecordBatch) -> None:
    """The next generation of the link."""
    session = PublishSession(home.home, StagedValues(0), OUTSIDER, replaces=True)
    schema, content = payload(batch)
    ack = await session.add(Incoming(link, ARROW, (bytes(content),), schema))
    assert ack is not None
    await ack


async def test_what_is_asked_again_is_run_again_and_over_other_rows_anew(home: InProcessHome, client: Client, tmp_path: Path) -> None:
    async with answering(home, tmp_path / "scratch") as answers:

        async def taken(sql: str) -> list[dict[str, Any]]:
            """Twice, for the second time it stands there bound."""
            first, second = await select(answers, home, sql), await select(answers, home, sql)
            assert first == second or "uuid" in sql
            return second

        await client.publish("t", [{"n": 1}])
        everything, empty, failing = (
            "SELECT n FROM t",
            "SELECT n FROM t WHERE n > 5",
            "SELECT 1 // (n - 2) AS one, n::VARCHAR::DATE AS d FROM t WHERE n > 1",
        )
        assert await taken(everything) == [{"n": 1}]
        assert await taken(empty) == []
        assert len({(await taken("SELECT uuid() AS u FROM t"))[0]["u"] for _ in range(3)}) == 3
        assert await taken(failing) == []
        await client.publish("t", [{"n": 20}])
        assert await taken(everything) == [{"n": 1}, {"n": 20}]
        assert await taken(empty) == [{"n": 20}]
        for _ in range(2):
            with pytest.raises(QueryInvalid, match="date"):
                await select(answers, home, failing)
        await client.publish("t", [{"n": 3, "more": "x"}])
        assert await taken("SELECT * FROM t WHERE n = 3") == [{"n": 3, "more": "x"}]
        for number in range(2 * BOUND_STATEMENTS_MAX):
            assert await taken(f"SELECT {number} AS x FROM t LIMIT 1") == [{"x": number}]
        assert await taken(everything) == [{"n": 1}, {"n": 20}, {"n": 3}]


async def test_a_declared_link_without_values_is_a_table_of_no_rows_however_often_it_is_asked_for(tmp_path: Path) -> None:
    declared = ROWS.schema.serialize().to_pybytes()
    layout = Layout("pipeline", {"t": LinkShape("t", "", (schema_id(declared), declared))}, {}, frozenset({"t"}))
    async with running_home(tmp_path / "state", layout=layout, supervised=False) as home, answering(home, tmp_path / "scratch") as answers:
        for _ in range(3):
            assert await select(answers, home, "SELECT a, count(*) AS n FROM t GROUP BY a") == []


async def test_one_that_is_left_while_it_is_checked_does_not_hold_up_the_next(home: InProcessHome, tmp_path: Path) -> None:
    async with answering(home, tmp_path / "scratch") as answers:
        long = asyncio.create_task(select(answers, home, f"SELECT 1 IN ({', '.join(map(str, range(3000)))}) AS n"))
        await asyncio.sleep(0)  # it is begun
        long.cancel()
        await asyncio.wait([long])
        assert long.cancelled()
        assert await select(answers, home, "SELECT 1 AS one") == [{"one": 1}]


async def test_generations_with_columns_more_and_wider_numbers_are_one_table_and_others_are_not(
    home: InProcessHome, tmp_path: Path
) -> None:
    await replace(home, "t", pa.record_batch({"a": pa.array([1], pa.int32())}))
    await replace(home, "t", pa.record_batch({"b": ["x"], "a": pa.array([2**40])}))
    async with answering(home, tmp_path / "scratch") as answers:
        assert await select(answers, home, "SELECT * FROM t") == [{"b": "x", "a": 2**40}]
        assert await select(answers, home, "FROM link('t')") == [{"b": None, "a": 1}, {"b": "x", "a": 2**40}]
        assert len(answers.stands) == 2
        assert await select(answers, home, "FROM link('t', generation => 2)") == [{"a": 1}]
        assert len(answers.stands) == 1  # of the others nobody asks now
        await replace(home, "t", pa.record_batch({"a": ["one"], "b": ["y"]}))
        assert await select(answers, home, "SELECT * FROM t") == [{"a": "one", "b": "y"}]
        with pytest.raises(SchemaMismatch) as refused:
            await select(answers, home, "FROM link('t')")
        assert [line.split() for line in str(refused.value).splitlines()[2:4]] == [[">", "a", "string", "int64"], ["b", "string", "string"]]


# -- processes ----------------------------------------------------------------------------------------------------------------------------
async def test_a_process_waits_for_the_first_statement_and_the_next_and_one_that_dies_takes_only_its_own(
    home: InProcessHome, client: Client
) -> None:
    queries = home.links.queries
    await asyncio.gather(*(queries.expect(OUTSIDER) for _ in range(QUERIES_MAX)))
    [child] = queries.children()
    await client.publish("t", ROWS)
    assert await rows_of(queries, "SELECT a FROM t ORDER BY 1") == [{"a": 1}, {"a": 2}]
    assert queries.children() == [child]
    async with aclosing(queries.run(OUTSIDER, "SELECT range AS n FROM range(100000000000)")) as messages:
        assert len(await anext(messages)) < len(await anext(messages))  # the schema, then rows, while it runs
    running = asyncio.create_task(rows_of(queries, f"{ENDLESS} AND (SELECT count(*) FROM t) > 0"))
    await begun(queries)
    running.cancel()
    await asyncio.wait([running])
    await client.publish("t", ROWS)
    assert await rows_of(queries, "SELECT count(*) AS n FROM t WHERE b = ?", {"b": ["x"]}) == [{"n": 2}]
    assert queries.children() == [child]
    running = asyncio.create_task(rows_of(queries, ENDLESS))
    await begun(queries)
    child.process.kill()
    with pytest.raises(
        InternalFault, match="the process that ran the query ended with signal SIGKILL; other queries and the links are not"
    ):
        await running
    await client.publish("t", ROWS)
    assert await rows_of(queries, "SELECT count(*) AS n FROM t") == [{"n": 6}]
    with pytest.raises(QueryInvalid, match=r"^the query was stopped: it took longer than 0\.2 s$"):
        async for _ in queries.run(OUTSIDER, ENDLESS, 0.2):
            pass
    [child] = queries.children()
    child.process.send_signal(signal.SIGSTOP)  # as in a function that DuckDB cannot interrupt
    with pytest.raises(QueryInvalid, match=r"^the query was stopped: it took longer than 0\.1 s, and its process was ended with it"):
        async for _ in queries.run(OUTSIDER, ENDLESS, 0.1 - QUERY_END_TIMEOUT_S):
            pass
    assert await rows_of(queries, "SELECT 1 AS one") == [{"one": 1}]
    await queries.close()
    assert queries.children() == []


async def begun(queries: QueryChildren) -> None:
    """Returns when a statement is at work."""
    async with asyncio.timeout(30):
        while not queries.running:
            await asyncio.sleep(0.01)


async def test_statements_are_prepared_and_rows_inserted_with_their_lineage(home: InProcessHome, client: Client) -> None:
    queries = home.links.queries
    await client.publish("t", ROWS)
    prepared = await queries.prepare(OUTSIDER, "SELECT a + ? AS c, b FROM t WHERE b = $2")
    assert (str(prepared.kind), prepared.parameters, prepared.links) == ("select", ("1", "2"), ("t",))
    assert pa.ipc.read_schema(pa.py_buffer(prepared.schema)).names == ["c", "b"]
    prepared = await queries.prepare(OUTSIDER, "INSERT INTO t VALUES (?, ?)")
    assert (str(prepared.kind), prepared.schema, prepared.target) == ("insert", b"", "t")
    assert await client.execute("INSERT INTO made (twice, b) SELECT 2 * a, b FROM t") == 2
    assert await client.query("SELECT * FROM made ORDER BY 1").rows() == [{"twice": 2, "b": "x"}, {"twice": 4, "b": "y"}]
    [value] = [value async for value in client.read("made")]
    assert [(parent.link, parent.first_sequence, parent.last_sequence) for parent in value.envelope.parents] == [("t", 1, 1)]
    assert await client.execute("INSERT INTO t (b, a) VALUES ('p', 7), (NULL, 8)") == 2
    given = stream(pa.table({"x": [9, 10], "y": ["q", "r"]}))
    assert await queries.insert(OUTSIDER, "INSERT INTO t VALUES (?, ?)", parameters=given) == 2
    assert await rows_of(queries, "SELECT a, b FROM t WHERE a > 6 ORDER BY a") == [
        {"a": 7, "b": "p"},
        {"a": 8, "b": None},
        {"a": 9, "b": "q"},
        {"a": 10, "b": "r"},
    ]
    assert await client.execute("INSERT INTO t SELECT * FROM t WHERE a < 0") == 0
    for sql, error, message in (
        (
            "INSERT INTO t SELECT 1 AS c, 2 AS a",
            SchemaMismatch,
            r"column `b` is missing and column `c` is not in the link\n  the link has   a, b",
        ),
        ("INSERT INTO t SELECT 1 AS a", SchemaMismatch, "column `b` is missing"),
        ("INSERT INTO t VALUES (1)", SchemaMismatch, "there are 2 columns in the link and 1 in the result"),
        ("INSERT INTO t SELECT 'x' AS a, 'y' AS b", SchemaMismatch, "column `a` is string and does not go into int64"),
        ("INSERT INTO x.t SELECT 1", QueryInvalid, "`x.t` is not the name of a link"),
        ("SELECT 1", QueryInvalid, "this statement is a SELECT, and it inserts nothing"),
    ):
        with pytest.raises(error, match=message):
            await client.execute(sql)
    with pytest.raises(QueryInvalid, match="this statement is an INSERT, and it gives no rows"):
        await client.query("INSERT INTO t VALUES (1, 'x')").rows()


async def test_links_and_columns_are_shown_and_plans_told(home: InProcessHome, client: Client) -> None:
    queries = home.links.queries
    await client.publish("t", ROWS)
    assert await rows_of(queries, "SHOW TABLES") == [{"name": "_commits"}, {"name": "t"}]
    await client.publish("u", ROWS)
    assert await rows_of(queries, "SHOW TABLES") == [{"name": "_commits"}, {"name": "t"}, {"name": "u"}]
    joined = "SELECT name, a, _seq FROM (SHOW TABLES FROM links) s JOIN links.t ON s.name = 't' WHERE a > ?"
    assert await rows_of(queries, joined, {"least": [1]}) == [{"name": "t", "a": 2, "_seq": 1}]
    described = await rows_of(queries, "DESCRIBE t")
    assert [(column["column_name"], column["column_type"]) for column in described] == [("a", "BIGINT"), ("b", "VARCHAR")]
    for sql, names in (("SHOW TABLES", ["name"]), ("EXPLAIN SELECT 1 AS one", ["explain_key", "explain_value"])):
        prepared = await queries.prepare(OUTSIDER, sql)
        assert pa.ipc.read_schema(pa.py_buffer(prepared.schema)).names == names
    for parameters in (None, {"least": [1]}):
        for _ in range(2):
            [plan] = await rows_of(queries, f"explain SELECT b, sum(a) FROM t WHERE a > {'?' if parameters else 1} GROUP BY b", parameters)
            assert plan["explain_key"] == "physical_plan"
            assert "a > 1" in plan["explain_value"]
    with pytest.raises(QueryInvalid, match="there is no link `v`"):
        await rows_of(queries, "EXPLAIN SELECT * FROM v")


async def test_what_is_asked_again_is_known_as_long_as_the_columns_are_the_same(home: InProcessHome, client: Client) -> None:
    queries = home.links.queries
    await client.publish("t", ROWS)
    sql = "SELECT * FROM t ORDER BY a"
    prepared = await queries.prepare(OUTSIDER, sql)
    [child] = queries.children()
    child.process.send_signal(signal.SIGSTOP)
    await client.publish("t", [{"a": 3, "b": "z"}])
    assert await queries.prepare(OUTSIDER, sql) is prepared  # by the home alone
    child.process.send_signal(signal.SIGCONT)
    assert [row["a"] for row in await rows_of(queries, sql)] == [1, 2, 3]
    await client.publish("t", [{"a": 4, "b": "z", "c": True}])
    widened = await queries.prepare(OUTSIDER, sql)
    assert pa.ipc.read_schema(pa.py_buffer(widened.schema)).names == ["a", "b", "c"]
    history = "SELECT count(*) AS n FROM link('t', generation => ?)"
    assert await rows_of(queries, history, {"g": [1]}) == [{"n": 4}]
    with pytest.raises(LinkNotFound, match="generation 2 of t does not exist yet"):
        await rows_of(queries, history, {"g": [2]})
    assert await rows_of(queries, history, {"g": [1]}) == [{"n": 4}]


async def test_a_link_grows_by_columns_and_wider_numbers_and_is_one_table_all_the_time(
    home: InProcessHome, client: Client, tmp_path: Path
) -> None:
    long = 40_000  # rows of more than what lies in the journal
    await client.publish("t", pa.table({"a": pa.array([1], pa.int32())}))
    await client.publish("t", pa.table({"a": pa.array(range(long), pa.int32())}))
    await client.publish("t", pa.table({"b": ["x"], "a": [2**40]}))
    await client.publish("t", pa.table({"a": pa.array(range(long), pa.int32()), "b": ["y"] * long}))
    assert (await client.read("t").to_table()).schema == pa.schema([("a", pa.int64()), ("b", pa.string())])
    async with answering(home, tmp_path / "scratch") as answers:
        assert await select(answers, home, "SELECT count(*) AS n, count(b) AS b, max(a) AS a FROM t") == [
            {"n": 2 * long + 2, "b": long + 1, "a": 2**40}
        ]
        assert await select(answers, home, "SELECT * FROM t WHERE _seq IN (1, 3)") == [{"a": 1, "b": None}, {"a": 2**40, "b": "x"}]
        await client.publish("t", pa.table({"a": [0], "b": ["z"], "c": [1.5]}))
        assert await select(answers, home, "SELECT a, b, c FROM link('t') WHERE b = 'z' OR a = 2**40") == [
            {"a": 2**40, "b": "x", "c": None},
            {"a": 0, "b": "z", "c": 1.5},
        ]
    whole = await client.read("t").to_table()
    await home.restart()
    assert await client.read("t").to_table() == whole
    for gone in ({"a": [1], "b": ["x"]}, {"a": ["one"], "b": ["x"], "c": [1.0]}):
        with pytest.raises(SchemaMismatch, match=r"column +t +given"):
            await client.publish("t", gone)


async def test_an_insert_widens_a_number_only_where_it_must(home: InProcessHome, client: Client) -> None:
    await client.publish("t", pa.table({"a": pa.array([1], pa.int16())}))
    assert await client.execute("INSERT INTO t SELECT 2::BIGINT AS a") == 1
    assert (await client.read("t").to_table()).schema.types == [pa.int16()]
    given = stream(pa.table({"x": [3, 2**40, 4]}))
    assert await home.links.queries.insert(OUTSIDER, "INSERT INTO t VALUES (?)", parameters=given) == 3
    assert (await client.read("t").to_table()).to_pydict() == {"a": [1, 2, 3, 2**40, 4]}
    with pytest.raises(SchemaMismatch, match="column `b` is not in the link"):
        await client.execute("INSERT INTO t SELECT 1 AS a, 2 AS b")


async def test_statements_wait_in_line_and_are_refused_where_it_is_long(home: InProcessHome) -> None:
    queries = home.links.queries
    async with asyncio.TaskGroup() as group:
        places = [queries._place() for _ in range(QUERIES_MAX)]
        for place in places:
            await place.__aenter__()
        waiting = [group.create_task(rows_of(queries, "SELECT 1 AS one")) for _ in range(QUERIES_WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="queries run and 64 wait"):
            await rows_of(queries, "SELECT 1 AS one")
        for task in waiting[1:]:
            task.cancel()
        for place in places:
            await place.__aexit__(None, None, None)
    assert waiting[0].result() == [{"one": 1}]
