"""A fake home on a unix socket, a client connected to it, and the Arrow values that travel between them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from fake_home import FakeHome

import linkd.aio
from linkd.core.schema import payload


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory whose path leaves room for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="lk", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture
async def home(short_dir: Path) -> AsyncIterator[FakeHome]:
    async with FakeHome(short_dir / "s") as home:
        yield home


@pytest.fixture
async def client(home: FakeHome) -> AsyncIterator[linkd.aio.Client]:
    async with linkd.aio.connect(home.address, timeout_s=5) as client:
        yield client
    leftover = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("linkd")]
    assert leftover == [], "closing the client ends what it began"


@pytest.fixture
def home_process(short_dir: Path) -> Iterator[str]:
    """The address of a fake home in a process of its own, with the flights of `scenario.py`."""
    socket = short_dir / "s"
    scenario = Path(__file__).parent / "scenario.py"
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen(
        [sys.executable, str(scenario), str(socket)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, env=environ
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield f"unix:{socket}"
        finally:
            process.kill()


def put(home: FakeHome, link: str, table: pa.Table, *, told: bool = True):  # type: ignore[no-untyped-def]
    """Stores a table as one value; `told` sends its schema along, as linkd does with the first value of a stream."""
    batch = table.combine_chunks().to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=table.schema)
    schema, content = payload(batch)
    home.schemas[link] = schema
    return home.put(link, bytes(content), schema=schema if told else b"", rows=batch.num_rows)
