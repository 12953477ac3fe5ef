"""The lane between processes that are stopped, killed and forked: a table stays what it was for as long as somebody holds it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from lane_writer import small_home

import linkd.aio
from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.limits import MIB
from linkd.model.terms import LinkTerms, Retain
from linkd.model.values import Durability
from linkd.testing.home_process import plain_environment

SERVE = """
import sys
from pathlib import Path
from linkd.app.serve import ServeOptions, serve
sys.exit(serve(ServeOptions(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), disk_budget_bytes=int(sys.argv[4]))))
"""
PIPELINE = """
pipeline: ring
wiring: |
  (tables*)  nobody  (nothing)
links:
  tables: {durability: memory, retain: {size: 8MB, hard: true}}
tasks:
  nobody: {run: "true"}
"""
DISK_BYTES = 192 * MIB
"""Files of 6 MiB: what is retained is two of them."""
ROWS = 65_536
"""Of two columns of 8 bytes: a MiB."""
RING_VALUES = 10 * 12
"""Of a MiB each: ten times what the files that are used again have room for."""
FILES_MAX = 15
"""Retention may be a few files behind; without it there would be twenty."""
PRODUCE = """
import sys
import numpy as np, pyarrow as pa, linkd
with linkd.connect(sys.argv[1], timeout_s=60) as client:
    number = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            number += 1
            client.publish("tables", pa.table({"by": np.full(65_536, 1), "n": np.full(65_536, number)}))
            print(number, flush=True)
"""
FORK = """
import os, sys
import numpy as np, pyarrow as pa, linkd
with linkd.connect(sys.argv[1]) as client:
    client.publish("tables", pa.table({"n": [0]}))
    client.publish("tables", pa.table({"n": np.full(130_000, 1)}))
    table = list(client.read("tables"))[1].to_table()
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        os.read(ready, 1)
        assert table["n"].unique().to_pylist() == [1], table["n"].unique()
        try:
            client.describe()
        except linkd.ForkedClient:
            os._exit(7)
        os._exit(1)
    del table
    for number in range(2, 40):
        client.publish("tables", pa.table({"n": np.full(130_000, number)}))
    os.write(told, b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[2]:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import linkd
with linkd.connect(sys.argv[1]) as client:
    assert client.describe().transport == "lane"
    client.publish("tables", [{"n": 4, "text": "x" * 100_000}])
    for value in client.read("tables"):
        if sys.argv[2] != "pyarrow":
            assert value.to_table().num_rows == len(value)
    assert "pyarrow" not in sys.modules or sys.argv[2] != "pyarrow"
"""


@contextlib.asynccontextmanager
async def program(*arguments: str | Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", *map(str, arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=plain_environment()
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def made(producer: Process, count: int) -> None:
    """The producer publishes so many tables more."""
    assert producer.stdin is not None
    assert producer.stdout is not None
    producer.stdin.write(b"%d\n" % count)
    for _ in range(count):
        assert await producer.stdout.readline()


def tables_of(number: int, by: int) -> pa.Table:
    return pa.table({"by": np.full(ROWS, by), "n": np.full(ROWS, number)})


async def test_tables_stay_right_whoever_is_stopped_or_killed(tmp_path: Path) -> None:
    pipeline = tmp_path / "ring.yaml"
    pipeline.write_text(PIPELINE)
    with tempfile.TemporaryDirectory(prefix="linkd-") as private:
        socket = Path(private) / "socket"
        serving = (SERVE, tmp_path / "state", socket, pipeline, str(DISK_BYTES))
        held: list[pa.Table] = []
        async with contextlib.AsyncExitStack() as stack:
            home = await stack.enter_async_context(program(*serving))
            client = await stack.enter_async_context(linkd.aio.connect(f"unix:{socket}", timeout_s=60))
            producer = await stack.enter_async_context(program(PRODUCE, f"unix:{socket}"))
            await made(producer, 5)
            held += [value.to_table() async for value in client.read("tables")]
            copies = [table.take(np.arange(table.num_rows)) for table in held]
            producer.send_signal(signal.SIGSTOP)
            for number in range(1, RING_VALUES):
                await client.publish("tables", tables_of(number, 2))
            assert len(list((tmp_path / "state" / "segments" / "tables").iterdir())) < FILES_MAX, "files are used again, or deleted"
            home.kill()
            await home.wait()
            assert held == copies
            await stack.enter_async_context(program(*serving))
            producer.send_signal(signal.SIGCONT)
            await asyncio.gather(made(producer, 5), client.publish("tables", tables_of(RING_VALUES, 2)))
            for number in range(RING_VALUES + 1, 2 * RING_VALUES):
                await client.publish("tables", tables_of(number, 2))
            await made(producer, 2)
            last = [value.to_table() async for value in client.read("tables", last_values=3)]
            assert [(table["by"].unique().to_pylist(), table["n"].unique().to_pylist()) for table in last] == [
                ([2], [2 * RING_VALUES - 1]),
                ([1], [11]),
                ([1], [12]),
            ]
            assert held == copies


async def test_a_forked_child_keeps_its_table_and_is_told_not_to_use_the_client(tmp_path: Path) -> None:
    terms = LinkTerms(Durability.MEMORY, retain=Retain(size_bytes=2 * MIB, hard=True))
    layout = Layout("pipeline", {"tables": LinkShape("tables", "", terms=terms)}, {}, frozenset({"tables"}))
    async with small_home(tmp_path / "state", layout=layout, disk_budget_bytes=DISK_BYTES) as home, program(FORK, home.endpoint) as forked:
        assert await forked.wait() == 7


async def test_who_cannot_map_files_takes_and_gives_bytes(tmp_path: Path) -> None:
    async with small_home(tmp_path / "state") as home, linkd.aio.connect(home.endpoint) as client:
        await client.publish("tables", pa.table({"n": [1, 2, 3], "text": ["x" * 100_000] * 3}))
        for package in ("pyarrow", "xxhash"):
            async with program(WITHOUT, home.endpoint, package) as without:
                assert await without.wait() == 0
        tables = [value.to_table() async for value in client.read("tables")]
        assert [table["n"].to_pylist() for table in tables] == [[1, 2, 3], [4], [4]]
