"""How fast a link goes into PostgreSQL: `python benchmarks/postgres_sink.py [--rows N] [--rounds N] [--results FILE]`.

Beside psql's own `\\copy` of the same rows from a CSV file, in interleaved rounds, with a server of its own that syncs: a table that is replaced,
and one that is appended to, a value of 65,536 rows and its position in one transaction each. The adapter is driven as the worker drives it, from
rows in memory; getting them there is measured elsewhere. The bar is 0.7 of psql's rate for a million rows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from linkd_adapters.sql import ADAPTER
from rounds import append_result, interleave

from linkd.limits import ROWS_PER_VALUE
from linkd.plugin.contract import LinkOptions, SinkValue
from linkd.testing.postgres import PostgresMissing, PostgresServer

BAR = 0.7
COLUMNS = "id bigint, at timestamptz, customer text, amount numeric(12,2), weight double precision"
SYNCING = ("fsync=on", "shared_buffers=128MB", "listen_addresses=127.0.0.1", "max_wal_size=4GB")


@dataclass
class Turn:
    """One way to put the rows there. `before` is not counted."""

    name: str
    before: Callable[[], object]
    work: Callable[[], object]
    walls_s: list[float] = field(default_factory=list)

    def run_once(self) -> None:
        self.before()
        began_s = time.perf_counter()
        self.work()
        self.walls_s.append(time.perf_counter() - began_s)

    @property
    def wall_s(self) -> float:
        return statistics.median(self.walls_s)


def rows_of(count: int) -> pa.Table:
    """A table of five ordinary columns."""
    numbers = pa.array(range(count), pa.int64())
    return pa.table(
        {
            "id": numbers,
            "at": pc.add(pc.multiply(numbers, 1_000_003), 1_700_000_000_000_000).cast(pa.timestamp("us", "UTC")),
            "customer": pc.binary_join_element_wise("customer ", pc.bit_wise_and(numbers, 1023).cast(pa.string()), ""),
            "amount": pc.binary_join_element_wise(numbers.cast(pa.string()), "25", ".").cast(pa.decimal128(12, 2)),
            "weight": pc.sqrt(numbers.cast(pa.float64())),
        }
    )


@contextlib.contextmanager
def served() -> Iterator[PostgresServer]:
    server = PostgresServer.start(SYNCING)
    try:
        yield server
    finally:
        server.stop()


def turns(server: PostgresServer, table: pa.Table, directory: Path) -> list[Turn]:
    csv = directory / "rows.csv"
    pyarrow.csv.write_csv(table, csv)
    batches = table.to_batches(ROWS_PER_VALUE)
    psql = [str(server.binaries / "psql"), "-Xq", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-v", "ON_ERROR_STOP=1"]

    async def replaced() -> None:
        sink = ADAPTER.sink(LinkOptions("rows", server.url("?table=replaced"), directory))
        await sink.begin(table.schema)
        for batch in batches:
            await sink.write(batch)
        await sink.finish()

    async def appended() -> None:
        sink = ADAPTER.value_sink(LinkOptions("rows", server.url("?table=appended"), directory, mode="append"))
        last: Mapping[str, str] = {}
        for number, batch in enumerate(batches, 1):
            last = (await sink.write(SinkValue(1, number, batch), last)).record
        await sink.close()

    def emptied(name: str) -> Callable[[], object]:
        return lambda: server.psql(f"DROP TABLE IF EXISTS {name}, linkd_positions; CHECKPOINT")

    return [
        Turn(
            "psql \\copy",
            lambda: server.psql(f"DROP TABLE IF EXISTS copied; CREATE TABLE copied ({COLUMNS}); CHECKPOINT"),
            lambda: subprocess.run([*psql, "-c", f"\\copy copied FROM '{csv}' CSV HEADER"], check=True),
        ),
        Turn("replace", emptied("replaced"), lambda: asyncio.run(replaced())),
        Turn("append", emptied("appended"), lambda: asyncio.run(appended())),
    ]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--results", type=Path)
    asked = options.parse_args()
    try:
        with served() as server, tempfile.TemporaryDirectory(prefix="linkd-sink-") as directory:
            taken = turns(server, rows_of(asked.rows), Path(directory))
            interleave(taken, asked.rounds)
            counts = {server.psql(f"SELECT count(*), sum(amount), max(at) FROM {name}") for name in ("copied", "replaced", "appended")}
    except PostgresMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    if len(counts) != 1:
        print(f"the tables do not hold the same: {counts}", file=sys.stderr)
        return 1
    figures: list[dict[str, Any]] = []
    for turn in taken:
        ratio = taken[0].wall_s / turn.wall_s
        figures.append({"name": turn.name, "rows": asked.rows, "wall_s": round(turn.wall_s, 3), "ratio": round(ratio, 2)})
        print(f"{turn.name}: {asked.rows / turn.wall_s:,.0f} rows/s, {ratio:.2f} of psql (bar {BAR})")
    if asked.results:
        append_result(asked.results, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
