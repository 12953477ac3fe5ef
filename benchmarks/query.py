"""SQL over links beside DuckDB in this process: `python benchmarks/query.py [--rows 10000000] [--scale 1] [--tail-gib 10] [--rounds 5]`.

A home of its own process holds the links; statements go to it by ADBC Flight SQL, as an analyst's tool sends them, and by turns to a DuckDB in
this process over the same rows, mapped from the same files. Rows are filtered, grouped and joined; then come the 22 queries of TPC-H, ingested by
ADBC; then the end of a large link, the first query of a cold process (the median of as many homes as there are rounds), and what a publish takes
while a query has all cores. Ends with code 1 if a figure misses its bar.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from adbc_driver_flightsql import dbapi
from rounds import append_result, scratch_directory
from stalled_consumer import home

from linkd import aio
from linkd.core.sql_text import StatementCutter
from linkd.limits import ROWS_PER_VALUE

TPCH = Path(__file__).parent / "tpch" / "queries.sql"
RESULTS = Path(__file__).parent / "results" / "query.jsonl"
THREADS = 2
INGEST_ROWS = 32_768
"""Of one batch: the driver sends it as one message, of 16 MiB at most."""
SCANS = {
    "group by": "SELECT k, count(*) AS n, sum(v) AS s FROM facts GROUP BY k",
    "filter": "SELECT count(*) AS n, sum(v) AS s FROM facts WHERE v > 0.999",
    "range": "SELECT sum(v) AS s FROM facts WHERE id BETWEEN {middle} AND {middle} + 100000",
    "join": "SELECT name, sum(v) AS s FROM facts JOIN names USING (k) GROUP BY name",
}
SCAN_BAR = 0.8
TPCH_BAR = 1 / 1.3
TAIL_BAR_MS = 50.0
COLD_BAR_MS = 500.0
BESIDE_BAR = 3.0
TAIL_VALUE_ROWS = 32_768
"""Of one value of the large link, of four columns of 8 bytes: a MiB."""
PUBLISHES = 400
HEAVY = "SELECT count(*) AS n FROM facts a JOIN facts b ON a.k = b.k WHERE a.v + b.v > 1.99"
"""Pairs every row with a thousandth of all: for as long as anybody waits."""


@dataclass(slots=True)
class Pair:
    """A statement, and what it took by each of the two, round by round."""

    name: str
    sql: str
    linkd_s: list[float] = field(default_factory=list)
    duckdb_s: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(self.duckdb_s) / statistics.median(self.linkd_s)


def measured(pairs: Sequence[Pair], cursor: Any, database: duckdb.DuckDBPyConnection, rounds: int) -> None:
    """Interleaved: each round asks both. The first one, which maps what is read, is not counted."""
    for number in range(rounds + 1):
        for pair in pairs:
            ours, theirs = timed(lambda sql=pair.sql: fetched(cursor, sql)), timed(lambda sql=pair.sql: database.sql(sql).to_arrow_table())
            if number:
                pair.linkd_s.append(ours)
                pair.duckdb_s.append(theirs)


def fetched(cursor: Any, sql: str) -> pa.Table:
    cursor.execute(sql)
    return cursor.fetch_arrow_table()


def timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


async def facts(endpoint: str, rows: int) -> dict[str, pa.Table]:
    """Publishes the rows of the scans, and reads them back: mapped where they lie."""
    random = np.random.default_rng(1)
    names = pa.table({"k": np.arange(1000), "name": [f"name {number}" for number in range(1000)]})
    async with aio.connect(endpoint) as client:
        async with client.publisher("facts") as publisher:
            for first in range(0, rows, ROWS_PER_VALUE):
                count = min(ROWS_PER_VALUE, rows - first)
                ids, keys = np.arange(first, first + count), random.integers(0, 1000, count)
                await publisher.send(pa.table({"id": ids, "k": keys, "v": random.random(count), "w": random.random(count)}))
        await client.publish("names", names)
        return {"facts": await client.read("facts").to_table(), "names": names}


async def long_link(endpoint: str, gib: float) -> int:
    """Publishes a link of that size; how many values it has."""
    rows = np.arange(TAIL_VALUE_ROWS)
    values = round(gib * 1024**3 / (4 * rows.nbytes))
    async with aio.connect(endpoint) as client, client.publisher("long") as publisher:
        for number in range(values):
            await publisher.send(pa.table({"n": rows + number * TAIL_VALUE_ROWS, "a": rows, "b": rows, "c": rows}))
    return values


async def publish_p99_ms(endpoint: str) -> float:
    """Of small publishes, one after the other, each durable when it is acked."""
    took_s = []
    async with aio.connect(endpoint) as client:
        for number in range(PUBLISHES):
            began_s = time.perf_counter()
            await client.publish("beats", [{"n": number}])
            took_s.append(time.perf_counter() - began_s)
    return 1000 * statistics.quantiles(took_s, n=100)[98]


def beside_a_query(endpoint: str, cursor: Any) -> tuple[float, float]:
    """The p99 of publishes by themselves, and while a query has all cores."""
    alone_ms = asyncio.run(publish_p99_ms(endpoint))
    with ThreadPoolExecutor(1) as pool:
        query = pool.submit(fetched, cursor, HEAVY)
        try:
            beside_ms = asyncio.run(publish_p99_ms(endpoint))
            assert not query.done(), "the query was over before the publishes were"
        finally:
            cursor.adbc_cancel()
            with contextlib.suppress(dbapi.Error):
                query.result()
    return alone_ms, beside_ms


def tpch(cursor: Any, scale: float, directory: Path) -> dict[str, pa.Table]:
    """Generates the tables and ingests them."""
    generator = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run([generator, "parquet", "-s", str(scale), "--output-dir", directory], check=True, capture_output=True)
    tables = {path.stem: pq.read_table(path) for path in sorted(directory.glob("*.parquet"))}
    for name, table in tables.items():
        cursor.adbc_ingest(name, table.to_reader(max_chunksize=INGEST_ROWS), mode="create_append")
    return tables


def told(title: str, pairs: Sequence[Pair], bar: float) -> bool:
    """Prints the pairs; whether the bar is met by each, or in total where there is a title for the total."""
    for pair in pairs:
        ours_ms, theirs_ms = 1000 * statistics.median(pair.linkd_s), 1000 * statistics.median(pair.duckdb_s)
        print(f"  {pair.name:<12} {ours_ms:>9.1f} ms {theirs_ms:>9.1f} ms {pair.ratio:>7.2f}x")
    ours_s = sum(statistics.median(pair.linkd_s) for pair in pairs)
    theirs_s = sum(statistics.median(pair.duckdb_s) for pair in pairs)
    total = theirs_s / ours_s
    print(f"  {title:<12} {1000 * ours_s:>9.1f} ms {1000 * theirs_s:>9.1f} ms {total:>7.2f}x  bar {bar:.2f}x")
    return total >= bar


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--tail-gib", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with scratch_directory(options.dir) as scratch:
        cold_ms = 1000 * statistics.median([await first_query_s(Path(scratch) / f"cold{number}") for number in range(options.rounds)])
        async with home(Path(scratch) / "state") as (_, endpoint):
            tables = await facts(endpoint, options.rows)
            values = await long_link(endpoint, options.tail_gib)
            return await asyncio.to_thread(compared, endpoint, tables, values, cold_ms, options, Path(scratch))


async def first_query_s(directory: Path) -> float:
    """Of a home that nobody has asked anything yet, once a client has connected."""
    async with home(directory) as (_, endpoint):
        async with aio.connect(endpoint) as client:
            await client.publish("names", [{"k": number} for number in range(1_000)])

        def asked() -> float:
            with dbapi.connect(endpoint.replace("unix:", "grpc+unix://"), autocommit=True) as connection, connection.cursor() as cursor:
                return timed(lambda: fetched(cursor, "SELECT count(*) AS n FROM names"))

        return await asyncio.to_thread(asked)


def compared(endpoint: str, tables: dict[str, pa.Table], values: int, cold_ms: float, options: argparse.Namespace, scratch: Path) -> int:
    address = endpoint.replace("unix:", "grpc+unix://")
    database = duckdb.connect(":memory:", config={"threads": THREADS})
    with dbapi.connect(address, autocommit=True) as connection, connection.cursor() as cursor:
        for name, table in tables.items():
            database.register(name, table)
        scans = [Pair(name, sql.format(middle=options.rows // 2)) for name, sql in SCANS.items()]
        measured(scans, cursor, database, options.rounds)
        print("  statement        linkd         DuckDB     DuckDB / linkd")
        good = [told("scans", scans, SCAN_BAR)]
        tail_ms = 1000 * max(
            timed(lambda sql=f"SELECT sum(n) AS n FROM long WHERE _seq > {values - number}": fetched(cursor, sql))
            for number in range(1, options.rounds + 1)
        )
        alone_ms, beside_ms = beside_a_query(endpoint, cursor)
        (scratch / "tpch").mkdir()
        for name, table in tpch(cursor, options.scale, scratch / "tpch").items():
            database.register(name, table)
        cutter = StatementCutter()
        statements = [*cutter.feed(TPCH.read_text()), *cutter.rest()]
        queries = [Pair(f"q{number}", statement.text) for number, statement in enumerate(statements, 1)]
        measured(queries, cursor, database, options.rounds)
        good.append(told("TPC-H", queries, TPCH_BAR))
    print(
        f"  the end of a link of {options.tail_gib:g} GiB {tail_ms:.1f} ms (bar {TAIL_BAR_MS:.0f}), "
        f"the first query of a cold process {cold_ms:.0f} ms (bar {COLD_BAR_MS:.0f})"
    )
    print(f"  publish p99 {alone_ms:.2f} ms, beside a query {beside_ms:.2f} ms: {beside_ms / alone_ms:.1f}x (bar {BESIDE_BAR:.0f}x)")
    good += [tail_ms <= TAIL_BAR_MS, cold_ms <= COLD_BAR_MS, beside_ms <= BESIDE_BAR * alone_ms]
    figures = {pair.name: round(pair.ratio, 3) for pair in (*scans, *queries)}
    others = {
        "tail_ms": round(tail_ms, 1),
        "tail_gib": options.tail_gib,
        "cold_ms": round(cold_ms, 1),
        "publish_p99_ms": round(alone_ms, 2),
        "publish_p99_beside_ms": round(beside_ms, 2),
        "rows": options.rows,
        "scale": options.scale,
    }
    append_result(options.results, [figures, others])
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
