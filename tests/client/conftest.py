"""A fake home on a unix socket, a client connected to it, and the Arrow values that travel between them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fake_home import FakeHome

import linkd.aio


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


@pytest.fixture(scope="session")
def home_processes() -> Iterator[subprocess.Popen[str]]:
    """See `scenario.py`."""
    scenario = Path(__file__).parent / "scenario.py"
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen(
        [sys.executable, str(scenario)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, env=environ, text=True, start_new_session=True
    ) as process:
        yield process


@pytest.fixture
def home_process(home_processes: subprocess.Popen[str], short_dir: Path) -> Iterator[str]:
    """The address of a fake home in a process of its own, with the flights of `scenario.py`."""
    assert home_processes.stdin is not None
    assert home_processes.stdout is not None
    home_processes.stdin.write(f"{short_dir / 's'}\n")
    home_processes.stdin.flush()
    pid = int(home_processes.stdout.readline())
    try:
        yield f"unix:{short_dir / 's'}"
    finally:
        os.kill(pid, signal.SIGKILL)
